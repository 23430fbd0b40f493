//! Streams chunks that are no text.

use weir_sdk::node;
use weir_sdk::serde_json::Value;

/// Streams `values`, each as it is.
#[node]
fn run_streams_values(values: Vec<Value>) -> impl Iterator<Item = Value> {
    values.into_iter()
}
