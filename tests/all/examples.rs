//! The examples do what their pages say.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Collector, TestHost, run};
use serde_json::json;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

#[tokio::test]
async fn basic_chat_answers_without_a_key_and_its_client_rates_the_answer_in_the_same_trace() {
    let collector = Collector::start();
    let host = TestHost::folder(example("basic-chat")).collector(&collector).start().await;

    let url = format!("http://{}", host.address());
    let client = tokio::task::spawn_blocking(move || {
        Command::new("python3").arg(example("basic-chat/client.py")).args([&url, "What is a weir?"]).output()
    });
    let output = client.await.expect("the client's thread").expect("python3 runs the client");
    let text = String::from_utf8(output.stdout).expect("the client writes text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let trace = text.lines().find_map(|line| line.strip_prefix("trace")).expect("the client tells its trace").trim();

    let names = ["POST /score", "basic_chat", "chat", "openai_chat", "promptflow-feedback"];
    // The feedback goes its own way, and may be there first.
    let trace = collector.trace_when(trace, |trace| trace.spans.len() >= names.len()).await;
    assert_eq!(trace.spans.len(), names.len());
    names.iter().for_each(|name| _ = trace.span(name));
    host.stop().await;
}

#[tokio::test]
async fn custom_node_builds_and_runs_two_nodes_side_by_side() {
    let folder = example("custom-node");
    let path = folder.to_str().expect("a path of text");
    let exit = run(&["build", path]).await;
    assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);

    let collector = Collector::start();
    let host = TestHost::folder(&folder).collector(&collector).start().await;
    let reply = host.score(json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!((&reply.json()["category"], &reply.json()["urgency"]), (&json!("billing"), &json!("high")));

    let trace = collector.only_trace().await;
    let flow = trace.span("custom_node");
    let mut nodes: Vec<_> = trace.children(flow).iter().map(|span| span.name.clone()).collect();
    nodes.sort();
    assert_eq!(nodes, ["classify", "split_ticket", "summarize"]);
    let rpc = trace.children(trace.span("summarize"))[0];
    assert_eq!(rpc.name, "openai_chat");
    assert!(rpc.attributes["llm.usage.total_tokens"].as_i64().is_some_and(|tokens| tokens > 0));
    host.stop().await;
}

#[tokio::test]
async fn flex_research_asks_as_often_as_it_was_told_and_every_call_is_traced() {
    let folder = example("flex-research");
    let path = folder.to_str().expect("a path of text");
    let exit = run(&["build", path]).await;
    assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
    let exit = run(&["check", path]).await;
    assert!(exit.stdout.contains("3 nodes, no problems, 0 warnings"), "{}{}", exit.stdout, exit.stderr);

    let collector = Collector::start();
    let host = TestHost::folder(&folder).env("PF_FLOW_INIT_CONFIG", r#"{"questions": 3}"#).collector(&collector);
    let host = host.start().await;
    let reply = host.score(json!({"question": "Why?"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["question"], "Why?");
    assert_eq!(reply.json()["findings"].as_array().expect("a list").len(), 3);

    let trace = collector.only_trace().await;
    let named = |name: &str| trace.spans.iter().filter(|span| span.name == name).count();
    assert_eq!((named("nodes.call"), named("plan"), named("ask"), named("openai_chat")), (4, 1, 3, 3));
    assert_eq!(trace.span("plan").attributes["execution_target"], "flex");
    host.stop().await;
}

#[tokio::test]
async fn endpoint_shares_its_traffic_between_two_deployments() {
    let host = TestHost::folder(example("endpoint/endpoint.yaml")).start().await;
    let mut green = 0;
    for _ in 0..20 {
        let reply = host.score(json!({"question": "hi"})).await;
        green += usize::from(reply.header("azureml-model-deployment") == Some("green"));
    }
    assert_eq!(green, 2);
    let named = [("azureml-model-deployment", "green")];
    let reply = host.score_with(&named, r#"{"question": "What is a weir?"}"#).await;
    reply.assert_ok(json!({"answer": "offline model: you said \"What is a weir?\", and this is our"}));
}
