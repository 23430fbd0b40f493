//! Keys that must be nowhere: planted where flows, services and people could let them out, and looked for in all that a
//! host tells.

use harness::{Collector, FakeModel, HostBuilder, KEY, TestHost};
use serde_json::json;

/// What only a pattern of the operator knows.
const CARD: &str = "4111-2222-3333-4444";
/// What only the name of its member gives away.
const PASSWORD: &str = "a-word-that-opens";
/// A caller's key.
const CALLER: &str = "caller-0123456789abcdef";
/// A secret that the flow hands to a node.
const GRANTED: &str = "granted-0123456789abcdef";

/// A node that logs what it is given, one that fails with it as its words, and one that reads a secret that it is granted.
const FLOW: &str = "
inputs:
  said: {type: string}
  more: {type: object}
outputs:
  writes: {type: object, reference: '${writes.output}'}
  reads: {type: object, reference: '${reads.output}'}
  answer: {type: object, reference: '${fails.output}'}
environment_variables: {OWN_KEY: '${open_ai_connection.api_key}'}
nodes:
- name: writes
  type: wasm
  source: {type: code, path: guests/log_writes.wasm}
  inputs: {message: '${inputs.said}'}
- name: reads
  type: wasm
  source: {type: code, path: guests/config_reads.wasm}
  inputs: {keys: [OWN_KEY, my_keys.secret_word]}
  grants: {config: [OWN_KEY, my_keys.secret_word]}
- name: returns
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {code: Leak, more: '${inputs.more}', reads: '${reads.output}', writes: '${writes.output}'}
- name: fails
  type: wasm
  source: {type: code, path: guests/run_returns_user_error.wasm}
  inputs: {message: '${inputs.said}', code: '${returns.output.code}'}
";

fn host(model: &FakeModel) -> HostBuilder {
    let keys = format!("type: custom\nname: my_keys\nconfigs: {{}}\nsecrets: {{secret_word: {GRANTED}}}\n");
    TestHost::written("leaks", FLOW)
        .model(model)
        .connection_file("my_keys", &keys)
        .env("WEIR_PRIMARY_KEY", CALLER)
        .env("WEIR_REDACT_PATTERNS", r"\b\d{4}(-\d{4}){3}\b")
        .env("WEIR_LOG", "debug")
}

/// Lets out all keys in all ways.
async fn leak(host: &TestHost) {
    let said = format!("{KEY} and {GRANTED} and {CALLER} and {CARD}");
    let long = format!("{}{said}", "x".repeat(4 * 1024 - 20));
    let authorization = format!("Bearer {CALLER}");
    let headers = [("authorization", authorization.as_str()), ("x-request-id", CARD), ("user-agent", &said)];
    for said in [&said, &long] {
        let inputs = json!({"said": said, "more": {"password": PASSWORD, "api-key": [PASSWORD]}});
        let reply = host.score_with(&headers, inputs.to_string()).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        // The caller is told what it has a right to.
        assert!(reply.text().contains("and") || said.len() > 1024, "{}", reply.text());
    }
    let baggage = [("authorization", authorization.as_str()), ("baggage", "who=4111-2222-3333-4444")];
    assert_eq!(host.feedback("", &baggage, said.clone()).await.status, 200);
    let flat = json!({"note": said, "password": PASSWORD, "deep": {"password": PASSWORD}});
    assert_eq!(host.feedback("?flatten=true", &headers[..1], flat.to_string()).await.status, 200);
}

#[track_caller]
fn check(told: &str, from: &str) {
    assert!(told.contains("******"), "{from} has no mask: {told}");
    // Halves of them as well: what is cut must have been masked before.
    for canary in [KEY, GRANTED, CALLER, CARD, PASSWORD] {
        let half = &canary[..canary.len() / 2 + 1];
        if let Some(at) = told.find(half) {
            let start = told.floor_char_boundary(at.saturating_sub(300));
            panic!("{from} tells {half:?}: …{}", &told[start..told.floor_char_boundary(at + 60)]);
        }
    }
}

#[tokio::test]
async fn no_key_is_in_what_is_exported() {
    let (model, collector) = (FakeModel::echo().start(), Collector::start());
    let host = host(&model).collector(&collector).start().await;
    leak(&host).await;
    let exit = host.stop().await;
    check(&collector.everything(), "the collector");
    let told = exit.stdout + &exit.stderr;
    assert!(!told.contains(KEY) && !told.contains(CALLER) && !told.contains(PASSWORD), "{told}");
}

#[tokio::test]
async fn no_key_is_on_the_terminal() {
    let model = FakeModel::echo().start();
    let host = host(&model).start().await;
    leak(&host).await;
    host.wrote("promptflow-feedback").await;
    let exit = host.stop().await;
    check(&(exit.stdout + &exit.stderr), "the terminal");
}

#[tokio::test]
async fn what_the_operator_names_is_not_in_the_hosts_own_log_either() {
    let host = TestHost::flow("run_returns").env("WEIR_REDACT_PATTERNS", "no more conn[a-z]+").start().await;
    let exit = host.stop().await;
    assert!(exit.stderr.contains("******; requests may finish"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("no more conn"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_pattern_that_is_none_is_told_at_start() {
    let model = FakeModel::echo().start();
    let exit = host(&model).env("WEIR_REDACT_PATTERNS", "a(\nx*").refuses().await;
    for told in ["WEIR_REDACT_PATTERNS", "\"a(\" is no regular expression: unclosed group", "\"x*\" matches even where"]
    {
        assert!(exit.told().contains(told), "{told}\n{}", exit.told());
    }
}

#[tokio::test]
async fn a_flow_may_forbid_content_and_the_operator_has_the_last_word() {
    for (flow, operator, expected) in [
        ("none", "", None),
        ("full", "", Some(5000)),
        ("full", "truncated", Some(4096)),
        ("truncated", "none", None),
        ("none", "full", None),
    ] {
        let text = format!(
            "trace_content: {flow}
inputs: {{text: {{type: string}}}}
outputs: {{text: {{type: string, reference: '${{echo.output.text}}'}}}}
nodes:
- name: echo
  type: wasm
  source: {{type: code, path: guests/run_returns.wasm}}
  inputs: {{text: '${{inputs.text}}'}}
"
        );
        let collector = Collector::start();
        let host = TestHost::written("shy", &text).env("WEIR_TRACE_CONTENT", operator).collector(&collector);
        let host = host.start().await;
        assert_eq!(host.score(json!({"text": "y".repeat(5000)})).await.status, 200);
        host.stop().await;
        let trace = collector.only_trace().await;
        for name in ["shy", "echo"] {
            let inputs = trace.span(name).attributes.get("inputs").and_then(|it| it.as_str());
            let shown = inputs.map(|text| text.matches('y').count());
            let within = |expected: usize| shown.is_some_and(|shown| expected - 10 <= shown && shown <= expected);
            assert!(expected.map_or(shown.is_none(), within), "{flow} {operator:?}: {name} shows {shown:?}");
            assert_eq!(trace.span(name).events.is_empty(), expected.is_none(), "{flow} {operator:?}");
        }
    }
}
