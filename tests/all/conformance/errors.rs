//! Who is to blame for a failure, and what is said of it.

use harness::{FakeModel, TestHost};
use http::StatusCode;

use super::table::{better, check, ok, same, system, user};

#[tokio::test]
async fn of_a_node() {
    let host = TestHost::flow("conformance_failing").start().await;
    let exception = "Execution failure in 'may_fail': (ValueError) injected value error";
    check(
        &host,
        [
            same("it does not fail", "ok", ok(r#"{"result":"ok.."}"#)),
            same("an exception", "value", user(400, "NodeUserError", exception).of("may_fail")),
            same("a user's error", "user", user(400, "NodeUserError", "injected user error").of("may_fail")),
            same("a system's error", "system", system(500, "NodeSystemError", "injected system error").of("may_fail")),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_reference_that_leads_nowhere() {
    let flow = "
inputs: {value: {type: object}}
outputs: {a: {type: string, reference: '${echo.output.value.deep.er}'}}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {value: '${inputs.value}'}
";
    let host = TestHost::written("reference", flow).start().await;
    let message = |property: &str| {
        format!(
            "Flow execution failed. Invalid property '{property}' when accessing the node 'echo'. Please check the \
             property and try again."
        )
    };
    check(
        &host,
        [
            same("it leads somewhere", r#"{"value": {"deep": {"er": 1}}}"#, ok(r#"{"a":1}"#)),
            same("it does not", r#"{"value": {}}"#, user(400, "InvalidReferenceProperty", &message("value.deep.er"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_model() {
    let ask = async |status: Option<StatusCode>, row| {
        let model = match status {
            Some(status) => FakeModel::echo().failing(status, 1).start(),
            None => FakeModel::echo().start(),
        };
        let host = TestHost::flow("conformance_chat").model(&model).start().await;
        check(&host, [row]).await;
    };
    let refused = |status: u16, name: &str| {
        format!(
            "OpenAI API hits {name}: Error code: {status} - the fake model was told to fail with {status} [Error \
             reference: https://platform.openai.com/docs/guides/error-codes/api-errors]"
        )
    };
    let body = r#"{"question": "q"}"#;
    ask(None, same("it answers", body, ok(r#"{"answer":"q"}"#))).await;
    let bad = user(400, "UpstreamRejected", &refused(400, "BadRequestError")).of("chat");
    ask(Some(StatusCode::BAD_REQUEST), same("it refuses", body, bad)).await;
    let missing = user(400, "UpstreamRejected", &refused(404, "NotFoundError")).of("chat");
    ask(Some(StatusCode::NOT_FOUND), same("it is not there", body, missing)).await;
    // It is asked again.
    ask(Some(StatusCode::TOO_MANY_REQUESTS), same("it is busy for a moment", body, ok(r#"{"answer":"q"}"#))).await;

    let body = r#"{"question": "q", "chat_history": [{"role": "user"}]}"#;
    let model = FakeModel::echo().start();
    let host = TestHost::flow("conformance_chat").model(&model).start().await;
    let reply = host.score_with(&[], body).await;
    let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    let template = "Failed to render jinja template: UndefinedError: ";
    assert!(reply.status == 400 && message.starts_with(template), "{} {message}", reply.status);
    assert_eq!(model.requests().len(), 0, "it was not asked");
}

#[tokio::test]
async fn of_time() {
    let flow = "
inputs: {ms: {type: int}}
outputs: {a: {type: string, reference: '${slow.output}'}}
nodes:
- name: slow
  type: wasm
  source: {type: code, path: guests/run_slow.wasm}
  inputs: {ms: '${inputs.ms}', value: done}
";
    let host = TestHost::written("slow", flow).env("PF_LINE_TIMEOUT_SEC", "1").start().await;
    let late = system(504, "FlowTimeout", "the flow did not finish within its time");
    let why = "it blames the caller with 400; a gateway knows by 504 that it may try again elsewhere";
    check(
        &host,
        [same("in time", r#"{"ms": 0}"#, ok(r#"{"a":"done"}"#)), better("too late", r#"{"ms": 60000}"#, late, why)],
    )
    .await;
}

#[tokio::test]
async fn of_a_route() {
    let host = TestHost::flow("run_returns").start().await;
    let reply = host.get("/nope").await;
    let message = "The requested api 'nope' with GET is not supported by current app, if you entered the URL manually \
                   please check your spelling and try again.";
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (404, Some(message)));
    // As one of its two engines: the other says 404.
    let reply = host.get("/score").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}
