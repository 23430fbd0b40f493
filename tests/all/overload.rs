//! More requests than a host can serve: which of them wait, which are refused and how, and that it recovers.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use harness::{Collector, FakeModel, HostBuilder, Reply, TestHost, eventually};
use serde_json::json;

/// A host that runs so many requests at a time, lets so many wait, and so long.
fn host(model: &FakeModel, running: usize, queue: usize, wait: &str) -> HostBuilder {
    TestHost::flow("llm_chats")
        .model(model)
        .env("WEIR_MAX_CONCURRENCY", running.to_string())
        .env("WEIR_MAX_QUEUE", queue.to_string())
        .env("WEIR_MAX_QUEUE_WAIT", wait)
}

#[track_caller]
fn assert_overloaded(reply: &Reply) {
    let error = json!({"error": {
        "code": "SystemError",
        "message": "the host has as many requests as it can serve; try again",
        "innerError": {"code": "Overloaded"},
    }});
    reply.assert_error(503, error);
    let seconds: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=30).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn the_excess_is_refused_at_once_and_before_its_body_is_read() {
    let model = FakeModel::echo().gated().start();
    let host = host(&model, 1, 0, "100ms").start().await;
    let running = host.score(json!({"question": "first"}));
    let refusals = async {
        model.requested(1).await;
        // Of the body, nothing has been sent.
        let mut client = host.raw().await;
        client.send("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n").await;
        let answer = client.answer().await;
        assert_overloaded(&answer);
        assert_eq!(answer.header("connection"), Some("close"));
        client.closed().await;

        // What has been sent already is read, and the client need not connect again.
        let mut client = host.raw().await;
        for _ in 0..3 {
            client.send("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n{\"question\": \"hi\"}").await;
            let answer = client.answer().await;
            assert_overloaded(&answer);
            assert_eq!(answer.header("connection"), None);
        }
        // Nothing else is affected.
        assert_eq!(host.feedback("", &[], r#"{"thumb": "up"}"#).await.status, 200);
        assert_eq!(host.get("/health").await.status, 200);
        assert_eq!(host.get_admin("/readyz").await.status, 200);
        model.release(1);
    };
    let (reply, ()) = tokio::join!(running, refusals);
    assert_eq!((reply.status, &reply.json()["answer"]), (200, &json!("first")));

    model.release(1);
    // The client has its last byte an instant before the host has the place back.
    let served = async || host.score(json!({"question": "afterwards"})).await.status == 200;
    eventually("the place to be free again", served).await;
    host.stop().await;
}

#[tokio::test]
async fn as_many_wait_as_the_queue_holds() {
    let model = FakeModel::echo().gated().start();
    let host = host(&model, 2, 3, "2s").start().await;
    let mut replies: FuturesUnordered<_> = (0..9).map(|_| host.score(json!({"question": "hi"}))).collect();
    for _ in 0..4 {
        assert_overloaded(&replies.next().await.expect("nine were asked"));
    }
    model.release(5);
    let served: Vec<_> = replies.map(|reply| reply.status).collect().await;
    assert_eq!(served, [200; 5]);
    assert_eq!(model.requests().len(), 5, "what is refused does not reach the model");
    host.stop().await;
}

#[tokio::test]
async fn whoever_waits_too_long_is_refused() {
    let model = FakeModel::echo().gated().start();
    let host = host(&model, 1, 8, "20ms").start().await;
    let mut replies: FuturesUnordered<_> = (0..4).map(|_| host.score(json!({"question": "hi"}))).collect();
    for _ in 0..3 {
        assert_overloaded(&replies.next().await.expect("four were asked"));
    }
    model.release(1);
    let served: Vec<_> = replies.map(|reply| reply.status).collect().await;
    assert_eq!(served, [200]);
    host.stop().await;
}

#[tokio::test]
async fn a_stream_has_its_place_until_it_ends_or_its_client_leaves() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let host = TestHost::flow("llm_relays").model(&model).env("WEIR_MAX_CONCURRENCY", "1").env("WEIR_MAX_QUEUE", "0");
    let host = host.start().await;

    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");
    assert_overloaded(&host.score(json!({"question": "hi"})).await);
    model.release(1);
    stream.rest().await;

    let begins = async || host.stream(json!({"question": "hi"})).await.status == 200;
    eventually("the place of a stream that has ended", begins).await;
    // That one was dropped at once, and so is this one after a chunk.
    eventually("the place of a client that left", async || {
        let mut stream = host.stream(json!({"question": "hi"})).await;
        stream.status == 200 && stream.next().await.is_some()
    })
    .await;
    eventually("the place to be free again", begins).await;
    host.stop().await;
}

#[tokio::test]
async fn bodies_that_come_slowly_take_no_places() {
    let host = TestHost::flow("run_returns").env("WEIR_MAX_CONCURRENCY", "1").env("WEIR_MAX_QUEUE", "0").start().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = host.raw().await;
        client.send("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nslow").await;
        slow.push(client);
    }
    host.score_with(&[], "quick").await.assert_ok(json!({"text": "quick"}));
    drop(slow);
    host.stop().await;
}

#[tokio::test]
async fn bodies_on_their_way_have_a_bound_together() {
    let settings = [("WEIR_MAX_SCORE_BODY", "64KiB"), ("WEIR_MAX_BODY_MEMORY", "64KiB")];
    let host = settings.iter().fold(TestHost::flow("run_returns"), |host, (name, value)| host.env(*name, *value));
    let host = host.start().await;
    let half =
        |body: usize| format!("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{}", "a".repeat(body));
    let mut first = host.raw().await;
    first.send(half(50_000)).await;
    // Whichever of them comes later finds no room for all it has.
    let mut second = host.raw().await;
    second.send(half(50_000)).await;
    let refused = tokio::select! {
        reply = first.answer() => reply,
        reply = second.answer() => reply,
    };
    assert_eq!((refused.status, &refused.json()["error"]["innerError"]["code"]), (503, &json!("Overloaded")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    host.score_with(&[], "small").await.assert_ok(json!({"text": "small"}));
    drop((first, second));
    host.stop().await;
}

#[tokio::test]
async fn refusals_are_counted_and_traced_as_requests() {
    let model = FakeModel::echo().gated().start();
    let collector = Collector::start();
    let host = host(&model, 1, 0, "0").collector(&collector).start().await;
    let running = host.score(json!({"question": "first"}));
    let refusals = async {
        model.requested(1).await;
        for _ in 0..5 {
            assert_overloaded(&host.score(json!({"question": "hi"})).await);
        }
        model.release(1);
    };
    tokio::join!(running, refusals);
    host.stop().await;
    let refused = collector.metric("flow_request").label("response_code", "503");
    let counted: Vec<_> =
        refused.counts().into_iter().map(|(labels, count)| (labels["exception"].clone(), count)).collect();
    assert_eq!(counted, [("Overloaded".to_owned(), 5)]);
    let spans =
        collector.spans().into_iter().filter(|span| span.attributes.get("error.type") == Some(&json!("Overloaded")));
    assert_eq!(spans.count(), 5);
}
