//! Asks for more random bytes than one call gives.

use weir_sdk::node;

/// Says how many bytes it was given.
#[node]
fn limits_wants_random(bytes: u64) -> usize {
    wasip2::random::random::get_random_bytes(bytes).len()
}
