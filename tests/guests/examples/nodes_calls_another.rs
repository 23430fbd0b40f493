//! Calls another node of its flow with inputs of its own.

use weir_sdk::serde_json::{Map, Value};
use weir_sdk::{node, nodes};

/// Returns what the other node returns, and fails as it fails.
#[node(uses = ["nodes"])]
fn nodes_calls_another(
    node: String,
    #[serde(default)] other_inputs: Map<String, Value>,
) -> Result<Value, nodes::CallNodeError> {
    nodes::call(&node, &other_inputs)
}
