//! Faults below HTTP and within it, as a caller, a trace and the service see them.

use std::time::Duration;

use bytes::Bytes;
use harness::{Act, Collector, FakeWire, HostBuilder, Span, TestHost};
use serde_json::{Value, json};

/// A host with the settings of all tests here: statuses are those of HTTP, and a service that does this is waited for no longer
/// than need be. Where it holds its head, or what follows it, that is given up soon; else it may be slow, as the machine is.
fn patient(host: HostBuilder, act: &Act) -> HostBuilder {
    let (first, next) = match act {
        Act::Hold(bytes) if bytes.windows(4).any(|end| end == b"\r\n\r\n") => ("30s", "300ms"),
        Act::Hold(_) => ("300ms", "30s"),
        _ => ("30s", "30s"),
    };
    host.env("WEIR_UPSTREAM_STATUS", "http")
        .env("WEIR_LLM_RETRIES", "1")
        .env("WEIR_LLM_FIRST_BYTE_TIMEOUT", first)
        .env("WEIR_LLM_IDLE_TIMEOUT", next)
        .env("WEIR_LLM_MAX_REPLY", "64KiB")
}

/// What the flow `llm_node` comes to with a service at this address that does this, whose rpc span is given, too.
async fn ask(base: &str, act: &Act) -> (u16, Value, Span) {
    let collector = Collector::start();
    let host = TestHost::flow("llm_node").model_at(base).collector(&collector);
    let host = patient(host, act).start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let (status, error) = (reply.status, reply.json()["error"].clone());
    host.stop().await;
    let span = collector.spans().into_iter().find(|span| span.name == "openai_chat").expect("the call's span");
    (status, error, span)
}

/// A service that does this, and how often it is asked; what the caller is told; the code on the span.
async fn check(act: Act, tries: usize, told: (u16, &str, &str), code: &str) {
    let service = FakeWire::always(act.clone());
    let (status, error, span) = ask(&service.origin(), &act).await;
    let (expected, inner, says) = told;
    let what = format!("{act:?}: {error}");
    assert_eq!((status, &error["innerError"]["code"]), (expected, &json!(inner)), "{what}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(says), "{what}");
    assert!(!message.contains(&service.address().to_string()), "{what}");
    assert_eq!(service.connections(), tries, "{what}");
    assert_eq!(span.attributes["error.type"], json!(code), "{what}");
    let again = (tries > 1).then(|| json!(tries - 1));
    assert_eq!(span.attributes.get("http.request.resend_count"), again.as_ref(), "{what}");
}

fn text(text: impl Into<String>) -> Bytes {
    text.into().into()
}

const FAILED: u16 = 502;

#[tokio::test]
async fn a_service_that_takes_requests_and_never_answers_is_asked_once_more_and_then_given_up() {
    let told = (504, "UpstreamTimeout", "APITimeoutError: connection \"open_ai_connection\" gave no answer in time");
    check(Act::Hold(Bytes::new()), 2, told, "Timeout").await;
    // Half a head is no answer either.
    check(Act::Hold(text("HTTP/1.1 200 OK\r\ncontent-")), 2, told, "Timeout").await;
}

#[tokio::test]
async fn a_service_that_leaves_before_it_has_answered_is_asked_once_more() {
    let told = (FAILED, "UpstreamFailed", "APIConnectionError: connection \"open_ai_connection\" broke off");
    check(Act::Close(Bytes::new()), 2, told, "Unavailable").await;
    check(Act::Reset(Bytes::new()), 2, told, "Unavailable").await;
    check(Act::Reset(text("HTTP/1.1 200 OK\r\n")), 2, told, "Unavailable").await;
    check(Act::Close(text("\x15\x03\x01\x00\x02\x02\x46 not HTTP")), 2, told, "Unavailable").await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_answer() {
    let told = (FAILED, "UpstreamFailed", "APIConnectionError");
    let head = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(1 << 20));
    check(Act::Close(text(head)), 2, told, "Unavailable").await;
    check(Act::Flood(text("HTTP/1.1 200 OK\r\n"), text("x-a: a\r\n".repeat(100))), 2, told, "Unavailable").await;
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let head = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
    };
    let cut = text(format!("{}{{\"choices\":", head(100)));
    let told = (FAILED, "UpstreamFailed", "broke off before the end of the answer");
    check(Act::Close(cut.clone()), 1, told, "Unavailable").await;
    check(Act::Reset(cut.clone()), 1, told, "Unavailable").await;
    let told = (504, "UpstreamTimeout", "stopped in the middle of an answer");
    check(Act::Hold(cut), 1, told, "Timeout").await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let told = (FAILED, "UpstreamFailed", "the reply is larger than 65536 bytes");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    check(Act::Flood(text(head), text(" ".repeat(1000))), 1, told, "Protocol").await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10737418240\r\n\r\n";
    check(Act::Flood(text(head), text(" ".repeat(1000))), 1, told, "Protocol").await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_asked_for_again() {
    let answer = |kind: &str, body: &str| {
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        Act::Close(text(head + body))
    };
    for (kind, body, says) in [
        ("text/html", "<html>Welcome to the proxy</html>", "the reply is no chat completion"),
        ("application/json", "{\"choices\": [", "the reply is no chat completion"),
        ("application/json", "[]", "the reply is no chat completion"),
        ("application/json", r#"{"object": "unknown", "data": []}"#, "the reply is no chat completion"),
        ("application/json", r#"{"choices": []}"#, "the reply has no choice"),
        ("application/json", r#"{"error": {"message": "overloaded"}}"#, "overloaded"),
    ] {
        check(answer(kind, body), 1, (FAILED, "UpstreamFailed", says), "Protocol").await;
    }
}

#[tokio::test]
async fn a_service_that_drips_is_ended_by_the_nodes_time() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    let act = Act::Drip(text(head), Duration::from_millis(20));
    let service = FakeWire::always(act.clone());
    let host = TestHost::flow("llm_node").model_at(&service.origin());
    let file = host.path().join("flow.dag.yaml");
    let flow = std::fs::read_to_string(&file).expect("the copy of the flow");
    std::fs::write(&file, format!("{}\n  limits: {{timeout: 500ms}}\n", flow.trim_end())).expect("it can be written");
    let host = patient(host, &act).start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    assert_eq!((reply.status, &reply.json()["error"]["innerError"]["code"]), (504, &json!("NodeTimeout")));
    // The connection goes with the call.
    service.left(1).await;
    assert_eq!(service.connections(), 1);
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_no_service() {
    let act = Act::Close(text("HTTP/1.1 200 OK\r\n\r\n"));
    let service = FakeWire::always(act.clone());
    let (status, error, _) = ask(&format!("https://{}", service.address()), &act).await;
    let message = error["message"].as_str().unwrap_or_default();
    assert_eq!((status, &error["innerError"]["code"]), (FAILED, &json!("UpstreamFailed")), "{error}");
    assert!(message.contains("could not be reached: TLS: "), "{message}");
    assert_eq!(service.connections(), 2);
}

/// The same for completions and embeddings: the way to the service is one, the answers are their own.
#[tokio::test]
async fn other_calls_of_models_fail_alike() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 3\r\nconnection: close\r\n\r\n<p>";
    let flows = [("llm_completes", json!({"prompt": "a"})), ("llm_embeds", json!({"texts": ["a", "b"]}))];
    for (flow, inputs) in flows {
        for (act, tries, code, says) in [
            (Act::Hold(Bytes::new()), 2, "Timeout", "gave no answer in time"),
            (Act::Reset(Bytes::new()), 2, "Unavailable", "broke off"),
            (Act::Close(text(html)), 1, "Protocol", "the reply is no"),
        ] {
            let service = FakeWire::always(act.clone());
            let host = patient(TestHost::flow(flow).model_at(&service.origin()), &act);
            let collector = Collector::start();
            let host = host.collector(&collector).start().await;
            let reply = host.score(inputs.clone()).await;
            host.stop().await;
            let error = &reply.json()["error"];
            assert_eq!(
                (reply.status, &error["innerError"]["code"]),
                (500, &json!("NodeSystemError")),
                "{act:?} {error}"
            );
            assert!(error["message"].as_str().unwrap_or_default().contains(says), "{act:?} {error}");
            assert_eq!(service.connections(), tries, "{flow} {act:?}");
            let failed = collector.metric("rpc_request").label("exception", code);
            assert_eq!(failed.count(), 1, "{flow} {act:?}: {:?}", collector.metric("rpc_request"));
        }
    }
}

/// What a streamed answer comes to with a service that does this: the texts that came, and the code and message of the
/// error behind them.
async fn streamed(act: Act) -> (Vec<Value>, Value, usize) {
    let service = FakeWire::always(act.clone());
    let host = patient(TestHost::flow("llm_relays").model_at(&service.origin()), &act).start().await;
    let mut stream = host.stream(json!({"question": "hi"})).await;
    assert_eq!(stream.status, 200);
    let mut frames = stream.rest().await;
    let last = frames.pop().expect("a stream ends with its error");
    let texts = frames.iter().map(|frame| frame.json()["answer"].clone()).collect();
    (texts, last.json()["error"].clone(), service.connections())
}

fn chunk(content: &str) -> String {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "x", "model": "m-1", "choices": [choice]}))
}

/// The head of a stream and its first texts.
fn begun(more: &str) -> Bytes {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    text(format!("{head}{}{}{more}", chunk("one "), chunk("two ")))
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_an_error_and_is_not_begun_again() {
    let half = "data: {\"choices\": [{\"delta\": {\"content\": \"thr";
    let wrong = |what: &str| format!("data: {what}\n\n");
    for (act, says) in [
        (Act::Hold(begun("")), "stopped in the middle of an answer"),
        (Act::Close(begun("")), "broke off before the end of the answer"),
        (Act::Close(begun(half)), "broke off before the end of the answer"),
        (Act::Reset(begun(half)), "broke off before the end of the answer"),
        (Act::Close(begun(&wrong("not JSON"))), "APIResponseValidationError"),
        (Act::Close(begun(&wrong("[1]"))), "APIResponseValidationError"),
        (Act::Close(begun(&wrong(r#"{"error": {}}"#))), "APIError: an error without a message"),
        (Act::Close(begun("data: \u{1}\n\n")), "APIResponseValidationError"),
        (Act::Close(begun(&wrong(r#"{"error": {"message": "overloaded"}}"#))), "APIError: overloaded"),
        (Act::Flood(begun(""), text(": comment\n".repeat(100))), "the streamed reply is larger than 65536 bytes"),
        (Act::Flood(begun(""), text("x".repeat(1000))), "the streamed reply is larger than 65536 bytes"),
    ] {
        let what = format!("{act:?}");
        let (texts, error, connections) = streamed(act).await;
        assert_eq!(texts, [json!("one "), json!("two ")], "{what}: {error}");
        assert!(error["message"].as_str().unwrap_or_default().contains(says), "{what}: {error}");
        assert_eq!(connections, 1, "{what}");
    }
}
