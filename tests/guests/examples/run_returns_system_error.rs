//! Returns an error that blames the node, with the given code and message.

use weir_sdk::{NodeError, node};

/// Fails by its own fault.
#[node]
fn run_returns_system_error(code: Option<String>, message: Option<String>) -> Result<(), NodeError> {
    let code = code.unwrap_or_else(|| "IndexUnavailable".to_owned());
    Err(NodeError::system(code, message.unwrap_or_else(|| "the index cannot be read".to_owned())))
}
