//! A request to a chat model and its whole answer. Not the answer in pieces: see stream.rs.

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::Relay;
use crate::bindings::weir::flow::llm as wit;
use crate::error::CallError;
use crate::llm::parameters::Parameters;
use crate::llm::{ChatStream, Usage};

/// A request to a chat model, made by [`chat`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until `send`, `stream` or `relay`"]
pub struct Chat {
    connection: String,
    model: String,
    messages: Vec<Value>,
    parameters: Parameters,
}

/// A chat model's whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The id that the service gave this answer; may be empty.
    pub id: String,
    /// The model that answered; services often resolve a name to a dated version.
    pub model: String,
    /// The first choice's message object, whole: `{"role": "assistant", "content": "…", …}`.
    pub message: Value,
    /// Why the model stopped, such as `stop`, `length`, `tool_calls`, `content_filter`; may be empty.
    pub finish_reason: String,
    /// What the answer cost; none if the service does not say.
    pub usage: Option<Usage>,
    /// The service's answer as it wrote it; see [`raw`](Self::raw).
    raw: String,
}

/// Begins a request to the chat model behind a connection.
pub fn chat(connection: impl Into<String>) -> Chat {
    Chat { connection: connection.into(), model: String::new(), messages: Vec::new(), parameters: Parameters::new() }
}

impl Chat {
    /// The model or, with Azure OpenAI, the deployment. Without it, what the connection prescribes.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = name.into();
        self
    }

    /// Adds a message that instructs the model.
    pub fn system(self, content: impl AsRef<str>) -> Self {
        self.say("system", content.as_ref())
    }

    /// Adds a message of the user.
    pub fn user(self, content: impl AsRef<str>) -> Self {
        self.say("user", content.as_ref())
    }

    /// Adds an earlier answer of the model.
    pub fn assistant(self, content: impl AsRef<str>) -> Self {
        self.say("assistant", content.as_ref())
    }

    /// Adds a message object of any form, such as one with images or the result of a tool.
    pub fn message(mut self, message: impl Serialize) -> Self {
        let message = self.parameters.checked("message", message);
        self.messages.extend(message);
        self
    }

    /// Adds several message objects, such as a conversation so far.
    pub fn messages<M: Serialize>(self, messages: impl IntoIterator<Item = M>) -> Self {
        messages.into_iter().fold(self, Self::message)
    }

    /// How freely the model chooses its words: 0 hardly, 2 wildly.
    pub fn temperature(self, value: f64) -> Self {
        self.param("temperature", value)
    }

    /// The longest answer, in tokens.
    pub fn max_tokens(self, count: u32) -> Self {
        self.param("max_tokens", count)
    }

    /// Any other parameter of the service, such as `seed`, `stop`, `tools` or `response_format`.
    pub fn param(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.parameters.set(name, value);
        self
    }

    /// Asks and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]; the host has already retried what is worth retrying.
    pub fn send(self) -> Result<Reply, CallError> {
        wit::chat(&self.into_request()?)?.try_into()
    }

    /// Asks and gives the answer as it is written. Returns once the service has accepted the request.
    ///
    /// # Errors
    ///
    /// Any [`CallError`].
    pub fn stream(self) -> Result<ChatStream, CallError> {
        Ok(ChatStream::new(wit::stream_chat(&self.into_request()?)?))
    }

    /// Asks for the text of an answer that the host passes on by itself, to be returned from the node.
    ///
    /// Returns at once: the model is asked when the node has ended, of which so nothing is kept while the model thinks. A run
    /// has one such answer at a time that is still to be asked for.
    ///
    /// ```
    /// use weir_sdk::{CallError, Relay, llm, node};
    ///
    /// /// Answers a question.
    /// #[node(uses = ["llm"])]
    /// fn answer(question: String) -> Result<Relay, CallError> {
    ///     llm::chat("my_connection").user(question).relay()
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// If the call fails then, so does the run, as an `llm` node does: a failure of the service has the name of the OpenAI
    /// client's exception, such as `RateLimitError`, and blames the user; what the host refuses has the name of its kind,
    /// such as `NotGranted`, and blames the system. A node that wants to say something else returns the
    /// [`relay`](ChatStream::relay) of a [`stream`](Self::stream), which waits for the service.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::CallErrorKind::InvalidRequest) if a message or a parameter is not JSON.
    pub fn relay(self) -> Result<Relay, CallError> {
        Ok(Relay(wit::relay_chat(&self.into_request()?)))
    }

    fn say(mut self, role: &str, content: &str) -> Self {
        self.messages.push(json!({ "role": role, "content": content }));
        self
    }

    fn into_request(self) -> Result<wit::ChatRequest, CallError> {
        Ok(wit::ChatRequest {
            connection: self.connection,
            model: self.model,
            messages: Value::Array(self.messages).to_string(),
            parameters: self.parameters.into_json()?,
        })
    }
}

impl Reply {
    /// The text of the answer; empty if it has none, as with tool calls.
    pub fn text(&self) -> &str {
        self.message.get("content").and_then(Value::as_str).unwrap_or_default()
    }

    /// The service's answer, whole: `{"id": "…", "choices": […], …}`, with all choices and what else it says.
    ///
    /// # Errors
    ///
    /// The answer is not JSON.
    pub fn raw(&self) -> Result<Value, CallError> {
        whole(&self.raw)
    }
}

/// An answer as JSON. It is parsed only where it is asked for: few nodes want more than the first choice.
pub(super) fn whole(raw: &str) -> Result<Value, CallError> {
    serde_json::from_str(raw).map_err(|error| CallError::protocol(format!("answer is not JSON: {error}")))
}

impl TryFrom<wit::ChatReply> for Reply {
    type Error = CallError;

    fn try_from(reply: wit::ChatReply) -> Result<Self, CallError> {
        let message = serde_json::from_str(&reply.message)
            .map_err(|error| CallError::protocol(format!("message of the answer is not JSON: {error}")))?;
        let wit::ChatReply { id, model, message: _, finish_reason, usage, raw } = reply;
        Ok(Self { id, model, message, finish_reason, usage, raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_its_messages_in_order() {
        let request = chat("c")
            .model("m")
            .system("be brief")
            .messages([json!({"role": "user", "content": "hi"})])
            .assistant("hello")
            .temperature(0.5)
            .into_request()
            .expect("all is JSON");
        assert_eq!(
            request.messages,
            concat!(
                r#"[{"role":"system","content":"be brief"},{"role":"user","content":"hi"},"#,
                r#"{"role":"assistant","content":"hello"}]"#
            )
        );
        assert_eq!((request.connection.as_str(), request.model.as_str()), ("c", "m"));
        assert_eq!(request.parameters, r#"{"temperature":0.5}"#);
    }

    #[test]
    fn a_reply_without_content_has_an_empty_text() {
        let reply = wit::ChatReply {
            id: String::new(),
            model: "m".to_owned(),
            message: r#"{"role":"assistant","content":null,"tool_calls":[]}"#.to_owned(),
            finish_reason: "tool_calls".to_owned(),
            usage: None,
            raw: r#"{"choices":[]}"#.to_owned(),
        };
        let reply = Reply::try_from(reply).expect("the message is JSON");
        assert_eq!((reply.text(), reply.raw()), ("", Ok(json!({"choices": []}))));
    }
}
