//! From a draft to a connection: overrides and `${env:…}` from the environment, defaults, and what must be there.
//!
//! In this order, the first of which gives a value wins:
//!
//! 1. the variable `<CONNECTION NAME>_<KEY>`, upper-cased, spaces as `_`; since no shell sets a variable with a dash,
//!    it is also found with every other sign as `_` (`my-conn` + `api_key` → `MY-CONN_API_KEY`, `MY_CONN_API_KEY`);
//! 2. the file, or whatever else tells of the connection;
//! 3. the default of the type.
//!
//! A value of 1 or 2 that is `${env:NAME}` and nothing else is that variable's.
//!
//! The original looks for 1 only where the file has the key; here a file may leave its key out altogether.

use indexmap::IndexMap;

use super::draft::Draft;
use super::kind::{API_KEY, AUTH_MODE, CUSTOM_TYPE, Key, MEID_TOKEN};
use super::{Connection, Env, Field, Kind, Problem, Secret};

/// What stands for a secret in files that `pf` writes and asks to be filled in.
const PLACEHOLDERS: &[&str] = &["<user-input>", "<no-change>", "******"];

/// Keys whose values are addresses of services.
const ADDRESSES: &[&str] = &["base_url", "api_base", "endpoint"];

/// Hosts that only Azure OpenAI has.
const AZURE_HOSTS: &[&str] = &[".openai.azure.com", ".openai.azure.us", ".cognitiveservices.azure.com"];

/// Makes the connection, or says everything that it lacks.
pub(super) fn complete(draft: Draft, env: Env<'_>) -> Result<Connection, Vec<Problem>> {
    let mut completion = Completion { draft: &draft, env, problems: Vec::new() };
    let fields = match draft.kind {
        Kind::Custom => completion.custom(),
        _ => completion.typed(),
    };
    let class = draft.fields.get(CUSTOM_TYPE).filter(|_| draft.kind == Kind::Custom).cloned();
    if !completion.problems.is_empty() {
        return Err(completion.problems);
    }
    Ok(Connection { name: draft.name, origin: draft.origin, kind: draft.kind, class, fields })
}

/// The draft of a connection that only the environment knows, if it does.
///
/// It is one of type `azure_open_ai` or `serverless` if `<NAME>_API_TYPE` says so (`azure`, `serverless`) or its
/// address is Azure OpenAI's, else `open_ai`, whose address may stand in `<NAME>_BASE_URL` or `<NAME>_API_BASE`.
pub(super) fn from_environment(name: &str, env: Env<'_>) -> Option<Draft> {
    let get = |key: &str| lookup(name, key, env);
    let base = get("base_url").or_else(|| get("api_base"));
    if base.is_none() && get(API_KEY).is_none() {
        return None;
    }
    let kind = match get("api_type").as_deref() {
        Some("azure") => Kind::AzureOpenAi,
        Some("serverless") => Kind::Serverless,
        _ if base.as_deref().is_some_and(is_azure) => Kind::AzureOpenAi,
        _ => Kind::OpenAi,
    };
    let key = if kind == Kind::OpenAi { "base_url" } else { "api_base" };
    let mut draft = Draft::new(name, format!("environment ({}, …)", variable(name, API_KEY)), kind);
    draft.fields = base.map(|base| (key.to_owned(), base)).into_iter().collect();
    Some(draft)
}

/// The variable to set for a key of a connection.
pub(super) fn variable(connection: &str, key: &str) -> String {
    let sign = |sign: char| if sign.is_alphanumeric() { sign } else { '_' };
    format!("{connection}_{key}").to_uppercase().chars().map(sign).collect()
}

/// The override for a key. An empty variable counts as none.
fn lookup(connection: &str, key: &str, env: Env<'_>) -> Option<String> {
    let exact = format!("{connection}_{key}").to_uppercase().replace(' ', "_");
    [exact, variable(connection, key)].iter().find_map(|name| env(name).filter(|value| !value.is_empty()))
}

fn is_azure(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest).split(['/', ':']).next().unwrap_or_default();
    AZURE_HOSTS.iter().any(|suffix| host.to_ascii_lowercase().ends_with(suffix))
}

/// A connection that is being completed, with what was found wrong on the way.
struct Completion<'a> {
    draft: &'a Draft,
    env: Env<'a>,
    problems: Vec<Problem>,
}

impl Completion<'_> {
    /// The values of a type with keys of its own.
    fn typed(&mut self) -> IndexMap<String, Field> {
        let mut fields = IndexMap::new();
        for key in self.draft.kind.keys() {
            // With a token a key is neither needed nor sent, so it is not kept either. The mode stands before the key.
            if key.name == API_KEY && fields.get(AUTH_MODE) == Some(&Field::Plain(MEID_TOKEN.to_owned())) {
                continue;
            }
            let Some(value) = self.field(key) else { continue };
            self.check(key.name, &value);
            let value = if key.name == API_KEY { Field::Secret(Secret::new(value)) } else { Field::Plain(value) };
            fields.insert(key.name.to_owned(), value);
        }
        let is_reachable = fields.contains_key("base_url") || fields.contains_key(API_KEY);
        if self.draft.kind == Kind::OpenAi && !is_reachable && self.problems.is_empty() {
            self.missing(API_KEY);
        }
        fields
    }

    /// Whether a value is what its key asks for.
    fn check(&mut self, key: &str, value: &str) {
        let is_address = value.starts_with("https://") || value.starts_with("http://");
        if ADDRESSES.contains(&key) && !is_address {
            // The value is not quoted: it may be a key in the wrong place.
            self.problem(key, "is no address; expected https://… or http://…");
        }
        if key == AUTH_MODE && !["key", MEID_TOKEN].contains(&value) {
            self.problem(key, &format!("is unknown; expected key or {MEID_TOKEN}"));
        }
    }

    /// The values of a `custom` connection: both groups in one, as prompt flow's nodes see them.
    fn custom(&mut self) -> IndexMap<String, Field> {
        if self.draft.secrets.is_empty() {
            self.problem("secrets", "expected at least one; put what is not secret under `configs`");
        }
        let draft = self.draft;
        let mut fields = IndexMap::new();
        for (key, written) in &draft.configs {
            fields.extend(self.needed(key, Some(written), None).map(|value| (key.clone(), Field::Plain(value))));
        }
        for (key, written) in &draft.secrets {
            let value = self.needed(key, Some(written), None);
            fields.extend(value.map(|value| (key.clone(), Field::Secret(Secret::new(value)))));
        }
        fields
    }

    /// The value of a key of the type: override, file or default.
    fn field(&mut self, key: &Key) -> Option<String> {
        let written = self.draft.fields.get(key.name);
        if key.required {
            self.needed(key.name, written, key.default)
        } else {
            self.value(key.name, written, key.default)
        }
    }

    /// A value without which the connection is of no use.
    fn needed(&mut self, key: &str, written: Option<&String>, default: Option<&str>) -> Option<String> {
        let before = self.problems.len();
        let value = self.value(key, written, default);
        if value.is_none() && self.problems.len() == before {
            self.missing(key);
        }
        value
    }

    /// Override, file or default, without surrounding blanks: a secret that comes out of a file ends in a line feed.
    fn value(&mut self, key: &str, written: Option<&String>, default: Option<&str>) -> Option<String> {
        let value = match lookup(&self.draft.name, key, self.env).as_ref().or(written) {
            Some(written) => self.resolve(key, written)?,
            None => String::new(),
        };
        let value = value.trim();
        if value.is_empty() || PLACEHOLDERS.contains(&value) {
            default.map(str::to_owned)
        } else {
            Some(value.to_owned())
        }
    }

    /// What is written, or the variable that `${env:NAME}` means.
    fn resolve(&mut self, key: &str, written: &str) -> Option<String> {
        let Some(name) = written.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}')) else {
            return Some(written.to_owned());
        };
        let value = (self.env)(name);
        if value.is_none() {
            self.problem(key, &format!("environment variable {name} is not found; set it"));
        }
        value
    }

    fn missing(&mut self, key: &str) {
        let variable = variable(&self.draft.name, key);
        self.problem(key, &format!("is missing; write it there or set {variable}"));
    }

    fn problem(&mut self, key: &str, what: &str) {
        self.problems.push(Problem::new(&self.draft.origin, format!("{key}: {what}")));
    }
}
