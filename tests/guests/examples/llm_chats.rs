//! Asks a chat model and returns all that the reply holds.

use weir_sdk::serde_json::{Map, Value};
use weir_sdk::{CallError, data, llm, node};

#[data]
struct Answer {
    text: String,
    model: String,
    finish_reason: String,
    message: Value,
    total_tokens: Option<u64>,
}

/// Asks a chat model.
#[node(uses = ["llm"])]
fn llm_chats(
    connection: String,
    question: String,
    model: Option<String>,
    /// Parameters of the request, as they are.
    #[serde(default)]
    parameters: Map<String, Value>,
) -> Result<Answer, CallError> {
    let chat = llm::chat(connection).model(model.unwrap_or_default()).system("Be brief.").user(question);
    let reply = parameters.into_iter().fold(chat, |chat, (name, value)| chat.param(name, value)).send()?;
    Ok(Answer {
        text: reply.text().to_owned(),
        model: reply.model,
        finish_reason: reply.finish_reason,
        message: reply.message,
        total_tokens: reply.usage.map(|usage| usage.total_tokens),
    })
}
