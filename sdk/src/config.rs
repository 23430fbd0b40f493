//! Settings that the flow grants to the node: `grants: {config: [my_connection.endpoint, GREETING]}`.
//!
//! ```
//! use weir_sdk::{NodeError, config, node};
//!
//! /// Greets as the flow says.
//! #[node(uses = ["config"])]
//! fn greet(name: String) -> Result<String, NodeError> {
//!     let greeting = config::get("GREETING").ok_or_else(|| NodeError::system("NoGreeting", "GREETING is not set"))?;
//!     Ok(format!("{greeting}, {name}"))
//! }
//! # fn main() {}
//! ```

use crate::bindings::wasi::config::store as wit;

/// A setting: `NAME.KEY` is a key of the connection NAME, a name without a dot one of the flow's
/// `environment_variables`.
///
/// None if there is no such setting, or the flow does not grant it: a node cannot tell one from the other. The plain
/// keys of a node's own connection need no grant; a secret has to be named.
pub fn get(key: &str) -> Option<String> {
    // The host has all settings at hand and does not fail; another one that does has none for us either.
    wit::get(key).ok().flatten()
}

/// All settings that the node may read, by name.
pub fn all() -> Vec<(String, String)> {
    wit::get_all().unwrap_or_default()
}
