//! Does nothing but return its inputs. It has no telemetry, and must be traced and measured all the same.

use weir_sdk::node;
use weir_sdk::serde_json::{Map, Value};

/// Returns its inputs.
#[node]
fn run_returns(inputs: Map<String, Value>) -> Map<String, Value> {
    inputs
}
