//! Where connections come from in a deployment: variables in place of files, and an identity in place of a key.

use std::fs;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use harness::{
    CONNECTION, Collector, Exit, FakeIdentity, FakeModel, HostBuilder, IDENTITY_HEADER, KEY, Recorded, TOKEN, TestHost,
};
use serde_json::{Value, json};

/// A host of the flow whose one model node names [`CONNECTION`].
fn host() -> HostBuilder {
    TestHost::flow("llm_node")
}

/// The name of a connection, its file, and the keys of it that are no secrets, with their values.
type Written = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// A connection file of each type that leads to no model, with a secret `s3cret`, and its values for one who was granted
/// all of them. Types that lead to models are at the end.
const TYPES: [Written; 12] = [
    (
        "search",
        "type: cognitive_search\napi_base: https://search.example",
        &[("api_base", "https://search.example"), ("api_version", "2023-11-01"), ("auth_mode", "key")],
    ),
    (
        "services",
        "type: azure_ai_services\nendpoint: https://services.example",
        &[("endpoint", "https://services.example"), ("auth_mode", "key")],
    ),
    (
        "safety",
        "type: azure_content_safety\nendpoint: https://safety.example",
        &[("endpoint", "https://safety.example"), ("api_version", "2023-10-01"), ("api_type", "Content Safety")],
    ),
    (
        "forms",
        "type: form_recognizer\nendpoint: https://forms.example",
        &[("endpoint", "https://forms.example"), ("api_version", "2023-07-31"), ("api_type", "Form Recognizer")],
    ),
    ("serp", "type: serp", &[]),
    ("qdrant", "type: qdrant\napi_base: https://qdrant.example", &[("api_base", "https://qdrant.example")]),
    ("weaviate", "type: weaviate\napi_base: https://weaviate.example", &[("api_base", "https://weaviate.example")]),
    (
        "own",
        "type: custom\nconfigs: {place: here, size: 5}\nsecrets: {api_key: s3cret}",
        &[("place", "here"), ("size", "5")],
    ),
    (
        "strong",
        "type: custom\ncustom_type: Mine\nmodule: a.b\npackage: c\npackage_version: 1.0\nconfigs: {place: there}\n\
         secrets: {api_key: s3cret}",
        &[("place", "there")],
    ),
    (
        "azure",
        "type: azure_open_ai\napi_base: https://azure.example\nresource_id: r",
        &[
            ("api_base", "https://azure.example"),
            ("api_type", "azure"),
            ("api_version", "2024-02-01"),
            ("auth_mode", "key"),
            ("resource_id", "r"),
        ],
    ),
    (
        "openai",
        "type: open_ai\nbase_url: https://openai.example\norganization: o",
        &[("base_url", "https://openai.example"), ("organization", "o")],
    ),
    ("serverless", "type: serverless\napi_base: https://mine.example", &[("api_base", "https://mine.example")]),
];

/// The requests that two questions lead to, and how the host ended.
async fn asked_twice(host: HostBuilder, model: &FakeModel) -> (Vec<Recorded>, Exit) {
    let host = host.start().await;
    for question in ["one", "two"] {
        let reply = host.score(json!({"question": question})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    (model.requests(), host.stop().await)
}

fn packed(connections: &Value) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(connections.to_string().as_bytes()).expect("memory takes all");
    STANDARD.encode(gzip.finish().expect("memory takes all"))
}

/// What Azure Machine Learning writes into a variable for an Azure OpenAI connection.
fn resource(model: &FakeModel, properties: Value) -> String {
    let mut resource = json!({"name": "prod", "properties": {"category": "AzureOpenAI", "target": model.origin(),
        "metadata": {"ApiVersion": "2024-10-21", "ApiType": "azure"}}});
    let Value::Object(properties) = properties else { panic!("properties are an object") };
    resource["properties"].as_object_mut().expect("the properties above").extend(properties);
    resource.to_string()
}

#[tokio::test]
async fn packed_connections_of_a_deployment_are_used() {
    let model = FakeModel::echo().start();
    let value = json!({"api_key": KEY, "base_url": model.base_url(), "organization": "org"});
    let connection = json!({"type": "OpenAIConnection", "module": "promptflow.connections", "value": value, "secret_keys": ["api_key"]});
    let host = host().env("PROMPTFLOW_ENCODED_CONNECTIONS", packed(&json!({CONNECTION: connection})));
    let (requests, _) = asked_twice(host, &model).await;
    assert_eq!(requests[0].path, "/v1/chat/completions");
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(requests[0].headers["openai-organization"], "org");
}

#[tokio::test]
async fn packed_connections_that_cannot_be_read_are_named_and_not_quoted() {
    let exit = host().env("PF_ENCODED_CONNECTIONS", KEY).refuses().await;
    assert!(exit.told().contains("PF_ENCODED_CONNECTIONS: is not base64"), "{}", exit.stderr);
    assert!(!exit.told().contains(KEY), "{}", exit.stderr);
}

#[tokio::test]
async fn a_variable_named_like_a_connection_holds_it() {
    let model = FakeModel::echo().start();
    let key = resource(&model, json!({"authType": "ApiKey", "credentials": {"key": KEY}}));
    let (requests, _) = asked_twice(host().env(CONNECTION, key), &model).await;
    assert_eq!(requests[0].path, "/openai/deployments/fake-model/chat/completions");
    assert_eq!(requests[0].query, "api-version=2024-10-21");
    assert_eq!(requests[0].headers["api-key"], KEY);
}

#[tokio::test]
async fn a_variable_named_like_a_connection_names_another() {
    let model = FakeModel::echo().start();
    let host = host().connection("production", &model).env(CONNECTION, "production");
    let (requests, _) = asked_twice(host, &model).await;
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn a_managed_identity_takes_the_place_of_a_key() {
    let (model, identity) = (FakeModel::echo().start(), FakeIdentity::start());
    let host = host()
        .env(CONNECTION, resource(&model, json!({"authType": "AAD"})))
        .env("IDENTITY_ENDPOINT", identity.endpoint())
        .env("IDENTITY_HEADER", IDENTITY_HEADER);
    let (requests, exit) = asked_twice(host, &model).await;
    for request in &requests {
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        assert!(!request.headers.contains_key("api-key"));
    }
    let query = "api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";
    assert_eq!(identity.queries(), [query], "one token serves both");
    for secret in [TOKEN, IDENTITY_HEADER] {
        assert!(!exit.stdout.contains(secret) && !exit.told().contains(secret), "{}{}", exit.stdout, exit.stderr);
    }
}

#[tokio::test]
async fn an_identity_that_is_refused_is_told_to_the_caller_without_its_secret() {
    let (model, identity) = (FakeModel::echo().start(), FakeIdentity::start());
    let host = host()
        .env(CONNECTION, resource(&model, json!({"authType": "AAD"})))
        .env("IDENTITY_ENDPOINT", identity.endpoint())
        .env("IDENTITY_HEADER", "the-wrong-secret");
    let host = host.start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let what = "no token from the managed identity (IDENTITY_ENDPOINT): 401 Unauthorized (unauthorized_client)";
    assert!(reply.status >= 400 && reply.text().contains(what), "{} {}", reply.status, reply.text());
    let exit = host.stop().await;
    assert!(!reply.text().contains("the-wrong-secret") && !exit.stdout.contains("the-wrong-secret"));
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn variables_that_name_no_key_of_a_connection_keep_a_flow_from_being_served() {
    let model = FakeModel::echo().start();
    let host = host().model(&model);
    let file = host.path().join("flow.dag.yaml");
    let flow = fs::read_to_string(&file).expect("the copy of the flow");
    let variables =
        format!("environment_variables: {{RIGHT: '${{{CONNECTION}.api_key}}', WRONG: '${{{CONNECTION}.kye}}'}}");
    fs::write(&file, format!("{variables}\n{flow}")).expect("the copy of the flow can be written");
    let exit = host.refuses().await;
    let what = "environment_variables.WRONG: Key 'kye' not found in connection 'open_ai_connection'. Its keys are: \
                base_url, api_key, model";
    assert!(exit.told().contains(what) && !exit.told().contains("environment_variables.RIGHT"), "{}", exit.stderr);
    assert!(!exit.told().contains(KEY), "{}", exit.stderr);
}

#[tokio::test]
async fn variables_of_the_command_line_come_before_those_of_the_process_and_these_before_the_files() {
    for (process, flag, expected) in
        [(None, None, "hello"), (Some("process"), None, "process"), (Some("process"), Some("flag"), "flag")]
    {
        let mut host = TestHost::flow("env_reads").model(&FakeModel::echo().start());
        if let Some(value) = process {
            host = host.env("GREETING", value);
        }
        if let Some(value) = flag {
            host = host.arg("--environment-variables").arg(format!("GREETING={value}")).arg("OTHER=x");
        }
        let host = host.start().await;
        let reply = host.score(json!({})).await;
        assert_eq!(reply.json()["variables"]["GREETING"], expected, "{}", reply.text());
        host.stop().await;
    }
}

/// A host whose node reads settings, and is granted these.
fn reader(keys: &[String]) -> HostBuilder {
    let flow = format!(
        "
inputs: {{keys: {{type: list}}}}
outputs: {{values: {{type: object, reference: '${{reads.output.values}}'}}}}
nodes:
- name: reads
  type: wasm
  source: {{type: code, path: guests/config_reads.wasm}}
  inputs: {{keys: '${{inputs.keys}}'}}
  grants: {{config: [{}]}}
",
        keys.join(", ")
    );
    TYPES.iter().fold(TestHost::written("reads", &flow), |host, (name, text, _)| {
        let key = if text.contains("secrets:") { "" } else { "api_key: s3cret\n" };
        host.connection_file(name, &format!("name: {name}\n{text}\n{key}"))
    })
}

#[tokio::test]
async fn a_node_reads_the_values_of_every_type_of_connection_that_it_is_granted() {
    let mut values = serde_json::Map::new();
    for (name, _, plain) in TYPES {
        values.extend(plain.iter().map(|(key, value)| (format!("{name}.{key}"), json!(value))));
        values.insert(format!("{name}.api_key"), json!("s3cret"));
    }
    let keys: Vec<String> = values.keys().cloned().collect();
    let host = reader(&keys).start().await;
    host.score(json!({"keys": keys})).await.assert_ok(json!({"values": values}));
}

#[tokio::test]
async fn what_is_not_granted_is_not_there_for_a_node() {
    let plain: Vec<String> =
        TYPES.iter().flat_map(|(name, _, plain)| plain.iter().map(move |(key, _)| format!("{name}.{key}"))).collect();
    let keys: Vec<String> = TYPES.iter().map(|(name, ..)| format!("{name}.api_key")).collect();
    let collector = Collector::start();
    let host = reader(&plain).collector(&collector).start().await;
    let nothing: serde_json::Map<String, Value> = keys.iter().map(|key| (key.clone(), Value::Null)).collect();
    host.score(json!({"keys": keys})).await.assert_ok(json!({"values": nothing}));
    let exit = host.stop().await;
    let told = [exit.stdout, exit.stderr, collector.everything()].concat();
    assert!(!told.contains("s3cret"), "a secret is told: {told}");
}

#[tokio::test]
async fn a_variable_of_a_flow_holds_the_value_of_a_connection_for_a_node_that_is_granted_it() {
    let flow = format!(
        "
environment_variables: {{SERVICE_KEY: '${{{CONNECTION}.api_key}}', OTHER_KEY: '${{{CONNECTION}.api_key}}', LEVEL: 3, LIST: [a, 1]}}
inputs: {{}}
outputs: {{variables: {{type: object, reference: '${{reads.output}}'}}}}
nodes:
- name: reads
  type: wasm
  source: {{type: code, path: guests/env_reads.wasm}}
  grants: {{config: [SERVICE_KEY, LEVEL, LIST]}}
"
    );
    let model = FakeModel::echo().start();
    let host = TestHost::written("reads", &flow).model(&model).start().await;
    let variables = json!({"SERVICE_KEY": KEY, "LEVEL": "3", "LIST": r#"["a", 1]"#});
    host.score(json!({})).await.assert_ok(json!({"variables": variables}));
}

#[tokio::test]
async fn the_environment_overrides_a_connection_and_fills_it() {
    let model = FakeModel::echo().start();
    let file = format!(
        "{{name: {CONNECTION}, type: open_ai, base_url: '{}', api_key: wrong, organization: '${{env:MY_ORG}}'}}",
        model.base_url()
    );
    let host = host()
        .connection_file(CONNECTION, &file)
        .env("OPEN_AI_CONNECTION_API_KEY", "the-right-one")
        .env("MY_ORG", "org");
    let (requests, exit) = asked_twice(host, &model).await;
    assert_eq!(requests[0].headers["authorization"], "Bearer the-right-one");
    assert_eq!(requests[0].headers["openai-organization"], "org");
    assert!(!exit.stdout.contains("the-right-one") && !exit.stderr.contains("the-right-one"));
}

#[tokio::test]
async fn a_variable_that_a_connection_names_and_nobody_sets_is_told() {
    let file = format!("{{name: {CONNECTION}, type: open_ai, api_key: '${{env:NOBODY_SET_ME}}'}}");
    let exit = host().connection_file(CONNECTION, &file).refuses().await;
    assert!(exit.told().contains("environment variable NOBODY_SET_ME is not found"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_key_that_changes_is_sent_from_the_next_reload_on() {
    let model = FakeModel::echo().gated().start();
    let host = host().model(&model).start().await;
    let running = host.score(json!({"question": "old"}));
    let swap = async {
        model.requested(1).await;
        let file = host.home().join("connections").join(format!("{CONNECTION}.yaml"));
        let text = fs::read_to_string(&file).expect("the connection");
        fs::write(&file, text.replace(KEY, "sk-the-next-key")).expect("the test's own folder can be written");
        host.reload();
        host.wrote("serving what the files say now").await;
        model.release(2);
        host.score(json!({"question": "new"})).await.assert_ok(json!({"answer": "new"}));
    };
    let (reply, ()) = tokio::join!(running, swap);
    // What was under way ends as it began.
    reply.assert_ok(json!({"answer": "old"}));
    let keys: Vec<_> = model.requests().iter().map(|request| request.headers["authorization"].clone()).collect();
    assert_eq!(keys, [format!("Bearer {KEY}").as_str(), "Bearer sk-the-next-key"]);
}

#[tokio::test]
async fn a_key_that_is_not_there_keeps_a_flow_from_being_served_and_a_reload_from_being_swapped_in() {
    let model = FakeModel::echo().start();
    let missing =
        format!("name: {CONNECTION}\ntype: open_ai\napi_key: ${{env:NOT_SET}}\nbase_url: {}\n", model.base_url());
    let exit = host().connection_file(CONNECTION, &missing).refuses().await;
    assert!(exit.stderr.contains("NOT_SET"), "{}", exit.stderr);
    let host = host().model(&model).start().await;
    let file = host.home().join("connections").join(format!("{CONNECTION}.yaml"));
    fs::write(&file, missing).expect("the test's own folder can be written");
    host.reload();
    host.wrote("the files are wrong; serving on as before").await;
    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
}
