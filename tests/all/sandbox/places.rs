//! More runs than there are instances: they wait a moment, and are refused in good order.

use futures_util::future::join_all;
use harness::{Collector, FakeModel, TestHost, eventually};
use serde_json::json;

#[tokio::test]
async fn a_run_without_a_place_waits_and_is_then_told_that_the_host_is_overloaded() {
    let model = FakeModel::replies("hello").gated().start();
    let host = TestHost::flow("llm_chats").model(&model).env("WEIR_MAX_INSTANCES", "2").start().await;
    let held = async { join_all((0..2).map(|_| host.score(json!({"question": "hi"})))).await };
    let refused = async {
        model.requested(2).await;
        let reply = host.score(json!({"question": "hi"})).await;
        let error = json!({"error": {
            "code": "SystemError",
            "message": "the host runs as many nodes as it can; try again",
            "innerError": {"code": "Overloaded"},
            "details": {"node": "llm_chats"},
        }});
        reply.assert_error(503, error);
        assert_eq!(reply.header("retry-after"), Some("1"));
        model.release(2);
    };
    let (held, ()) = tokio::join!(held, refused);
    assert!(held.iter().all(|reply| reply.status == 200));
    model.release(1);
    let served = async || host.score(json!({"question": "hi"})).await.status == 200;
    eventually("a place to be free", served).await;
    host.stop().await;
}

#[tokio::test]
async fn streams_that_wait_for_a_model_hold_no_place() {
    const STREAMS: usize = 6;
    let model = FakeModel::replies("one two").gated().start();
    let collector = Collector::start();
    let host =
        TestHost::flow("llm_node").model(&model).collector(&collector).env("WEIR_MAX_INSTANCES", "1").start().await;
    let asked = join_all((0..STREAMS).map(|_| host.stream(json!({"question": "hi"}))));
    let opened = async {
        model.requested(STREAMS).await;
        eventually("no instance to wait for the model", async || {
            let metrics = host.get_admin("/metrics").await;
            let mut active = metrics.text().lines().filter(|line| line.starts_with("weir_instance_active"));
            active.next().is_some_and(|line| line.ends_with(" 0"))
        })
        .await;
        model.release(STREAMS);
    };
    let (streams, ()) = tokio::join!(asked, opened);
    for mut stream in streams {
        assert_eq!(stream.status, 200);
        let words: Vec<_> = stream.rest().await.iter().map(|frame| frame.json()["answer"].clone()).collect();
        assert_eq!(words, [json!("one "), json!("two")]);
    }
    host.stop().await;
    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!((named("chat").len(), named("openai_chat").len()), (STREAMS, STREAMS));
    for call in named("openai_chat") {
        let node = spans.iter().find(|span| Some(&span.span_id) == call.parent.as_ref()).expect("the span above");
        assert_eq!(node.name, "chat");
        assert!(call.end <= node.end, "the call outlives its node");
    }
}

#[tokio::test]
async fn as_many_places_as_may_be_asked_for_can_be_had() {
    let host = TestHost::flow("run_returns").env("WEIR_MAX_INSTANCES", "10000").start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;
}

#[tokio::test]
async fn many_runs_share_few_places() {
    let flow = "
inputs: {}
outputs: {answer: {type: int, reference: '${slow.output}'}}
nodes:
- name: slow
  type: wasm
  source: {type: code, path: guests/run_slow.wasm}
  inputs: {ms: 20, value: 1}
";
    let host = TestHost::written("slow", flow).env("WEIR_MAX_INSTANCES", "4").env("WEIR_MAX_CONCURRENCY", "50");
    let host = host.start().await;
    let replies = join_all((0..12).map(|_| host.score(json!({})))).await;
    replies.iter().for_each(|reply| reply.assert_ok(json!({"answer": 1})));
    host.stop().await;
}
