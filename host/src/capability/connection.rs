//! Which services the operator has set up, by name: prompt flow's connection files, completed from the environment.
//!
//! The sources, of which the first that knows a name wins:
//!
//! 1. for a connection that the flow wants, a variable named like it: JSON is the connection, other text is the name of
//!    the connection to use in its place;
//! 2. connection files (`--connections PATH`), as `pf connection create` takes them;
//! 3. `PROMPTFLOW_ENCODED_CONNECTIONS`;
//! 4. variables alone: a connection that the flow wants exists if there is `<NAME>_API_KEY`, `<NAME>_API_BASE` or
//!    `<NAME>_BASE_URL`;
//! 5. `offline`, which is built in.
//!
//! How they come together is in connection/load.rs; how files are written in connection/file.rs, the JSON of variables
//! in connection/execution.rs, and which variable completes what in connection/complete.rs. Nothing here talks to a
//! service, and no secret appears in a problem or a debug output.

mod complete;
mod configuration;
mod draft;
mod encoded;
pub mod environment;
mod execution;
mod file;
mod kind;
mod load;
mod problem;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use indexmap::IndexMap;

pub use self::kind::Kind;
pub use self::problem::{Problem, UnknownConnection, UnknownKey};
use crate::identity::Identity;
pub use crate::secret::Secret;

/// The connection that always exists, and its type.
pub const OFFLINE: &str = "offline";

/// Looks up an environment variable. Only config.rs hands the process's own environment in.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A service that nodes may reach by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub name: String,
    /// Where it is written: a file, or the environment.
    pub origin: String,
    pub kind: Kind,
    /// The class of a `custom` connection that has one of its own.
    class: Option<String>,
    fields: IndexMap<String, Field>,
}

/// A value of a connection. Showing it shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Plain(String),
    Secret(Secret),
}

impl Field {
    /// The value, if it is a secret.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Secret(secret) => Some(secret),
            Self::Plain(_) => None,
        }
    }
}

/// All connections of the host.
#[derive(Clone, Debug)]
pub struct Connections {
    by_name: BTreeMap<String, Arc<Connection>>,
    identity: Identity,
}

impl Default for Connections {
    /// Those that exist without a file: `offline`.
    fn default() -> Self {
        Self::with_identity(Identity::from_env(&|_| None))
    }
}

impl Connections {
    /// Reads connection files and folders of them, and completes what they say from the environment.
    ///
    /// `wanted` are the names that the flow uses. Each must exist and be complete; of the others, one that lacks a key
    /// is left out with a warning, so that a folder shared by many flows serves each of them.
    ///
    /// # Errors
    ///
    /// Every problem of every file, and of every connection that is wanted.
    pub fn load(paths: &[PathBuf], wanted: &[&str], env: Env<'_>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut texts = Vec::new();
        for path in paths {
            match read(path) {
                Ok(read) => texts.extend(read),
                Err(problem) => problems.push(problem),
            }
        }
        match Self::parse(&texts, wanted, env) {
            Ok(loaded) if problems.is_empty() => Ok(loaded),
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    /// [`Connections::load`] without files: `texts` are pairs of a file's name and its text.
    pub fn parse(
        texts: &[(String, String)],
        wanted: &[&str],
        env: Env<'_>,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        load::load(texts, wanted, env)
    }

    /// The connection of that name.
    ///
    /// # Errors
    ///
    /// There is none; the error lists those that exist.
    pub fn get(&self, name: &str) -> Result<&Arc<Connection>, UnknownConnection> {
        self.by_name.get(name).ok_or_else(|| UnknownConnection { name: name.to_owned(), known: self.names() })
    }

    /// Adds the connection that a prompty file describes by itself (`model.configuration`), under a name that the
    /// caller chooses. `${env:NAME}` stands for a variable; what the configuration leaves out is looked up in the
    /// variables of OpenAI's own clients (`AZURE_OPENAI_ENDPOINT`, `OPENAI_API_KEY`, …).
    ///
    /// # Errors
    ///
    /// Every key that is unknown, wrong or missing; or the name is taken.
    pub fn insert_model_configuration(
        &mut self,
        name: &str,
        configuration: &IndexMap<String, String>,
        env: Env<'_>,
    ) -> Result<(), Vec<Problem>> {
        if let Some(other) = self.by_name.get(name) {
            let what = format!("is already the name of a connection in {}", other.origin);
            return Err(vec![Problem::new(format!("connection {name:?}"), what).of(name)]);
        }
        let connection = configuration::connection(name, configuration, env)?;
        self.by_name.insert(name.to_owned(), Arc::new(connection));
        Ok(())
    }

    /// The identity of the host, for connections with `auth_mode: meid_token`.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn with_identity(identity: Identity) -> Self {
        Self { by_name: BTreeMap::from([(OFFLINE.to_owned(), Arc::new(offline()))]), identity }
    }

    pub fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// All connections, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.by_name.values()
    }

    /// All secrets, for whoever strikes them from what leaves the host.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.iter().flat_map(|connection| connection.secrets())
    }
}

impl Connection {
    /// A connection with these values, which are taken as they are.
    pub fn new<'a>(
        name: impl Into<String>,
        origin: impl Into<String>,
        kind: Kind,
        fields: impl IntoIterator<Item = (&'a str, Field)>,
    ) -> Self {
        let fields = fields.into_iter().map(|(key, field)| (key.to_owned(), field)).collect();
        Self { name: name.into(), origin: origin.into(), kind, class: None, fields }
    }

    /// `type` in its file.
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// The class in prompt flow, as tools name the type of a parameter: `AzureContentSafetyConnection`, or a class of
    /// one's own.
    pub fn class_name(&self) -> &str {
        self.class.as_deref().unwrap_or(self.kind.class_name())
    }

    /// The value of a key, if there is one. A `custom` connection has its configs and secrets in one.
    pub fn get(&self, key: &str) -> Option<&Field> {
        self.fields.get(key)
    }

    /// The value of a key that must be there.
    ///
    /// # Errors
    ///
    /// There is none; the error lists the keys that have one.
    pub fn field(&self, key: &str) -> Result<&Field, UnknownKey> {
        self.get(key).ok_or_else(|| UnknownKey {
            connection: self.name.clone(),
            key: key.to_owned(),
            known: self.fields.keys().cloned().collect(),
        })
    }

    /// All keys that have a value, in the order of the type or of the file.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(key, field)| (key.as_str(), field))
    }

    /// The value of a key that is no secret.
    pub fn plain(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Field::Plain(text)) => Some(text),
            Some(Field::Secret(_)) | None => None,
        }
    }

    /// The value of a key that is a secret.
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        self.get(key)?.secret()
    }

    /// Whether the service knows us by a token of the host's identity, and not by a key.
    pub fn is_by_identity(&self) -> bool {
        self.plain(kind::AUTH_MODE) == Some(kind::MEID_TOKEN)
    }

    /// The secrets that it holds.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.fields.values().filter_map(Field::secret)
    }
}

fn offline() -> Connection {
    Connection::new(OFFLINE, "built in", Kind::Offline, [])
}

/// A variable of prompt flow's, which is found as `PROMPTFLOW_…`, else as `PF_…`: its whole name, and its value.
fn prompt_flow(name: &str, env: Env<'_>) -> Option<(String, String)> {
    let value = |variable: String| env(&variable).filter(|value| !value.is_empty()).map(|value| (variable, value));
    value(format!("PROMPTFLOW_{name}")).or_else(|| value(format!("PF_{name}")))
}

/// The texts of a file, or of the `.yaml` and `.yml` files right in a folder, with their names.
fn read(path: &Path) -> Result<Vec<(String, String)>, Problem> {
    let at =
        |path: &Path, error: io::Error| Problem::new(path.display().to_string(), format!("is not readable: {error}"));
    let files = if path.is_dir() { list(path).map_err(|error| at(path, error))? } else { vec![path.to_owned()] };
    files
        .into_iter()
        .map(|file| match fs::read_to_string(&file) {
            Ok(text) => Ok((file.display().to_string(), text)),
            Err(error) => Err(at(&file, error)),
        })
        .collect()
}

/// The connection files of a folder, by name. Hidden ones stay out: Kubernetes mounts keep their machinery there.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
