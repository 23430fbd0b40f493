//! A deterministic chat model in the host, so that a flow runs anywhere: no network, no key, no cost.
//!
//! It understands nothing and says so in every answer. Asked to summarise (a prompt with `summar` in it), it gives the
//! first sentence; else it repeats what the user said last. The same request has the same answer for ever: examples
//! and tests print it. One token is one word between blanks, so that anyone can count along.
//!
//! Of the parameters it heeds `max_tokens` (and `max_completion_tokens`) and, for embeddings, `dimensions`.

mod vector;

use futures_util::{FutureExt, StreamExt, future, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{
    Backend, ChatDelta, ChatEvent, ChatReply, ChatRequest, ChatStream, CompletionReply, CompletionRequest,
    EmbeddingReply, EmbeddingRequest, Object, Outbound, Reply, Usage, invalid, resolve_model,
};
use crate::boundary::error::CallError;

/// What answers when a request names no model. Any other name will do, too.
const MODEL: &str = "offline";

/// Every answer begins with it, so that nobody takes the model for one that thinks.
const PREFIX: &str = "offline model:";

/// Longest quotation in an answer, in characters. The user's text may be of any length.
const MAX_QUOTE: usize = 400;

/// The model in the host.
#[derive(Clone, Copy, Debug)]
pub struct Offline;

impl Backend for Offline {
    fn provider(&self) -> &str {
        "weir.offline"
    }

    fn server(&self) -> Option<(&str, u16)> {
        None
    }

    fn model(&self) -> Option<&str> {
        Some(MODEL)
    }

    fn chat(&self, request: ChatRequest, _: Outbound) -> Reply<ChatReply> {
        future::ready(chat(&request)).boxed()
    }

    fn stream_chat(&self, request: ChatRequest, _: Outbound) -> Reply<ChatStream> {
        future::ready(chat(&request).map(|reply| stream::iter(pieces(reply).into_iter().map(Ok)).boxed())).boxed()
    }

    fn complete(&self, request: CompletionRequest, _: Outbound) -> Reply<CompletionReply> {
        future::ready(complete(&request)).boxed()
    }

    fn embed(&self, request: EmbeddingRequest, _: Outbound) -> Reply<EmbeddingReply> {
        future::ready(embed(&request)).boxed()
    }
}

fn chat(request: &ChatRequest) -> Result<ChatReply, CallError> {
    let model = resolve_model(&request.model, Some(MODEL))?;
    let object = request.object(model)?;
    let messages: Vec<Message> = serde_json::from_str(object["messages"].get())
        .map_err(|_| invalid("messages: expected objects with the keys \"role\" and \"content\""))?;
    let spoken: Vec<String> = messages.iter().map(Message::text).collect();
    let answer = Answer::new(&reply_to(&messages, &spoken), max_tokens(&object));
    let id = id(&spoken.join("\n"));
    let usage = usage(spoken.iter().map(|text| words(text)).sum(), words(&answer.text));
    let message = json!({"role": "assistant", "content": answer.text});
    let choice = json!({"index": 0, "message": message, "finish_reason": answer.finish_reason});
    Ok(ChatReply {
        raw: raw("chat.completion", &id, model, &choice, usage),
        id,
        model: model.to_owned(),
        message: message.to_string(),
        finish_reason: answer.finish_reason.to_owned(),
        usage: Some(usage),
    })
}

fn complete(request: &CompletionRequest) -> Result<CompletionReply, CallError> {
    let model = resolve_model(&request.model, Some(MODEL))?;
    let object = request.object(model)?;
    let text = if wants_summary(&request.prompt) {
        summary(&request.prompt)
    } else {
        format!("{PREFIX} the prompt was {:?}", quote(request.prompt.trim()))
    };
    let answer = Answer::new(&text, max_tokens(&object));
    let id = id(&request.prompt);
    let usage = usage(words(&request.prompt), words(&answer.text));
    let choice = json!({"index": 0, "text": answer.text, "finish_reason": answer.finish_reason});
    Ok(CompletionReply {
        raw: raw("text_completion", &id, model, &choice, usage),
        id,
        model: model.to_owned(),
        text: answer.text,
        finish_reason: answer.finish_reason.to_owned(),
        usage: Some(usage),
    })
}

/// The whole answer as a service would have written it. It says no time: the same request has the same answer.
fn raw(object: &str, id: &str, model: &str, choice: &Value, usage: Usage) -> String {
    let Usage { prompt_tokens, completion_tokens, total_tokens } = usage;
    let usage = json!({
        "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total_tokens,
    });
    json!({"id": id, "object": object, "created": 0, "model": model, "choices": [choice], "usage": usage}).to_string()
}

fn embed(request: &EmbeddingRequest) -> Result<EmbeddingReply, CallError> {
    let model = resolve_model(&request.model, Some(MODEL))?;
    let object = request.object(model)?;
    let dimensions = match number(&object, "dimensions") {
        None => vector::DEFAULT_DIMENSIONS,
        Some(dimensions) => usize::try_from(dimensions)
            .ok()
            .filter(|dimensions| (1..=vector::MAX_DIMENSIONS).contains(dimensions))
            .ok_or_else(|| {
                invalid(format!("dimensions: expected 1 to {}, found {dimensions}", vector::MAX_DIMENSIONS))
            })?,
    };
    Ok(EmbeddingReply {
        model: model.to_owned(),
        vectors: request.inputs.iter().map(|text| vector::of(text, dimensions)).collect(),
        usage: Some(usage(request.inputs.iter().map(|text| words(text)).sum(), 0)),
    })
}

/// What the answer to a conversation is.
fn reply_to(messages: &[Message], spoken: &[String]) -> String {
    let Some(last) = messages.iter().rposition(|message| message.role == "user") else {
        return format!("{PREFIX} nobody asked anything");
    };
    // The wish for a summary may stand with the text or in a system message before it.
    let instructed = messages.iter().zip(spoken).any(|(message, text)| message.is_instruction() && wants_summary(text));
    if instructed || wants_summary(&spoken[last]) {
        return summary(&spoken[last]);
    }
    let turns = messages[..last].iter().filter(|message| message.role == "user").count();
    let memory = match turns {
        0 => "this is our first turn".to_owned(),
        1 => "I have seen 1 earlier turn".to_owned(),
        turns => format!("I have seen {turns} earlier turns"),
    };
    format!("{PREFIX} you said {:?}, and {memory}", quote(spoken[last].trim()))
}

fn wants_summary(text: &str) -> bool {
    text.to_ascii_lowercase().contains("summar")
}

/// The first sentence of the text, without the lines that ask for a summary.
fn summary(text: &str) -> String {
    let wish = |line: &&str| {
        wants_summary(line) && text.lines().any(|other| !other.trim().is_empty() && !wants_summary(other))
    };
    let rest: Vec<_> = text.lines().filter(|line| !wish(line)).flat_map(str::split_whitespace).collect();
    let rest = rest.join(" ");
    let end = rest.match_indices(['.', '!', '?']).map(|(at, sign)| at + sign.len());
    let end = end.into_iter().find(|end| rest[*end..].starts_with(' ')).unwrap_or(rest.len());
    format!("{PREFIX} {}", quote(&rest[..end]))
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An answer and why it ends.
struct Answer {
    text: String,
    finish_reason: &'static str,
}

impl Answer {
    fn new(text: &str, max_tokens: Option<u64>) -> Self {
        let allowed = max_tokens.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let words: Vec<_> = text.split_whitespace().collect();
        if words.len() <= allowed {
            return Self { text: text.to_owned(), finish_reason: "stop" };
        }
        Self { text: words[..allowed].join(" "), finish_reason: "length" }
    }
}

/// The answer as a service streams it: the role, the words, the reason to stop, the usage.
fn pieces(reply: ChatReply) -> Vec<ChatEvent> {
    let message: Value = serde_json::from_str(&reply.message).unwrap_or_default();
    let text = message["content"].as_str().unwrap_or_default();
    let delta = |content: &str, delta: Value, finish_reason: Option<String>| {
        ChatEvent::Delta(ChatDelta { content: content.to_owned(), delta: delta.to_string(), finish_reason })
    };
    let mut events = vec![
        ChatEvent::Began { id: reply.id, model: reply.model },
        delta("", json!({"role": "assistant", "content": ""}), None),
    ];
    events.extend(text.split_inclusive(' ').map(|word| delta(word, json!({"content": word}), None)));
    events.push(delta("", json!({}), Some(reply.finish_reason)));
    events.extend(reply.usage.map(ChatEvent::Usage));
    events
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The text of the message; that of its parts, if it has some.
    fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
            _ => String::new(),
        }
    }

    fn is_instruction(&self) -> bool {
        matches!(self.role.as_str(), "system" | "developer")
    }
}

fn max_tokens(request: &Object) -> Option<u64> {
    number(request, "max_tokens").or_else(|| number(request, "max_completion_tokens"))
}

fn number(request: &Object, name: &str) -> Option<u64> {
    request.get(name).and_then(|value| serde_json::from_str(value.get()).ok())
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

/// An id that is the same whenever the prompt is.
fn id(prompt: &str) -> String {
    format!("offline-{:016x}", vector::hash(prompt))
}

#[cfg(test)]
mod tests;
