//! GET /swagger.json: the document is valid OpenAPI, and the host does what it says. Others judge that: a validator and a
//! fuzzer that makes requests of the document. What it says of which flow: see the tests in host/src/server/swagger.

mod tools;

use bytes::Bytes;
use harness::{FakeModel, HostBuilder, TestHost};
use http::Request;
use serde_json::{Value, json};

/// Most requests that the fuzzer makes up for one route, besides those at the edges of each schema.
const REQUESTS: u32 = 40;

/// Inputs of all types, and a node that returns what it is given. Types of outputs are told and not enforced, so those
/// that may be given a value of another type are no outputs here.
const TYPES: &str = "
description: Takes everything there is.
inputs:
  number: {type: double, default: 0.5}
  count: {type: int, default: '7', description: how often}
  truth: {type: bool}
  text: {type: string, default: 'é 漢'}
  list: {type: list, default: [a, 1, null]}
  object: {type: object, default: {a: {b: 1}}}
  secret: {type: secret, default: s3cret}
  template: {type: prompt_template}
  file: {type: file_path}
  assistant: {type: assistant_definition}
outputs:
  text: {type: string, reference: '${echo.output.text}'}
  number: {type: double, reference: '${inputs.number}'}
  count: {type: int, reference: '${inputs.count}'}
  truth: {type: bool, reference: '${inputs.truth}'}
  list: {type: list, reference: '${inputs.list}'}
  bypassed: {type: string, reference: '${never.output.text}'}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {text: '${inputs.text}'}
- name: never
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {text: '${inputs.text}'}
  activate: {when: '${inputs.text}', is: no text is this}
";

const CHAT: &str = "
inputs:
  question: {type: string, is_chat_input: true}
  chat_history: {type: list, default: [], is_chat_history: true}
outputs: {answer: {type: string, reference: '${chat.output}', is_chat_output: true}}
nodes:
- name: chat
  type: llm
  source: {type: code, path: chat.jinja2}
  connection: offline
  api: chat
  inputs: {model: offline, question: '${inputs.question}', chat_history: '${inputs.chat_history}'}
";

const IMAGE: &str = "
inputs: {picture: {type: image}}
outputs: {seen: {type: image, reference: '${inputs.picture}'}}
nodes: []
";

const NO_INPUTS: &str = "
outputs: {text: {type: string, reference: '${echo.output.text}'}}
nodes: [{name: echo, type: wasm, source: {type: code, path: guests/run_returns.wasm}, inputs: {text: fixed}}]
";

const FLEX: &str = "
entry: guests/run_returns.wasm
inputs: {text: {type: string, default: hello}, anything: {}}
";

fn chat() -> HostBuilder {
    TestHost::written("chat", CHAT).file("chat.jinja2", "system:\nBe kind.\nuser:\n{{question}}\n")
}

/// The key of hosts that ask for one; others take no notice of it.
const KEY: &str = "key-of-this-test-0123456789";

async fn document(host: &TestHost) -> Value {
    let request = Request::get("/swagger.json").header("authorization", format!("Bearer {KEY}"));
    let reply = host.send(request.body(Bytes::new()).expect("a request")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    reply.json()
}

/// Without the responses called `default`, by which every status would be documented.
fn strict(mut document: Value) -> Value {
    let paths = document["paths"].as_object_mut().expect("paths").values_mut();
    let operations = paths.flat_map(|path| path.as_object_mut().expect("operations").values_mut());
    for responses in operations.filter_map(|operation| operation.get_mut("responses")) {
        responses.as_object_mut().expect("responses").remove("default");
    }
    document
}

/// Asserts that the document is valid, and that no request that is made of it is answered with a 500, or with what the
/// document does not say.
async fn check(host: HostBuilder) {
    check_with(host, "").await;
}

/// [`check`] with a fuzzer that is told this as well.
async fn check_with(host: HostBuilder, config: &str) {
    // The fuzzer comes more often than a caller may.
    let rates = ["WEIR_RATE_PER_KEY", "WEIR_FEEDBACK_RATE", "WEIR_FEEDBACK_RATE_TOTAL"];
    let host = rates.into_iter().fold(host, |host, rate| host.env(rate, "none")).start().await;
    let document = document(&host).await;
    tools::validate(&document).await.expect("valid OpenAPI");
    if let Err(found) = tools::fuzz(&strict(document), host.address(), REQUESTS, config).await {
        panic!("{found}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_flow_with_inputs_of_all_types_is_as_documented() {
    check(TestHost::written("types", TYPES)).await;
}

#[tokio::test]
async fn a_flow_that_takes_an_image_is_as_documented() {
    check(TestHost::written("image", IMAGE)).await;
}

#[tokio::test]
async fn a_chat_is_as_documented() {
    check(chat()).await;
}

#[tokio::test]
async fn a_chat_that_streams_is_as_documented() {
    check_with(chat(), "headers = { accept = \"text/event-stream, application/json\" }").await;
}

#[tokio::test]
async fn a_flow_without_inputs_is_as_documented() {
    check(TestHost::written("fixed", NO_INPUTS)).await;
}

#[tokio::test]
async fn a_flex_flow_is_as_documented() {
    check(TestHost::written("flex", FLEX)).await;
}

#[tokio::test]
async fn a_prompty_is_as_documented() {
    check(TestHost::flow("prompty_answers").model(&FakeModel::echo().start())).await;
}

#[tokio::test]
async fn a_host_that_asks_for_a_key_is_as_documented() {
    let config = format!("[auth.openapi.bearerAuth]\nbearer = \"{KEY}\"\n");
    check_with(chat().env("WEIR_PRIMARY_KEY", KEY), &config).await;
}

#[tokio::test]
async fn the_first_sample_of_the_folder_is_the_example() {
    let samples = r#"[{"question": "What is a weir?", "chat_history": []}, {"question": "Why?"}]"#;
    let host = chat().file("samples.json", samples).start().await;
    let content = &document(&host).await["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(content["example"], json!({"question": "What is a weir?", "chat_history": []}));
    host.stop().await;

    // A sample that nobody can use is no reason not to serve.
    let host = chat().file("samples.json", "{").start().await;
    host.wrote("samples.json: not valid JSON").await;
    let content = &document(&host).await["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(content["example"], json!({}));
    host.stop().await;
}

#[tokio::test]
async fn the_judges_see_what_a_document_leaves_out() {
    let host = chat().start().await;
    let mut document = strict(document(&host).await);
    let responses = document["paths"]["/score"]["post"]["responses"].as_object_mut().expect("responses");
    responses.remove("400").expect("a documented status");
    let found = tools::fuzz(&document, host.address(), REQUESTS, "").await.expect_err("an undocumented status");
    assert!(found.contains("Undocumented status code"), "{found}");

    document["paths"]["/score"]["post"]["responses"] = json!({});
    let found = tools::validate(&document).await.expect_err("a document that is no OpenAPI");
    assert!(found.contains("responses"), "{found}");
    host.stop().await;
}
