//! One step of a chain over a text: adds to it.

use weir_sdk::node;

/// The text with a period.
#[node]
fn text_step(text: String) -> String {
    text + "."
}
