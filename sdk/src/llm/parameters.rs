//! The parameters of a request to a model, collected by the builders. Not their meaning: they go to the service as
//! they are.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::CallError;

/// What a builder has been given so far. A fault is kept for `send`, so that a chain of calls needs one `?`.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    values: Map<String, Value>,
    fault: Option<String>,
}

impl Parameters {
    pub(super) fn new() -> Self {
        Self { values: Map::new(), fault: None }
    }

    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Serialize) {
        let name = name.into();
        if let Some(value) = self.checked(&name, value) {
            self.values.insert(name, value);
        }
    }

    /// The value as JSON, or none and a fault.
    pub(super) fn checked(&mut self, name: &str, value: impl Serialize) -> Option<Value> {
        serde_json::to_value(value)
            .map_err(|error| self.fault.get_or_insert(format!("{name:?} is not JSON: {error}")).clone())
            .ok()
    }

    pub(super) fn into_json(self) -> Result<String, CallError> {
        match self.fault {
            Some(fault) => Err(CallError::invalid_request(fault)),
            None => Ok(Value::Object(self.values).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn parameters_keep_their_order_and_the_last_value() {
        let mut parameters = Parameters::new();
        parameters.set("stop", ["a"]);
        parameters.set("n", 1);
        parameters.set("stop", "b");
        assert_eq!(parameters.into_json().expect("all are JSON"), r#"{"stop":"b","n":1}"#);
    }

    #[test]
    fn a_value_that_is_not_json_is_reported_when_the_request_is_sent() {
        let mut parameters = Parameters::new();
        parameters.set("logit_bias", BTreeMap::from([((1, 2), 3)]));
        let error = parameters.into_json().expect_err("a pair is no key");
        assert_eq!(error.message, r#""logit_bias" is not JSON: key must be a string"#);
    }
}
