//! One step of a chain over a text: takes from it.

use weir_sdk::node;

/// The text without blanks around it.
#[node]
fn text_trims(text: String) -> String {
    text.trim().to_owned()
}
