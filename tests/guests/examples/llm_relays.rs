//! Hands a chat model's answer to the host, which passes it on by itself.

use weir_sdk::{CallError, Relay, llm, node};

/// Relays a model's answer.
#[node(uses = ["llm"])]
fn llm_relays(connection: String, question: String) -> Result<Relay, CallError> {
    Ok(llm::chat(connection).user(question).stream()?.relay())
}
