//! A model configuration, as prompty files have it in place of a connection's name: the same things by other names.

use indexmap::IndexMap;

use super::draft::Draft;
use super::kind::{API_KEY, AUTH_MODE};
use super::{Connection, Env, Kind, Problem, complete};

/// The key of a configuration, the connection's key that it means, and the variable that has what it leaves out.
type Row = (&'static str, &'static str, Option<&'static str>);

const AZURE_OPENAI: &[Row] = &[
    ("azure_endpoint", "api_base", Some("AZURE_OPENAI_ENDPOINT")),
    ("api_key", API_KEY, Some("AZURE_OPENAI_API_KEY")),
    ("api_version", "api_version", Some("OPENAI_API_VERSION")),
    ("azure_deployment", "model", None),
    ("auth_mode", AUTH_MODE, None),
];

const OPENAI: &[Row] = &[
    ("base_url", "base_url", Some("OPENAI_BASE_URL")),
    ("api_key", API_KEY, Some("OPENAI_API_KEY")),
    ("organization", "organization", Some("OPENAI_ORG_ID")),
    ("model", "model", None),
];

/// The connection that a configuration describes, by the name `name`.
pub(super) fn connection(
    name: &str,
    configuration: &IndexMap<String, String>,
    env: Env<'_>,
) -> Result<Connection, Vec<Problem>> {
    let origin = format!("model.configuration of {name:?}");
    let problem = |what: String| Problem::new(&origin, what).of(name);
    let (kind, rows) = match configuration.get("type").map(String::as_str) {
        Some("azure_openai") => (Kind::AzureOpenAi, AZURE_OPENAI),
        Some("openai") => (Kind::OpenAi, OPENAI),
        Some(_) => return Err(vec![problem("type: is unknown; types are: azure_openai, openai".to_owned())]),
        None if speaks_of(configuration, AZURE_OPENAI, env) => (Kind::AzureOpenAi, AZURE_OPENAI),
        None => (Kind::OpenAi, OPENAI),
    };
    let mut draft = Draft::new(name, &origin, kind);
    for &(key, meant, variable) in rows {
        let value = configuration.get(key).cloned().or_else(|| env(variable?)).filter(|value| !value.is_empty());
        draft.fields.extend(value.map(|value| (meant.to_owned(), value)));
    }
    let mut problems = Vec::new();
    let known: Vec<_> = rows.iter().map(|(key, ..)| *key).collect();
    for key in configuration.keys().filter(|key| *key != "type" && !known.contains(&key.as_str())) {
        problems.push(problem(format!("{key}: is unknown; keys are: type, {}", known.join(", "))));
    }
    match complete::complete(draft, env) {
        Ok(connection) if problems.is_empty() => Ok(connection),
        Ok(_) => Err(problems),
        Err(found) => Err(problems.into_iter().chain(found.into_iter().map(|problem| problem.of(name))).collect()),
    }
}

/// Whether a configuration without a type is one of Azure OpenAI: by its own address, or by the environment's.
fn speaks_of(configuration: &IndexMap<String, String>, rows: &[Row], env: Env<'_>) -> bool {
    let own = |key: &str| OPENAI.iter().all(|(other, ..)| *other != key) && configuration.contains_key(key);
    let address = || env("AZURE_OPENAI_ENDPOINT").is_some_and(|value| !value.is_empty());
    rows.iter().any(|(key, ..)| own(key)) || !configuration.contains_key("base_url") && address()
}
