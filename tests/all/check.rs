//! `weir check`: all that is wrong with a flow, each thing at its place, for people and for programs.

use std::fs;
use std::path::Path;

use harness::{guest, run};
use serde_json::Value;
use tempfile::TempDir;

const FLOW: &str = "\
inputs:
  question: {type: strng}
  chat_history: {type: list, default: []}
outputs:
  answer: {type: string, reference: '${anwser.output}'}
environment_variables:
  KEY: ${search.api_key}
nodes:
- name: style
  type: prompt
  source: {type: code, path: style.jinja2}
  inputs: {question: '${inputs.question}'}
- name: answer
  type: llm
  source: {type: code, path: missing.jinja2}
  connection: my_azure
  inputs: {deployment_name: gpt-4o, temperature: warm}
- name: a
  type: wasm
  source: {type: code, path: echo.wasm}
  inputs: {x: '${b.output}'}
  limits: {memory: 64GiB}
  grants: {htp: ['https://example.com'], nodes: [nobody]}
- name: b
  type: wasm
  source: {type: code, path: calls.wasm}
  inputs: {x: '${a.output}', node: a, other_inputs: words}
- name: safe
  type: python
  source: {type: package, tool: promptflow.tools.embeding.embedding}
  retries: 3
";

/// Everything that is wrong with [`FLOW`], by file and line.
const WRONG: [(&str, &str, u64); 14] = [
    ("InvalidFlow", "flow.dag.yaml", 2),
    ("OutputReferenceNotFound", "flow.dag.yaml", 5),
    ("GetConnectionError", "flow.dag.yaml", 7),
    ("InvalidSource", "flow.dag.yaml", 15),
    ("GetConnectionError", "flow.dag.yaml", 16),
    ("NodeInputValidationError", "flow.dag.yaml", 17),
    ("NodeCircularDependency", "flow.dag.yaml", 18),
    ("LimitTooHigh", "flow.dag.yaml", 22),
    ("GrantRefused", "flow.dag.yaml", 23),
    ("NodeReferenceNotFound", "flow.dag.yaml", 23),
    ("NodeInputValidationError", "flow.dag.yaml", 27),
    ("PackageToolNotFoundError", "flow.dag.yaml", 30),
    ("JinjaTemplateError", "style.jinja2", 3),
    ("UnknownInput", "flow.dag.yaml", 27),
];

fn folder(flow: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file in it");
    write("flow.dag.yaml", flow);
    write("style.jinja2", "Answer in one sentence.\n{{ question }}\n{% if tone %}{{ tone }}\n");
    for (guest_name, name) in [("run_returns", "echo.wasm"), ("nodes_calls_another", "calls.wasm")] {
        fs::copy(guest(guest_name), dir.path().join(name)).expect("a guest can be copied");
    }
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

async fn findings(flow: &str) -> (Option<i32>, Value) {
    let dir = folder(flow);
    let exit = run(&["check", "--json", text(dir.path())]).await;
    (exit.status.code(), serde_json::from_str(&exit.stdout).expect("one JSON object"))
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_at_its_place() {
    let (code, report) = findings(FLOW).await;
    assert_eq!((code, &report["ok"]), (Some(2), &Value::Bool(false)));
    let found: Vec<_> = report["findings"].as_array().expect("a list").iter().collect();
    let place = |finding: &&Value| {
        let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
        (text("code"), text("file"), finding["line"].as_u64().expect("a number"))
    };
    let found: Vec<_> = found.iter().map(place).collect();
    for (code, file, line) in WRONG {
        let wanted = (code.to_owned(), file.to_owned(), line);
        assert!(found.contains(&wanted), "nothing of {wanted:?} in {found:#?}");
    }
}

#[tokio::test]
async fn a_person_is_shown_the_line_and_what_was_meant() {
    let dir = folder(FLOW);
    let exit = run(&["check", text(dir.path())]).await;
    assert_eq!(exit.status.code(), Some(2));
    for wanted in [
        "╭─[flow.dag.yaml:2:20]",
        "did you mean `string`?",
        "did you mean \"answer\"?",
        "did you mean `http`?",
        "did you mean \"promptflow.tools.embedding.embedding\"?",
        "╭─[style.jinja2:3:1]",
        "input \"other_inputs\" is \"words\", but its component takes object",
    ] {
        assert!(exit.told().contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_flow_that_is_only_odd_is_good() {
    let flow = "
inputs: {}
outputs: {a: {type: object, reference: '${one.output}'}}
nodes:
- {name: one, type: wasm, source: {type: code, path: echo.wasm}}
- {name: two, type: wasm, source: {type: code, path: echo.wasm}, flavour: sweet}
";
    let (code, report) = findings(flow).await;
    assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)));
    let codes: Vec<_> = report["findings"].as_array().expect("a list").iter().map(|finding| &finding["code"]).collect();
    assert_eq!(codes, ["UnusedNode", "UnknownKey"]);
}
