//! Which services the operator has set up, by name: prompt flow's connection files, completed from the environment.
//!
//! Three sources, and the first that knows a name wins:
//!
//! 1. connection files (`--connections PATH`), as `pf connection create` takes them;
//! 2. the environment alone: a connection that the flow names, and of which no file speaks, exists if there is
//!    `<NAME>_API_KEY`, `<NAME>_API_BASE` or `<NAME>_BASE_URL`;
//! 3. `offline`, which is built in.
//!
//! How files are written is in connection/file.rs; which variable completes what, in connection/complete.rs. Nothing
//! here talks to a service, and no secret appears in a problem or a debug output.

mod complete;
mod file;
mod kind;
mod problem;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use indexmap::IndexMap;

pub use self::kind::Kind;
pub use self::problem::{Problem, UnknownConnection, UnknownKey};
pub use self::secret::Secret;

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

/// All connections of the host.
#[derive(Clone, Debug)]
pub struct Connections(BTreeMap<String, Arc<Connection>>);

impl Default for Connections {
    /// Those that exist without a file: `offline`.
    fn default() -> Self {
        Self(BTreeMap::from([(OFFLINE.to_owned(), Arc::new(offline()))]))
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
        let mut drafts: BTreeMap<String, file::Draft> = BTreeMap::new();
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for (origin, text) in texts {
            match file::parse(origin, text) {
                Ok(draft) => match drafts.get(&draft.name) {
                    Some(other) => problems.push(twice(&draft, &other.origin)),
                    None => _ = drafts.insert(draft.name.clone(), draft),
                },
                Err(found) => problems.extend(found),
            }
        }
        let unread = !problems.is_empty();
        let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
        for &name in wanted.iter().filter(|name| **name != OFFLINE) {
            if !drafts.contains_key(name) {
                match complete::from_environment(name, env) {
                    Some(draft) => _ = drafts.insert(name.to_owned(), draft),
                    // It may be what a file that could not be read would have been.
                    None if unread => {}
                    None => problems.push(missing(name, &drafts)),
                }
            }
        }

        let Self(mut connections) = Self::default();
        for (name, draft) in drafts {
            warnings.extend(draft.unknown_keys());
            match complete::complete(draft, env) {
                Ok(connection) => _ = connections.insert(name, Arc::new(connection)),
                Err(found) if wanted.contains(name.as_str()) => {
                    problems.extend(found.into_iter().map(|problem| problem.of(&name)));
                }
                Err(found) => warnings.extend(found.into_iter().map(|problem| left_out(&name, problem))),
            }
        }
        if problems.is_empty() { Ok((Self(connections), warnings)) } else { Err(problems) }
    }

    /// The connection of that name.
    ///
    /// # Errors
    ///
    /// There is none; the error lists those that exist.
    pub fn get(&self, name: &str) -> Result<&Arc<Connection>, UnknownConnection> {
        self.0.get(name).ok_or_else(|| UnknownConnection { name: name.to_owned(), known: self.names() })
    }

    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// All connections, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.0.values()
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
        match self.get(key) {
            Some(Field::Secret(secret)) => Some(secret),
            Some(Field::Plain(_)) | None => None,
        }
    }

    /// The secrets that it holds.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.fields.values().filter_map(|field| match field {
            Field::Secret(secret) => Some(secret),
            Field::Plain(_) => None,
        })
    }
}

fn offline() -> Connection {
    Connection::new(OFFLINE, "built in", Kind::Offline, [])
}

fn twice(draft: &file::Draft, other: &str) -> Problem {
    Problem::new(&draft.origin, format!("name: {:?} is also the name in {other}; rename one", draft.name))
}

fn missing(name: &str, drafts: &BTreeMap<String, file::Draft>) -> Problem {
    let known: Vec<_> = drafts.keys().map(String::as_str).chain([OFFLINE]).collect();
    let variable = complete::variable(name, "api_key");
    Problem::new(
        format!("connection {name:?}"),
        format!(
            "is not found; connections are: {}; name a file with --connections, or set {variable} (and {})",
            known.join(", "),
            complete::variable(name, "base_url")
        ),
    )
    .of(name)
}

fn left_out(name: &str, problem: Problem) -> Problem {
    let what = format!("{}; no node uses connection {name:?}, so it is left out", problem.what);
    Problem { what, ..problem }
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
