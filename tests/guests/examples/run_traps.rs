//! Panics, which ends a component in a trap. The message goes to stderr before.

use weir_sdk::node;

/// Panics with the given message.
#[node]
fn run_traps(message: Option<String>) -> String {
    panic!("{}", message.as_deref().unwrap_or("the guest has lost its way"))
}
