//! Exits instead of returning, with the status that it is given.

use weir_sdk::node;

/// Exits.
#[node]
fn run_exits(status: i32) -> String {
    std::process::exit(status)
}
