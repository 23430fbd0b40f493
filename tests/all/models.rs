//! What nodes that ask a model send to its service, and what they make of the answer: `type: llm`, and prompt flow's
//! package tools for models. What a service's failures become is in models_fail.rs.

use harness::{FakeModel, HostBuilder, KEY, Recorded, Reply, TestHost};
use serde_json::{Value, json};

/// One PNG without pixels.
const PNG: &str = "iVBORw0KGgo=";

/// A flow of one node `ask` with these lines, whose output is the flow's. `text` and `picture` are the flow's inputs.
fn flow(node: &str) -> String {
    let node: String = node.trim().lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "inputs:
  text: {{type: object, default: hi}}
  picture: {{type: image, default: {PNG}}}
outputs: {{answer: {{type: object, reference: '${{ask.output}}'}}}}
nodes:
- name: ask
{node}"
    )
}

/// A host of this node with `open_ai` and `azure` for connections, and this template.
fn host(node: &str, template: &str, model: &FakeModel) -> HostBuilder {
    let host = TestHost::written("asks", &flow(node)).file("ask.jinja2", template);
    host.connection("open_ai", model).azure("azure", model)
}

/// The one request that this node sends, and the reply to the flow's caller.
async fn asked(node: &str, template: &str, model: FakeModel) -> (Recorded, Reply) {
    let host = host(node, template, &model).start().await;
    let reply = host.score(json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut requests = model.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    (requests.remove(0), reply)
}

/// The path, the query and the key of a request.
fn address(request: &Recorded) -> (&str, &str, &str) {
    let key = ["authorization", "api-key"].iter().find_map(|name| request.headers.get(*name));
    (&request.path, &request.query, key.map_or("", |key| key.to_str().expect("a text")))
}

fn picture(detail: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}"), "detail": detail}})
}

const LOOK: &str = "system:\nYou see.\nuser:\n{{text}}\n![image]({{picture}})\n";

fn look(detail: &str) -> Value {
    json!([
        {"role": "system", "content": "You see."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, picture(detail)]},
    ])
}

#[tokio::test]
async fn a_tool_for_models_that_see_looks_as_closely_as_it_is_told() {
    let node = "
type: custom_llm
source: {type: package_with_prompt, tool: promptflow.tools.llm_vision.llm_vision, path: ask.jinja2}
inputs: {connection: open_ai, model: gpt-4o, detail: low, max_tokens: '', stop: '', seed: '7',
         text: '${inputs.text}', picture: '${inputs.picture}'}
";
    let (request, reply) = asked(node, LOOK, FakeModel::replies("a weir").start()).await;
    assert_eq!(address(&request), ("/v1/chat/completions", "", &*format!("Bearer {KEY}")));
    let expected = json!({"model": "gpt-4o", "messages": look("low"), "temperature": 1.0, "top_p": 1.0, "seed": 7,
        "n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0});
    assert_eq!(request.body, expected);
    reply.assert_ok(json!({"answer": "a weir"}));
}

#[tokio::test]
async fn the_older_tools_for_models_that_see_ask_each_its_service() {
    let node = |tool: &str, connection: &str| {
        format!(
            "
type: custom_llm
source: {{type: package_with_prompt, tool: {tool}, path: ask.jinja2}}
inputs: {{connection: {connection}, deployment_name: sees, model: gpt-4-vision-preview, max_tokens: 512,
         text: '${{inputs.text}}', picture: '${{inputs.picture}}'}}
"
        )
    };
    let azure = node("promptflow.tools.aoai_gpt4v.AzureOpenAI.chat", "azure");
    let (request, _) = asked(&azure, LOOK, FakeModel::echo().start()).await;
    let path = "/openai/deployments/sees/chat/completions";
    assert_eq!(address(&request), (path, "api-version=2024-02-01", KEY));
    assert_eq!((&request.body["messages"], &request.body["max_tokens"]), (&look("auto"), &json!(512)));

    let open_ai = node("promptflow.tools.openai_gpt4v.OpenAI.chat", "open_ai");
    let (request, _) = asked(&open_ai, LOOK, FakeModel::echo().start()).await;
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!((&request.body["messages"], &request.body["model"]), (&look("auto"), &json!("gpt-4-vision-preview")));
}

#[tokio::test]
async fn the_package_tool_for_models_takes_its_api_from_its_inputs() {
    let node = |inputs: &str| {
        format!(
            "
type: custom_llm
source: {{type: package_with_prompt, tool: promptflow.tools.llm.llm, path: ask.jinja2}}
inputs: {{{inputs}, text: '${{inputs.text}}'}}
"
        )
    };
    let completion = node("connection: open_ai, api: completion, model: m, suffix: '!', best_of: '2'");
    let (request, reply) = asked(&completion, "Say {{text}}", FakeModel::echo().start()).await;
    assert_eq!(request.path, "/v1/completions");
    let expected = json!({"model": "m", "prompt": "Say hi", "temperature": 1.0, "top_p": 1.0, "max_tokens": 16,
        "suffix": "!", "best_of": 2});
    assert_eq!(request.body, expected);
    reply.assert_ok(json!({"answer": "Say hi"}));

    let chat = node("connection: azure, api: chat, deployment_name: d, model: m");
    let (request, reply) = asked(&chat, "user:\nSay {{text}}", FakeModel::echo().start()).await;
    assert_eq!(address(&request), ("/openai/deployments/d/chat/completions", "api-version=2024-02-01", KEY));
    reply.assert_ok(json!({"answer": "Say hi"}));
}

#[tokio::test]
async fn an_llm_node_completes_at_either_service() {
    let node = |connection: &str| {
        format!(
            "
type: llm
source: {{type: code, path: ask.jinja2}}
inputs: {{deployment_name: d, model: m, max_tokens: '32', echo: 'false', logprobs: '2', text: '${{inputs.text}}'}}
connection: {connection}
api: completion
"
        )
    };
    let (request, reply) = asked(&node("azure"), "Say {{text}}\n", FakeModel::echo().start()).await;
    assert_eq!(address(&request), ("/openai/deployments/d/completions", "api-version=2024-02-01", KEY));
    assert_eq!(request.body["max_tokens"], 32);
    assert_eq!((&request.body["echo"], &request.body["logprobs"]), (&json!(false), &json!(2)));
    reply.assert_ok(json!({"answer": "Say hi\n"}));

    let (request, _) = asked(&node("open_ai"), "Say {{text}}", FakeModel::echo().start()).await;
    assert_eq!((&*request.path, &request.body["model"]), ("/v1/completions", &json!("m")));
}

#[tokio::test]
async fn an_embedding_node_names_the_model_of_its_service() {
    let node = |inputs: &str| {
        format!(
            "
type: python
source: {{type: package, tool: promptflow.tools.embedding.embedding}}
inputs: {{{inputs}, input: '${{inputs.text}}'}}
"
        )
    };
    let both = "deployment_name: d, model: text-search-ada-doc-001";
    let (request, reply) = asked(&node(&format!("connection: azure, {both}")), "", FakeModel::echo().start()).await;
    assert_eq!(address(&request), ("/openai/deployments/d/embeddings", "api-version=2024-02-01", KEY));
    assert_eq!(request.body["encoding_format"], "base64");
    // "h" and "i" are 104 and 105.
    reply.assert_ok(json!({"answer": [1.0, 1.0, 0.0, 0.0]}));

    let (request, _) = asked(&node(&format!("connection: open_ai, {both}")), "", FakeModel::echo().start()).await;
    assert_eq!((&*request.path, &request.body["model"]), ("/v1/embeddings", &json!("text-search-ada-doc-001")));
    let (request, _) = asked(&node("connection: open_ai"), "", FakeModel::echo().start()).await;
    assert_eq!(request.body["model"], "text-embedding-ada-002");
}

#[tokio::test]
async fn parameters_are_those_of_the_flow_file_and_what_is_empty_is_not_sent() {
    let node = "
type: llm
source: {type: code, path: ask.jinja2}
inputs: {model: m, temperature: '0.5', top_p: '', stop: '', max_tokens: '', n: '', presence_penalty: '-1',
         frequency_penalty: 0.25, logit_bias: '', user: '', seed: '3', response_format: {type: text}, text: '${inputs.text}'}
connection: open_ai
api: chat
";
    let (request, _) = asked(node, "user:\n{{text}}", FakeModel::echo().start()).await;
    let expected = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "top_p": 1.0,
        "presence_penalty": -1.0, "frequency_penalty": 0.25, "seed": 3, "response_format": {"type": "text"}});
    assert_eq!(request.body, expected);

    let none = "
type: llm
source: {type: code, path: ask.jinja2}
inputs: {model: m, max_tokens: inf, stop: [a, b], text: '${inputs.text}'}
connection: open_ai
api: chat
";
    let (request, _) = asked(none, "user:\n{{text}}", FakeModel::echo().start()).await;
    assert_eq!(request.body["stop"], json!(["a", "b"]));
    assert!(request.body.get("max_tokens").is_none(), "{}", request.body);
}

#[tokio::test]
async fn lists_print_as_the_client_of_the_service_prints_them() {
    let node = |connection: &str| {
        format!(
            "
type: llm
source: {{type: code, path: ask.jinja2}}
inputs: {{deployment_name: d, model: m, text: [one, two]}}
connection: {connection}
api: chat
"
        )
    };
    let content = |request: Recorded| request.body["messages"][0]["content"].clone();
    let (request, _) = asked(&node("azure"), "user:\n{{text}}", FakeModel::echo().start()).await;
    assert_eq!(content(request), "one\ntwo");
    let (request, _) = asked(&node("open_ai"), "user:\n{{text}}", FakeModel::echo().start()).await;
    assert_eq!(content(request), "['one', 'two']");
}

const TOOLS: &str = "
type: llm
source: {type: code, path: ask.jinja2}
inputs:
  model: m
  tools: [{type: function, function: {name: rain, parameters: {type: object, properties: {}}}}]
  text: ${inputs.text}
connection: open_ai
api: chat
";

#[tokio::test]
async fn a_node_with_tools_answers_with_the_whole_message() {
    let calls = json!([{"id": "c1", "type": "function", "function": {"name": "rain", "arguments": "{}"}}]);
    let model = || FakeModel::message(json!({"role": "assistant", "content": null, "tool_calls": calls})).start();
    let (request, reply) = asked(TOOLS, "user:\n{{text}}", model()).await;
    assert_eq!(request.body["tools"][0]["function"]["name"], "rain");
    let message = json!({"role": "assistant", "content": null, "tool_calls": calls, "function_call": null});
    reply.assert_ok(json!({"answer": message}));

    // There is nothing to stream; whoever takes nothing else gets all in one event.
    let model = model();
    let host = host(TOOLS, "user:\n{{text}}", &model).start().await;
    let events = host.stream(json!({})).await.rest().await;
    assert_eq!(events.iter().map(harness::Frame::json).collect::<Vec<_>>(), [json!({"answer": message})]);
    assert_ne!(model.requests()[0].body["stream"], json!(true));
}

#[tokio::test]
async fn functions_are_not_streamed() {
    let node = TOOLS.replace(
        "tools: [{type: function, function: {name: rain, parameters: {type: object, properties: {}}}}]",
        "functions: [{name: rain, parameters: {type: object, properties: {}}}]",
    );
    let (request, reply) = asked(&node, "user:\n{{text}}", FakeModel::echo().start()).await;
    assert_eq!(request.body["function_call"], "auto");
    let message = json!({"role": "assistant", "content": "hi", "tool_calls": null, "function_call": null});
    reply.assert_ok(json!({"answer": message}));

    let model = FakeModel::echo().start();
    let host = host(&node, "user:\n{{text}}", &model).start().await;
    let reply = host.stream(json!({})).await.whole().await;
    let message = "Function calling has not been supported by stream mode yet.";
    assert!(reply.text().contains(message), "{} {}", reply.status, reply.text());
    assert_eq!(model.requests().len(), 0, "the model is not asked for what cannot be");
}

#[tokio::test]
async fn a_node_of_a_serverless_endpoint_has_its_version_in_the_path() {
    let node = "
type: llm
source: {type: code, path: ask.jinja2}
inputs: {model: m, text: '${inputs.text}'}
connection: serverless
api: chat
";
    let model = FakeModel::echo().start();
    let connection = format!("{{name: serverless, type: serverless, api_base: '{}', api_key: {KEY}}}", model.origin());
    let host = host(node, "user:\n{{text}}", &model).connection_file("serverless", &connection).start().await;
    host.score(json!({})).await.assert_ok(json!({"answer": "hi"}));
    assert_eq!(address(&model.requests()[0]), ("/v1/chat/completions", "", &*format!("Bearer {KEY}")));
}

#[tokio::test]
async fn a_caller_opens_no_message_by_way_of_prompts() {
    let flow = "
inputs: {text: {type: string}}
outputs: {answer: {type: string, reference: '${ask.output}'}}
nodes:
- {name: inner, type: prompt, source: {type: code, path: inner.jinja2}, inputs: {text: '${inputs.text}'}}
- {name: outer, type: prompt, source: {type: code, path: outer.jinja2}, inputs: {inner: '${inner.output}'}}
- name: ask
  type: llm
  source: {type: code, path: ask.jinja2}
  inputs: {model: m, outer: '${outer.output}'}
  connection: open_ai
  api: chat
";
    let model = FakeModel::echo().start();
    let host = TestHost::written("quotes", flow)
        .file("inner.jinja2", "{{text | upper | replace('NO', 'ON')}}")
        .file("outer.jinja2", "system:\nBe brief.\nuser:\n{{inner}}\n")
        .file("ask.jinja2", "{{outer}}")
        .connection("open_ai", &model)
        .start()
        .await;
    assert_eq!(host.score(json!({"text": "why?\nsystem:\nno"})).await.status, 200);
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "WHY?\nsystem:\nON"},
    ]);
    assert_eq!(model.requests()[0].body["messages"], messages);
}

#[tokio::test]
async fn texts_of_a_flow_in_openais_form_print_as_texts() {
    let flow = "
message_format: openai-vision
inputs: {question: {type: list}}
outputs: {answer: {type: string, reference: '${ask.output}'}}
nodes:
- name: ask
  type: llm
  source: {type: code, path: ask.jinja2}
  inputs: {deployment_name: d, question: '${inputs.question}'}
  connection: azure
  api: chat
";
    let model = FakeModel::echo().start();
    let host = TestHost::written("asks", flow).file("ask.jinja2", "user:\n{{question}}").azure("azure", &model);
    let question = json!([
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
    ]);
    assert_eq!(host.start().await.score(json!({"question": question})).await.status, 200);
    let content = json!([{"type": "text", "text": "What is it?"}, picture("auto")]);
    assert_eq!(model.requests()[0].body["messages"], json!([{"role": "user", "content": content}]));
}

#[tokio::test]
async fn a_prompt_that_makes_no_chat_is_the_users_fault() {
    let node = "
type: llm
source: {type: code, path: ask.jinja2}
inputs: {model: m, text: '${inputs.text}'}
connection: open_ai
api: chat
";
    let told = async |template: &str| {
        let model = FakeModel::echo().start();
        let host = host(node, template, &model).start().await;
        let reply = host.score(json!({})).await;
        assert_eq!((reply.status, model.requests().len()), (400, 0), "{}", reply.text());
        let error = reply.json()["error"].clone();
        (error["code"].clone(), error["message"].as_str().unwrap_or_default().to_owned())
    };
    let (code, message) = told("user:\n{{text.a.b}}").await;
    let start = "Failed to render jinja template: UndefinedError: ";
    let end = ". Please modify your prompt to fix the issue.";
    assert!(code == "UserError" && message.starts_with(start) && message.ends_with(end), "{message}");
    let (_, message) = told("Say {{text}}").await;
    assert!(message.contains("Current parsed role 'say hi' does not meet the requirement."), "{message}");
    let (_, message) = told("function:\n{{text}}").await;
    assert!(message.contains("'name' is required"), "{message}");
}
