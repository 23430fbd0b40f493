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
        assert!(exit.stderr.contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
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
        "grants.wishes: unknown capability; known: output, llm, nodes, context, log",
        "grants.log: every node has it; leave it out",
    ] {
        assert!(exit.stderr.contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
    }
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
async fn doctor_tells_which_toolchain_builds_nodes() {
    let exit = run(&["doctor"]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    assert!(exit.stdout.starts_with("rust nodes: ready; "), "{}", exit.stdout);
}
