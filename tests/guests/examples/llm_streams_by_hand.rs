//! Reads a chat model's answer piece by piece, emits each piece in capitals, and at the end what it cost.

use std::iter;

use weir_sdk::{CallError, llm, node};

/// Streams an answer in capitals, and its tokens as the last chunk.
#[node(uses = ["llm"])]
fn llm_streams_by_hand(
    connection: String,
    question: String,
) -> Result<impl Iterator<Item = Result<String, CallError>>, CallError> {
    let mut answer = llm::chat(connection).user(question).stream()?;
    let mut over = false;
    Ok(iter::from_fn(move || match answer.next() {
        Some(piece) => Some(piece.map(|piece| piece.content.to_uppercase())),
        None if over => None,
        None => {
            over = true;
            answer.usage().map(|usage| Ok(format!(" ({} tokens)", usage.total_tokens)))
        }
    }))
}
