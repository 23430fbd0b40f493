//! One step of a chain over a text: a number made of it.

use weir_sdk::node;

/// How many characters the text has, as Python counts them.
#[node]
fn text_count(text: String) -> usize {
    text.chars().count()
}
