//! When a model is asked again, what of it is seen, and that all of it together stays within bounds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::{Collector, FakeModel, FakeService, Span, TestHost};
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// One request to a model that answers 429 with this `Retry-After` and then gives an answer: the call's span, and the reply.
async fn asked(retry_after: &str) -> (Span, harness::Reply, usize) {
    let collector = Collector::start();
    let model = FakeModel::echo().failing(StatusCode::TOO_MANY_REQUESTS, 1).retry_after(retry_after).start();
    let host = TestHost::flow("llm_node").model(&model).env("WEIR_UPSTREAM_STATUS", "http").collector(&collector);
    let host = host.start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    host.stop().await;
    let span = collector.spans().into_iter().find(|span| span.name == "openai_chat").expect("the call's span");
    (span, reply, model.requests().len())
}

/// The pause was within these bounds, in seconds.
#[track_caller]
fn check_pause(span: &Span, least: f64, most: f64) {
    let pause = span.attributes["weir.retry.pause"].as_f64().expect("a pause");
    assert!((least..=most).contains(&pause), "a pause of {pause} s, not from {least} to {most}");
    let event = span.events.iter().find(|event| event.name == "weir.retry").expect("the try is told");
    assert_eq!(event.attributes["weir.retry.pause"], json!(pause));
    assert_eq!(event.attributes["http.response.status_code"], json!(429));
    assert_eq!(event.attributes["error.type"], json!("RateLimited"));
    assert_eq!(event.attributes["http.request.resend_count"], json!(1));
}

#[tokio::test]
async fn a_pause_that_a_service_asks_for_is_kept() {
    let (span, reply, requests) = asked("1").await;
    reply.assert_ok(json!({"answer": "hi"}));
    assert_eq!(requests, 2);
    check_pause(&span, 1.0, 1.5);
    assert_eq!(span.attributes["http.request.resend_count"], json!(1));
    assert_eq!(span.attributes["weir.retry.asked"], json!(1.0));
    assert_eq!(span.attributes["weir.circuit.state"], json!("closed"));
    assert!(span.end - span.start >= 1_000_000_000, "it was not kept: {} ns", span.end - span.start);
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_is_none() {
    for nonsense in ["0", "-1", "abc", "1.5", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let (span, reply, requests) = asked(nonsense).await;
        reply.assert_ok(json!({"answer": "hi"}));
        assert_eq!(requests, 2, "{nonsense}");
        check_pause(&span, 0.25, 0.75);
        assert_eq!(span.attributes.get("weir.retry.asked"), None, "{nonsense}");
    }
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_told_on() {
    let tomorrow = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(86_400));
    for retry_after in ["86400", "31", "99999999999999999999", &tomorrow] {
        let (span, reply, requests) = asked(retry_after).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["innerError"]["code"]), (503, &json!("UpstreamRateLimited")), "{error}");
        assert_eq!(reply.header("retry-after"), Some("30"), "{retry_after}");
        assert_eq!(requests, 1, "{retry_after}");
        assert_eq!(span.attributes["weir.retry.stopped"], json!("asked"));
        assert_eq!(span.attributes.get("http.request.resend_count"), None);
    }
}

#[tokio::test]
async fn a_pause_is_told_on_through_the_nodes_that_call_each_other() {
    let flow = "
inputs: {question: {type: string}}
outputs: {answer: {type: string, reference: '${caller.output}'}}
nodes:
- name: caller
  type: wasm
  source: {type: code, path: guests/nodes_calls_another.wasm}
  inputs: {node: chat, other_inputs: {question: hi}}
  grants: {nodes: [chat]}
- name: chat
  type: llm
  source: {type: code, path: chat.jinja2}
  activate: {when: never, is: run by itself}
  inputs: {deployment_name: m, question: '${inputs.question}'}
  connection: open_ai_connection
  api: chat
";
    let model = FakeModel::echo().failing(StatusCode::TOO_MANY_REQUESTS, 9).retry_after("25").start();
    let host = TestHost::written("calls", flow).file("chat.jinja2", "# user:\n{{question}}").model(&model);
    let host = host.env("WEIR_UPSTREAM_STATUS", "http").env("WEIR_REQUEST_TIMEOUT", "20s").start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["innerError"]["code"]), (503, &json!("UpstreamRateLimited")), "{error}");
    assert_eq!((reply.header("retry-after"), &error["details"]["node"]), (Some("25"), &json!("caller")));
}

#[tokio::test]
async fn a_pause_that_outlasts_the_node_is_not_made() {
    let model = FakeModel::echo().failing(StatusCode::TOO_MANY_REQUESTS, 9).retry_after("20").start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_node").model(&model).collector(&collector).env("WEIR_UPSTREAM_STATUS", "http");
    let host = host.env("WEIR_REQUEST_TIMEOUT", "10s").start().await;
    let began = Instant::now();
    let reply = host.score(json!({"question": "hi"})).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("20")), "{}", reply.text());
    assert!(began.elapsed() < Duration::from_secs(10), "it was waited for");
    host.stop().await;
    let span = collector.spans().into_iter().find(|span| span.name == "openai_chat").expect("the call's span");
    assert_eq!(span.attributes["weir.retry.stopped"], json!("deadline"));
    assert_eq!(model.requests().len(), 1);
}

/// A service that always fails, and whose pauses need not be waited for.
fn failing(status: u16) -> FakeService {
    FakeService::start(move |_| {
        let response = Response::builder().status(status).header("retry-after-ms", "1");
        response.body(Bytes::from_static(b"{}")).expect("a response")
    })
}

/// So many requests, some at a time, to a flow whose model is this service.
async fn many(service: &FakeService, requests: usize, settings: &[(&str, &str)]) -> (Collector, Vec<Value>) {
    let collector = Collector::start();
    let host = TestHost::flow("llm_node").model_at(&service.origin()).collector(&collector);
    let host = settings.iter().fold(host, |host, (name, value)| host.env(*name, *value)).start().await;
    let mut codes = Vec::new();
    for _ in 0..requests.div_ceil(10) {
        let ten = (0..10).map(|_| host.score(json!({"question": "hi"})));
        let replies = futures_util::future::join_all(ten).await;
        codes.extend(replies.iter().map(|reply| reply.json()["error"]["innerError"]["code"].clone()));
    }
    host.stop().await;
    (collector, codes)
}

#[tokio::test]
async fn all_requests_together_try_again_for_a_fifth_of_them() {
    let service = failing(500);
    let settings = [("WEIR_RETRY_RESERVE", "0"), ("WEIR_BREAKER_FAILURES", "0")];
    let (collector, codes) = many(&service, 100, &settings).await;
    assert_eq!(codes, vec![json!("UpstreamFailed"); 100]);
    // Each alone would have been tried three times.
    let tries = service.requests().len();
    assert!((100..=120).contains(&tries), "{tries} tries of 100 requests");
    let told = |metric: &str, label, value| collector.metric(metric).label(label, value).count();
    let retries = told("weir.upstream.retry", "exception", "Unavailable");
    assert_eq!(retries, tries as u64 - 100);
    let unasked = told("weir.upstream.unasked", "reason", "retry_budget");
    assert!(unasked >= 80, "{unasked}");
    let stopped = collector.spans().into_iter().filter_map(|span| span.attributes.get("weir.retry.stopped").cloned());
    assert_eq!(stopped.filter(|why| why == "budget").count() as u64, unasked);
}

#[tokio::test]
async fn a_service_that_fails_at_load_is_left_alone_within_a_second() {
    let service = failing(503);
    let began = Instant::now();
    let (collector, codes) = many(&service, 200, &[]).await;
    // Ten at a time, so the breaker opens with the first of them and stays open for four seconds at least.
    let refused = codes.iter().filter(|code| *code == "CircuitOpen").count();
    let probes = began.elapsed().as_secs() as usize / 4 + 1;
    let tries = service.requests().len();
    assert!(tries <= 30 + probes, "{tries} tries of 200 requests");
    assert!(refused >= 200 - 10 - probes, "{refused} of 200 requests were refused");
    let unasked = collector.metric("weir.upstream.unasked").label("reason", "circuit_open").count();
    assert_eq!(unasked, refused as u64);
}
