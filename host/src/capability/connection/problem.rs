//! What can be wrong with connections, in words for the operator. No problem quotes a value that may be a secret.

use std::fmt;

use crate::boundary::error::{CallError, CallErrorKind};

/// Something that the operator should put right: in a file, or in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub what: String,
    /// The connection that a flow wants and does not get because of this. None if it concerns no flow: a file that
    /// cannot be read.
    pub connection: Option<String>,
}

impl Problem {
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into(), connection: None }
    }

    /// The same problem of a connection that is wanted.
    #[must_use]
    pub fn of(self, connection: impl Into<String>) -> Self {
        Self { connection: Some(connection.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A name that no connection has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection {name:?} is not found; connections are: {}", known.join(", "))]
pub struct UnknownConnection {
    pub name: String,
    pub known: Vec<String>,
}

impl From<UnknownConnection> for CallError {
    fn from(unknown: UnknownConnection) -> Self {
        CallError::new(CallErrorKind::NotFound, unknown.to_string())
    }
}

/// A key that a connection does not have. The first sentence is prompt flow's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Key '{key}' not found in connection '{connection}'. Its keys are: {}", listed(known))]
pub struct UnknownKey {
    pub connection: String,
    pub key: String,
    pub known: Vec<String>,
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}
