//! One step of a chain over a text: two nodes' outputs put together.

use weir_sdk::node;

/// `[text:n]`
#[node]
fn text_decorate(text: String, n: u64) -> String {
    format!("[{text}:{n}]")
}
