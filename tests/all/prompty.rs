//! Prompties as flows: what a request that gives nothing means, and what becomes of a model's answer.

use std::fs;

use harness::{FakeModel, TestHost};
use serde_json::{Value, json};

/// A prompty with this in its front matter, in front of a model; `model` goes on in its `model`.
async fn serve(answers: &FakeModel, model: &str, rest: &str) -> TestHost {
    let text = format!(
        "---
name: asked
model:
  api: chat
  configuration: {{type: openai, model: fake-gpt, connection: {}}}
{model}{rest}---
user:
{{{{question}}}}
",
        harness::CONNECTION
    );
    let host = TestHost::flow("prompty_answers").model(answers);
    fs::write(host.path().join("chat.prompty"), text).expect("the flow folder can be written");
    host.start().await
}

#[tokio::test]
async fn a_sample_alone_declares_the_inputs_and_stands_for_a_request_that_gives_none() {
    let model = FakeModel::echo().start();
    let host = serve(&model, "", "sample: {question: What is a weir?}\n").await;
    host.score(json!({})).await.assert_ok(json!("What is a weir?"));
    host.score(json!({"question": "hi", "unknown": 1})).await.assert_ok(json!("hi"));
    host.score_with(&[], "plain text").await.assert_ok(json!("plain text"));
}

#[tokio::test]
async fn the_whole_answer_of_the_service_is_given_if_the_prompty_wants_it() {
    let model = FakeModel::replies("yes").start();
    let host = serve(&model, "  response: all\n", "").await;
    let reply = host.score(json!({"question": "hi"})).await.json();
    assert_eq!(
        (&reply["object"], &reply["choices"][0]["message"]["content"], &reply["usage"]["total_tokens"]),
        (&json!("chat.completion"), &json!("yes"), &json!(2))
    );
}

#[tokio::test]
async fn an_answer_in_json_is_an_object_of_the_outputs_that_are_declared() {
    let model = FakeModel::replies(r#"{"score": 5, "reason": "why not", "more": null}"#).start();
    let parameters = "  parameters: {response_format: {type: json_object}}\n";
    let host = serve(&model, parameters, "").await;
    let whole = json!({"score": 5, "reason": "why not", "more": null});
    host.score(json!({"question": "hi"})).await.assert_ok(whole);
    let outputs = "outputs: {reason: {type: string}, score: {type: int}}\n";
    let host = serve(&model, parameters, outputs).await;
    let declared = json!({"score": 5, "reason": "why not"});
    host.score(json!({"question": "hi"})).await.assert_ok(declared);
    let sent: Vec<Value> =
        model.requests().into_iter().map(|request| request.body["response_format"].clone()).collect();
    assert_eq!(sent, vec![json!({"type": "json_object"}); 2]);
}
