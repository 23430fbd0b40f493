//! Asks a completion model.

use weir_sdk::{CallError, data, llm, node};

#[data]
struct Answer {
    text: String,
    total_tokens: Option<u64>,
}

/// Continues a text.
#[node(uses = ["llm"])]
fn llm_completes(connection: String, prompt: String) -> Result<Answer, CallError> {
    let completion = llm::complete(connection, prompt).param("max_tokens", 16).send()?;
    Ok(Answer { text: completion.text, total_tokens: completion.usage.map(|usage| usage.total_tokens) })
}
