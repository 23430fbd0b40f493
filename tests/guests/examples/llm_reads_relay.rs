//! Reads a stream that it could have relayed, chunk by chunk.

use weir_sdk::serde_json::Value;
use weir_sdk::{CallError, llm, node};

/// Returns the chunks of a model's answer as a list.
#[node(uses = ["llm"])]
fn llm_reads_relay(connection: String, question: String) -> Result<Vec<Value>, CallError> {
    llm::chat(connection).user(question).stream()?.relay().into_chunks().collect()
}
