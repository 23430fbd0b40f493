//! What `grants.llm` of a node says: connections by name, each whole or with the models that may be asked.

use std::fmt;

use serde::Deserialize;

use crate::boundary::Capability;
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::capability::Glob;

/// A connection that a node asks for, or that a policy lets nodes ask for: there its name may be a pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    pub(super) connection: String,
    pub(super) models: Models,
}

/// Models, or deployments, by their names; none: each that the connection has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Models(Option<Vec<Glob>>);

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Name(String),
    Narrowed(Narrowed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Narrowed {
    connection: String,
    models: Option<Vec<String>>,
}

/// Reads the grant of a node; absent is empty.
///
/// # Errors
/// If it is something else.
pub(super) fn read(ask: Ask<'_>) -> Result<Vec<Asked>, AskError> {
    let expected = "a list of connections such as my_connection, and of {connection: NAME, models: [MODEL]}";
    let entries: Vec<Entry> = ask.entries(super::Llm::NAME, expected)?;
    Ok(entries.into_iter().map(Asked::from).collect())
}

/// Reads an entry of a policy.
///
/// # Errors
/// If it is something else.
pub(super) fn read_one(entry: &str) -> Result<Asked, String> {
    let read: Option<Entry> = serde_json::from_str(entry).ok();
    let expected = "a connection such as my_connection or azure_*, or {connection: NAME, models: [MODEL]}";
    read.map(Asked::from).ok_or_else(|| format!("expected {expected}, found {entry}"))
}

/// The models of a connection that a policy lets nodes have.
pub(super) fn allowed(connection: &str, rules: &Rules<Asked>) -> Models {
    let Some(entries) = rules.entries() else { return Models::default() };
    let mut allowed = Models(Some(Vec::new()));
    for entry in entries.filter(|entry| entry.covers(connection)) {
        allowed.extend(entry.models.clone());
    }
    allowed
}

/// Whether a policy lets a node have its own connection, with the model that it names for it. One that names none, or only
/// when it runs, is held to the policy then.
///
/// # Errors
/// If it does not.
pub(super) fn check_own(connection: &str, model: Option<&str>, rules: &Rules<Asked>) -> Result<(), AskError> {
    match model {
        Some(model) => {
            Asked { connection: connection.to_owned(), models: Models(Some(vec![Glob::new(model)])) }.check(rules)
        }
        None => rules.check(super::Llm::NAME, &format!("connection {connection:?}"), |rule| rule.covers(connection)),
    }
}

impl From<Entry> for Asked {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Name(connection) => Self::any_model(connection),
            Entry::Narrowed(Narrowed { connection, models }) => {
                Self { connection, models: Models(models.map(|models| models.into_iter().map(Glob::new).collect())) }
            }
        }
    }
}

impl Asked {
    /// A connection with all of its models.
    pub(super) fn any_model(connection: String) -> Self {
        Self { connection, models: Models::default() }
    }
}

impl Asked {
    /// Whether a policy lets nodes have all of it.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn check(&self, rules: &Rules<Self>) -> Result<(), AskError> {
        let connection = &self.connection;
        let Models(allowed) = allowed(connection, rules);
        let Some(allowed) = allowed else { return Ok(()) };
        let asked = match &self.models.0 {
            Some(models) if rules.hold(|rule| rule.covers(connection)) => {
                let beyond = models.iter().find(|model| !allowed.iter().any(|one| one.covers(model.as_str())));
                let Some(model) = beyond else { return Ok(()) };
                format!("model {:?} of connection {connection:?}", model.as_str())
            }
            None if !allowed.is_empty() => format!("every model of connection {connection:?}"),
            Some(_) | None => format!("connection {connection:?}"),
        };
        Err(rules.exceeded(super::Llm::NAME, &asked))
    }

    fn covers(&self, connection: &str) -> bool {
        Glob::new(self.connection.as_str()).covers(connection)
    }
}

impl Models {
    pub(super) fn hold(&self, model: &str) -> bool {
        self.0.as_ref().is_none_or(|models| models.iter().any(|name| name.covers(model)))
    }

    /// Adds the models of another entry for the same connection.
    pub(super) fn extend(&mut self, other: Self) {
        self.0 = self.0.take().zip(other.0).map(|(models, others)| models.into_iter().chain(others).collect());
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(models) = &self.0 else { return f.write_str("every model") };
        let names: Vec<_> = models.iter().map(Glob::as_str).collect();
        if names.is_empty() { f.write_str("no model") } else { f.write_str(&names.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(grant: &str, model: &str, expected: bool) {
        let mut asks = read(Ask { grant: Some(grant), ..Ask::default() }).expect("a grant").into_iter();
        let mut models = asks.next().expect("a connection").models;
        asks.for_each(|asked| models.extend(asked.models));
        assert_eq!(models.hold(model), expected, "{grant}: {model:?}");
    }

    #[test]
    fn a_connection_is_granted_whole_or_with_some_models() {
        check(r#"["c"]"#, "gpt-4o", true);
        check(r#"[{"connection": "c"}]"#, "gpt-4o", true);
        let narrowed = r#"[{"connection": "c", "models": ["gpt-4o", "o3*"]}]"#;
        check(narrowed, "gpt-4o", true);
        check(narrowed, "o3-mini", true);
        check(narrowed, "gpt-4o-mini", false);
        check(narrowed, "", false);
        check(r#"[{"connection": "c", "models": []}]"#, "gpt-4o", false);
    }

    #[test]
    fn entries_for_one_connection_add_up() {
        let two = r#"[{"connection": "c", "models": ["a"]}, {"connection": "c", "models": ["b"]}]"#;
        check(two, "a", true);
        check(two, "b", true);
        check(two, "c", false);
        check(r#"[{"connection": "c", "models": ["a"]}, "c"]"#, "b", true);
    }

    #[test]
    fn a_wrong_grant_is_told_what_was_expected() {
        for wrong in [r#""c""#, "[1]", r#"[{"model": "a"}]"#, r#"[{"connection": "c", "model": "a"}]"#] {
            let error = read(Ask { grant: Some(wrong), ..Ask::default() }).expect_err(wrong);
            assert_eq!(
                error.to_string(),
                format!(
                    "grants.llm: expected a list of connections such as my_connection, and of \
                     {{connection: NAME, models: [MODEL]}}, found {wrong}"
                )
            );
        }
    }
}
