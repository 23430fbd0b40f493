//! Puts finished spans together into whole traces. What is done with them: see printer.rs and sampler/tail.rs.
//!
//! A trace is whole when its local root ends, the span whose parent is elsewhere or nowhere. One trace id may have
//! several: a caller that scores and then sends feedback gets two trees. A trace whose root never ends must not be kept
//! for ever: whoever uses this says how much is too much, and takes the oldest out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::size_of;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// The spans whose local root has not ended.
#[derive(Debug, Default)]
pub(super) struct Store {
    open: HashMap<TraceId, Vec<SpanData>>,
    /// Of `open`, the oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
    bytes: usize,
}

impl Store {
    /// Takes a finished span; gives the trace that is whole with it, its root first.
    pub(super) fn add(&mut self, span: SpanData) -> Option<Vec<SpanData>> {
        if is_local_root(&span) {
            return Some(self.take_below(span));
        }
        self.hold(span);
        None
    }

    /// How many spans are held.
    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All that is held of a trace, whether or not a root is missing.
    pub(super) fn take(&mut self, id: TraceId) -> Vec<SpanData> {
        let spans = self.remove(id);
        if !spans.is_empty() {
            self.order.retain(|it| *it != id);
        }
        spans
    }

    /// What is held of the trace of which something has been held longest.
    pub(super) fn take_oldest(&mut self) -> Option<(TraceId, Vec<SpanData>)> {
        let oldest = self.order.pop_front()?;
        Some((oldest, self.remove(oldest)))
    }

    fn remove(&mut self, id: TraceId) -> Vec<SpanData> {
        let spans = self.open.remove(&id).unwrap_or_default();
        self.spans -= spans.len();
        self.bytes -= spans.iter().map(weight).sum::<usize>();
        spans
    }

    fn hold(&mut self, span: SpanData) {
        self.spans += 1;
        self.bytes += weight(&span);
        let id = span.span_context.trace_id();
        let spans = self.open.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Vec::new()
        });
        spans.push(span);
    }

    /// The root and all spans below it. Spans of other roots with the same trace id stay.
    fn take_below(&mut self, root: SpanData) -> Vec<SpanData> {
        let mut left = self.take(root.span_context.trace_id());
        let mut taken = vec![root];
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
        left.into_iter().for_each(|span| self.hold(span));
        taken
    }
}

/// Whether the span's parent is elsewhere or nowhere.
pub(super) fn is_local_root(span: &SpanData) -> bool {
    span.parent_span_is_remote || span.parent_span_id == SpanId::INVALID
}

/// About how much memory a span takes, in bytes.
pub(super) fn weight(span: &SpanData) -> usize {
    let attributes = |list: &[KeyValue]| list.iter().map(attribute_weight).sum::<usize>();
    let events = span.events.iter().map(|event| size_of_val(event) + event.name.len() + attributes(&event.attributes));
    let links = span.links.iter().map(|link| size_of_val(link) + attributes(&link.attributes));
    size_of::<SpanData>()
        + span.name.len()
        + attributes(&span.attributes)
        + events.sum::<usize>()
        + links.sum::<usize>()
}

fn attribute_weight(attribute: &KeyValue) -> usize {
    let value = match &attribute.value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => texts.iter().map(|it| size_of_val(it) + it.as_str().len()).sum(),
        Value::Array(Array::Bool(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::I64(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::F64(values)) => size_of_val(values.as_slice()),
        _ => 0,
    };
    size_of_val(attribute) + attribute.key.as_str().len() + value
}

#[cfg(test)]
pub(super) mod tests {
    use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    pub(in crate::telemetry) fn span(trace: u128, id: u64, parent: u64) -> SpanData {
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
        let found: Vec<Vec<SpanId>> = traces
            .map(|trace| {
                let mut ids: Vec<SpanId> = trace.iter().map(|span| span.span_context.span_id()).collect();
                ids.sort_by_key(|id| id.to_bytes());
                ids
            })
            .collect();
        let expected: Vec<Vec<SpanId>> =
            expected.iter().map(|ids| ids.iter().map(|id| SpanId::from(*id)).collect()).collect();
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
    fn what_is_held_is_counted_and_the_oldest_comes_out_first() {
        let mut store = Store::default();
        for trace in [1, 2, 1, 3] {
            assert!(store.add(span(trace, 2, 1)).is_none());
        }
        assert_eq!((store.spans(), store.bytes()), (4, 4 * weight(&span(1, 2, 1))));
        let (oldest, spans) = store.take_oldest().unwrap();
        assert_eq!((oldest, spans.len()), (TraceId::from(1), 2));
        assert_eq!(store.take(TraceId::from(3)).len(), 1);
        assert_eq!(store.take_oldest().unwrap().0, TraceId::from(2));
        assert!(store.take_oldest().is_none());
        assert_eq!((store.spans(), store.bytes(), store.order.len()), (0, 0, 0));
    }

    #[test]
    fn the_weight_of_a_span_is_that_of_its_texts() {
        let bare = span(1, 1, 0);
        let mut full = bare.clone();
        full.attributes = vec![KeyValue::new("output", "x".repeat(10_000))];
        assert!(weight(&full) >= weight(&bare) + 10_000);
    }
}
