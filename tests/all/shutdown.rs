//! The end of a host: what it still does, for how long, and what its clients see of it.

mod rolling;

use futures_util::future::join_all;
use harness::{Collector, FakeModel, TestHost};
use serde_json::{Value, json};

fn draining() -> Value {
    json!({"error": {
        "code": "SystemError",
        "message": "the host is stopping and could not finish the request",
        "innerError": {"code": "Draining"},
    }})
}

#[tokio::test]
async fn an_idle_host_ends_at_once_whatever_connections_it_has() {
    let host = TestHost::flow("run_returns").env("WEIR_DRAIN_TIMEOUT", "1h").start().await;
    let mut fresh = host.raw().await;
    let mut used = host.raw().await;
    used.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(used.answer().await.header("connection"), None);

    host.interrupt();
    fresh.closed().await;
    used.closed().await;
    let exit = host.ended().await;
    assert_eq!(exit.status.code(), Some(0));
    assert!(exit.stderr.contains("all requests have finished"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_host_that_is_stopping_is_not_ready_and_serves_for_the_delay() {
    let host = TestHost::flow("run_returns").env("WEIR_DRAIN_DELAY", "2s").start().await;
    assert_eq!(host.get_admin("/readyz").await.status, 200);
    let mut kept = host.raw().await;
    kept.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(kept.answer().await.header("connection"), None);

    host.terminate();
    host.wrote("stopping").await;
    host.get_admin("/readyz").await.assert_error(503, json!({"status": "draining"}));
    assert_eq!(host.get_admin("/livez").await.status, 200);
    let reply = host.score_with(&[], "late").await;
    assert_eq!(reply.header("connection"), Some("close"));
    reply.assert_ok(json!({"text": "late"}));
    // A connection that was open stays so for one more request.
    kept.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(kept.answer().await.header("connection"), Some("close"));
    kept.closed().await;
    assert_eq!(host.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn feedback_that_comes_while_a_host_is_stopping_is_told_before_it_ends() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("WEIR_DRAIN_DELAY", "2s").start().await;
    host.terminate();
    host.wrote("stopping").await;
    let late = (0..20).map(|number| host.feedback("", &[], format!("late {number}")));
    assert!(join_all(late).await.iter().all(|reply| reply.status == 200));
    assert_eq!(host.ended().await.status.code(), Some(0));
    let told = collector.spans().into_iter().filter(|span| span.name == "promptflow-feedback").count();
    assert_eq!(told, 20);
}

#[tokio::test]
async fn requests_and_streams_that_end_in_time_are_served_to_their_end() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_relays").model(&model).collector(&collector).start().await;
    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");

    host.terminate();
    host.wrote("no more connections").await;
    model.release(1);
    let rest: Vec<_> = stream.rest().await.into_iter().filter(|frame| !frame.data.is_empty()).collect();
    let rest: Vec<_> = rest.iter().map(|frame| frame.json()["answer"].clone()).collect();
    assert_eq!(rest, [json!("two "), json!("three")]);
    assert_eq!(host.ended().await.status.code(), Some(0));
    assert_eq!(collector.only_trace().await.span("POST /score").attributes.get("error.type"), None);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_told_so_and_its_telemetry_leaves() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_relays").model(&model).collector(&collector).env("WEIR_DRAIN_TIMEOUT", "300ms");
    let host = host.start().await;
    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");
    let whole = host.score(json!({"question": "hi"}));
    let end = async {
        model.requested(2).await;
        host.terminate();
        stream.rest().await
    };
    let (whole, rest) = tokio::join!(whole, end);

    let last = rest.last().expect("a last frame");
    assert_eq!((last.event.as_deref(), last.json()), (Some("error"), draining()));
    assert_eq!((whole.header("retry-after"), whole.header("connection")), (Some("1"), Some("close")));
    whole.assert_error(503, draining());
    model.abandoned(2).await;

    assert_eq!(host.ended().await.status.code(), Some(0));
    let spans = collector.spans();
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "POST /score").collect();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.attributes["error.type"], json!("Draining"));
    }
    assert_eq!(spans.len(), 8, "every span that was started has ended: {spans:?}");
    let told: u64 = collector.metric("flow_request").label("exception", "Draining").counts().values().sum();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn a_second_signal_ends_a_host_soon_and_as_a_failure() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let host = TestHost::flow("llm_relays").model(&model).env("WEIR_DRAIN_DELAY", "5m").start().await;
    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");

    host.terminate();
    host.wrote("stopping").await;
    let told = std::time::Instant::now();
    host.terminate();
    let last = stream.rest().await.pop().expect("a last frame");
    assert_eq!((last.event.as_deref(), last.json()), (Some("error"), draining()));
    let exit = host.ended().await;
    assert_eq!(exit.status.code(), Some(1));
    assert!(told.elapsed() < std::time::Duration::from_secs(3), "{:?}", told.elapsed());
    assert!(exit.stderr.contains("told a second time to stop"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_second_signal_ends_a_flush_that_hangs() {
    // Connections are taken, and nothing is ever answered.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("it is bound"));
    let host =
        TestHost::flow("run_returns").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("WEIR_FLUSH_TIMEOUT", "1m");
    let host = host.start().await;
    host.score_with(&[], "hello").await.assert_ok(json!({"text": "hello"}));
    host.terminate();
    host.wrote("all requests have finished").await;
    host.terminate();
    assert_eq!(host.ended().await.status.code(), Some(1));
}
