//! The metrics that nodes tell of a run, for whoever started it. Not the host's own: those are telemetry's.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use crate::flow::value::Json;

/// Names that are kept of one run of a flow. The bound of a single node is a span's; but a node can call others again and
/// again, each with names of its own, and nothing else would end that.
pub const MAX_NAMES: usize = 1024;

/// Metrics by name, in the order in which the names were first told. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LoggedMetrics(Arc<Mutex<IndexMap<String, f64>>>);

impl LoggedMetrics {
    /// Keeps a metric; a later value replaces an earlier one. Names beyond [`MAX_NAMES`] are left out.
    pub(super) fn keep(&self, name: &str, value: f64) {
        // Nothing panics while it holds the lock; if something did, the numbers would still be numbers.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = kept.len() == MAX_NAMES;
        match kept.get_mut(name) {
            Some(known) => *known = value,
            None if full => {}
            None => {
                kept.insert(name.to_owned(), value);
            }
        }
    }

    /// All that was told so far, as a JSON object.
    pub fn to_json(&self) -> Json {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: Vec<_> =
            kept.iter().map(|(name, value)| (name, Json::from(serde_json::Value::from(*value)))).collect();
        Json::object(numbers.iter().map(|(name, number)| (name.as_str(), number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts() {
        let metrics = LoggedMetrics::default();
        let same = metrics.clone();
        metrics.keep("accuracy", 0.25);
        same.keep("lines", 3.0);
        same.keep("accuracy", 0.5);
        assert_eq!(metrics.to_json().as_str(), r#"{"accuracy":0.5,"lines":3.0}"#);
    }

    #[test]
    fn there_are_only_so_many_names() {
        let metrics = LoggedMetrics::default();
        for n in 0..MAX_NAMES + 5 {
            metrics.keep(&format!("m{n}"), 1.0);
        }
        metrics.keep("m0", 7.0);
        let members = metrics.to_json().members().unwrap();
        assert_eq!(members.len(), MAX_NAMES);
        assert_eq!(members["m0"].as_str(), "7.0", "one that is there can still be replaced");
    }
}
