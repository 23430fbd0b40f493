//! Connections out of variables: packed, named like the connection, and in the forms of prompt flow and of a workspace.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::*;

fn packed(text: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(text.as_bytes()).expect("memory takes all");
    STANDARD.encode(gzip.finish().expect("memory takes all"))
}

fn encoded(connections: &Value) -> String {
    packed(&connections.to_string())
}

fn azure_in(value: &Value) -> Value {
    json!({"type": "AzureOpenAIConnection", "module": "promptflow.connections", "value": value, "secret_keys": ["api_key"]})
}

#[test]
fn packed_connections_are_known_by_both_names_of_their_variable() {
    let connections = json!({
        "llm": azure_in(&json!({"api_key": "k", "api_base": "https://h", "api_type": "azure", "api_version": "v"})),
        "own": {"type": "CustomConnection", "module": "promptflow.connections",
            "value": {"url": "u", "token": "t", "retries": 3, "none": null}, "secret_keys": ["token"]},
        "unsaid": {"type": "CustomConnection", "module": "promptflow.connections", "value": {"token": "t"}},
        "strong": {"type": "MyConnection", "module": "my.tools", "value":
            {"url": "u", "token": "t", "promptflow.connection.module": "my.tools"}, "secret_keys": ["token"]},
    });
    let text = encoded(&connections);
    for variable in ["PROMPTFLOW_ENCODED_CONNECTIONS", "PF_ENCODED_CONNECTIONS"] {
        let check = |name: &str, expected: &str| check("", &[(variable, text.as_str())], name, expected);
        check("llm", &azure("k", "https://h", "v"));
        check("own", "custom url=u retries=3 token=<t>");
        check("unsaid", "custom token=<t>");
        check("strong", "custom url=u token=<t>");
    }
    let (connections, _) = parse(&[], &["strong"], &[("PF_ENCODED_CONNECTIONS", &text)]).expect("connections");
    assert_eq!(connections.get("strong").expect("the wanted one").class_name(), "MyConnection");
}

#[test]
fn a_file_comes_before_packed_connections_and_overrides_before_both() {
    let text = encoded(&json!({"c": azure_in(&json!({"api_key": "packed", "api_base": "https://packed"}))}));
    let variables = [("PF_ENCODED_CONNECTIONS", text.as_str()), ("PROMPTFLOW_ENCODED_CONNECTIONS", "")];
    check("{name: c, type: open_ai, api_key: filed}", &variables, "c", "open_ai api_key=<filed>");
    let overridden = [("PF_ENCODED_CONNECTIONS", text.as_str()), ("C_API_KEY", "${env:X}"), ("X", "given")];
    check("", &overridden, "c", &azure("given", "https://packed", "2024-02-01"));
    let named = encoded(&json!({"c": azure_in(&json!({"api_key": "${env:X}", "api_base": "https://packed"}))}));
    let named = [("PF_ENCODED_CONNECTIONS", named.as_str()), ("X", "given")];
    check("", &named, "c", &azure("given", "https://packed", "2024-02-01"));
}

#[track_caller]
fn check_packed(text: &str, expected: &[&str]) {
    check_problems(&[], &["c"], &[("PROMPTFLOW_ENCODED_CONNECTIONS", text)], expected);
}

#[test]
fn what_cannot_be_unpacked_is_named_and_not_quoted() {
    let variable = "PROMPTFLOW_ENCODED_CONNECTIONS";
    check_packed("sk-secret!", &[&format!("{variable}: is not base64; expected base64 of gzip of JSON")]);
    let no_gzip = STANDARD.encode("sk-secret");
    check_packed(&no_gzip, &[&format!("{variable}: its base64 holds no gzip; expected base64 of gzip of JSON")]);
    check_packed(&packed("[1]"), &[&format!("{variable}: its gzip holds no JSON object of connections by name")]);
    let bomb = packed(&" ".repeat(2 * 1024 * 1024));
    assert!(bomb.len() < 4096, "{} bytes", bomb.len());
    check_packed(&bomb, &[&format!("{variable}: unpacks to more than 1048576 bytes")]);
}

#[test]
fn packed_connections_that_are_none_are_named_one_by_one() {
    let connections = json!({
        "a": ["sk-secret"],
        "b": {"type": "NoConnection", "value": {"api_key": "sk-secret"}},
        "c": {"type": "OpenAIConnection", "value": "sk-secret"},
    });
    let place = |name: &str| format!("PROMPTFLOW_ENCODED_CONNECTIONS ({name:?})");
    check_packed(
        &encoded(&connections),
        &[
            &format!("{}: expected an object with `type` and `value`", place("a")),
            &format!(
                "{}: type: \"NoConnection\" is unknown; types are: OpenAIConnection, AzureOpenAIConnection, \
                 ServerlessConnection, OfflineConnection, CognitiveSearchConnection, AzureAIServicesConnection, \
                 AzureContentSafetyConnection, FormRecognizerConnection, SerpConnection, QdrantConnection, \
                 WeaviateConnection, CustomConnection",
                place("b")
            ),
            &format!("{}: value: expected an object with the keys of the connection", place("c")),
        ],
    );
}

/// The connection `my conn` of a flow, by a variable of its name.
#[track_caller]
fn check_named(value: &Value, expected: &str) {
    let file = "{name: my conn, type: open_ai, api_key: filed}";
    check(file, &[("my_conn", &value.to_string())], "my conn", expected);
}

fn resource(properties: &Value) -> Value {
    json!({"id": "/subscriptions/…", "name": "elsewhere", "type": "Microsoft.MachineLearningServices/…", "properties": properties})
}

#[test]
fn a_variable_named_like_a_connection_replaces_it() {
    check_named(&azure_in(&json!({"api_key": "k", "api_base": "https://h"})), &azure("k", "https://h", "2024-02-01"));
}

#[test]
fn a_variable_may_hold_the_resource_of_a_workspace() {
    let key = json!({"category": "AzureOpenAI", "authType": "ApiKey", "target": "https://h/",
        "credentials": {"key": "k"}, "metadata": {"apiversion": "v", "ApiType": "Azure", "ResourceId": "/r"}});
    let shown =
        "azure_open_ai api_base=https://h/ api_type=Azure api_version=v auth_mode=key resource_id=/r api_key=<k>";
    check_named(&resource(&key), shown);
    let token = json!({"category": "AzureOpenAI", "authType": "AAD", "target": "https://h/", "metadata": {}});
    let shown = "azure_open_ai api_base=https://h/ api_type=azure api_version=2024-02-01 auth_mode=meid_token";
    check_named(&resource(&token), shown);
    let safety = json!({"category": "CognitiveService", "authType": "ApiKey", "target": "https://h",
        "credentials": {"key": "k"}, "metadata": {"Kind": "Content Safety"}});
    let shown = "azure_content_safety endpoint=https://h api_version=2023-10-01 api_type=Content Safety api_key=<k>";
    check_named(&resource(&safety), shown);
    let serverless =
        json!({"category": "Serverless", "authType": "ApiKey", "target": "https://h", "credentials": {"key": "k"}});
    check_named(&resource(&serverless), "serverless api_base=https://h api_key=<k>");
    let custom = json!({"category": "CustomKeys", "credentials": {"keys": {"token": "t"}},
        "metadata": {"azureml.flow.connection_type": "Custom", "azureml.flow.module": "promptflow.connections", "url": "u"}});
    check_named(&resource(&custom), "custom url=u token=<t>");
    let open_ai = json!({"category": "CustomKeys", "credentials": {"keys": {"api_key": "k"}},
        "metadata": {"azureml.flow.connection_type": "OpenAI", "organization": "o"}});
    check_named(&resource(&open_ai), "open_ai organization=o api_key=<k>");
}

#[test]
fn a_resource_that_is_none_of_prompt_flows_is_named() {
    let check = |properties: Value, expected: &str| {
        let variables = [("c", resource(&properties).to_string())];
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        check_problems(&[], &["c"], &variables, &[&format!("variable c: {expected}")]);
    };
    check(json!({"category": "S3"}), "properties.category: \"S3\" leads to no connection of prompt flow");
    let none = json!({"category": "AzureOpenAI", "authType": "None", "target": "https://h"});
    check(none, "properties.authType: \"none\"; expected ApiKey or AAD");
}

#[test]
fn a_variable_named_like_a_connection_may_name_another() {
    let file = "{name: production, type: open_ai, api_key: k}";
    check(file, &[("my_conn", "production")], "my conn", "open_ai api_key=<k>");
    check(file, &[("my_conn", "production")], "my-conn", "open_ai api_key=<k>");
    check(file, &[("my_conn", "production"), ("PRODUCTION_API_KEY", "k2")], "my conn", "open_ai api_key=<k2>");
    check("", &[("my_conn", "elsewhere"), ("ELSEWHERE_API_KEY", "k3")], "my conn", "open_ai api_key=<k3>");
    check("", &[("my_conn", "offline")], "my conn", "offline");
}

#[test]
fn what_a_variable_names_in_vain_is_not_quoted() {
    let what = "connection \"c\": variable c names another, which is not found; connections are: known, offline";
    check_problems(&["{name: known, type: offline}"], &["c"], &[("c", "sk-secret")], &[what]);
    check_problems(&[], &["c"], &[("c", "{sk-secret")], &["variable c: begins like a JSON object and is none"]);
}

#[test]
fn a_problem_tells_which_connection_of_the_flow_it_concerns() {
    let files = ["{name: a, type: serp}", "{name: b, type: serp}", "{name: d, type: nonsense}"];
    let problems = parse(&files, &["a", "by another name"], &[("by_another_name", "b")]).expect_err("problems");
    let concerned: Vec<_> =
        problems.iter().map(|problem| (problem.place.as_str(), problem.connection.as_deref())).collect();
    let expected = [("c.yaml", None), ("a.yaml", Some("a")), ("b.yaml", Some("by another name"))];
    assert_eq!(concerned, expected);
}

#[test]
fn a_source_that_is_not_served_is_told_where_a_connection_is_missing() {
    let missing = "connection \"c\": is not found; connections are: offline; name a file with --connections, or set \
                   C_API_KEY (and C_BASE_URL)";
    for (variable, value) in [
        ("PROMPTFLOW_CONNECTION_PROVIDER", "azureml://subscriptions/s"),
        ("PF_CONNECTION_PROVIDER", "azureml"),
        ("PF_HTTP_CONNECTION_PROVIDER_ENDPOINT", "http://user:secret@h"),
    ] {
        let hint = format!("{missing}; {variable} is set, but this host fetches no connections from elsewhere");
        check_problems(&[], &["c"], &[(variable, value)], &[&hint]);
    }
    check_problems(&[], &["c"], &[("PF_CONNECTION_PROVIDER", "local")], &[missing]);
}
