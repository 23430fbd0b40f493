//! Tail sampling at work: a processor of spans that passes on what tail.rs keeps, and a thread that drops in time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use opentelemetry::metrics::{Counter, MeterProvider};
use opentelemetry::trace::TraceId;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::tail::{Policy, Tail};
use crate::telemetry::metrics;
use crate::telemetry::names::{attribute, metric};

/// How often what has waited long enough is looked for. Traces wait for minutes, so that this much later is no matter.
const TICK: Duration = Duration::from_secs(1);

/// Passes on the spans of traces that are kept, and holds those of which nothing is decided yet. Clones are the same: one
/// goes to the provider of spans, one to whoever hears of feedback.
///
/// The next processor is given no resource by this: whoever makes it has one.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct TailSampling(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tail: Mutex<Tail>,
    next: Box<dyn SpanProcessor>,
    traces: Counter<u64>,
    spans: Counter<u64>,
    /// Its end wakes the thread, which ends as well.
    _alive: mpsc::Sender<()>,
}

impl TailSampling {
    /// # Errors
    /// If there is no thread for it.
    pub(in crate::telemetry) fn start(
        policy: Policy,
        next: Box<dyn SpanProcessor>,
        meters: &impl MeterProvider,
    ) -> io::Result<Self> {
        let meter = metrics::conventions(meters);
        let (alive, ended) = mpsc::channel();
        let shared = Arc::new(Shared {
            tail: Mutex::new(Tail::new(policy)),
            next,
            traces: metrics::counter(&meter, metric::SAMPLING_TRACES),
            spans: metrics::counter(&meter, metric::SAMPLING_SPANS),
            _alive: alive,
        });
        let held = Arc::downgrade(&shared);
        thread::Builder::new().name("weir-tail".to_owned()).spawn(move || tick(&held, &ended))?;
        Ok(Self(shared))
    }

    /// A feedback about a span of this trace was accepted.
    pub(in crate::telemetry) fn feedback(&self, trace: TraceId) {
        self.0.pass_on(|tail| tail.feedback(trace));
    }

    /// Decides everything that is held. Before metrics are read for the last time, so that they count it.
    pub(in crate::telemetry) fn decide(&self) {
        self.0.pass_on(Tail::drain);
    }
}

impl SpanProcessor for TailSampling {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.0.next.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        self.0.pass_on(|tail| tail.ended(span, Instant::now()));
    }

    /// Does not hurry decisions: what waits for feedback goes on waiting.
    fn force_flush(&self) -> OTelSdkResult {
        self.0.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.decide();
        self.0.next.shutdown_with_timeout(timeout)
    }
}

impl Shared {
    /// Lets the tail decide, and passes on what it keeps. In the order in which it was decided: the lock is held.
    fn pass_on(&self, decide: impl FnOnce(&mut Tail) -> Vec<SpanData>) {
        let mut tail = self.tail();
        for span in decide(&mut tail) {
            self.next.on_end(span);
        }
        for (decision, count) in tail.take_counts() {
            let labels = [KeyValue::new(attribute::SAMPLING_DECISION, decision.as_str())];
            self.traces.add(count.traces, &labels);
            self.spans.add(count.spans, &labels);
        }
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        // If something panicked while it held the lock, some spans are lost, and the rest need not be.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what has waited long enough, until nobody holds anything any more.
fn tick(held: &Weak<Shared>, ended: &mpsc::Receiver<()>) {
    while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
        let Some(shared) = held.upgrade() else { return };
        shared.pass_on(|tail| {
            tail.tick(Instant::now());
            Vec::new()
        });
    }
}
