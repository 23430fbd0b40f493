//! A service that fails for everyone is left alone, and found again.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use harness::{Collector, FakeModel, FakeService, HostBuilder, KEY, TestHost, eventually};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::grants::answers::service;
use crate::grants::{echo, flow, outcomes, raw};

const ANSWER: &str = r#"{"id": "x", "model": "m", "choices": [{"message": {"role": "assistant", "content": "back"},
    "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"#;

/// A service that fails until it is mended.
fn breaking() -> (FakeService, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let service = FakeService::start(move |_| {
        let status = if is_mended.load(Ordering::SeqCst) { 200 } else { 500 };
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.header("retry-after-ms", "1").body(Bytes::from_static(ANSWER.as_bytes())).expect("a response")
    });
    (service, mended)
}

fn host(service: &FakeService) -> HostBuilder {
    let host = TestHost::flow("llm_node").model_at(&service.origin()).env("WEIR_UPSTREAM_STATUS", "http");
    // Longer than the tests of what happens until it is asked again.
    host.env("WEIR_BREAKER_OPEN", "60s")
}

#[tokio::test]
async fn a_service_that_fails_five_times_in_a_row_is_not_asked() {
    let (service, _) = breaking();
    let collector = Collector::start();
    let host = host(&service).collector(&collector).start().await;
    // Three tries, and two of the next request: with the fifth it opens.
    for tries in [3, 5] {
        let reply = host.score(json!({"question": "hi"})).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["innerError"]["code"]), (502, &json!("UpstreamFailed")), "{error}");
        assert_eq!(service.requests().len(), tries);
    }
    host.wrote("circuit breaker opened").await;
    for _ in 0..20 {
        let reply = host.score(json!({"question": "hi"})).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["innerError"]["code"]), (503, &json!("CircuitOpen")), "{error}");
        assert_eq!((&error["code"], &error["details"]["node"]), (&json!("SystemError"), &json!("chat")));
        let wait: u64 = reply.header("retry-after").expect("a time to wait").parse().expect("whole seconds");
        // A minute, give or take a fifth, less what has passed since.
        assert!((30..=72).contains(&wait), "{wait}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("connection \"open_ai_connection\" is not asked"), "{message}");
    }
    let metrics = host.get_admin("/metrics").await;
    let circuit = |state: &str, value: u8| {
        let line = format!(
            "weir_upstream_circuit{{connection=\"open_ai_connection\",flow=\"llm_node\",state=\"{state}\"}} {value}"
        );
        assert!(metrics.text().contains(&line), "{line} in:\n{}", metrics.text());
    };
    circuit("closed", 0);
    circuit("half_open", 0);
    circuit("open", 1);
    host.stop().await;

    assert_eq!(service.requests().len(), 5);
    let unasked = collector.metric("weir.upstream.unasked").label("connection", "open_ai_connection");
    assert_eq!(unasked.label("reason", "circuit_open").count(), 20);
    let refused: Vec<_> = collector.spans().into_iter().filter(|span| span.name == "openai_chat").collect();
    let states: Vec<_> = refused.iter().map(|span| span.attributes["weir.circuit.state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "open").count(), 20);
    let stopped: Vec<_> = refused.iter().filter_map(|span| span.attributes.get("weir.retry.stopped")).collect();
    assert_eq!(stopped, [&json!("tries"), &json!("circuit")]);
    // Nothing is asked, so nothing is waited for.
    let open = refused.iter().filter(|span| span.attributes["weir.circuit.state"] == "open");
    let fastest = open.map(|span| span.end - span.start).min();
    assert!(fastest < Some(5_000_000), "a refusal takes {fastest:?} ns");
}

#[tokio::test]
async fn the_original_statuses_stay_where_they_are_wanted() {
    let (service, _) = breaking();
    let host = host(&service).env("WEIR_UPSTREAM_STATUS", "original").start().await;
    for _ in 0..2 {
        host.score(json!({"question": "hi"})).await;
    }
    let reply = host.score(json!({"question": "hi"})).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"]), (400, &json!("UserError")));
    assert_eq!((&error["innerError"]["code"], reply.header("retry-after")), (&json!("CircuitOpen"), None));
}

#[tokio::test]
async fn a_service_that_is_back_is_found_by_one_probe() {
    let (service, mended) = breaking();
    let host = host(&service).env("WEIR_BREAKER_OPEN", "1s").start().await;
    for _ in 0..2 {
        host.score(json!({"question": "hi"})).await;
    }
    let before = service.requests().len();
    mended.store(true, Ordering::SeqCst);
    eventually("the service is asked again", async || {
        let reply = host.score(json!({"question": "hi"})).await;
        assert!(matches!(reply.status, 200 | 503), "{}", reply.text());
        reply.status == 200
    })
    .await;
    assert_eq!(service.requests().len(), before + 1, "one probe, and it answered");
    host.wrote("circuit breaker closed").await;
    for _ in 0..10 {
        host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "back"}));
    }
}

#[tokio::test]
async fn while_the_probe_is_under_way_nobody_else_asks() {
    let model = FakeModel::echo().failing(StatusCode::INTERNAL_SERVER_ERROR, 5).gated().start();
    // Longer than the test: a probe that hangs would be followed by another.
    let host = TestHost::flow("llm_node").model(&model).env("WEIR_UPSTREAM_STATUS", "http");
    let host = host.env("WEIR_BREAKER_OPEN", "10s").env("WEIR_LLM_RETRIES", "0").start().await;
    model.release(5);
    for _ in 0..5 {
        assert_eq!(host.score(json!({"question": "hi"})).await.status, 502);
    }
    eventually("the breaker is half open", async || {
        let metrics = host.get_admin("/metrics").await;
        metrics.text().contains("state=\"half_open\"} 1")
    })
    .await;
    let probe = host.score(json!({"question": "probe"}));
    let others = async {
        model.requested(6).await;
        let ten = (0..10).map(|_| host.score(json!({"question": "hi"})));
        let refused = futures_util::future::join_all(ten).await;
        assert!(refused.iter().all(|reply| reply.status == 503));
        assert_eq!(model.requests().len(), 6);
        model.release(1);
    };
    let (probe, ()) = tokio::join!(probe, others);
    probe.assert_ok(json!({"answer": "probe"}));
    model.release(1);
    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
}

#[tokio::test]
async fn one_connection_that_fails_harms_no_other() {
    let (service, _) = breaking();
    let good = FakeModel::replies("fine").start();
    let flow = "
inputs: {bad: {type: bool}}
outputs:
  bad: {type: object, reference: '${bad.output}'}
  good: {type: object, reference: '${good.output}'}
nodes:
- name: bad
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  activate: {when: '${inputs.bad}', is: true}
  inputs: {connection: bad, question: hi}
  grants: {llm: [bad]}
- name: good
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  activate: {when: '${inputs.bad}', is: false}
  inputs: {connection: good, question: hi}
  grants: {llm: [good]}
";
    let bad = format!("{{name: bad, type: open_ai, api_key: {KEY}, base_url: '{}/v1', model: m}}", service.origin());
    let host = TestHost::written("two", flow).connection_file("bad", &bad).connection("good", &good);
    let host = host.env("WEIR_BREAKER_OPEN", "60s").start().await;
    for _ in 0..3 {
        assert_eq!(host.score(json!({"bad": true})).await.status, 500);
    }
    assert_eq!(service.requests().len(), 5);
    let reply = host.score(json!({"bad": false})).await;
    assert_eq!((reply.status, &reply.json()["good"]["text"]), (200, &json!("fine")));
    let metrics = host.get_admin("/metrics").await;
    for line in [
        r#"weir_upstream_circuit{connection="bad",flow="two",state="open"} 1"#,
        r#"weir_upstream_circuit{connection="good",flow="two",state="closed"} 1"#,
    ] {
        assert!(metrics.text().contains(line), "{line} in:\n{}", metrics.text());
    }
}

#[tokio::test]
async fn refusals_do_not_open_it() {
    for status in [400, 401, 404, 429] {
        let refusing = FakeService::start(move |_| {
            let response = Response::builder().status(status).header("retry-after-ms", "1");
            response.body(Bytes::from_static(b"{}")).expect("a response")
        });
        let host = host(&refusing).start().await;
        for _ in 0..8 {
            host.score(json!({"question": "hi"})).await;
        }
        let tries = if status == 429 { 24 } else { 8 };
        assert_eq!(refusing.requests().len(), tries, "{status}");
    }
}

#[tokio::test]
async fn one_that_is_switched_off_lets_all_calls_through() {
    let (service, _) = breaking();
    let host = host(&service).env("WEIR_BREAKER_FAILURES", "0").env("WEIR_LLM_RETRIES", "0").start().await;
    for _ in 0..30 {
        assert_eq!(host.score(json!({"question": "hi"})).await.status, 502);
    }
    assert_eq!(service.requests().len(), 30);
}

/// A flow that asks the service of a connection by plain HTTP.
const ASKS: &str = "
inputs:
  url: {type: string}
  timeout_ms: {type: int, default: 60000}
outputs: {answer: {type: object, reference: '${asks.output}'}}
nodes:
- name: asks
  type: wasm
  source: {type: code, path: guests/http_gets.wasm}
  inputs: {url: '${inputs.url}', timeout_ms: '${inputs.timeout_ms}'}
  grants: {http: [{connection: search}]}
";

fn search(origin: &str) -> String {
    format!("{{name: search, type: cognitive_search, api_base: '{origin}', api_key: {KEY}}}")
}

#[tokio::test]
async fn services_that_nodes_ask_by_http_are_left_alone_too() {
    let service = FakeService::start(|_| Response::builder().status(503).body(Bytes::new()).expect("a response"));
    let collector = Collector::start();
    let host = TestHost::written("asks", ASKS).connection_file("search", &search(&service.origin()));
    let host = host.env("WEIR_BREAKER_OPEN", "60s").collector(&collector).start().await;
    let ask = || host.score(json!({"url": format!("{}/x", service.origin())}));
    for _ in 0..5 {
        // To a node each answer is one.
        ask().await.assert_ok(json!({"answer": {"status": 503, "text": ""}}));
    }
    for _ in 0..3 {
        let reply = ask().await;
        assert_eq!((reply.status, &reply.json()["error"]["innerError"]["code"]), (500, &json!("NodeSystemError")));
    }
    host.stop().await;
    assert_eq!(service.requests().len(), 5);
    let unasked = collector.metric("weir.upstream.unasked").label("connection", "search");
    assert_eq!(unasked.label("reason", "circuit_open").count(), 3);
    let spans = collector.spans().into_iter().filter(|span| span.name == "http.request");
    let states: Vec<_> = spans.map(|span| span.attributes["weir.circuit.state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "open").count(), 3);
}

#[tokio::test]
async fn a_node_cannot_make_a_sound_service_look_broken() {
    let gate = FakeModel::echo().gated().start();
    let sound = FakeService::start(|request| {
        let status = if request.uri().path() == "/crash" { 500 } else { 200 };
        Response::builder().status(status).body(Bytes::new()).expect("a response")
    });
    let host = TestHost::written("asks", ASKS).connection_file("search", &search(&sound.origin())).start().await;
    for _ in 0..8 {
        let reply = host.score(json!({"url": format!("{}/crash", sound.origin())})).await;
        reply.assert_ok(json!({"answer": {"status": 500, "text": ""}}));
    }
    host.score(json!({"url": format!("{}/", sound.origin())}))
        .await
        .assert_ok(json!({"answer": {"status": 200, "text": ""}}));
    host.stop().await;
    // Nor by waiting for no time at all.
    let host = TestHost::written("asks", ASKS).connection_file("search", &search(&gate.origin())).start().await;
    for _ in 0..8 {
        let reply = host.score(json!({"url": format!("{}/", gate.origin()), "timeout_ms": 30})).await;
        assert_eq!(reply.status, 500, "{}", reply.text());
    }
    assert!(!host.get_admin("/metrics").await.text().contains("state=\"open\"} 1"));
    host.stop().await;
    // Nor by bodies that it does not bring to their end.
    let given_up = |origin: &str, when: &str, headers: Value| {
        let mut request = raw("POST", origin, "/");
        request["body"] = json!("some of it");
        request["gives_up"] = json!(when);
        request["headers"] = headers;
        request
    };
    let sound = echo();
    let asks = flow("http_raw", "grants: {http: [{connection: search}]}");
    let host = TestHost::written("asks", &asks).connection_file("search", &search(&sound.origin())).start().await;
    let mut requests = vec![given_up(&sound.origin(), "at_once", json!([])); 6];
    requests.extend(vec![given_up(&sound.origin(), "at_once", json!([["content-length", "20"]])); 6]);
    requests.push(raw("GET", &sound.origin(), "/x"));
    let mut expected = vec!["ErrorCode::ConnectionTerminated"; 12];
    expected.push("200 GET /x");
    assert_eq!(outcomes(&host, json!(requests)).await, expected);
    host.stop().await;
    // Also if the answer has begun.
    let hasty = service(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab")?;
        // Until the host hangs up.
        std::io::copy(stream, &mut std::io::sink()).map(|_| ())
    });
    let host = TestHost::written("asks", &asks).connection_file("search", &search(&hasty)).start().await;
    let requests = vec![given_up(&hasty, "after_head", json!([])); 12];
    assert_eq!(outcomes(&host, json!(requests)).await, ["200 ab"; 12]);
}
