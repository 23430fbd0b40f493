//! Is given a chat model's answer before the model was asked, and hands it on, reads it, or lets it go.

use weir_sdk::serde_json::Value;
use weir_sdk::{Answer, CallError, llm, node};

/// Relays a model's answer, or returns its chunks as a list.
#[node(uses = ["llm"])]
fn llm_relays_at_once(
    connection: String,
    question: String,
    /// `reads` the chunks, or `drops` them, or asks for others then: `reads and asks`, `drops and asks`, or just `asks`, with the
    /// first still there. Hands the last on if it is empty.
    #[serde(default)]
    does: String,
) -> Result<Answer<Vec<Value>>, CallError> {
    let chat = llm::chat(connection).user(question);
    let answer = chat.clone().relay()?;
    let (first, asks) = match does.strip_suffix("asks") {
        Some(first) => (first.trim_end_matches(" and "), true),
        None => (does.as_str(), false),
    };
    let mut kept = None;
    let read = match first {
        "reads" => answer.into_chunks().collect::<Result<_, _>>()?,
        "drops" => {
            drop(answer);
            Vec::new()
        }
        _ if asks => {
            kept = Some(answer);
            Vec::new()
        }
        _ => return Ok(Answer::Relay(answer)),
    };
    let last = asks.then(|| chat.relay()).transpose()?;
    drop(kept);
    Ok(last.map_or(Answer::Value(read), Answer::Relay))
}
