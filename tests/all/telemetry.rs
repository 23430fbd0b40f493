//! What is told of a request: spans and metrics, to a collector or on the terminal.

use std::collections::BTreeMap;

use harness::{Collector, FakeModel, Labels, Protocol, TestHost};
use serde_json::json;

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn a_guest_that_does_nothing_but_return_is_traced_and_measured() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;

    let spans = collector.spans();
    let node = spans.iter().find(|span| span.name == "run_returns" && span.attributes["span_type"] == "Function");
    let node = node.expect("a node span");
    assert_eq!(node.attributes["framework"], json!("promptflow"));
    assert_eq!(node.attributes["node_name"], json!("run_returns"));
    assert_eq!(node.attributes["inputs"], json!(r#"{"text":"a"}"#));
    assert_eq!(node.attributes["output"], json!(r#"{"text":"a"}"#));
    assert_eq!(node.attributes["execution_target"], json!("dag"));

    let flow = ("flow", "run_returns");
    let node = ("node", "run_returns");
    let once = |labels: Labels| BTreeMap::from([(labels, 1)]);
    let completed = ("run_status", "Completed");
    assert_eq!(collector.metric("node_request").counts(), once(labels([flow, node, completed, ("exception", "")])));
    assert_eq!(collector.metric("node_latency").counts(), once(labels([flow, node, completed])));
    let ok = ("response_code", "200");
    let whole = ("streaming", "False");
    assert_eq!(collector.metric("flow_request").counts(), once(labels([flow, ok, ("exception", ""), whole])));
    assert_eq!(
        collector.metric("flow_latency").counts(),
        once(labels([flow, ok, whole, ("response_type", "default")]))
    );
    assert_eq!(collector.metric("rpc_request").counts(), BTreeMap::new());
}

#[tokio::test]
async fn a_call_to_a_model_is_a_span_below_its_node_with_its_tokens_on_every_span_above() {
    let model = FakeModel::replies("one two three").start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_chats").model(&model).collector(&collector).start().await;
    let reply = host.score_with(&[("x-request-id", "r-1")], r#"{"question": "hi there"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.stop().await;

    let trace = collector.only_trace().await;
    let rpc = trace.span("openai_chat");
    let node =
        trace.spans.iter().find(|span| Some(&span.span_id) == rpc.parent.as_ref()).expect("the node of the call");
    assert_eq!(node.name, "llm_chats");
    let recorded = &model.requests()[0];
    let traceparent = recorded.headers.get("traceparent").and_then(|value| value.to_str().ok());
    let expected = format!("00-{}-{}-01", rpc.trace_id, rpc.span_id);
    assert_eq!(traceparent, Some(expected.as_str()), "the service continues the trace below the call");

    assert_eq!(rpc.kind, "client");
    let total = rpc.attributes["llm.usage.total_tokens"].clone();
    assert_eq!(rpc.attributes["gen_ai.operation.name"], json!("chat"));
    assert_eq!(rpc.attributes["gen_ai.provider.name"], json!("openai"));
    for span in &trace.spans {
        assert_eq!(span.attributes["request_id"], json!("r-1"), "{}", span.name);
        if span.name != "POST /score" {
            assert_eq!(span.attributes["__computed__.cumulative_token_count.total"], total, "{}", span.name);
            assert_eq!(span.attributes["line_run_id"], json!("r-1"), "{}", span.name);
        }
    }
    assert!(node.start <= rpc.start && rpc.end <= node.end);
    assert!(!format!("{:?}", trace.spans).contains(harness::KEY), "a key is in the trace");

    let who = [("flow", "llm_chats"), ("node", "llm_chats")];
    let rpc = |more: &[(&str, &str)]| {
        who.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Labels>()
    };
    let request = collector.metric("rpc_request").counts();
    assert_eq!(request, [(rpc(&[("api_call", "openai_chat"), ("exception", "")]), 1)].into());
    assert_eq!(collector.metric("rpc_latency").counts(), [(rpc(&[("api_call", "openai_chat")]), 1)].into());
    let tokens: Vec<_> =
        collector.metric("token_consumption").counts().into_keys().map(|labels| labels["token_type"].clone()).collect();
    assert_eq!(tokens, ["completion_tokens", "prompt_tokens", "total_tokens"]);
}

#[tokio::test]
async fn the_same_goes_out_by_grpc() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector_by(Protocol::Grpc, &collector).start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;
    let mut names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    assert_eq!(names, ["POST /score", "run_returns", "run_returns"]);
    assert_eq!(collector.metric("node_request").count(), 1);
}

#[tokio::test]
async fn without_a_collector_the_trace_is_on_the_terminal() {
    let host = TestHost::flow("run_returns").start().await;
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    host.score_with(&[trace], r#"{"text": "a"}"#).await.assert_ok(json!({"text": "a"}));
    host.wrote("└─ run_returns").await;
    let exit = host.stop().await;
    let tree: Vec<_> = exit.stdout.lines().skip_while(|line| !line.starts_with("POST /score")).collect();
    assert!(tree[0].starts_with("POST /score  200  "), "{tree:?}");
    assert!(tree[0].ends_with("trace 4bf92f3577b34da6a3ce929d0e0e4736"), "{tree:?}");
    assert!(tree[1].starts_with("└─ run_returns ") && tree[1].contains("Completed"), "{tree:?}");
    assert!(tree[2].starts_with("   └─ run_returns ") && tree[2].contains("Completed"), "{tree:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_harms_no_request() {
    let mut collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    collector.kill();
    for _ in 0..5 {
        host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    }
    host.stop().await;
}

#[tokio::test]
async fn metrics_that_a_node_tells_are_on_its_span() {
    let collector = Collector::start();
    let host = TestHost::flow("context_logs_metrics").collector(&collector).start().await;
    host.score(json!({"grades": [1, 0.25, 0.5, 0]})).await.assert_ok(json!({"good": 2}));
    host.stop().await;
    let trace = collector.only_trace().await;
    let span = trace.spans.iter().find(|span| span.attributes.contains_key("node_name")).expect("a node has a span");
    let told = span.attributes.iter().filter(|(key, _)| key.starts_with("metrics.") || *key == "weir.notes_left_out");
    let told: BTreeMap<_, _> = told.map(|(key, value)| (key.as_str(), value.clone())).collect();
    let expected = [("metrics.accuracy", json!(0.5)), ("metrics.good", json!(2.0)), ("weir.notes_left_out", json!(1))];
    assert_eq!(told, expected.into());
}

#[tokio::test]
async fn a_node_that_is_bypassed_is_counted_and_has_no_span() {
    let flow = "
inputs: {go: {type: bool}}
outputs: {text: {type: object, reference: '${maybe.output}'}}
nodes:
- name: maybe
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  activate: {when: '${inputs.go}', is: true}
";
    let collector = Collector::start();
    let host = TestHost::written("conditional", flow).collector(&collector).start().await;
    host.score(json!({"go": false})).await.assert_ok(json!({"text": null}));
    host.stop().await;
    assert_eq!(collector.spans().len(), 2);
    let bypassed = labels([("flow", "conditional"), ("node", "maybe"), ("run_status", "Bypassed"), ("exception", "")]);
    assert_eq!(collector.metric("node_request").counts(), [(bypassed, 1)].into());
}

#[tokio::test]
async fn what_a_called_node_costs_is_on_the_node_that_called_it() {
    let flow = "
inputs: {question: {type: string}}
outputs: {answer: {type: object, reference: '${caller.output}'}}
nodes:
- name: caller
  type: wasm
  source: {type: code, path: guests/nodes_calls_another.wasm}
  inputs: {node: asks, other_inputs: {question: hi, connection: open_ai_connection}}
  grants: {nodes: [asks]}
- name: asks
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  activate: {when: never, is: run by itself}
  grants: {llm: [open_ai_connection]}
";
    let model = FakeModel::replies("one two three").start();
    let collector = Collector::start();
    let host = TestHost::written("calls", flow).model(&model).collector(&collector).start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.stop().await;

    let trace = collector.only_trace().await;
    let tokens = "__computed__.cumulative_token_count.total";
    let total = &trace.span("openai_chat").attributes["llm.usage.total_tokens"];
    for name in ["openai_chat", "asks", "nodes.call", "caller", "calls"] {
        assert_eq!(trace.span(name).attributes.get(tokens), Some(total), "{name}");
    }
    let chain = ["openai_chat", "asks", "nodes.call", "caller", "calls", "POST /score"];
    for pair in chain.windows(2) {
        assert_eq!(trace.span(pair[0]).parent.as_ref(), Some(&trace.span(pair[1]).span_id), "{pair:?}");
    }
}
