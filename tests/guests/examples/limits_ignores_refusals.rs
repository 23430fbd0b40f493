//! Streams on though it was told that no more chunks are taken.

use weir_sdk::node;
use weir_sdk::raw::weir::flow::output;

/// Emits the same chunk for ever.
#[node]
fn limits_ignores_refusals() {
    loop {
        let _ = output::emit("\"x\"");
    }
}
