//! One step of a chain over a text: upper case.

use weir_sdk::node;

/// The text in upper case.
#[node]
fn text_upper(text: String) -> String {
    text.to_uppercase()
}
