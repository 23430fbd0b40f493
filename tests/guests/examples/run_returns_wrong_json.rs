//! Breaks the contract: hands over text that is not JSON. The SDK would not let it, so it goes below.

use weir_sdk::raw::{self, Guest, NodeError, Output};

struct WrongJson;

impl Guest for WrongJson {
    fn run(_: String) -> Result<Output, NodeError> {
        Ok(Output::Value("{not json".to_owned()))
    }

    fn describe() -> String {
        r#"{"name": "run_returns_wrong_json", "summary": "Returns text that is not JSON."}"#.to_owned()
    }
}

raw::export!(WrongJson);
