//! Fails in the ways that prompt flow's nodes do, by what the text begins with.

use weir_sdk::{NodeError, node};

/// The text, unless it begins with `value`, `user` or `system`.
#[node]
fn text_may_fail(text: String) -> Result<String, NodeError> {
    match text.as_str() {
        // As prompt flow tells an exception of a node.
        text if text.starts_with("value") => Err(NodeError::user(
            "ToolExecutionError",
            "Execution failure in 'may_fail': (ValueError) injected value error",
        )),
        text if text.starts_with("user") => Err(NodeError::user("UserError", "injected user error")),
        text if text.starts_with("system") => Err(NodeError::system("SystemError", "injected system error")),
        _ => Ok(text),
    }
}
