//! What no error may tell: where the host keeps its files, how it is made, its keys, and what else was in the request.

use harness::{FakeModel, KEY, TestHost};
use http::StatusCode;

/// Text of the caller that is of no concern to the failure.
const PAYLOAD: &str = "a-private-word-of-the-caller";
/// A key that the operator has set, and no flow asks for.
const SECRET: &str = "a-key-of-the-operator";

/// What only our own insides look like.
const INSIDES: [&str; 10] =
    ["wasmtime", "wasm backtrace", "panicked", "stack backtrace", ".rs:", "RUST_", "/home", "/tmp", "/root", "guests/"];

async fn check(
    flow: &str,
    inputs: &str,
    status: u16,
    prepare: impl FnOnce(harness::HostBuilder) -> harness::HostBuilder,
) {
    let host = TestHost::written("fails", flow).env("OTHER_API_KEY", SECRET);
    let folder = host.path().display().to_string();
    let host = prepare(host).start().await;
    for accept in ["application/json", "text/event-stream, application/json"] {
        let reply = host.score_with(&[("accept", accept)], inputs.replace("PAYLOAD", PAYLOAD)).await;
        let text = reply.text();
        assert!(reply.status == status || text.contains("event: error"), "{inputs}: {} {text}", reply.status);
        let told: Vec<_> =
            [PAYLOAD, SECRET, KEY, &folder].into_iter().chain(INSIDES).filter(|it| text.contains(*it)).collect();
        assert!(told.is_empty(), "an error of {inputs} tells {told:?}: {text}");
        assert!(text.len() < 2000, "{text}");
    }
}

/// A flow of one node that is given something of the request it fails without.
fn of(guest: &str, inputs: &str, limits: &str) -> String {
    format!(
        "inputs: {{word: {{type: object}}, n: {{type: int, default: 1}}}}
outputs: {{a: {{type: string, reference: '${{fails.output.deep}}'}}}}
nodes:
- name: fails
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  inputs: {{word: '${{inputs.word}}', {inputs}}}
  limits: {limits}
"
    )
}

#[tokio::test]
async fn errors_tell_nothing_that_is_not_the_callers() {
    let same = |host| host;
    let word = r#"{"word": "PAYLOAD"}"#;
    for (guest, inputs, limits, status) in [
        ("run_traps", "a: 1", "{}", 500),
        ("run_returns_user_error", "a: 1", "{}", 400),
        ("run_returns_system_error", "a: 1", "{}", 500),
        ("run_returns_wrong_json", "text: '[NaN]'", "{}", 500),
        ("run_emits_and_returns", "a: 1", "{}", 500),
        ("limits_eats_memory", "a: 1", "{}", 500),
        ("limits_loops_forever", "a: 1", "{timeout: 200ms}", 504),
        // The reference of the output leads nowhere.
        ("run_returns", "a: 1", "{}", 400),
    ] {
        check(&of(guest, inputs, limits), word, status, same).await;
    }
    let echo = of("run_returns", "a: 1", "{}");
    for body in [
        r#"{"word": "PAYLOAD", "n": "PAYLOAD"}"#,
        r#"{"n": 1, "other": "PAYLOAD"}"#,
        r#"["PAYLOAD"]"#,
        r#"{"word": "PAYLOAD""#,
        r#"{"word": "PAYLOAD", "n": {"PAYLOAD": 1}}"#,
    ] {
        check(&echo, body, 400, same).await;
    }
}

#[tokio::test]
async fn errors_of_models_and_images_tell_no_key_and_no_path() {
    let model = FakeModel::echo().failing(StatusCode::UNAUTHORIZED, 10).start();
    let asks = "
inputs: {word: {type: string}}
outputs: {a: {type: string, reference: '${fails.output}'}}
nodes:
- name: fails
  type: wasm
  source: {type: code, path: guests/llm_relays.wasm}
  inputs: {connection: open_ai_connection, question: '${inputs.word}'}
  grants: {llm: [open_ai_connection]}
";
    check(asks, r#"{"word": "PAYLOAD"}"#, 500, |host| host.model(&model)).await;

    let image = "
inputs: {word: {type: string}, picture: {type: image}}
outputs: {a: {type: string, reference: '${inputs.word}'}}
nodes: []
";
    let host = |host| host;
    check(image, r#"{"word": "PAYLOAD", "picture": {"data:image/png;path": "../../secret.png"}}"#, 400, host).await;
    check(image, r#"{"word": "PAYLOAD", "picture": {"data:image/png;url": "http://127.0.0.1:1/x"}}"#, 400, host).await;
}
