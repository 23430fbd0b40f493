//! A node of a flow.

use weir_sdk::{NodeError, node};

/// Greets somebody.
#[node]
fn my_node(name: String) -> Result<String, NodeError> {
    match name.trim() {
        "" => Err(NodeError::user("NameMissing", "`name` is empty; whom shall I greet?")),
        name => Ok(format!("Hello, {name}!")),
    }
}
