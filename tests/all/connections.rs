//! Where connections come from in a deployment: variables in place of files, and an identity in place of a key.

use std::fs;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use harness::{
    CONNECTION, Exit, FakeIdentity, FakeModel, HostBuilder, IDENTITY_HEADER, KEY, Recorded, TOKEN, TestHost,
};
use serde_json::{Value, json};

/// A host of the flow whose one model node names [`CONNECTION`].
fn host() -> HostBuilder {
    TestHost::flow("llm_node")
}

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
