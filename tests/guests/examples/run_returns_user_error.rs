//! Returns an error that blames the caller, with the given code and message.

use weir_sdk::{NodeError, node};

/// Fails by the caller's fault.
#[node]
fn run_returns_user_error(code: Option<String>, message: Option<String>) -> Result<(), NodeError> {
    let code = code.unwrap_or_else(|| "QuestionTooLong".to_owned());
    Err(NodeError::user(code, message.unwrap_or_else(|| "a question has at most 10 bytes".to_owned())))
}
