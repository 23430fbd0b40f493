//! Harmless, until it is told to be otherwise.

use std::hint;

use weir_sdk::node;

/// Returns at once, or never.
#[node]
fn limits_loops_if_told(loops: bool) -> bool {
    while loops {
        hint::spin_loop();
    }
    loops
}
