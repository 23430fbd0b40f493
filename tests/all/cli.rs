//! The command line: what a person is told, and by which exit status.

use std::fs;

use harness::{guest, run};

fn folder(flow: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("flow.dag.yaml"), flow).expect("a flow file can be written");
    dir
}

#[tokio::test]
async fn check_tells_every_problem_of_a_flow_at_once() {
    let dir = folder(
        "
inputs:
  question: {type: text}
outputs:
  answer: {type: string, reference: '${anser.output}'}
nodes:
- name: answer
  type: llm
  source: {type: code, path: missing.jinja2}
  inputs: {question: '${inputs.quesion}'}
  connection: offline
  api: chat
",
    );
    let path = dir.path().to_str().expect("a path of text");
    let exit = run(&["check", path]).await;
    assert_eq!(exit.status.code(), Some(2));
    for wanted in ["anser", "quesion", "missing.jinja2", "text", "flow.dag.yaml:"] {
        assert!(exit.told().contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn check_tells_of_connections_and_grants_that_do_not_exist() {
    let dir = folder(
        "
inputs: {}
outputs: {}
nodes:
- name: one
  type: wasm
  source: {type: code, path: one.wasm}
  grants: {llm: [nobody], wishes: [three], log: [all]}
",
    );
    fs::copy(guest("run_returns"), dir.path().join("one.wasm")).expect("a guest can be copied");
    let path = dir.path().to_str().expect("a path of text");
    let exit = run(&["check", path]).await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    for wanted in [
        "connection \"nobody\": is not found",
        "grants.wishes: unknown capability; known: output, llm, http, nodes, context, log, config",
        "grants.log: every node has it; leave it out",
    ] {
        assert!(exit.told().contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_node_that_asks_a_model_needs_a_connection_that_leads_to_one() {
    let dir = folder(
        "
inputs: {}
outputs: {a: {type: string, reference: '${ask.output}'}, b: {type: list, reference: '${embed.output}'}}
nodes:
- {name: ask, type: llm, source: {type: code, path: ask.jinja2}, connection: search}
- {name: embed, type: python, source: {type: package, tool: promptflow.tools.embedding.embedding}, inputs: {connection: search, input: x}}
- {name: find, type: python, source: {type: package, tool: promptflow.tools.serpapi.SerpAPI.search}, inputs: {connection: search, query: x}}
",
    );
    fs::write(dir.path().join("ask.jinja2"), "user:\nhi\n").expect("a template can be written");
    let connection = dir.path().join("search.yaml");
    fs::write(&connection, "{name: search, type: serp, api_key: k}").expect("a connection can be written");
    let path = |path: &std::path::Path| path.to_str().expect("a path of text").to_owned();
    let exit = run(&["check", &path(dir.path()), "--connections", &path(&connection), "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&exit.stdout).expect("JSON");
    let problems =
        report["findings"].as_array().expect("a list").iter().filter(|finding| finding["severity"] == "error");
    let told: Vec<_> = problems.map(|problem| format!("{}: {}", problem["code"], problem["message"])).collect();
    let no_model = |node: &str| {
        format!(
            r#""InvalidConnectionType": "node \"{node}\": connection \"search\" is of type \"serp\", which leads to no model; "#
        ) + r#"name one of type open_ai, azure_open_ai, serverless or offline""#
    };
    assert_eq!((exit.status.code(), told), (Some(2), vec![no_model("ask"), no_model("embed")]));
}

#[tokio::test]
async fn what_is_no_flow_is_refused_by_name() {
    let exit = run(&["serve", "/nowhere/at/all"]).await;
    assert_eq!((exit.status.code(), exit.stderr.as_str()), (Some(2), "error: /nowhere/at/all: no such folder\n"));
}

#[tokio::test]
async fn what_is_no_component_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("text.wasm");
    fs::write(&file, "this is text").expect("a file can be written");
    let exit = run(&["inspect", file.to_str().expect("a path of text")]).await;
    assert_eq!(exit.status.code(), Some(2));
    assert!(exit.stderr.contains("text.wasm: not a component this host can run"), "{}", exit.stderr);
}

#[tokio::test]
async fn inspect_tells_what_a_component_says_of_itself() {
    let file = guest("llm_relays");
    let exit = run(&["inspect", file.to_str().expect("a path of text")]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let first = exit.stdout.lines().next().unwrap_or_default();
    let description: serde_json::Value = serde_json::from_str(first).expect("the description is JSON");
    assert_eq!(description["name"], "llm_relays");
    assert_eq!(description["streams"], true);
    assert!(exit.stdout.contains("imports weir:flow/llm@0.1.0\n"), "{}", exit.stdout);
}

#[tokio::test]
async fn doctor_tells_what_builds_nodes_and_what_is_missing() {
    let exit = run(&["doctor"]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let told: Vec<_> = exit.stdout.lines().map(|line| line.split("; ").next().unwrap_or_default()).collect();
    assert_eq!(told, ["rust nodes: ready", "python nodes: ready", "javascript nodes: ready"], "{}", exit.stdout);

    let exit = run(&["doctor", "--node", "/nowhere/node"]).await;
    assert_eq!((exit.status.code(), exit.stdout.lines().count()), (Some(1), 2), "{}", exit.stdout);
    let wanted = "error: javascript nodes cannot be built: /nowhere/node is no program; install Node.js 20 or later";
    assert!(exit.stderr.starts_with(wanted), "{}", exit.stderr);
}

#[tokio::test]
async fn run_sends_one_request_and_shows_its_trace() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/basic-chat");
    let exit = run(&["run", example, "--input", "question=What is a weir?", "--trace"]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let answer = r#"{"answer":"offline model: you said \"What is a weir?\", and this is our first turn"}"#;
    assert_eq!(exit.stdout.trim_end(), answer);
    assert!(exit.stderr.starts_with("basic_chat "), "{}", exit.stderr);
    assert!(exit.stderr.contains("openai_chat") && exit.stderr.contains("9+14=23 tokens"), "{}", exit.stderr);
}

#[tokio::test]
async fn run_takes_inputs_from_a_file_and_refuses_what_does_not_fit() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("inputs.json");
    fs::write(&file, r#"{"question": "from the file", "chat_history": []}"#).expect("a file can be written");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/basic-chat");
    let inputs = file.to_str().expect("a path of text");

    let exit = run(&["run", example, "--inputs", inputs]).await;
    assert!(exit.stdout.contains("from the file"), "{}{}", exit.stdout, exit.stderr);
    let exit = run(&["run", example, "--inputs", inputs, "--input", "question=from the flag"]).await;
    assert!(exit.stdout.contains("from the flag"), "{}{}", exit.stdout, exit.stderr);

    for (input, wanted) in [
        ("chat_history=no list", "chat_history"),
        ("question", "expected NAME=VALUE"),
        ("quest=a", "the flow has no input \"quest\"; it has question, chat_history"),
    ] {
        let exit = run(&["run", example, "--inputs", inputs, "--input", input]).await;
        assert_eq!(exit.status.code(), Some(2), "{}", exit.stdout);
        assert!(exit.stderr.contains(wanted), "{}", exit.stderr);
    }
    let exit = run(&["run", example]).await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stdout);
    assert_eq!(exit.stderr, "error: no value for question; give it by --input NAME=VALUE or --inputs FILE\n");
}

#[tokio::test]
async fn what_a_flow_includes_from_elsewhere_is_there_once_it_is_built() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file in it");
    };
    write("shared/prompts/hello.jinja2", "Hello {{name}}");
    write(
        "flow/flow.dag.yaml",
        "
additional_includes: [../shared/prompts]
inputs: {name: {type: string}}
outputs: {text: {type: string, reference: '${hello.output}'}}
nodes:
- {name: hello, type: prompt, source: {type: code, path: prompts/hello.jinja2}, inputs: {name: '${inputs.name}'}}
",
    );
    let flow = dir.path().join("flow");
    let path = flow.to_str().expect("a path of text");
    let exit = run(&["check", path]).await;
    assert_eq!(exit.status.code(), Some(2));
    assert!(exit.told().contains("run `weir build` on the flow folder"), "{}", exit.stderr);

    let exit = run(&["build", path]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let exit = run(&["run", path, "--input", "name=Ann"]).await;
    assert_eq!(exit.stdout.trim(), r#"{"text":"Hello Ann"}"#, "{}", exit.stderr);

    write("flow/flow.dag.yaml", "additional_includes: [../gone]\n");
    let exit = run(&["build", path]).await;
    assert_eq!(exit.status.code(), Some(2));
    assert!(exit.stderr.contains("unable to find additional include ../gone"), "{}", exit.stderr);
}
