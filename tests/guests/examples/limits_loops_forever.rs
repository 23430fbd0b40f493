//! Never returns. The host must end it.

use std::hint;

use weir_sdk::node;

/// Loops until it is ended.
#[node]
fn limits_loops_forever() {
    loop {
        hint::spin_loop();
    }
}
