//! What one node may ask of the host. Filled when a flow is loaded, read at every call.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::boundary::denial::DenialLog;
use crate::boundary::{Capability, NodeRun};

/// The grants of one node, one for each capability it holds. A grant that was not given is simply not here.
#[derive(Default)]
pub struct Grants {
    held: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    denials: DenialLog,
}

impl Grants {
    pub fn insert<C: Capability>(&mut self, grant: C::Grant) {
        self.held.insert(TypeId::of::<C>(), Arc::new(grant));
    }

    pub fn get<C: Capability>(&self) -> Option<Arc<C::Grant>> {
        self.held.get(&TypeId::of::<C>()).cloned().and_then(|grant| grant.downcast().ok())
    }

    /// What was logged of what the node did not hold.
    pub(super) fn denials(&self) -> DenialLog {
        self.denials.clone()
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grants({})", self.held.len())
    }
}

impl NodeRun {
    /// What the node holds of a capability, for what is no call: settings.
    pub fn held<C: Capability>(&self) -> Option<Arc<C::Grant>> {
        self.grants.get::<C>()
    }
}

/// What a node's flow asks of one capability.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// The connections that the node names, as `connection:` of an `llm` node does: naming one there grants it.
    pub connections: &'a [&'a str],
    /// The model that the node names for it.
    pub model: Option<&'a str>,
    /// Whether the node is given the variables that its flow declares, but for secrets, as prompt flow gives them to all Python.
    pub variables: bool,
    /// `grants.NAME` of the node as JSON text, where NAME is the capability's.
    pub grant: Option<&'a str>,
}

impl Ask<'_> {
    /// Reads a grant that is a list of names; absent is empty.
    ///
    /// # Errors
    /// If the grant is something else.
    pub fn names(&self, capability: &'static str) -> Result<Vec<String>, AskError> {
        self.entries(capability, "a list of names such as [a, b]")
    }

    /// Reads a grant that is a list of entries, which look as `expected` says; absent is empty.
    ///
    /// # Errors
    /// If the grant is something else.
    pub fn entries<E: DeserializeOwned>(
        &self,
        capability: &'static str,
        expected: &'static str,
    ) -> Result<Vec<E>, AskError> {
        let Some(text) = self.grant else { return Ok(Vec::new()) };
        let other = |_| AskError::NotUnderstood { capability, expected, found: text.to_owned() };
        serde_json::from_str(text).map_err(other)
    }
}

/// A flow asks for what it cannot have. Found when the flow is loaded, so that such a flow never serves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("grants.{capability}: expected {expected}, found {found}")]
    NotUnderstood { capability: &'static str, expected: &'static str, found: String },
    #[error("grants.{capability}: every node has it; leave it out")]
    NeedsNone { capability: &'static str },
    #[error("grants.{name}: unknown capability; known: {known}")]
    UnknownCapability { name: String, known: String },
    #[error("{what} {name:?} is not known; known: {known}")]
    Unknown { what: &'static str, name: String, known: String },
    #[error("grants.{capability}: {asked} is more than flows may ask for by {policy}")]
    BeyondPolicy { capability: &'static str, asked: String, policy: String },
    #[error("{0}")]
    Unusable(String),
}
