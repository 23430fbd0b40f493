//! POST /feedback: a person's judgement in the trace of the request.

use harness::{Collector, TestHost};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

#[tokio::test]
async fn score_and_feedback_meet_in_the_callers_trace() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;

    host.score_with(&[TRACEPARENT], r#"{"text": "a"}"#).await.assert_ok(json!({"text": "a"}));
    let reply = host.feedback("", &[TRACEPARENT], r#"{"thumb": "up"}"#).await;
    reply.assert_ok(json!({"status": "Feedback received."}));

    let trace = collector.trace_with(TRACE, "promptflow-feedback").await;
    let (request, feedback) = (trace.span("POST /score"), trace.span("promptflow-feedback"));
    for span in [request, feedback] {
        assert_eq!((span.trace_id.as_str(), span.parent.as_deref()), (TRACE, Some("00f067aa0ba902b7")), "{span:?}");
    }
    assert_eq!(feedback.kind, "internal");
    assert_eq!(feedback.attributes, [("feedback".to_owned(), json!(r#"{"thumb": "up"}"#))].into());
    host.stop().await;
}

#[tokio::test]
async fn a_flattened_feedback_has_an_attribute_for_each_key_and_each_entry_of_baggage() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;

    let baggage = ("baggage", "user=a%20b,score=baggage wins");
    host.feedback("?flatten=TRUE", &[TRACEPARENT, baggage], r#"{"score": 5, "tags": ["a"], "o": {"x": 1}}"#).await;

    let trace = collector.trace_with(TRACE, "promptflow-feedback").await;
    let expected = [("o", json!("{\"x\":1}")), ("tags", json!(["a"])), ("user", json!("a b"))];
    let mut found = trace.span("promptflow-feedback").attributes.clone();
    found.remove("score");
    assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)).into());
    host.stop().await;
}

#[tokio::test]
async fn any_payload_is_taken() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    for body in [&b"[1, 2]"[..], b"\"good\"", b"3", b"", b"\xff\xfe", b"not json"] {
        let reply = host.feedback("?flatten=true", &[], body).await;
        reply.assert_ok(json!({"status": "Feedback received."}));
    }
    host.stop().await;
    assert_eq!(collector.spans().len(), 6);
}
