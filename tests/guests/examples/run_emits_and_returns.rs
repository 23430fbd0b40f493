//! Breaks the contract: returns a value after it has emitted a chunk. The SDK would not let it, so it goes below.

use weir_sdk::raw::weir::flow::output;
use weir_sdk::raw::{self, Guest, NodeError, Output};

struct EmitsAndReturns;

impl Guest for EmitsAndReturns {
    fn run(inputs: String) -> Result<Output, NodeError> {
        let _closed = output::emit(r#""a chunk""#);
        Ok(Output::Value(inputs))
    }

    fn describe() -> String {
        r#"{"name": "run_emits_and_returns", "summary": "Returns a value after emitting.", "streams": true}"#.to_owned()
    }
}

raw::export!(EmitsAndReturns);
