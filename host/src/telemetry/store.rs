//! Puts finished spans together into whole traces. What is done with them: see printer.rs.
//!
//! A trace is whole when its local root ends, the span whose parent is elsewhere or nowhere. One trace id may have
//! several: a caller that scores and then sends feedback gets two trees. Bounded, since a trace whose root never ends
//! must not be kept for ever.

use std::collections::{HashMap, HashSet, VecDeque};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::tree;

/// Spans that are kept while their roots are open. About a thousand requests at a time; beyond that the oldest trace is
/// given up, and what is printed is no longer read by anyone.
const MAX_SPANS: usize = 10_000;

/// The spans whose local root has not ended.
#[derive(Debug, Default)]
pub(super) struct Store {
    open: HashMap<TraceId, Vec<SpanData>>,
    /// Of `open`, the oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
}

impl Store {
    /// Takes a finished span; gives the trace that is whole with it.
    pub(super) fn add(&mut self, span: SpanData) -> Option<tree::Trace> {
        if is_local_root(&span) {
            return Some(self.take_below(span));
        }
        let id = span.span_context.trace_id();
        let spans = self.open.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Vec::new()
        });
        spans.push(span);
        self.spans += 1;
        if self.spans > MAX_SPANS {
            self.give_up_oldest();
        }
        None
    }

    /// The root and all spans below it. Spans of other roots with the same trace id stay.
    fn take_below(&mut self, root: SpanData) -> tree::Trace {
        let id = root.span_context.trace_id();
        let mut taken = vec![root];
        let mut left = self.remove(id);
        self.order.retain(|it| *it != id);
        let mut ids: HashSet<SpanId> = taken.iter().map(|span| span.span_context.span_id()).collect();
        // Children mostly end before their parents, so from the back one pass finds them all.
        loop {
            let before = taken.len();
            let mut rest = Vec::with_capacity(left.len());
            for span in left.into_iter().rev() {
                if ids.contains(&span.parent_span_id) {
                    ids.insert(span.span_context.span_id());
                    taken.push(span);
                } else {
                    rest.push(span);
                }
            }
            rest.reverse();
            left = rest;
            if taken.len() == before {
                break;
            }
        }
        if !left.is_empty() {
            self.spans += left.len();
            self.order.push_back(id);
            self.open.insert(id, left);
        }
        tree::Trace { id: id.to_string(), spans: taken.iter().map(tree::Span::from).collect() }
    }

    fn remove(&mut self, id: TraceId) -> Vec<SpanData> {
        let spans = self.open.remove(&id).unwrap_or_default();
        self.spans -= spans.len();
        spans
    }

    fn give_up_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            let spans = self.remove(oldest);
            tracing::debug!(trace = %oldest, spans = spans.len(), "a trace without an end was given up");
        }
    }
}

pub(super) fn is_local_root(span: &SpanData) -> bool {
    span.parent_span_is_remote || span.parent_span_id == SpanId::INVALID
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(trace: u128, id: u64, parent: u64) -> SpanData {
        let (trace, id) = (TraceId::from(trace), SpanId::from(id));
        SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "".into(),
            start_time: std::time::SystemTime::UNIX_EPOCH,
            end_time: std::time::SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: opentelemetry::InstrumentationScope::default(),
        }
    }

    /// Adds spans `(id, parent)` of one trace; gives the ids of each trace that became whole.
    #[track_caller]
    fn check(spans: &[(u64, u64)], expected: &[&[u64]]) {
        let mut store = Store::default();
        let traces = spans.iter().filter_map(|(id, parent)| store.add(span(1, *id, *parent)));
        let found: Vec<Vec<String>> = traces
            .map(|trace| {
                let mut ids: Vec<String> = trace.spans.into_iter().map(|span| span.id).collect();
                ids.sort();
                ids
            })
            .collect();
        let expected: Vec<Vec<String>> =
            expected.iter().map(|ids| ids.iter().map(|id| format!("{id:016x}")).collect()).collect();
        assert_eq!(found, expected, "{spans:?}");
    }

    #[test]
    fn a_trace_is_whole_when_its_root_ends() {
        check(&[(3, 2), (2, 1), (4, 1), (1, 0)], &[&[1, 2, 3, 4]]);
        check(&[(1, 0)], &[&[1]]);
    }

    #[test]
    fn a_parent_may_end_before_its_child() {
        check(&[(2, 1), (3, 2), (1, 0)], &[&[1, 2, 3]]);
    }

    #[test]
    fn two_roots_with_one_trace_id_are_two_traces() {
        check(&[(2, 1), (12, 11), (1, 0), (13, 12), (11, 0)], &[&[1, 2], &[11, 12, 13]]);
    }

    #[test]
    fn traces_whose_roots_never_end_do_not_pile_up() {
        let mut store = Store::default();
        for trace in 0..3 * MAX_SPANS as u128 {
            assert!(store.add(span(trace + 1, 2, 1)).is_none());
        }
        assert_eq!((store.spans, store.open.len(), store.order.len()), (MAX_SPANS, MAX_SPANS, MAX_SPANS));
    }
}
