//! That no secret is ever shown: whatever a value says, wherever it comes from, and whatever is wrong beside it.

use std::fmt::Debug;

use proptest::prelude::*;

use super::environment::environment;
use super::*;

const SECRET: &str = "sk-secret";

/// Everything that loading makes of these, as it would be printed, and all secrets that came of it.
fn printed(files: &[&str], wanted: &[&str], variables: &[(&str, &str)]) -> (String, Vec<String>) {
    match parse(files, wanted, variables) {
        Ok((connections, warnings)) => {
            let declared = IndexMap::from([("V".to_owned(), "${c.api_key}".to_owned())]);
            let environment = environment(&declared, &env(&[]), &connections);
            let secrets = connections.secrets().map(|secret| secret.expose().to_owned()).collect();
            (all(&[&connections, &environment, &told(&warnings), &warnings]), secrets)
        }
        Err(problems) => (all(&[&told(&problems), &problems]), Vec::new()),
    }
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect()
}

fn all(shown: &[&dyn Debug]) -> String {
    shown.iter().map(|shown| format!("{shown:?} {shown:#?}")).collect()
}

#[test]
fn a_loaded_secret_prints_as_a_mask() {
    for kind in Kind::ALL.iter().filter(|kind| ![Kind::Offline, Kind::Custom].contains(kind)) {
        let file = format!(
            "{{name: c, type: {}, api_base: 'http://h', endpoint: 'http://h', api_key: {SECRET}}}",
            kind.type_name()
        );
        let (shown, secrets) = printed(&[&file], &[], &[]);
        assert_eq!(secrets, [SECRET], "{kind:?}");
        assert!(shown.contains("Secret(******)") && !shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn no_problem_and_no_warning_holds_a_secret() {
    let file = |fields: &str| format!("{{name: c, type: azure_open_ai, {fields}}}");
    let files = [
        file("api_base: sk-secret"),
        file("api_base: 'https://h', api_key: sk-secret, auth_mode: sk-secret"),
        file("api_base: 'https://h', api_key: [sk-secret]"),
        file("api_base: 'https://h', api_key: sk-secret, api_key: sk-secret"),
        file("api_base: 'https://h', key: sk-secret"),
        "{name: c, type: custom, configs: {a: sk-secret}}".to_owned(),
        "api_key: sk-secret: sk-secret".to_owned(),
        "- sk-secret".to_owned(),
    ];
    for file in &files {
        let (shown, _) = printed(&[file], &["c"], &[]);
        assert!(!shown.is_empty() && !shown.contains(SECRET), "{file}: {shown}");
    }
    for (variable, value) in [
        ("c", "sk-secret"),
        ("c", "{sk-secret"),
        ("c", r#"{"type": "OpenAIConnection", "value": "sk-secret"}"#),
        ("c", r#"{"type": "AzureOpenAIConnection", "value": {"api_key": "sk-secret", "api_base": "sk-secret"}}"#),
        (
            "c",
            r#"{"properties": {"category": "AzureOpenAI", "authType": "ApiKey", "credentials": {"key": "sk-secret"}}}"#,
        ),
        ("PF_ENCODED_CONNECTIONS", "sk-secret"),
        ("PF_HTTP_CONNECTION_PROVIDER_ENDPOINT", "sk-secret"),
        ("C_API_BASE", "sk-secret"),
    ] {
        let (shown, _) = printed(&[], &["c"], &[(variable, value)]);
        assert!(!shown.is_empty() && !shown.contains(SECRET), "{variable}={value}: {shown}");
    }
}

proptest! {
    /// In whatever place of a file a secret stands.
    #[test]
    fn a_secret_in_any_place_of_a_file_stays_there(
        kind in prop::sample::select(Kind::ALL),
        key in prop::sample::select(vec!["api_key", "api_base", "endpoint", "base_url", "auth_mode", "api_version", "configs", "secrets"]),
        value in prop::sample::select(vec!["sk-secret", "'sk-secret'", "[sk-secret]", "{k: sk-secret}", "{k: [sk-secret]}", "sk-secret: sk-secret"]),
        wanted in any::<bool>(),
    ) {
        let file = format!("name: c\ntype: {}\n{key}: {value}\n", kind.type_name());
        let wanted: &[&str] = if wanted { &["c"] } else { &[] };
        let loaded = parse(&[&file], wanted, &[]);
        let problems = match &loaded {
            Ok((connections, warnings)) => {
                let secrets = connections.iter().flat_map(|connection| connection.secrets());
                prop_assert!(!all(&[&secrets.collect::<Vec<_>>()]).contains(SECRET));
                warnings
            }
            Err(problems) => problems,
        };
        prop_assert!(!told(problems).contains(SECRET), "{file}: {problems:?}");
    }
}
