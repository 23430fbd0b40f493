//! Sampling: what is kept of traces, and that metrics count every request all the same.

use std::collections::BTreeSet;

use harness::{Collector, HostBuilder, TestHost};
use serde_json::json;

const FLOW: &str = r#"
inputs:
  text:
    type: string
outputs:
  text:
    type: string
    reference: ${text_may_fail.output}
nodes:
- name: text_may_fail
  type: wasm
  source: {type: code, path: guests/text_may_fail.wasm}
  inputs:
    text: ${inputs.text}
"#;

/// A trace of a test's own, which no share but the whole keeps: by the last 56 bits of its id it is among the first.
fn trace(n: u8) -> String {
    format!("1234567890abcdef00000000000000{n:02x}")
}

fn host(collector: &Collector) -> HostBuilder {
    TestHost::written("sampled", FLOW).collector(collector).env("WEIR_TAIL_RATIO", "0.1")
}

/// A request in this trace.
async fn ask(host: &TestHost, trace: &str, text: &str) -> u16 {
    let parent = format!("00-{trace}-1111111111111111-01");
    host.score_with(&[("traceparent", &parent)], json!({"text": text}).to_string()).await.status
}

/// The traces of which a request has arrived.
fn arrived(collector: &Collector) -> BTreeSet<String> {
    collector.spans().into_iter().filter(|it| it.name == "POST /score").map(|it| it.trace_id).collect()
}

fn decided(collector: &Collector, decision: &str) -> u64 {
    collector.metric("weir.sampling.traces").label("weir.sampling.decision", decision).sum() as u64
}

#[tokio::test]
async fn what_failed_and_what_was_judged_is_kept_and_metrics_count_all() {
    let collector = Collector::start();
    let host = host(&collector).start().await;
    for n in 0..20 {
        assert_eq!(ask(&host, &trace(n), "fine").await, 200);
    }
    assert_eq!(ask(&host, &trace(100), "system").await, 500);
    // Long after the answer, and before the time is over.
    let parent = format!("00-{}-1111111111111111-01", trace(3));
    assert_eq!(host.feedback("", &[("traceparent", &parent)], "good").await.status, 200);
    host.stop().await;

    assert_eq!(arrived(&collector), [trace(3), trace(100)].into());
    for kept in [trace(3), trace(100)] {
        let spans = collector.spans().into_iter().filter(|it| it.trace_id == kept && it.scope == "promptflow");
        let names: BTreeSet<String> = spans.map(|it| it.name).collect();
        let whole = ["POST /score", "sampled", "text_may_fail"].map(str::to_owned);
        assert!(whole.iter().all(|name| names.contains(name)), "{names:?}");
    }
    let decisions = ["error", "feedback", "dropped", "ratio"].map(|it| decided(&collector, it));
    assert_eq!(decisions, [1, 1, 19, 0]);
    assert_eq!(collector.metric("flow_request").count(), 21);
    assert_eq!(collector.metric("node_request").count(), 21);
}

#[tokio::test]
async fn what_was_slow_is_kept() {
    let collector = Collector::start();
    let host = host(&collector).env("WEIR_TAIL_SLOW", "1ms").env("WEIR_TAIL_RATIO", "0").start().await;
    assert_eq!(ask(&host, &trace(1), "fine").await, 200);
    let span = collector.span("POST /score").await;
    host.stop().await;
    assert_eq!((span.trace_id, decided(&collector, "slow")), (trace(1), 1));
}

#[tokio::test]
async fn a_share_of_the_rest_is_kept_and_says_nothing_of_application_insights() {
    let collector = Collector::start();
    let host = host(&collector).start().await;
    let kept = "1234567890abcdef00ffffffffffffff";
    assert_eq!(ask(&host, kept, "fine").await, 200);
    assert_eq!(ask(&host, &trace(1), "fine").await, 200);
    host.stop().await;
    assert_eq!(arrived(&collector), [kept.to_owned()].into());
    assert!(!collector.everything().contains("_MS.sampleRate"));
    assert_eq!([decided(&collector, "ratio"), decided(&collector, "dropped")], [1, 1]);
}

#[tokio::test]
async fn nobody_waits_for_feedback_for_ever() {
    let collector = Collector::start();
    let host = host(&collector).env("WEIR_TAIL_WAIT", "10ms").start().await;
    assert_eq!(ask(&host, &trace(1), "fine").await, 200);
    let dropped = |metric: &harness::Metric| metric.sum() == 1.0;
    collector.metric_when("weir.sampling.traces", dropped).await;
    host.stop().await;
    assert_eq!((decided(&collector, "dropped"), collector.spans().len()), (1, 0));
}

#[tokio::test]
async fn callers_that_want_everything_recorded_get_what_the_operator_allows() {
    let collector = Collector::start();
    let host = TestHost::written("sampled", FLOW).collector(&collector);
    // Twice as many at once.
    let host = host.env("OTEL_TRACES_SAMPLER", "parentbased_always_off").env("WEIR_TRACE_FORCED", "2/m").start().await;
    for number in 1..=50 {
        assert_eq!(ask(&host, &trace(number), "fine").await, 200);
    }
    host.stop().await;
    assert_eq!(arrived(&collector), (1..=4).map(trace).collect());
    assert_eq!(collector.metric("weir.sampling.demoted").sum(), 46.0);
    assert_eq!(collector.metric("flow_request").count(), 50);
}

#[tokio::test]
async fn without_tail_sampling_everything_is_kept_and_nothing_counted() {
    let collector = Collector::start();
    let host = TestHost::written("sampled", FLOW).collector(&collector).start().await;
    assert_eq!(ask(&host, &trace(1), "fine").await, 200);
    host.stop().await;
    assert_eq!(arrived(&collector), [trace(1)].into());
    assert!(!collector.instruments().iter().any(|name| name.starts_with("weir.sampling")));
}

#[tokio::test]
async fn a_standard_sampler_decides_when_the_request_comes() {
    for (sampler, kept) in [("always_off", false), ("parentbased_always_off", true)] {
        let collector = Collector::start();
        let host = TestHost::written("sampled", FLOW);
        let host = host.collector(&collector).env("OTEL_TRACES_SAMPLER", sampler).start().await;
        assert_eq!(ask(&host, &trace(1), "fine").await, 200);
        host.stop().await;
        assert_eq!(!arrived(&collector).is_empty(), kept, "{sampler}");
        assert_eq!(collector.metric("flow_request").count(), 1, "{sampler}");
    }
}
