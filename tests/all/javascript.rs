//! Nodes in JavaScript and TypeScript: built into components, and served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use harness::{Collector, FakeService, Frame, TestHost, node, run};
use http::Response;
use serde_json::{Value, json};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Lays a flow folder.
fn lay(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("it is in the folder")).expect("the test's own folder");
        fs::write(file, text).expect("the test's own folder");
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Builds a flow, and compiles it: on a busy machine that takes longer than a host may take to listen.
async fn build(folder: &Path) {
    for verb in ["build", "check"] {
        let exit = run(&[verb, text(folder)]).await;
        assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
    }
}

#[tokio::test]
async fn the_example_is_built_once_and_its_model_is_asked_below_its_node() {
    let folder = repository("examples/javascript-node");
    build(&folder).await;
    let again = run(&["build", text(&folder)]).await;
    assert_eq!(again.stdout.matches("unchanged since it was built").count(), 2, "{}", again.stdout);

    let collector = Collector::start();
    let host = TestHost::folder(&folder).collector(&collector).start().await;
    let reply = host.score(json!({})).await;
    reply.assert_ok(json!({
        "answer": "offline model: you said \"What is the difference between a weir and a sluice?\", and this is our first turn",
        "terms": [
            {"term": "weir", "meaning": "a low wall across a river, over which the water runs"},
            {"term": "sluice", "meaning": "a gate that lets water through a channel"},
        ],
    }));
    let trace = collector.only_trace().await;
    let rpc = trace.children(trace.span("explain"))[0];
    assert_eq!(rpc.name, "openai_chat");
    assert!(rpc.attributes["llm.usage.total_tokens"].as_i64().is_some_and(|tokens| tokens > 0));
    assert!(trace.children(trace.span("find")).is_empty());

    let refused = host.score(json!({"question": "Why?"})).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("the question has none of the glossary's terms"), "{}", refused.text());
    host.stop().await;
}

const FLOW: &str = "
inputs: {act: {type: string}, url: {type: string, default: ''}}
outputs: {answer: {type: object, reference: '${n.output}'}}
nodes:
- name: n
  type: wasm
  source: {type: code, path: node}
  inputs: {act: '${inputs.act}', url: '${inputs.url}'}
  grants: {llm: [offline], http: ['ORIGIN']}
";

const PACKAGE: &str = r#"{"name": "n", "main": "main.ts", "dependencies": {"louder": "1.0.0"}}"#;

const MAIN: &str = r#"
import louder from "louder";
import { chat } from "weir:flow/llm@0.1.0";
import { NodeError, current } from "weir";
import facts from "./facts.json";
import { later, type Act } from "./lib/later";

let runs = 0;
const atBuild = Math.random();

async function* pieces(): AsyncGenerator<unknown> {
  for (const piece of ["a", "b", { c: 1 }]) {
    await later(1);
    yield piece;
  }
}

function* emptyThenFails() {
  yield "one";
  throw NodeError.user("Enough", "no more than one");
}

const acts: Record<string, Act> = {
  plain: async () => {
    runs += 1;
    const all = await Promise.all([1, later(2, "two"), (async () => 3)()]);
    const failed = await Promise.any([Promise.reject(new Error("x"))]).catch((error) => error.constructor.name);
    console.log("counted", { runs });
    return { loud: louder("hi"), fact: facts.answer, runs, all, failed, flow: current().flow, nothing: undefined };
  },
  random: () => [Math.random(), crypto.randomUUID(), atBuild],
  text: () => new TextDecoder().decode(new TextEncoder().encode("aé€😀")),
  stream: () => pieces(),
  breaks: () => emptyThenFails(),
  user: () => { throw NodeError.user("TooLong", "at most ten words"); },
  system: () => (undefined as any).nothing,
  thrown: () => { throw "a text"; },
  circle: () => { const one: any = {}; one.one = one; return one; },
  never: () => new Promise(() => {}),
  chat: () => {
    const messages = JSON.stringify([{ role: "user", content: "plainly" }]);
    return JSON.parse(chat({ connection: "offline", model: "", messages, parameters: "{}" }).message);
  },
  denied: () => chat({ connection: "nobody", model: "", messages: "[]", parameters: "{}" }),
  fetch: async (url) => {
    const response = await fetch(url, { method: "post", headers: { "X-One": "1" }, body: "ä".repeat(5000) });
    return { status: response.status, type: response.headers.get("content-type"), body: await response.json() };
  },
};

export const description = {
  summary: "Does what it is told.",
  inputs: { type: "object", properties: { act: { type: "string" }, url: { type: "string" } }, required: ["act"] },
};
export default async ({ act, url }: { act: string; url: string }) => acts[act](url);
"#;

const LATER: &str = r#"
export type Act = (url: string) => unknown;
export const later = <T>(milliseconds: number, value?: T): Promise<T | undefined> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds));
"#;

#[tokio::test]
async fn a_node_in_typescript_does_what_such_programs_do() {
    let service = FakeService::start(|request| {
        let header = request.headers().get("x-one").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let told = json!({"method": request.method().as_str(), "header": header, "bytes": request.body().len()});
        let body = Bytes::from(told.to_string());
        Response::builder().status(201).header("content-type", "application/json").body(body).expect("a response")
    });
    let flow = FLOW.replace("ORIGIN", &service.origin());
    let folder = lay(&[
        ("flow.dag.yaml", &flow),
        ("node/package.json", PACKAGE),
        ("node/main.ts", MAIN),
        ("node/facts.json", r#"{"answer": 42}"#),
        ("node/lib/later.ts", LATER),
        ("node/node_modules/louder/package.json", r#"{"name": "louder", "version": "1.0.0", "main": "index.js"}"#),
        ("node/node_modules/louder/index.js", "module.exports = (text) => text.toUpperCase() + '!';\n"),
    ]);
    build(folder.path()).await;
    let collector = Collector::start();
    let host = TestHost::folder(folder.path()).collector(&collector).start().await;
    let act = async |act: &str| host.score(json!({"act": act, "url": service.origin()})).await;

    // Twice the same: what a run has counted is gone with it.
    for _ in 0..2 {
        let reply = act("plain").await;
        let mut body = reply.json();
        let flow = body["answer"]["flow"].take();
        assert!(flow.is_string(), "{flow}");
        let expected = json!({"answer": {"loud": "HI!", "fact": 42, "runs": 1, "all": [1, "two", 3],
            "failed": "AggregateError", "flow": null}});
        assert_eq!(body, expected, "{}", reply.text());
    }
    let (one, other) = (act("random").await.json(), act("random").await.json());
    assert_ne!(one["answer"][0], other["answer"][0]);
    assert_ne!(one["answer"][1], other["answer"][1]);
    assert_eq!(one["answer"][2], other["answer"][2]);
    act("text").await.assert_ok(json!({"answer": "aé€😀"}));
    act("chat").await.assert_ok(json!({"answer": {
        "role": "assistant",
        "content": "offline model: you said \"plainly\", and this is our first turn",
    }}));
    let body = json!({"method": "POST", "header": "1", "bytes": 10_000});
    act("fetch").await.assert_ok(json!({"answer": {"status": 201, "type": "application/json", "body": body}}));

    let frames = host.stream(json!({"act": "stream"})).await.rest().await;
    let expected = [json!("a"), json!("b"), json!({"c": 1})].map(|piece| json!({"answer": piece}));
    assert_eq!(frames.iter().map(Frame::json).collect::<Vec<_>>(), expected);

    let mut codes = Vec::new();
    for (name, status, code, message) in [
        ("user", 400, "TooLong", "at most ten words"),
        ("system", 500, "TypeError", "cannot read property 'nothing' of undefined"),
        ("thrown", 500, "NodeError", "the node threw a text"),
        ("circle", 500, "InvalidOutput", "the output is not JSON: circular reference"),
        ("never", 500, "Error", "the node waits for a promise that nothing will ever settle"),
        ("denied", 500, "NotGranted", "add it to `grants.llm` of the node"),
        ("breaks", 400, "Enough", "no more than one"),
    ] {
        let reply = act(name).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        assert!(reply.text().contains(message), "{name}: {}", reply.text());
        codes.push(code);
    }
    let logs = collector
        .logs_when("what the node printed", |logs| logs.iter().any(|log| log.body == json!("counted {\"runs\":1}")));
    assert!(logs.await.iter().any(|log| log.severity == "INFO"));
    host.stop().await;
    for code in codes {
        assert_eq!(collector.metric("node_request").label("exception", code).count(), 1, "{code}");
    }

    fs::write(folder.path().join("node/lib/later.ts"), format!("{LATER}// changed\n")).expect("the test's own folder");
    let exit = run(&["check", text(folder.path())]).await;
    assert!(exit.told().contains("node: changed since it was built; `weir build` builds it anew"), "{}", exit.stderr);
}

/// A flow of nodes in these files.
fn flow_of(paths: &[&str]) -> String {
    let node =
        |(at, path): (usize, &&str)| format!("- {{name: n{at}, type: wasm, source: {{type: code, path: {path}}}}}\n");
    format!("inputs: {{}}\noutputs: {{}}\nnodes:\n{}", paths.iter().enumerate().map(node).collect::<String>())
}

#[tokio::test]
async fn all_that_is_wrong_with_nodes_in_javascript_is_told_at_once_and_by_its_place() {
    let flow = flow_of(&["a.js", "b.ts", "c.js", "d.js", "e.mjs", "f.js"]);
    let folder = lay(&[
        ("flow.dag.yaml", &flow),
        ("a.js", "export function run() {\n  return {;\n}\n"),
        ("b.ts", "import { read } from \"./lib\";\nexport const run = () => read();\n"),
        (
            "lib.ts",
            "import { net } from 'nowhere';\nimport * as fs from \"node:fs\";\nexport const read = () => [net, fs];\n",
        ),
        ("c.js", "export const answer = 42;\n"),
        ("d.js", "const table = {};\n\nexport const first = table.rows.length;\nexport const run = () => first;\n"),
        ("e.mjs", "import crypto from 'crypto';\nexport default () => crypto;\nexport const x = await 1;\n"),
        ("f.js", "import secret from \"/etc/passwd\";\nexport const run = () => secret;\n"),
    ]);
    let path = text(folder.path());
    let unbuilt = run(&["check", path]).await;
    assert_eq!(
        unbuilt.told().matches("not built yet; run `weir build` on the flow folder").count(),
        6,
        "{}",
        unbuilt.stderr
    );

    let exit = run(&["build", path]).await;
    assert_eq!(exit.status.code(), Some(2), "{}{}", exit.stdout, exit.stderr);
    for told in [
        "a.js:2:11: Expected identifier but found \";\"",
        "lib.ts:1:21: Could not resolve \"nowhere\"; is it installed? `npm install` in the node's folder does that",
        "lib.ts:2:21: \"node:fs\" is a module of Node.js, which is not there in a node of a flow; import a JSON file",
        "c.js: exports no function; write `export function run(inputs) { … }`",
        "d.js:3:22: was thrown while the module was loaded: cannot read property 'length' of undefined",
        "e.mjs:1:20: \"crypto\" is a module of Node.js, which is not there in a node of a flow; `crypto.randomUUID()`",
        "/etc/passwd is imported, but lies outside of the flow folder; copy it there",
        "e.mjs:3:18: `await` outside of a function cannot be built; await inside of `run`",
    ] {
        assert!(exit.stderr.contains(told), "{told} is not in {}", exit.stderr);
    }
}

#[tokio::test]
async fn without_node_or_packages_the_build_says_what_is_needed() {
    let flow = flow_of(&["a.js"]);
    let folder = lay(&[("flow.dag.yaml", &flow), ("a.js", "export const run = () => 1;\n")]);
    let path = text(folder.path());
    let exit = run(&["build", path, "--node", "/nowhere/node"]).await;
    assert_eq!(exit.status.code(), Some(1));
    let wanted = "there is no Node here: /nowhere/node is no program; install Node.js 20 or later";
    assert!(exit.stderr.contains(wanted), "{}", exit.stderr);

    // Its own environment, so that there is something to install, from where nothing is.
    let empty = tempfile::tempdir().expect("a temporary folder");
    let mut build = Command::new(node());
    build.arg(repository("sdk/javascript/build.mjs")).arg(folder.path()).arg("--entry").arg(folder.path().join("a.js"));
    build
        .arg("--output")
        .arg(empty.path().join("out/a.wasm"))
        .arg("--environment")
        .arg(empty.path().join("environment"));
    let output = build.arg("--npm-cache").arg(empty.path().join("cache")).output().expect("node runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(
        told.contains("does not have all of sdk/javascript/package-lock.json; fill it with `npm ci --cache"),
        "{told}"
    );
}

#[test]
fn the_types_are_those_of_the_contract() {
    let output = Command::new(node()).arg(repository("sdk/javascript/types.mjs")).arg("--check").output();
    let output = output.expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_new_node_in_javascript_builds_and_answers() {
    new_node("js", "wasm").await;
}

#[tokio::test]
async fn a_new_node_in_typescript_builds_and_answers() {
    new_node("ts", "wasm").await;
}

#[tokio::test]
async fn a_new_node_in_python_builds_and_answers() {
    new_node("python", "python").await;
}

#[tokio::test]
async fn a_new_node_in_rust_builds_and_answers() {
    new_node("rust", "wasm").await;
}

/// A flow of a new node, and then a second one in it, as the command says how to add it.
async fn new_node(language: &str, kind: &str) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let exit = run(&["new", "greet", text(home.path()), "--lang", language]).await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let flow = home.path().join("greet");
    assert!(exit.stdout.contains(&format!("weir build {}", flow.display())), "{}", exit.stdout);
    build(&flow).await;
    for (given, answer) in [("", "Hello, world!"), ("name=Ada", "Hello, Ada!")] {
        let mut asked = vec!["run", text(&flow)];
        asked.extend((!given.is_empty()).then_some(["--input", given]).into_iter().flatten());
        let exit = run(&asked).await;
        let told: Value = serde_json::from_str(&exit.stdout).unwrap_or_default();
        assert_eq!(told, json!({"answer": answer}), "{}", exit.stderr);
    }
    let exit = run(&["run", text(&flow), "--input", "name= "]).await;
    assert!(exit.stderr.contains("`name` is empty"), "{}", exit.stderr);

    let taken = run(&["new", "greet", text(home.path()), "--lang", language]).await;
    assert_eq!(taken.status.code(), Some(2), "{}", taken.stderr);
    let exit = run(&["new", "other", text(&flow), "--lang", language]).await;
    let added = format!("add to `nodes` of the flow file:\n\n- name: other\n  type: {kind}\n");
    assert!(exit.stdout.contains(&added), "{}", exit.stdout);
    let yaml = exit.stdout.split("flow file:\n\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("its YAML");
    let file = flow.join("flow.dag.yaml");
    let whole = fs::read_to_string(&file).expect("it was written") + yaml + "\n";
    fs::write(file, whole).expect("the test's own folder");
    let exit = run(&["check", text(&flow)]).await;
    assert_eq!(exit.stderr.matches("not built yet").count(), 1, "{}", exit.stderr);
}
