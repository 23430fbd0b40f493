//! How the nodes of a request run: how many at once, and what becomes of the others when one fails.

use std::collections::BTreeSet;

use harness::{Collector, FakeModel, Span, TestHost};
use http::StatusCode;
use serde_json::json;

/// How many nodes of one request may run at the same time.
const AT_ONCE: usize = 16;

/// A node that asks the model behind a connection.
fn asks(name: &str, connection: &str, question: &str) -> String {
    format!(
        "- name: {name}
  type: wasm
  source: {{type: code, path: guests/llm_chats.wasm}}
  inputs: {{connection: {connection}, question: '{question}'}}
  grants: {{llm: [{connection}]}}
"
    )
}

/// A flow of these nodes that shows the output of the first.
fn flow(nodes: &[String]) -> String {
    let first = nodes[0].lines().next().and_then(|line| line.strip_prefix("- name: ")).expect("a node has a name");
    format!(
        "inputs: {{question: {{type: string}}}}
outputs: {{answer: {{type: string, reference: '${{{first}.output.text}}'}}}}
nodes:
{}",
        nodes.concat()
    )
}

#[tokio::test]
async fn sixteen_nodes_of_a_request_run_at_once_and_the_others_wait() {
    let model = FakeModel::echo().gated().start();
    let nodes: Vec<_> = (0..20).map(|n| asks(&format!("n{n}"), harness::CONNECTION, "${inputs.question}")).collect();
    let host = TestHost::written("wide", &flow(&nodes)).model(&model).start().await;
    let of = |question: &str| {
        let asked = |request: &harness::Recorded| request.body["messages"][1]["content"] == question;
        model.requests().iter().filter(|request| asked(request)).count()
    };
    let first = host.score(json!({"question": "first"}));
    let second = async {
        model.requested(AT_ONCE).await;
        // By the time that a later request has asked all it may, so has the first.
        host.score(json!({"question": "second"})).await
    };
    let watch = async {
        model.requested(2 * AT_ONCE).await;
        assert_eq!((of("first"), of("second")), (AT_ONCE, AT_ONCE));
        model.release(2 * nodes.len());
    };
    let (first, second, ()) = tokio::join!(first, second, watch);
    first.assert_ok(json!({"answer": "first"}));
    second.assert_ok(json!({"answer": "second"}));
    assert_eq!((of("first"), of("second")), (nodes.len(), nodes.len()));
}

#[tokio::test]
async fn a_node_that_fails_ends_what_runs_beside_it_and_nothing_runs_after() {
    let broken = FakeModel::echo().gated().failing(StatusCode::BAD_REQUEST, 1).start();
    let slow = FakeModel::echo().gated().start();
    let mut nodes = vec![asks("fails", "broken", "${inputs.question}")];
    // One more than has a place beside the node that fails.
    nodes.extend((0..AT_ONCE).map(|n| asks(&format!("slow{n}"), "slow", "${inputs.question}")));
    nodes.push(asks("after_failure", "slow", "${fails.output.text}"));
    nodes.push(asks("after_slow", "slow", "${slow0.output.text}"));
    let collector = Collector::start();
    let host = TestHost::written("cut_short", &flow(&nodes))
        .connection("broken", &broken)
        .connection("slow", &slow)
        .collector(&collector)
        .start()
        .await;

    let fail = async {
        broken.requested(1).await;
        slow.requested(AT_ONCE - 1).await;
        broken.release(1);
    };
    let (reply, ()) = tokio::join!(host.score(json!({"question": "hi"})), fail);
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["details"]), (400, &json!({"node": "fails"})), "{error}");
    slow.abandoned(AT_ONCE - 1).await;
    host.stop().await;

    assert_eq!((broken.requests().len(), slow.requests().len()), (1, AT_ONCE - 1));
    let spans = collector.spans();
    let is_node = |span: &&Span| span.attributes.get("node_name").is_some_and(|name| *name == span.name);
    let nodes: Vec<_> = spans.iter().filter(is_node).collect();
    let names: BTreeSet<_> = nodes.iter().map(|span| span.name.clone()).collect();
    let expected = (0..AT_ONCE - 1).map(|n| format!("slow{n}")).chain(["fails".to_owned()]);
    assert_eq!(names, expected.collect(), "nothing waits its turn in vain and runs all the same");
    for span in nodes {
        let code = if span.name == "fails" { "InvalidRequest" } else { "Cancelled" };
        assert_eq!(span.attributes["error.type"], json!(code), "{}", span.name);
    }
    let flow = spans.iter().find(|span| span.name == "cut_short").expect("a span of the flow");
    assert!(spans.iter().all(|span| span.end <= flow.end || span.kind == "server"), "a span outlives its flow's");
    let runs = |status| collector.metric("node_request").label("run_status", status).count();
    assert_eq!((runs("Failed"), runs("Canceled"), runs("Completed")), (1, AT_ONCE as u64 - 1, 0));
}

#[tokio::test]
async fn a_request_ends_at_the_time_that_the_operator_gives_it() {
    let model = FakeModel::echo().gated().start();
    let collector = Collector::start();
    let host =
        TestHost::flow("llm_chats").model(&model).collector(&collector).env("PF_LINE_TIMEOUT_SEC", "1").start().await;
    host.score(json!({"question": "hi"})).await.assert_error(
        504,
        json!({"error": {
            "code": "SystemError",
            "message": "the flow did not finish within its time",
            "innerError": {"code": "FlowTimeout"},
        }}),
    );
    model.abandoned(1).await;
    host.stop().await;
    assert_eq!(collector.metric("node_request").label("run_status", "Canceled").count(), 1);
}

#[tokio::test]
async fn a_stream_that_runs_past_that_time_ends_with_the_same_error() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let collector = Collector::start();
    let host =
        TestHost::flow("llm_relays").model(&model).collector(&collector).env("PF_LINE_TIMEOUT_SEC", "1").start().await;
    let frames = host.stream(json!({"question": "hi"})).await.rest().await;
    let [first, last] = frames.as_slice() else { panic!("one chunk and an error: {frames:?}") };
    assert_eq!((first.event.as_deref(), first.json()), (None, json!({"answer": "one "})));
    assert_eq!(last.event.as_deref(), Some("error"));
    assert_eq!(last.json()["error"]["innerError"], json!({"code": "FlowTimeout"}), "{:?}", last.json());
    model.abandoned(1).await;
    host.stop().await;
    assert_eq!(collector.metric("node_request").label("run_status", "Canceled").count(), 1);
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    for seconds in ["soon", "0", "-1", "1.5"] {
        let exit = TestHost::flow("run_returns").env("PF_LINE_TIMEOUT_SEC", seconds).refuses().await;
        let wanted = format!(
            "error: PF_LINE_TIMEOUT_SEC: {seconds:?} is no time; write whole seconds, such as 300, of at most 3600\n"
        );
        assert_eq!((exit.status.code(), exit.stderr), (Some(2), wanted));
    }
}
