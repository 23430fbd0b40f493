//! Which connections there are: gathers what files and variables say, and completes what a flow wants.
//!
//! Pure but for the environment, which the caller hands in. The order of the sources is told in ../connection.rs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Draft;
use super::{Connection, Connections, Env, OFFLINE, Problem, complete, encoded, execution, file, prompt_flow};
use crate::identity::Identity;

/// Connections, and warnings; or all problems.
pub(super) type Loaded = Result<(Connections, Vec<Problem>), Vec<Problem>>;

/// The connections of these files and of the environment; `texts` are pairs of a file's name and its text.
pub(super) fn load(texts: &[(String, String)], wanted: &[&str], env: Env<'_>) -> Loaded {
    let mut loading = Loading {
        env,
        drafts: BTreeMap::new(),
        wanted: BTreeMap::new(),
        aliases: BTreeMap::new(),
        unread: false,
        problems: Vec::new(),
    };
    loading.read_files(texts);
    loading.read_encoded();
    for name in wanted.iter().filter(|name| **name != OFFLINE) {
        loading.want(name);
    }
    loading.find_in_environment();
    loading.complete()
}

struct Loading<'a> {
    env: Env<'a>,
    drafts: BTreeMap<String, Draft>,
    /// The connections that must be there, and the name by which the flow wants each.
    wanted: BTreeMap<String, String>,
    /// Names in the flow that mean another connection.
    aliases: BTreeMap<String, String>,
    /// Something could not be read that may speak of what is missing.
    unread: bool,
    problems: Vec<Problem>,
}

/// What a variable named like a connection says.
enum Named {
    /// The connection itself.
    Data(Box<Draft>),
    /// The name of another.
    Other(String),
}

impl Loading<'_> {
    fn read_files(&mut self, texts: &[(String, String)]) {
        for (origin, text) in texts {
            match file::parse(origin, text) {
                Ok(draft) => match self.drafts.get(&draft.name) {
                    Some(other) => self.problems.push(twice(&draft, &other.origin)),
                    None => _ = self.drafts.insert(draft.name.clone(), draft),
                },
                Err(found) => self.problems.extend(found),
            }
        }
        self.unread |= !self.problems.is_empty();
    }

    /// What files do not know.
    fn read_encoded(&mut self) {
        match encoded::drafts(self.env) {
            Ok(drafts) => {
                for draft in drafts {
                    self.drafts.entry(draft.name.clone()).or_insert(draft);
                }
            }
            Err(found) => {
                self.unread = true;
                self.problems.extend(found);
            }
        }
    }

    /// Notes what the flow wants, or what the variable named like it puts in its place.
    fn want(&mut self, name: &str) {
        match named(name, self.env) {
            Some(Ok(Named::Data(draft))) => {
                self.drafts.insert(name.to_owned(), *draft);
                self.wanted.insert(name.to_owned(), name.to_owned());
            }
            Some(Ok(Named::Other(other))) => {
                if other != OFFLINE {
                    self.wanted.entry(other.clone()).or_insert_with(|| name.to_owned());
                }
                self.aliases.insert(name.to_owned(), other);
            }
            Some(Err(problem)) => self.problems.push(problem.of(name)),
            None => _ = self.wanted.insert(name.to_owned(), name.to_owned()),
        }
    }

    /// Makes what is wanted, and nobody has spoken of, from variables; what these do not know either is missing.
    fn find_in_environment(&mut self) {
        for (name, by) in &self.wanted {
            if self.drafts.contains_key(name) {
                continue;
            }
            match complete::from_environment(name, self.env) {
                Some(draft) => _ = self.drafts.insert(name.clone(), draft),
                None if self.unread => {}
                None => self.problems.push(self.missing(name, by).of(by)),
            }
        }
    }

    fn complete(self) -> Loaded {
        let mut all = Connections::with_identity(Identity::from_env(self.env));
        let connections = &mut all.by_name;
        let (mut problems, mut warnings) = (self.problems, Vec::new());
        for (name, draft) in self.drafts {
            warnings.extend(draft.unknown_keys());
            match (complete::complete(draft, self.env), self.wanted.get(&name)) {
                (Ok(connection), _) => _ = connections.insert(name, Arc::new(connection)),
                (Err(found), Some(by)) => problems.extend(found.into_iter().map(|problem| problem.of(by))),
                (Err(found), None) => warnings.extend(found.into_iter().map(|problem| left_out(&name, problem))),
            }
        }
        for (name, other) in self.aliases {
            if let Some(connection) = connections.get(&other) {
                let connection = Connection { name: name.clone(), ..Connection::clone(connection) };
                connections.insert(name, Arc::new(connection));
            }
        }
        if problems.is_empty() { Ok((all, warnings)) } else { Err(problems) }
    }

    /// That there is no connection `name`, which the flow wants by the name `by`.
    fn missing(&self, name: &str, by: &str) -> Problem {
        let known: Vec<_> = self.drafts.keys().map(String::as_str).chain([OFFLINE]).collect();
        let place = format!("connection {by:?}");
        let known = known.join(", ");
        if name != by {
            // The value is not quoted: whoever takes the variable for the key's puts a secret there.
            let what = format!("variable {} names another, which is not found; connections are: {known}", bare(by));
            return Problem::new(place, what);
        }
        let (key, base) = (complete::variable(name, "api_key"), complete::variable(name, "base_url"));
        let provider = self.unserved_provider().unwrap_or_default();
        Problem::new(
            place,
            format!(
                "is not found; connections are: {known}; name a file with --connections, or set {key} (and \
                 {base}){provider}"
            ),
        )
    }

    /// That connections are expected from where the original, and not this host, would fetch them.
    fn unserved_provider(&self) -> Option<String> {
        let provider = prompt_flow("CONNECTION_PROVIDER", self.env).filter(|(_, value)| value != "local");
        let (variable, _) = provider.or_else(|| prompt_flow("HTTP_CONNECTION_PROVIDER_ENDPOINT", self.env))?;
        Some(format!("; {variable} is set, but this host fetches no connections from elsewhere"))
    }
}

/// What the variable named like a connection says, if there is one.
fn named(name: &str, env: Env<'_>) -> Option<Result<Named, Problem>> {
    let variables = [name.replace(' ', "_"), bare(name)];
    let (variable, text) = variables.iter().find_map(|variable| Some((variable, env(variable)?)))?;
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if !text.starts_with('{') {
        return Some(Ok(Named::Other(text.to_owned())));
    }
    Some(match serde_json::from_str(text) {
        Ok(value) => {
            execution::draft(name, &format!("variable {variable}"), &value).map(|draft| Named::Data(Box::new(draft)))
        }
        Err(_) => Err(Problem::new(format!("variable {variable}"), "begins like a JSON object and is none")),
    })
}

/// The name of a connection as a variable that every shell can set.
fn bare(name: &str) -> String {
    name.chars().map(|sign| if sign.is_alphanumeric() { sign } else { '_' }).collect()
}

fn twice(draft: &Draft, other: &str) -> Problem {
    Problem::new(&draft.origin, format!("name: {:?} is also the name in {other}; rename one", draft.name))
}

fn left_out(name: &str, problem: Problem) -> Problem {
    let what = format!("{}; no node uses connection {name:?}, so it is left out", problem.what);
    Problem { what, ..problem }
}
