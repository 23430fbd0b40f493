//! The form of an answer: the outputs of a flow in their order, or the bare value of one that has but one.

use harness::{FakeModel, TestHost};

use super::table::{better, check, ok, same, user};

const OUTPUTS: &str = "
inputs: {go: {type: bool}, text: {type: string, default: é 漢}}
outputs:
  zebra: {type: string, reference: '${inputs.text}'}
  maybe: {type: string, reference: '${maybe.output}'}
  apple: {type: object, reference: '${echo.output}'}
  hidden: {type: string, reference: '${inputs.text}', evaluation_only: true}
  all_lines: {type: string, reference: '${sums.output}'}
nodes:
- name: maybe
  type: wasm
  source: {type: code, path: guests/text_upper.wasm}
  inputs: {text: '${inputs.text}'}
  activate: {when: '${inputs.go}', is: true}
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {z: 1, a: '${inputs.text}'}
- name: sums
  type: wasm
  aggregation: true
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {lines: '${echo.output}'}
";

#[tokio::test]
async fn of_a_flow_of_nodes() {
    let host = TestHost::written("outputs", OUTPUTS).start().await;
    check(
        &host,
        [
            better(
                "outputs in the order of the flow file, and no escapes",
                r#"{"go": true}"#,
                ok(r#"{"zebra":"é 漢","maybe":"É 漢","apple":{"z":1,"a":"é 漢"}}"#),
                "one of its two engines sorts the keys and escapes what is not ASCII",
            ),
            better(
                "a node that did not run",
                r#"{"go": false}"#,
                ok(r#"{"zebra":"é 漢","maybe":null,"apple":{"z":1,"a":"é 漢"}}"#),
                "the same",
            ),
        ],
    )
    .await;

    let host = TestHost::flow("run_returns").start().await;
    check(&host, [same("one output is an object as well", "a", ok(r#"{"text":"a"}"#))]).await;
}

#[tokio::test]
async fn of_a_chain_of_nodes() {
    let host = TestHost::flow("conformance_trivial3").start().await;
    check(
        &host,
        [
            same("a text", r#"{"text": "hello"}"#, ok(r#"{"result":"[HELLO:5]","length":5}"#)),
            same("no text", r#"{"text": ""}"#, ok(r#"{"result":"[:0]","length":0}"#)),
            same("characters are counted", "héllo 你好 😀", ok(r#"{"result":"[HÉLLO 你好 😀:10]","length":10}"#)),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_flex_flow() {
    let host = TestHost::flow("conformance_flex_function").start().await;
    let missing = user(400, "InputMissing", "Required input fields ['question'] are missing in request data");
    check(
        &host,
        [
            same("a bare value", r#"{"question": "hi", "times": 3}"#, ok(r#""HI HI HI""#)),
            same("a default of the function", r#"{"question": "hi"}"#, ok(r#""HI HI""#)),
            same("what the function does not take is dropped", r#"{"question": "a", "z": 1}"#, ok(r#""A A""#)),
            same("what it needs is missing", r#"{"times": 3}"#, missing),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_prompty() {
    let prompty = |format: &str| {
        format!(
            "---
name: asks
model:
  api: chat
  configuration: {{type: openai, model: m, connection: open_ai_connection}}
  parameters: {{{format}}}
inputs: {{question: {{type: string}}}}
---
user:
{{{{question}}}}
"
        )
    };
    let model = FakeModel::replies(r#"{"b": 1, "a": 2}"#).start();
    let host = TestHost::written("text", &prompty("")).model(&model).start().await;
    check(&host, [same("text", r#"{"question": "q"}"#, ok(r#""{\"b\": 1, \"a\": 2}""#))]).await;
    let host = TestHost::written("json", &prompty("response_format: {type: json_object}")).model(&model).start().await;
    check(&host, [same("an object", r#"{"question": "q"}"#, ok(r#"{"b":1,"a":2}"#))]).await;
}

#[tokio::test]
async fn of_a_stream_that_nobody_reads_as_one() {
    let host = TestHost::flow("conformance_stream_gen").start().await;
    let whole = r#"{"answer":"a b c","source":"a b c"}"#;
    check(&host, [same("chunks of text", r#"{"text": " a b c "}"#, ok(whole))]).await;

    let host = TestHost::written("values", super::streams::VALUES).start().await;
    let body = r#"{"values": [0, 1, "two", null]}"#;
    check(&host, [better("other chunks", body, ok(r#""01twonull""#), "Python's words for null and truth are no JSON")])
        .await;
}
