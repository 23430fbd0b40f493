//! Hands the host more in one call than it may.

use weir_sdk::{context, node};

/// Sets an attribute of so many bytes, and adds an event with so many of them.
#[node(uses = ["context"])]
fn limits_hands_over_much(bytes: usize, attributes: Option<usize>) {
    match attributes {
        None => context::set_attribute("much", "x".repeat(bytes)),
        Some(count) => context::add_event("much", (0..count).map(|_| ("k", "x".repeat(bytes).into()))),
    }
}
