//! Calls to the other nodes of the flow. The flow decides which may be called: `grants: {nodes: [NAME]}`.
//!
//! ```
//! use weir_sdk::{NodeError, node, nodes};
//!
//! /// Asks the node that is meant for the language.
//! #[node(uses = ["nodes"])]
//! fn route(text: String, language: String) -> Result<String, NodeError> {
//!     let summary = nodes::call(&format!("summarize_{language}"), &serde_json::json!({ "text": text }))?;
//!     Ok(summary)
//! }
//! # use weir_sdk::serde_json;
//! # fn main() {}
//! ```

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::weir::flow::nodes as wit;
use crate::error::{CallError, NodeError};

/// Why another node gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallNodeError {
    /// The other node ran and failed.
    Failed(NodeError),
    /// The other node was not run to its end (no such node, no grant, too deep, a limit), or its value is not of the
    /// type asked for.
    Refused(CallError),
}

/// Runs another node with the given inputs and waits for its value.
///
/// `inputs` must serialize to an object. Inputs that the flow file fixes for that node are kept where `inputs` does
/// not name them. A streamed answer is joined to one value.
///
/// # Errors
///
/// [`CallNodeError::Failed`] with the other node's error, or [`CallNodeError::Refused`]. Both convert into
/// [`NodeError`], so `?` passes the failure on.
pub fn call<T: DeserializeOwned>(node: &str, inputs: &impl Serialize) -> Result<T, CallNodeError> {
    let inputs = serde_json::to_string(inputs)
        .map_err(|error| CallError::invalid_request(format!("inputs of node {node:?} are not JSON: {error}")))?;
    let value = wit::call(node, &inputs)?;
    serde_json::from_str(&value).map_err(|error| {
        CallNodeError::Refused(CallError::protocol(format!("value of node {node:?} is not what was expected: {error}")))
    })
}

impl fmt::Display for CallNodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CallNodeError {}

impl From<CallError> for CallNodeError {
    fn from(error: CallError) -> Self {
        Self::Refused(error)
    }
}

impl From<wit::NodesError> for CallNodeError {
    fn from(error: wit::NodesError) -> Self {
        match error {
            wit::NodesError::Failed(error) => Self::Failed(error.into()),
            wit::NodesError::Refused(error) => Self::Refused(error.into()),
        }
    }
}

/// A node that failed fails its caller with the same error.
impl From<CallNodeError> for NodeError {
    fn from(error: CallNodeError) -> Self {
        match error {
            CallNodeError::Failed(error) => error,
            CallNodeError::Refused(error) => error.into(),
        }
    }
}
