//! Reads its settings.

use weir_sdk::serde_json::{Map, Value};
use weir_sdk::{config, data, node};

#[data]
struct Answer {
    /// What each key that was asked for holds.
    values: Map<String, Value>,
    /// All that there are.
    names: Vec<String>,
}

/// Returns the settings of these names, and the names of all.
#[node(uses = ["config"])]
fn config_reads(keys: Vec<String>) -> Answer {
    let values = keys.into_iter().map(|key| (key.clone(), config::get(&key).map_or(Value::Null, Value::String)));
    Answer { values: values.collect(), names: config::all().into_iter().map(|(name, _)| name).collect() }
}
