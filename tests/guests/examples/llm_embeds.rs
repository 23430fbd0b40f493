//! Asks an embedding model.

use weir_sdk::{CallError, data, llm, node};

#[data]
struct Answer {
    vectors: Vec<Vec<f32>>,
    prompt_tokens: Option<u64>,
}

/// Embeds texts.
#[node(uses = ["llm"])]
fn llm_embeds(connection: String, texts: Vec<String>) -> Result<Answer, CallError> {
    let embeddings = llm::embed(connection, texts).send()?;
    Ok(Answer { vectors: embeddings.vectors, prompt_tokens: embeddings.usage.map(|usage| usage.prompt_tokens) })
}
