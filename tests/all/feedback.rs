//! POST /feedback: a person's judgement in the trace of the request. What it says, whom it is about, how it is answered;
//! `durable` has what it survives.

mod durable;
mod storm;

use std::collections::BTreeMap;

use harness::{Collector, Span, TestHost};
use serde_json::{Value, json};
use weir::server::token::{Config, FeedbackTokens};
use weir::telemetry::propagation::Propagators;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const TRACEPARENT: (&str, &str) = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

/// The attributes of a feedback but its id, which varies.
fn said(span: &Span) -> BTreeMap<&str, Value> {
    let attributes = span.attributes.iter().filter(|(key, _)| *key != "feedback.id");
    attributes.map(|(key, value)| (key.as_str(), value.clone())).collect()
}

fn feedbacks(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.name == "promptflow-feedback").collect()
}

/// The spans of so many feedbacks, in the order of their arrival.
async fn arrived(collector: &Collector, count: usize) -> Vec<Span> {
    let spans = collector.spans_when(&format!("{count} feedbacks"), |spans| feedbacks(spans).len() >= count).await;
    feedbacks(&spans).into_iter().cloned().collect()
}

#[tokio::test]
async fn score_and_feedback_meet_in_the_callers_trace() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;

    host.score_with(&[TRACEPARENT], r#"{"text": "a"}"#).await.assert_ok(json!({"text": "a"}));
    let reply = host.feedback("", &[TRACEPARENT], r#"{"note": "fine"}"#).await;
    reply.assert_ok(json!({"status": "Feedback received."}));

    let trace = collector
        .trace_when(TRACE, |trace| {
            ["promptflow-feedback", "POST /score"].iter().all(|name| trace.spans.iter().any(|span| span.name == *name))
        })
        .await;
    let (request, feedback) = (trace.span("POST /score"), trace.span("promptflow-feedback"));
    for span in [request, feedback] {
        assert_eq!((span.trace_id.as_str(), span.parent.as_deref()), (TRACE, Some(PARENT)), "{span:?}");
    }
    assert_eq!((feedback.kind, feedback.scope.as_str()), ("internal", "promptflow"));
    assert_eq!(feedback.resource, request.resource);
    assert_eq!((said(feedback), &feedback.events[..]), ([("feedback", json!(r#"{"note": "fine"}"#))].into(), &[][..]));
    assert_eq!(feedback.status, harness::Status::Unset);
    host.stop().await;
}

#[tokio::test]
async fn a_flattened_feedback_has_an_attribute_for_each_key_and_each_entry_of_baggage() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;

    let baggage = ("baggage", "user=a%20b,score=baggage wins,service.name=mine,feedback=mine");
    host.feedback("?flatten=TRUE", &[TRACEPARENT, baggage], r#"{"score": 5, "tags": ["a"], "o": {"x": 1}}"#).await;

    let found = &arrived(&collector, 1).await[0];
    let mut attributes = said(found);
    attributes.remove("score");
    let expected = [
        ("o", json!("{\"x\":1}")),
        ("tags", json!(["a"])),
        ("user", json!("a b")),
        ("feedback.service.name", json!("mine")),
        ("feedback.feedback", json!("mine")),
    ];
    assert_eq!(attributes, expected.into());
    assert_eq!(found.resource["service.name"], json!("promptflow"));
    host.stop().await;
}

#[tokio::test]
async fn any_payload_is_taken() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    for body in [&b"[1, 2]"[..], b"\"good\"", b"3", b"", b"\xff\xfe", b"not json", b"\"\\ud800\"", b"{\"\\u0000\": 1}"]
    {
        let reply = host.feedback("?flatten=true", &[], body).await;
        reply.assert_ok(json!({"status": "Feedback received."}));
    }
    host.stop().await;
    assert_eq!(collector.spans().len(), 8);
}

#[tokio::test]
async fn what_nests_without_end_and_has_keys_without_end_is_taken_within_bounds() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    let keys = (0..5_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
    let odd = ["service.name", "http.route", "", "a\\nb\\u0000", &"é".repeat(5_000)];
    let odd = odd.map(|key| format!("\"{key}\":\"{key}\"")).join(",");
    for body in [deep.clone(), format!("{{\"a\":{deep}}}"), format!("{{{keys}}}"), format!("{{{odd}}}")] {
        let reply = host.feedback("?flatten=true", &[], body).await;
        reply.assert_ok(json!({"status": "Feedback received."}));
    }
    host.feedback("", &[], "later").await;
    let spans = arrived(&collector, 5).await;
    let whole: String = said(&spans[0]).values().filter_map(Value::as_str).map(str::len).sum::<usize>().to_string();
    assert_eq!(whole, deep.len().to_string(), "what cannot be read is text, and kept whole");
    assert_eq!((said(&spans[2]).len(), said(&spans[2])["feedback.truncated_keys"].clone()), (65, json!(4_936)));
    let long = "é".repeat(50);
    let expected = ["feedback.", "feedback.http.route", "feedback.service.name", "a\\nb\\u{0}", &long];
    let found = said(&spans[3]);
    assert_eq!(found.keys().copied().collect::<std::collections::BTreeSet<_>>(), expected.into());
    assert!(found.values().all(|value| value.as_str().is_some_and(|text| text.len() <= 8000)));
    assert_eq!(said(&spans[4]), [("feedback", json!("later"))].into());
    for span in spans {
        assert_eq!(span.resource["service.name"], json!("promptflow"));
    }
    host.stop().await;
}

#[tokio::test]
async fn feedback_is_told_without_tracing_and_about_spans_that_were_not_sampled() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("PF_DISABLE_TRACING", "true").start().await;
    host.feedback("", &[TRACEPARENT], "one").await;
    host.feedback("", &[("traceparent", &TRACEPARENT.1.replace("-01", "-00"))], "two").await;
    for span in arrived(&collector, 2).await {
        assert_eq!((span.trace_id.as_str(), span.parent.as_deref()), (TRACE, Some(PARENT)));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_score_is_also_an_event_of_the_standard() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    host.feedback("?flatten=true", &[], r#"{"thumb": "up", "comment": "so nice"}"#).await;
    host.feedback("", &[], r#"{"comment": "so nice"}"#).await;
    let spans = arrived(&collector, 2).await;
    assert_eq!(said(&spans[0]), [("thumb", json!("up")), ("comment", json!("so nice"))].into());
    let [event] = &spans[0].events[..] else { panic!("{:?}", spans[0].events) };
    let expected = [
        ("gen_ai.evaluation.name", json!("user_feedback")),
        ("gen_ai.evaluation.score.value", json!(1.0)),
        ("gen_ai.evaluation.score.label", json!("up")),
        ("gen_ai.evaluation.explanation", json!("so nice")),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value)).into();
    assert_eq!((event.name.as_str(), &event.attributes), ("gen_ai.evaluation.result", &expected));
    assert_eq!(spans[1].events, []);
    host.stop().await;
}

#[tokio::test]
async fn a_long_feedback_is_kept_whole_and_later_ones_still_arrive() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    let body = "aaaaaaa".to_owned() + &"é漢😀".repeat(7281);
    assert_eq!(body.len(), 65_536);
    host.feedback("", &[], body.clone()).await.assert_ok(json!({"status": "Feedback received."}));
    let reply = host.feedback("", &[], "x".repeat(65_537)).await;
    assert_eq!((reply.status, &reply.json()["error"]["innerError"]["code"]), (413, &json!("BodyTooLarge")));
    host.feedback("", &[], "later").await;

    let spans = arrived(&collector, 2).await;
    let mut parts: Vec<(usize, &str)> =
        said(&spans[0]).keys().map(|key| (key.split_once('.').map_or(0, |(_, n)| n.parse().unwrap()), *key)).collect();
    parts.sort_unstable();
    let texts: Vec<&str> = parts.iter().map(|(_, key)| spans[0].attributes[*key].as_str().unwrap()).collect();
    assert!(texts.len() == 9 && texts.iter().all(|text| text.len() <= 8000));
    assert!(texts.concat() == body, "the parts are the body");
    assert_eq!(said(&spans[1]), [("feedback", json!("later"))].into());
    host.stop().await;
}

#[tokio::test]
async fn the_same_key_is_one_feedback() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    for (key, body) in [("k-1", "one"), ("k-2", "two"), ("k-1", "one")] {
        let reply = host.feedback("", &[("idempotency-key", key)], body).await;
        reply.assert_ok(json!({"status": "Feedback received."}));
    }
    let reply = host.feedback("", &[("idempotency-key", "a b")], "three").await;
    assert_eq!((reply.status, &reply.json()["error"]["innerError"]["code"]), (400, &json!("InvalidIdempotencyKey")));
    host.stop().await;
    let spans = collector.spans();
    let said: Vec<Value> = feedbacks(&spans).into_iter().map(|span| said(span)["feedback"].clone()).collect();
    assert_eq!(said, ["one", "two"]);
}

/// A token for the span of [`TRACEPARENT`].
fn token(key: &std::path::Path, ttl: u64) -> String {
    let config = Config { ttl: std::time::Duration::from_secs(ttl), key_file: Some(key.to_owned()) };
    let headers = [(http::HeaderName::from_static(TRACEPARENT.0), http::HeaderValue::from_static(TRACEPARENT.1))];
    let span = Propagators::default().extract(&headers.into_iter().collect());
    let tokens = FeedbackTokens::open(&config, None).expect("the key is there");
    tokens.issue(&span).expect("the span is one")
}

#[tokio::test]
async fn a_token_says_what_a_feedback_is_about() {
    let home = tempfile::tempdir().unwrap();
    let (key, other) = (home.path().join("key"), home.path().join("other"));
    std::fs::write(&key, [b'k'; 32]).unwrap();
    std::fs::write(&other, [b'o'; 32]).unwrap();
    let collector = Collector::start();
    let host = TestHost::flow("run_returns")
        .collector(&collector)
        .env("WEIR_FEEDBACK_TOKEN_KEY_FILE", key.display().to_string())
        .start()
        .await;
    host.wrote("feedback tokens: signed by ").await;

    let good = token(&key, 60);
    let elsewhere = ("traceparent", "00-11111111111111111111111111111111-2222222222222222-01");
    host.feedback("", &[("x-feedback-token", &good), elsewhere, ("baggage", "user=bob")], "header").await;
    host.feedback(&format!("?flatten=false&feedback_token={good}"), &[], "query").await;
    for span in arrived(&collector, 2).await {
        assert_eq!((span.trace_id.as_str(), span.parent.as_deref()), (TRACE, Some(PARENT)), "{span:?}");
        assert_eq!(span.attributes.contains_key("user"), span.attributes["feedback"] == "header");
    }

    let (expired, forged) = (token(&key, 0), token(&other, 60));
    for (bad, expected) in
        [(expired.as_str(), "expired"), (&forged, "wrong signature"), ("nonsense", "malformed"), ("", "malformed")]
    {
        for reply in [
            host.feedback("", &[("x-feedback-token", bad), TRACEPARENT], "bad").await,
            host.feedback(&format!("?feedback_token={bad}"), &[TRACEPARENT], "bad").await,
        ] {
            let error = &reply.json()["error"];
            assert_eq!((reply.status, &error["innerError"]["code"]), (403, &json!("Forbidden")), "{bad}");
            assert!(error["message"].as_str().is_some_and(|message| message.contains(expected)), "{error}");
        }
    }
    host.stop().await;
    assert_eq!(feedbacks(&collector.spans()).len(), 2);
}
