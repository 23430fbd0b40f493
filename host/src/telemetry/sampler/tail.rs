//! Which traces are kept, decided when they have ended: those that failed, were slow or were judged, and a share of the rest.
//!
//! Pure: no clock, no thread, nothing is sent here. Who calls it: see hold.rs. Spans are held until their local root ends
//! (store.rs). Then the trace is kept at once, or waits for a feedback, which comes after people have read the answer; if
//! none comes it is dropped. What was decided is remembered for a while, for spans that end after their root.
//!
//! The bound is on everything that is held. At the bound those that wait for feedback go first, the oldest before the
//! others: the share has passed them over already. Then requests that still run, as far as they have come.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::Ratio;
use crate::telemetry::names::attribute;
use crate::telemetry::store::{Store, is_local_root, weight};

/// Traces whose decision is remembered. A late span comes within moments of its root, and this many take 1 MiB.
const REMEMBERED: usize = 10_000;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::telemetry) struct Policy {
    /// Of the traces for whose keeping nothing else speaks.
    pub(in crate::telemetry) ratio: Ratio,
    /// A local root that was open for so long is kept.
    pub(in crate::telemetry) slow: Duration,
    /// How long a trace waits for feedback.
    pub(in crate::telemetry) wait: Duration,
    /// What may be held.
    pub(in crate::telemetry) max_bytes: usize,
}

/// Why a trace was kept, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) enum Decision {
    Error,
    Slow,
    Feedback,
    /// It is of the share that is kept of the rest.
    Ratio,
    /// Nothing spoke for it.
    Dropped,
    /// There was no room to wait for what might have spoken for it.
    Overflow,
}

impl Decision {
    pub(in crate::telemetry) const ALL: [Self; 6] =
        [Self::Error, Self::Slow, Self::Feedback, Self::Ratio, Self::Dropped, Self::Overflow];

    pub(in crate::telemetry) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Slow => "slow",
            Self::Feedback => "feedback",
            Self::Ratio => "ratio",
            Self::Dropped => "dropped",
            Self::Overflow => "overflow",
        }
    }
}

/// What was decided, since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::telemetry) struct Count {
    /// Local roots with what is below them.
    pub(in crate::telemetry) traces: u64,
    pub(in crate::telemetry) spans: u64,
}

/// The traces of which nothing is decided yet. Every span that goes in comes out of one of the methods, or is counted as
/// dropped.
#[derive(Debug)]
pub(in crate::telemetry) struct Tail {
    policy: Policy,
    /// Their roots have not ended.
    open: Store,
    /// They have, and nothing speaks for them but that feedback may come.
    waiting: Waiting,
    remembered: Remembered,
    counts: [Count; Decision::ALL.len()],
}

impl Tail {
    pub(in crate::telemetry) fn new(policy: Policy) -> Self {
        Self {
            policy,
            open: Store::default(),
            waiting: Waiting::default(),
            remembered: Remembered::default(),
            counts: Default::default(),
        }
    }

    /// Takes a span that has ended. Gives what is to be kept by now.
    pub(in crate::telemetry) fn ended(&mut self, span: SpanData, now: Instant) -> Vec<SpanData> {
        let id = span.span_context.trace_id();
        if let Some(decision) = self.remembered.get(id) {
            return self.keep(decision, u64::from(is_local_root(&span)), vec![span]);
        }
        let kept = if self.waiting.is_late(&span) {
            let failed = failed(&span);
            self.waiting.join(span);
            if failed { self.keep_all(id, Decision::Error) } else { Vec::new() }
        } else {
            match self.open.add(span) {
                Some(group) => self.whole(id, group, now),
                None => Vec::new(),
            }
        };
        self.hold_the_bound(kept)
    }

    /// Somebody judged this trace: it is kept, whatever of it has ended or will.
    pub(in crate::telemetry) fn feedback(&mut self, trace: TraceId) -> Vec<SpanData> {
        self.keep_all(trace, Decision::Feedback)
    }

    /// Drops what has waited long enough.
    pub(in crate::telemetry) fn tick(&mut self, now: Instant) {
        while let Some(group) = self.waiting.take_since(now.checked_sub(self.policy.wait)) {
            self.count(Decision::Dropped, 1, group.len());
        }
    }

    /// Decides everything at once. Gives what is to be kept.
    pub(in crate::telemetry) fn drain(&mut self) -> Vec<SpanData> {
        while let Some(group) = self.waiting.take_oldest() {
            self.count(Decision::Dropped, 1, group.len());
        }
        let mut kept = Vec::new();
        while let Some((id, spans)) = self.open.take_oldest() {
            kept.extend(self.give_up(id, spans, Decision::Dropped));
        }
        kept
    }

    /// What was decided since this was last asked.
    pub(in crate::telemetry) fn take_counts(&mut self) -> impl Iterator<Item = (Decision, Count)> {
        Decision::ALL.into_iter().zip(std::mem::take(&mut self.counts)).filter(|(_, count)| *count != Count::default())
    }

    /// Decides about a local root and what is below it.
    fn whole(&mut self, id: TraceId, group: Vec<SpanData>, now: Instant) -> Vec<SpanData> {
        let slow = || group.first().is_some_and(|root| took(root) >= self.policy.slow);
        let decision = if group.iter().any(failed) {
            Decision::Error
        } else if slow() {
            Decision::Slow
        } else if self.policy.ratio.keeps(id) {
            Decision::Ratio
        } else if self.policy.wait.is_zero() {
            self.count(Decision::Dropped, 1, group.len());
            return Vec::new();
        } else {
            self.waiting.push(id, group, now);
            return Vec::new();
        };
        let mut kept = self.keep(decision, 1, group);
        // What the same caller asked for under the same id, before and at the same time.
        kept.extend(self.keep_all(id, decision));
        kept
    }

    /// Keeps all that is held of a trace, and all of it that will come.
    fn keep_all(&mut self, id: TraceId, decision: Decision) -> Vec<SpanData> {
        self.remembered.put(id, decision);
        let waiting = self.waiting.take(id);
        let traces = u64::from(!waiting.is_empty());
        let mut kept = self.keep(decision, traces, waiting);
        let open = self.open.take(id);
        kept.extend(self.keep(decision, 0, open));
        kept
    }

    /// Decides about a trace whose root has not ended.
    fn give_up(&mut self, id: TraceId, spans: Vec<SpanData>, otherwise: Decision) -> Vec<SpanData> {
        let decision = if spans.iter().any(failed) {
            Decision::Error
        } else if self.policy.ratio.keeps(id) {
            Decision::Ratio
        } else {
            self.count(otherwise, 1, spans.len());
            return Vec::new();
        };
        self.remembered.put(id, decision);
        self.keep(decision, 1, spans)
    }

    fn hold_the_bound(&mut self, mut kept: Vec<SpanData>) -> Vec<SpanData> {
        while self.open.bytes() + self.waiting.bytes > self.policy.max_bytes {
            if let Some(group) = self.waiting.take_oldest() {
                self.count(Decision::Overflow, 1, group.len());
            } else if let Some((id, spans)) = self.open.take_oldest() {
                kept.extend(self.give_up(id, spans, Decision::Overflow));
            } else {
                break;
            }
        }
        kept
    }

    fn keep(&mut self, decision: Decision, traces: u64, mut spans: Vec<SpanData>) -> Vec<SpanData> {
        self.count(decision, traces, spans.len());
        if decision == Decision::Ratio && !self.policy.ratio.is_all() {
            spans.iter_mut().for_each(|span| mark(span, self.policy.ratio));
        }
        spans
    }

    fn count(&mut self, decision: Decision, traces: u64, spans: usize) {
        let at = Decision::ALL.iter().position(|it| *it == decision).expect("it is one of all");
        self.counts[at].traces += traces;
        self.counts[at].spans += spans as u64;
    }
}

/// Groups that wait for feedback, by their trace ids.
#[derive(Debug, Default)]
struct Waiting {
    groups: HashMap<TraceId, Vec<SpanData>>,
    /// The oldest first.
    order: VecDeque<(Instant, TraceId)>,
    bytes: usize,
}

impl Waiting {
    /// A second group of one trace id waits with the first.
    fn push(&mut self, id: TraceId, group: Vec<SpanData>, now: Instant) {
        self.bytes += group.iter().map(weight).sum::<usize>();
        let waiting = self.groups.entry(id).or_insert_with(|| {
            self.order.push_back((now, id));
            Vec::new()
        });
        waiting.extend(group);
    }

    /// Whether the span ended after its root, with which it belongs.
    fn is_late(&self, span: &SpanData) -> bool {
        let group = self.groups.get(&span.span_context.trace_id());
        group.is_some_and(|group| group.iter().any(|it| it.span_context.span_id() == span.parent_span_id))
    }

    /// Adds a late span.
    fn join(&mut self, span: SpanData) {
        if let Some(group) = self.groups.get_mut(&span.span_context.trace_id()) {
            self.bytes += weight(&span);
            group.push(span);
        }
    }

    fn take(&mut self, id: TraceId) -> Vec<SpanData> {
        let group = self.remove(id);
        if !group.is_empty() {
            self.order.retain(|(_, it)| *it != id);
        }
        group
    }

    fn take_oldest(&mut self) -> Option<Vec<SpanData>> {
        let (_, id) = self.order.pop_front()?;
        Some(self.remove(id))
    }

    fn remove(&mut self, id: TraceId) -> Vec<SpanData> {
        let group = self.groups.remove(&id).unwrap_or_default();
        self.bytes -= group.iter().map(weight).sum::<usize>();
        group
    }

    /// One that has waited since `then` or longer.
    fn take_since(&mut self, then: Option<Instant>) -> Option<Vec<SpanData>> {
        let (since, _) = self.order.front()?;
        then.filter(|then| since <= then)?;
        self.take_oldest()
    }
}

/// What was decided of the last traces that were kept.
#[derive(Debug, Default)]
struct Remembered {
    decisions: HashMap<TraceId, Decision>,
    order: VecDeque<TraceId>,
}

impl Remembered {
    fn get(&self, id: TraceId) -> Option<Decision> {
        self.decisions.get(&id).copied()
    }

    /// A reason weighs more than the share, which stands for others as well.
    fn put(&mut self, id: TraceId, decision: Decision) {
        match self.decisions.get_mut(&id) {
            Some(Decision::Ratio) | None => {}
            Some(_) => return,
        }
        if self.decisions.insert(id, decision).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.decisions.remove(&oldest);
        }
    }
}

fn failed(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

fn took(span: &SpanData) -> Duration {
    span.end_time.duration_since(span.start_time).unwrap_or_default()
}

/// Says on a span how many it stands for: as Application Insights has it, in percent, and as OpenTelemetry does.
fn mark(span: &mut SpanData, ratio: Ratio) {
    span.attributes.push(KeyValue::new(attribute::SAMPLE_RATE, ratio.share() * 100.0));
    let it = &span.span_context;
    let state = ratio.told(it.trace_state());
    span.span_context = SpanContext::new(it.trace_id(), it.span_id(), it.trace_flags(), it.is_remote(), state);
}

#[cfg(test)]
mod tests;
