//! Breaks the contract: hands over text that is not JSON. The SDK would not let it, so it goes below.

use weir_sdk::raw::{self, Guest, NodeError, Output};
use weir_sdk::serde_json::Value;

struct WrongJson;

impl Guest for WrongJson {
    fn run(inputs: String) -> Result<Output, NodeError> {
        let inputs: Value = weir_sdk::serde_json::from_str(&inputs).unwrap_or_default();
        Ok(Output::Value(inputs["text"].as_str().unwrap_or("{not json").to_owned()))
    }

    fn describe() -> String {
        r#"{"name": "run_returns_wrong_json", "summary": "Returns text that is not JSON."}"#.to_owned()
    }
}

raw::export!(WrongJson);
