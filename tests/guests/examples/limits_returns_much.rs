//! Returns more than it may.

use weir_sdk::node;
use weir_sdk::serde_json::Value;

/// Returns a text that is so many bytes as JSON, or a list of so many empty texts.
#[node]
fn limits_returns_much(bytes: Option<usize>, items: Option<usize>) -> Value {
    match (bytes, items) {
        (Some(bytes), _) => "x".repeat(bytes.saturating_sub(2)).into(),
        (None, items) => vec![Value::from(""); items.unwrap_or(0)].into(),
    }
}
