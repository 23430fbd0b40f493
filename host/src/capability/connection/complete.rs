//! From a draft to a connection: overrides and `${env:…}` from the environment, defaults, and what must be there.
//!
//! In this order, the first of which gives a value wins:
//!
//! 1. the variable `<CONNECTION NAME>_<KEY>`, upper-cased, spaces as `_`; since no shell sets a variable with a dash,
//!    it is also found with every other sign as `_` (`my-conn` + `api_key` → `MY-CONN_API_KEY`, `MY_CONN_API_KEY`);
//! 2. the file, where a value that is `${env:NAME}` and nothing else is that variable's;
//! 3. the default of the type.
//!
//! The original looks for 1 only where the file has the key; here a file may leave its key out altogether.

use indexmap::IndexMap;

use super::file::{API_KEY, CUSTOM, Draft, Key, SERVICES, Service};
use super::{Connection, Env, Kind, OFFLINE, Problem, Secret};

/// What stands for a secret in files that `pf` writes and asks to be filled in.
const PLACEHOLDERS: &[&str] = &["<user-input>", "<no-change>", "******"];

/// Hosts that only Azure OpenAI has.
const AZURE_HOSTS: &[&str] = &[".openai.azure.com", ".openai.azure.us", ".cognitiveservices.azure.com"];

/// Makes the connection, or says everything that it lacks.
pub(super) fn complete(draft: Draft, env: Env<'_>) -> Result<Connection, Vec<Problem>> {
    let mut completion = Completion { draft: &draft, env, problems: Vec::new() };
    let kind = match draft.service.kind {
        "open_ai" => completion.open_ai(),
        "azure_open_ai" => completion.azure_open_ai(),
        "serverless" => completion.serverless(),
        OFFLINE => Kind::Offline,
        CUSTOM => completion.custom(),
        _ => completion.other(),
    };
    if !completion.problems.is_empty() {
        return Err(completion.problems);
    }
    Ok(Connection { name: draft.name, origin: draft.origin, kind })
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
        Some("azure") => "azure_open_ai",
        Some("serverless") => "serverless",
        _ if base.as_deref().is_some_and(is_azure) => "azure_open_ai",
        _ => "open_ai",
    };
    let service = SERVICES.iter().find(|service| service.kind == kind).expect("each of these is a type");
    let key = if kind == "open_ai" { "base_url" } else { "api_base" };
    Some(Draft {
        name: name.to_owned(),
        origin: format!("environment ({}, …)", variable(name, API_KEY)),
        service,
        fields: base.map(|base| (key.to_owned(), base)).into_iter().collect(),
        configs: IndexMap::new(),
        secrets: IndexMap::new(),
    })
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
    fn open_ai(&mut self) -> Kind {
        let base_url = self.address("base_url");
        let api_key = self.field(API_KEY);
        if base_url.is_none() && api_key.is_none() {
            self.missing(API_KEY);
        }
        Kind::OpenAi {
            base_url,
            organization: self.field("organization"),
            api_key: api_key.map(Secret::new),
            model: self.field("model"),
        }
    }

    fn azure_open_ai(&mut self) -> Kind {
        if self.field("auth_mode").as_deref() == Some("meid_token") {
            self.problem("auth_mode", "\"meid_token\" is not served; use auth_mode: key with an api_key");
        }
        Kind::AzureOpenAi {
            api_base: self.address("api_base").unwrap_or_default(),
            api_version: self.field("api_version").unwrap_or_default(),
            api_key: Secret::new(self.field(API_KEY).unwrap_or_default()),
            model: self.field("model"),
        }
    }

    fn serverless(&mut self) -> Kind {
        Kind::Serverless {
            api_base: self.address("api_base").unwrap_or_default(),
            api_key: Secret::new(self.field(API_KEY).unwrap_or_default()),
            model: self.field("model"),
        }
    }

    fn other(&mut self) -> Kind {
        let &Service { kind, keys } = self.draft.service;
        let (mut configs, mut secrets) = (IndexMap::new(), IndexMap::new());
        for Key { name, .. } in keys {
            match self.field(name) {
                Some(value) if *name == API_KEY => _ = secrets.insert((*name).to_owned(), Secret::new(value)),
                Some(value) => _ = configs.insert((*name).to_owned(), value),
                None => {}
            }
        }
        Kind::Other { kind: kind.to_owned(), configs, secrets }
    }

    fn custom(&mut self) -> Kind {
        if self.draft.secrets.is_empty() {
            self.problem("secrets", "expected at least one; put what is not secret under `configs`");
        }
        let configs = self.group(&self.draft.configs);
        let secrets = self.group(&self.draft.secrets);
        let secrets = secrets.into_iter().map(|(key, value)| (key, Secret::new(value))).collect();
        Kind::Other { kind: CUSTOM.to_owned(), configs, secrets }
    }

    fn group(&mut self, group: &IndexMap<String, String>) -> IndexMap<String, String> {
        let value = |(key, written): (&String, &String)| Some((key.clone(), self.needed(key, Some(written), None)?));
        group.iter().filter_map(value).collect()
    }

    /// The value of a key of the type: override, file or default.
    fn field(&mut self, name: &str) -> Option<String> {
        let key = self.draft.service.keys.iter().find(|key| key.name == name).expect("a key of the type");
        let written = self.draft.fields.get(name);
        if key.required { self.needed(name, written, key.default) } else { self.value(name, written, key.default) }
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

    /// A field that is the address of a service.
    fn address(&mut self, name: &str) -> Option<String> {
        let address = self.field(name)?;
        if !address.starts_with("https://") && !address.starts_with("http://") {
            self.problem(name, &format!("{address:?} is no address; expected https://… or http://…"));
        }
        Some(address)
    }

    /// Override, file or default, without surrounding blanks: a secret that comes out of a file ends in a line feed.
    fn value(&mut self, key: &str, written: Option<&String>, default: Option<&str>) -> Option<String> {
        let value = match (lookup(&self.draft.name, key, self.env), written) {
            (Some(value), _) => value,
            (None, Some(written)) => self.resolve(key, written)?,
            (None, None) => String::new(),
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
