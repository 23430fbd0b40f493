//! Connections by the text of their files and a made-up environment.

mod flow;
mod secrets;
mod sources;

use std::fs;

use super::*;
use crate::boundary::error::{CallError, CallErrorKind};

const AZURE: &str = "
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/AzureOpenAIConnection.schema.json
name: my azure-one
type: azure_open_ai
api_key: ${env:AZURE_KEY}
api_base: https://example.openai.azure.com
";

fn env<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

fn parse(
    files: &[&str],
    wanted: &[&str],
    variables: &[(&str, &str)],
) -> Result<(Connections, Vec<Problem>), Vec<Problem>> {
    let texts: Vec<_> = ('a'..).zip(files).map(|(name, text)| (format!("{name}.yaml"), (*text).to_owned())).collect();
    Connections::parse(&texts, wanted, &env(variables))
}

/// The type of a connection and its fields as a person sees them, secrets in angle brackets.
fn shown(connection: &Connection) -> String {
    let mut shown = connection.type_name().to_owned();
    for (key, field) in connection.fields() {
        match field {
            Field::Plain(text) => shown.push_str(&format!(" {key}={text}")),
            Field::Secret(secret) => shown.push_str(&format!(" {key}=<{}>", secret.expose())),
        }
    }
    shown
}

/// One file, or none and only the environment, gives this one connection.
#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], name: &str, expected: &str) {
    let files: &[&str] = if file.is_empty() { &[] } else { &[file] };
    let (connections, warnings) = parse(files, &[name], variables).expect("a connection");
    assert_eq!(shown(connections.get(name).expect("the wanted one")), expected);
    assert_eq!(warnings, []);
}

#[track_caller]
fn check_problems(files: &[&str], wanted: &[&str], variables: &[(&str, &str)], expected: &[&str]) {
    let problems = parse(files, wanted, variables).expect_err("problems");
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

fn azure(api_key: &str, api_base: &str, api_version: &str) -> String {
    format!(
        "azure_open_ai api_base={api_base} api_type=azure api_version={api_version} auth_mode=key api_key=<{api_key}>"
    )
}

#[test]
fn a_file_is_completed_by_defaults_and_named_variables() {
    let base = "https://example.openai.azure.com";
    check(AZURE, &[("AZURE_KEY", "k1\n")], "my azure-one", &azure("k1", base, "2024-02-01"));
}

#[test]
fn the_environment_overrides_a_file() {
    let variables =
        [("MY_AZURE-ONE_API_KEY", "k2"), ("MY_AZURE_ONE_API_BASE", "http://localhost:1"), ("AZURE_KEY", "")];
    check(AZURE, &variables, "my azure-one", &azure("k2", "http://localhost:1", "2024-02-01"));
    let version = [("AZURE_KEY", "k"), ("MY_AZURE-ONE_API_VERSION", "2024-10-21")];
    check(AZURE, &version, "my azure-one", &azure("k", "https://example.openai.azure.com", "2024-10-21"));
}

#[test]
fn values_keep_their_digits() {
    let file = "{name: c, type: custom, configs: {port: 8080, version: 1.10}, secrets: {pin: 0123}}";
    check(file, &[], "c", "custom port=8080 version=1.10 pin=<0123>");
}

#[test]
fn every_type_has_its_keys_and_defaults() {
    let base = "api_base: 'https://h', api_key: k";
    let endpoint = "endpoint: 'https://h', api_key: k";
    for (kind, written, expected) in [
        ("open_ai", "api_key: k, organization: o", "organization=o api_key=<k>"),
        ("serverless", base, "api_base=https://h api_key=<k>"),
        ("cognitive_search", base, "api_base=https://h api_version=2023-11-01 auth_mode=key api_key=<k>"),
        ("azure_ai_services", endpoint, "endpoint=https://h auth_mode=key api_key=<k>"),
        (
            "azure_content_safety",
            endpoint,
            "endpoint=https://h api_version=2023-10-01 api_type=Content Safety api_key=<k>",
        ),
        ("form_recognizer", endpoint, "endpoint=https://h api_version=2023-07-31 api_type=Form Recognizer api_key=<k>"),
        ("serp", "api_key: k", "api_key=<k>"),
        ("qdrant", base, "api_base=https://h api_key=<k>"),
        ("weaviate", base, "api_base=https://h api_key=<k>"),
    ] {
        check(&format!("{{name: c, type: {kind}, {written}}}"), &[], "c", &format!("{kind} {expected}"));
    }
    let token = "{name: c, type: azure_ai_services, endpoint: 'https://h', api_key: k, auth_mode: meid_token}";
    check(token, &[], "c", "azure_ai_services endpoint=https://h auth_mode=meid_token");
    let resource = "{name: c, type: azure_open_ai, api_base: 'https://h', api_key: k, resource_id: /r, model: m}";
    let expected = "azure_open_ai api_base=https://h api_type=azure api_version=2024-02-01 auth_mode=key \
                    resource_id=/r api_key=<k> model=m";
    check(resource, &[], "c", expected);
}

#[test]
fn a_class_of_ones_own_keeps_its_keys() {
    let file = "{name: c, type: custom, custom_type: MyConnection, module: my.tools, package: my-tools, \
                package_version: 1.0, configs: {url: u}, secrets: {token: t}}";
    check(file, &[], "c", "custom url=u token=<t>");
    let (connections, _) = parse(&[file], &["c"], &[]).expect("connections");
    let class = |name: &str| connections.get(name).expect("a connection").class_name().to_owned();
    assert_eq!((class("c"), class("offline")), ("MyConnection".to_owned(), "OfflineConnection".to_owned()));
}

#[test]
fn a_key_that_is_not_there_lists_those_that_are() {
    let file = "{name: c, type: custom, configs: {url: u}, secrets: {token: sk-secret}}";
    let (connections, _) = parse(&[file], &["c"], &[]).expect("connections");
    let connection = connections.get("c").expect("the wanted one");
    assert_eq!(connection.field("url"), Ok(&Field::Plain("u".to_owned())));
    assert_eq!(connection.field("token"), Ok(&Field::Secret(Secret::new("sk-secret"))));
    let unknown = connection.field("tokne").expect_err("no such key").to_string();
    assert_eq!(unknown, "Key 'tokne' not found in connection 'c'. Its keys are: url, token");
}

#[test]
fn a_server_of_ones_own_needs_no_key() {
    check("{name: o, type: open_ai, base_url: 'http://ollama/v1'}", &[], "o", "open_ai base_url=http://ollama/v1");
}

#[test]
fn the_environment_alone_makes_a_connection() {
    check("", &[("OPEN_AI_API_KEY", "k")], "open_ai", "open_ai api_key=<k>");
    check("", &[("MY_LLM_BASE_URL", "http://h/v1")], "my-llm", "open_ai base_url=http://h/v1");
    check("", &[("MY_LLM_API_BASE", "http://h/v1")], "my llm", "open_ai base_url=http://h/v1");
    let base = "https://x.openai.azure.com/";
    check("", &[("A_API_KEY", "k"), ("A_API_BASE", base)], "a", &azure("k", base, "2024-02-01"));
    let typed = [("A_API_KEY", "k"), ("A_API_BASE", "https://proxy"), ("A_API_TYPE", "azure"), ("A_API_VERSION", "v")];
    check("", &typed, "a", &azure("k", "https://proxy", "v"));
    let serverless = [("S_API_KEY", "k"), ("S_API_BASE", "https://s"), ("S_API_TYPE", "serverless")];
    check("", &serverless, "s", "serverless api_base=https://s api_key=<k>");
}

#[test]
fn offline_always_exists() {
    check("", &[], "offline", "offline");
    check("{name: fake, type: offline}", &[], "fake", "offline");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let (connections, _) = parse(&["{name: fake, type: offline}"], &[], &[]).expect("connections");
    let error = CallError::from(connections.get("fkae").expect_err("no such name"));
    let message = r#"connection "fkae" is not found; connections are: fake, offline"#;
    assert_eq!(error, CallError::new(CallErrorKind::NotFound, message));
}

#[test]
fn a_wanted_connection_that_nobody_knows_is_a_problem() {
    check_problems(
        &[],
        &["my-llm"],
        &[],
        &[
            r#"connection "my-llm": is not found; connections are: offline; name a file with --connections, or set MY_LLM_API_KEY (and MY_LLM_BASE_URL)"#,
        ],
    );
}

#[test]
fn every_problem_of_every_file_is_told() {
    check_problems(
        &[
            "{name: one, type: azure_open_ai, auth_mode: token, api_base: example.com, api_key: '<user-input>'}",
            "{type: opena_i, api_key: sk-1}",
            "name: two\ntype: open_ai\napi_key: [sk-2]\n",
            "{name: one, type: offline}",
            "{name: offline, type: open_ai, api_key: k}",
            "{name: three, type: open_ai, api_key: '${env:NOPE}'}",
            "{name: four, type: custom, configs: {a: b}}",
        ],
        &["one", "three", "four"],
        &[],
        &[
            "b.yaml: name: is missing; it is what `connection:` in a flow says",
            "b.yaml: type: \"opena_i\" is unknown; types are: open_ai, azure_open_ai, serverless, offline, cognitive_search, azure_ai_services, azure_content_safety, form_recognizer, serp, qdrant, weaviate, custom",
            "c.yaml: line 3: not a connection; expected one `key: value` on a line, each key once, every value a text, and only under `configs` and `secrets` keys of their own",
            "d.yaml: name: \"one\" is also the name in a.yaml; rename one",
            "e.yaml: name: \"offline\" is built in; choose another",
            "g.yaml: secrets: expected at least one; put what is not secret under `configs`",
            "a.yaml: api_base: is no address; expected https://… or http://…",
            "a.yaml: auth_mode: is unknown; expected key or meid_token",
            "a.yaml: api_key: is missing; write it there or set ONE_API_KEY",
            "f.yaml: api_key: environment variable NOPE is not found; set it",
        ],
    );
}

#[track_caller]
fn check_warnings(file: &str, expected: &[&str]) {
    let (_, warnings) = parse(&[file], &[], &[]).expect("connections");
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn keys_without_effect_are_warned_of() {
    check_warnings(
        "{name: s, type: serp, api_key: k, api_bsae: x, configs: {a: b}}",
        &[
            "a.yaml: api_bsae: is unknown and has no effect; keys of type serp are: api_base, api_key",
            "a.yaml: configs: is unknown and has no effect; keys of type serp are: api_base, api_key",
        ],
    );
    check_warnings(
        "{name: c, type: custom, url: x, secrets: {a: b}}",
        &["a.yaml: url: is unknown and has no effect; values go under `configs` or `secrets`"],
    );
    check_warnings(
        "{name: o, type: offline, model: x}",
        &["a.yaml: model: is unknown and has no effect; type offline has no keys"],
    );
}

#[test]
fn a_connection_that_nobody_wants_may_be_incomplete() {
    let files = ["{name: s, type: serp}", "{name: fake, type: offline}"];
    let (connections, warnings) = parse(&files, &["fake"], &[]).expect("connections");
    assert_eq!(connections.names(), ["fake", "offline"]);
    let what = "api_key: is missing; write it there or set S_API_KEY; no node uses connection \"s\", so it is left out";
    assert_eq!(warnings, [Problem::new("a.yaml", what)]);
}

#[test]
fn a_folder_is_read_without_what_is_hidden_or_no_yaml() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    write("b.yml", "{name: b, type: offline}");
    write("a.yaml", "{name: a, type: offline}");
    write(".hidden.yaml", "no connection");
    write("notes.txt", "no connection");
    let load = |paths: &[PathBuf]| Connections::load(paths, &[], &env(&[]));

    let (connections, warnings) = load(&[folder.path().to_owned()]).expect("connections");
    assert_eq!((connections.names(), warnings), (vec!["a".to_owned(), "b".to_owned(), "offline".to_owned()], vec![]));

    let (absent, twice) = (folder.path().join("absent.yaml"), folder.path().join("a.yaml"));
    let problems = load(&[absent.clone(), folder.path().to_owned(), twice.clone()]).expect_err("problems");
    let place = |path: &Path| path.display().to_string();
    assert_eq!(
        problems.iter().map(|problem| problem.place.clone()).collect::<Vec<_>>(),
        [place(&absent), place(&twice)]
    );
}
