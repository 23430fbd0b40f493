use opentelemetry::trace::SpanId;
use proptest::prelude::*;

use super::*;
use crate::telemetry::store::tests::span;

/// The first of the trace ids that every share keeps but none. Small numbers are those that only the whole keeps.
const KEPT_BY_RATIO: u128 = (1 << 56) - 100;

/// The ids of no spans.
const NONE: [u64; 0] = [];

const WAIT: Duration = Duration::from_secs(60);

fn policy() -> Policy {
    Policy { ratio: Ratio::new(0.1).unwrap(), slow: Duration::from_secs(5), wait: WAIT, max_bytes: usize::MAX }
}

fn failing(mut span: SpanData) -> SpanData {
    span.status = Status::error("it failed");
    span
}

fn slow(mut span: SpanData) -> SpanData {
    span.end_time += Duration::from_secs(5);
    span
}

/// What tail sampling does with spans, by their ids; and what it has counted.
struct Rig {
    tail: Tail,
    start: Instant,
}

impl Rig {
    fn new(policy: Policy) -> Self {
        Self { tail: Tail::new(policy), start: Instant::now() }
    }

    fn ended(&mut self, span: SpanData) -> Vec<u64> {
        ids(&self.tail.ended(span, self.start))
    }

    fn feedback(&mut self, trace: u128) -> Vec<u64> {
        ids(&self.tail.feedback(TraceId::from(trace)))
    }

    #[track_caller]
    fn check_counts(&mut self, expected: &[(Decision, u64, u64)]) {
        let counts: Vec<_> = self.tail.take_counts().map(|(it, count)| (it, count.traces, count.spans)).collect();
        assert_eq!(counts, expected);
    }
}

fn ids(spans: &[SpanData]) -> Vec<u64> {
    spans.iter().map(|span| u64::from_be_bytes(span.span_context.span_id().to_bytes())).collect()
}

#[test]
fn a_trace_that_failed_anywhere_is_kept_whole() {
    let mut rig = Rig::new(policy());
    assert_eq!(rig.ended(span(1, 3, 2)), NONE);
    assert_eq!(rig.ended(failing(span(1, 2, 1))), NONE);
    assert_eq!(rig.ended(span(1, 1, 0)), [1, 2, 3]);
    rig.check_counts(&[(Decision::Error, 1, 3)]);
}

#[test]
fn a_slow_trace_is_kept_and_a_slow_part_does_not_make_one() {
    let mut rig = Rig::new(policy());
    rig.ended(span(1, 2, 1));
    assert_eq!(rig.ended(slow(span(1, 1, 0))), [1, 2]);
    rig.ended(slow(span(2, 2, 1)));
    assert_eq!(rig.ended(span(2, 1, 0)), NONE);
    rig.check_counts(&[(Decision::Slow, 1, 2)]);
}

#[test]
fn a_share_of_the_rest_is_kept_and_says_how_many_it_stands_for() {
    let mut rig = Rig::new(policy());
    rig.tail.ended(span(KEPT_BY_RATIO, 2, 1), rig.start);
    for kept in rig.tail.ended(span(KEPT_BY_RATIO, 1, 0), rig.start) {
        assert_eq!(kept.attributes, [KeyValue::new("_MS.sampleRate", 10.0)]);
        assert_eq!(kept.span_context.trace_state().get("ot"), Some("th:e6666666666668"));
    }
    // One that is kept for a reason stands for itself alone.
    let failed = rig.tail.ended(failing(span(KEPT_BY_RATIO + 1, 1, 0)), rig.start);
    assert_eq!((failed[0].attributes.len(), failed[0].span_context.trace_state().get("ot")), (0, None));
    rig.check_counts(&[(Decision::Error, 1, 1), (Decision::Ratio, 1, 2)]);
}

#[test]
fn the_rest_waits_for_feedback_and_is_dropped_without() {
    let mut rig = Rig::new(policy());
    rig.ended(span(1, 2, 1));
    rig.ended(span(1, 1, 0));
    rig.ended(span(2, 1, 0));
    rig.tail.tick(rig.start + WAIT - Duration::from_nanos(1));
    rig.check_counts(&[]);
    assert_eq!(rig.feedback(1), [1, 2]);
    rig.tail.tick(rig.start + WAIT);
    rig.check_counts(&[(Decision::Feedback, 1, 2), (Decision::Dropped, 1, 1)]);
    assert_eq!(rig.feedback(2), NONE);
    assert_eq!((rig.tail.waiting.bytes, rig.tail.waiting.order.len()), (0, 0));
}

#[test]
fn feedback_on_a_request_that_still_runs_keeps_what_is_to_come() {
    let mut rig = Rig::new(policy());
    rig.ended(span(1, 3, 1));
    assert_eq!(rig.feedback(1), [3]);
    assert_eq!(rig.ended(span(1, 2, 1)), [2]);
    assert_eq!(rig.ended(span(1, 1, 0)), [1]);
    rig.check_counts(&[(Decision::Feedback, 1, 3)]);
}

#[test]
fn nothing_waits_if_nothing_is_waited_for() {
    let mut rig = Rig::new(Policy { wait: Duration::ZERO, ..policy() });
    assert_eq!(rig.ended(span(1, 1, 0)), NONE);
    rig.check_counts(&[(Decision::Dropped, 1, 1)]);
}

#[test]
fn a_span_that_ends_after_its_root_shares_its_fate() {
    let mut rig = Rig::new(policy());
    // Kept.
    rig.ended(failing(span(1, 1, 0)));
    assert_eq!(rig.ended(span(1, 2, 1)), [2]);
    // Waiting: it waits as well, and is not fate enough for another root.
    rig.ended(span(2, 1, 0));
    assert_eq!(rig.ended(span(2, 2, 1)), NONE);
    assert_eq!(rig.feedback(2), [1, 2]);
    // Waiting, until the late one fails.
    rig.ended(span(3, 1, 0));
    assert_eq!(rig.ended(failing(span(3, 2, 1))), [1, 2]);
}

#[test]
fn what_speaks_for_one_request_speaks_for_all_of_its_trace() {
    let mut rig = Rig::new(policy());
    rig.ended(span(1, 1, 0));
    rig.ended(span(1, 12, 11));
    assert_eq!(rig.ended(failing(span(1, 21, 0))), [21, 1, 12]);
    assert_eq!(rig.ended(span(1, 11, 0)), [11]);
    rig.check_counts(&[(Decision::Error, 3, 4)]);
}

#[test]
fn at_the_bound_the_oldest_that_waits_is_dropped_before_what_still_runs() {
    let one = weight(&span(1, 1, 0));
    let mut rig = Rig::new(Policy { max_bytes: 3 * one, ..policy() });
    rig.ended(span(1, 9, 1));
    for trace in 2..=5 {
        assert_eq!(rig.ended(span(trace, 1, 0)), NONE);
    }
    rig.check_counts(&[(Decision::Overflow, 2, 2)]);
    assert_eq!((rig.feedback(2), rig.feedback(3)), (vec![], vec![]));
    assert_eq!((rig.feedback(4), rig.feedback(5)), (vec![1], vec![1]));
    assert_eq!(rig.feedback(1), [9]);
}

#[test]
fn requests_that_run_are_decided_as_far_as_they_have_come_if_they_alone_are_too_much() {
    let one = weight(&span(1, 1, 0));
    let mut rig = Rig::new(Policy { max_bytes: one, ..policy() });
    assert_eq!(rig.ended(span(1, 2, 1)), NONE);
    assert_eq!(rig.ended(span(KEPT_BY_RATIO, 2, 1)), NONE);
    assert_eq!(rig.ended(failing(span(3, 2, 1))), [2], "of the share");
    rig.check_counts(&[(Decision::Ratio, 1, 1), (Decision::Overflow, 1, 1)]);
    assert_eq!(rig.ended(span(KEPT_BY_RATIO, 1, 0)), [1], "decided already");
    assert_eq!(rig.ended(span(5, 2, 1)), [2], "the one that failed");
}

#[test]
fn at_the_end_everything_is_decided() {
    let mut rig = Rig::new(policy());
    rig.ended(span(1, 1, 0));
    rig.ended(span(2, 2, 1));
    rig.ended(span(KEPT_BY_RATIO, 2, 1));
    rig.ended(failing(span(4, 3, 2)));
    assert_eq!(ids(&rig.tail.drain()), [2, 3]);
    rig.check_counts(&[(Decision::Error, 1, 1), (Decision::Ratio, 1, 1), (Decision::Dropped, 2, 2)]);
    assert_eq!(rig.tail.open.spans(), 0);
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Ended { trace: u128, id: u64, parent: u64, failed: bool },
    Feedback(u128),
    Tick(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let trace = prop_oneof![1..4u128, KEPT_BY_RATIO..KEPT_BY_RATIO + 3];
    let ended = (trace.clone(), 0..8u64, prop::bool::weighted(0.1)).prop_map(|(trace, parent, failed)| Step::Ended {
        trace,
        id: 0,
        parent,
        failed,
    });
    let step = prop_oneof![
        8 => ended,
        1 => trace.prop_map(Step::Feedback),
        1 => (0..90u64).prop_map(Step::Tick),
    ];
    let number = |mut steps: Vec<Step>| {
        for (n, step) in (1..).zip(&mut steps) {
            if let Step::Ended { id, .. } = step {
                *id = n;
            }
        }
        steps
    };
    prop::collection::vec(step, 0..60).prop_map(number)
}

proptest! {
    /// Whatever happens: each span comes out once or is counted as dropped, memory stays within its bound, what is counted
    /// is what came out, and what failed or was judged before it ended is never dropped but for want of room.
    #[test]
    fn every_span_is_kept_once_or_counted(steps in steps(), room in prop_oneof![Just(usize::MAX), 1..20usize]) {
        let one = weight(&span(1, 1, 1));
        let max_bytes = room.saturating_mul(one);
        let start = Instant::now();
        let mut tail = Tail::new(Policy { max_bytes, ..policy() });
        let (mut ended, mut kept, mut must) = (0, Vec::new(), Vec::new());
        let mut judged = std::collections::HashSet::new();
        let mut now = start;
        for step in steps {
            match step {
                Step::Ended { trace, id, parent, failed } => {
                    ended += 1;
                    let it = span(trace, id, parent);
                    let it = if failed { failing(it) } else { it };
                    if failed || judged.contains(&trace) {
                        must.push(id);
                    }
                    kept.extend(tail.ended(it, now));
                }
                Step::Feedback(trace) => {
                    judged.insert(trace);
                    kept.extend(tail.feedback(TraceId::from(trace)));
                }
                Step::Tick(seconds) => {
                    now += Duration::from_secs(seconds);
                    tail.tick(now);
                }
            }
            prop_assert!(tail.open.bytes() + tail.waiting.bytes <= max_bytes);
        }
        kept.extend(tail.drain());
        prop_assert_eq!(tail.open.bytes() + tail.waiting.bytes, 0);
        let mut out = ids(&kept);
        out.sort_unstable();
        let unique = out.len();
        out.dedup();
        prop_assert_eq!(out.len(), unique, "a span came out twice");
        let dropped = |it: Decision| matches!(it, Decision::Dropped | Decision::Overflow);
        let counts: Vec<_> = tail.take_counts().collect();
        let spans = |keep: bool| counts.iter().filter(|(it, _)| dropped(*it) != keep).map(|(_, it)| it.spans).sum::<u64>();
        prop_assert_eq!((spans(true), spans(true) + spans(false)), (unique as u64, ended));
        prop_assert!(must.iter().all(|id| out.binary_search(id).is_ok()));
        prop_assert!(kept.iter().all(|it| it.span_context.span_id() != SpanId::INVALID));
    }
}
