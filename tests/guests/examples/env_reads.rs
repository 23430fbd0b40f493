//! Reads its environment.

use std::collections::BTreeMap;

use weir_sdk::node;

/// Returns all variables that there are.
#[node(uses = [])]
fn env_reads() -> BTreeMap<String, String> {
    std::env::vars().collect()
}
