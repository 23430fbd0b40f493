//! What flows take from connections beside models: variables, and the configurations of prompty files.

use super::environment::{environment, reference, wanted};
use super::*;

const FILE: &str = "{name: my conn, type: custom, configs: {region: north}, secrets: {token: sk-secret}}";

fn map(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn connections(files: &[&str]) -> Connections {
    parse(files, &[], &[]).expect("connections").0
}

#[test]
fn only_a_whole_value_is_a_reference() {
    for (value, expected) in [
        ("${my conn.token}", Some(("my conn", "token"))),
        ("${a.b.c}", Some(("a.b", "c"))),
        ("${env:A.B}", None),
        ("x ${c.k}", None),
        ("${c.k} x", None),
        ("${c.k}${c.k}", None),
        ("${c}", None),
        ("${.k}", None),
        ("${c.}", None),
        ("c.k", None),
    ] {
        assert_eq!(reference(value), expected, "{value}");
    }
}

#[test]
fn variables_of_a_flow_take_values_of_connections() {
    let declared = [("TOKEN", "${my conn.token}"), ("REGION", "${my conn.region}"), ("LEVEL", "3"), ("MODE", "slow")];
    let declared = map(&declared);
    let variables = [("MODE", "fast"), ("OTHER", "unseen")];
    let expected = [
        ("TOKEN", Field::Secret(Secret::new("sk-secret"))),
        ("REGION", Field::Plain("north".to_owned())),
        ("LEVEL", Field::Plain("3".to_owned())),
        ("MODE", Field::Plain("fast".to_owned())),
    ];
    let expected: IndexMap<_, _> = expected.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
    assert_eq!(environment(&declared, &env(&variables), &connections(&[FILE])), Ok(expected));
}

#[test]
fn variables_want_the_connections_of_the_values_that_count() {
    let declared = map(&[("A", "${one.x}"), ("B", "${two.x}"), ("C", "${one.y}"), ("D", "plain"), ("E", "plain")]);
    assert_eq!(wanted(&declared, &env(&[("B", "plain"), ("E", "${three.x}")])), ["one", "three"]);
}

#[test]
fn every_variable_that_names_nothing_is_told() {
    let declared = map(&[("A", "${my conn.tokne}"), ("B", "${nobody.key}"), ("C", "${offline.api_key}")]);
    let problems = environment(&declared, &env(&[]), &connections(&[FILE])).expect_err("problems");
    let what = "Key 'tokne' not found in connection 'my conn'. Its keys are: region, token";
    let none = "Key 'api_key' not found in connection 'offline'. Its keys are: none";
    let unknown = "connection \"nobody\" is not found; connections are: my conn, offline";
    let expected = [
        Problem::new("environment_variables.A", what).of("my conn"),
        Problem::new("environment_variables.B", unknown).of("nobody"),
        Problem::new("environment_variables.C", none).of("offline"),
    ];
    assert_eq!(problems, expected);
}

fn configured(configuration: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<String, Vec<String>> {
    let mut connections = Connections::default();
    match connections.insert_model_configuration("chat.prompty", &map(configuration), &env(variables)) {
        Ok(()) => Ok(shown(connections.get("chat.prompty").expect("the new one"))),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn a_configuration_is_a_connection() {
    let azure = [
        ("type", "azure_openai"),
        ("azure_endpoint", "https://h"),
        ("azure_deployment", "d"),
        ("api_key", "${env:KEY}"),
        ("api_version", "v"),
    ];
    let expected = "azure_open_ai api_base=https://h api_type=azure api_version=v auth_mode=key api_key=<k> model=d";
    assert_eq!(configured(&azure, &[("KEY", "k")]), Ok(expected.to_owned()));
    let token = [("type", "azure_openai"), ("azure_endpoint", "https://h"), ("auth_mode", "meid_token")];
    let expected = "azure_open_ai api_base=https://h api_type=azure api_version=2024-02-01 auth_mode=meid_token";
    assert_eq!(configured(&token, &[]), Ok(expected.to_owned()));
    let openai =
        [("type", "openai"), ("model", "m"), ("api_key", "k"), ("base_url", "http://h/v1"), ("organization", "o")];
    let expected = "open_ai base_url=http://h/v1 organization=o api_key=<k> model=m";
    assert_eq!(configured(&openai, &[]), Ok(expected.to_owned()));
}

#[test]
fn what_a_configuration_leaves_out_is_in_the_variables_of_openais_clients() {
    let openai = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "http://h/v1"), ("OPENAI_ORG_ID", "o")];
    let expected = "open_ai base_url=http://h/v1 organization=o api_key=<k>";
    assert_eq!(configured(&[], &openai), Ok(expected.to_owned()));
    assert_eq!(configured(&[("model", "m")], &openai), Ok(format!("{expected} model=m")));
    let azure = [
        ("AZURE_OPENAI_ENDPOINT", "https://h"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("OPENAI_API_VERSION", "v"),
        ("OPENAI_API_KEY", "other"),
    ];
    let expected = "azure_open_ai api_base=https://h api_type=azure api_version=v auth_mode=key api_key=<k>";
    assert_eq!(configured(&[], &azure), Ok(expected.to_owned()));
    assert_eq!(configured(&[("azure_deployment", "d")], &azure), Ok(format!("{expected} model=d")));
    assert_eq!(configured(&[("type", "openai")], &azure), Ok("open_ai api_key=<other>".to_owned()));
}

#[test]
fn every_fault_of_a_configuration_is_told_and_no_value_is_quoted() {
    let check = |configuration: &[(&str, &str)], expected: &[&str]| {
        let place = "model.configuration of \"chat.prompty\"";
        let expected: Vec<_> = expected.iter().map(|what| format!("{place}: {what}")).collect();
        assert_eq!(configured(configuration, &[]), Err(expected));
    };
    check(&[("type", "sk-secret")], &["type: is unknown; types are: azure_openai, openai"]);
    check(&[], &["api_key: is missing; write it there or set CHAT_PROMPTY_API_KEY"]);
    check(
        &[
            ("type", "azure_openai"),
            ("azure_endpoint", "sk-secret"),
            ("base_url", "sk-secret"),
            ("api_key", "${env:NO}"),
        ],
        &[
            "base_url: is unknown; keys are: type, azure_endpoint, api_key, api_version, azure_deployment, auth_mode",
            "api_base: is no address; expected https://… or http://…",
            "api_key: environment variable NO is not found; set it",
        ],
    );
    let mut taken = connections(&[FILE]);
    let problems = taken.insert_model_configuration("my conn", &map(&[("api_key", "sk-secret")]), &env(&[]));
    let what = "is already the name of a connection in a.yaml";
    assert_eq!(problems, Err(vec![Problem::new("connection \"my conn\"", what).of("my conn")]));
}
