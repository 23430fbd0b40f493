//! A request to a completion model, the older interface that continues a text.

use serde::Serialize;
use serde_json::Value;

use crate::bindings::weir::flow::llm as wit;
use crate::error::CallError;
use crate::llm::Usage;
use crate::llm::chat::whole;
use crate::llm::parameters::Parameters;

/// A request to a completion model, made by [`complete`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until `send`"]
pub struct Complete {
    connection: String,
    model: String,
    prompt: String,
    parameters: Parameters,
}

/// A completion model's whole answer.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The id that the service gave this answer; may be empty.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// The first choice's text.
    pub text: String,
    /// Why the model stopped, such as `stop` or `length`; may be empty.
    pub finish_reason: String,
    /// What the answer cost; none if the service does not say.
    pub usage: Option<Usage>,
    /// The service's answer as it wrote it; see [`raw`](Self::raw).
    raw: String,
}

/// Begins a request to continue a text.
pub fn complete(connection: impl Into<String>, prompt: impl Into<String>) -> Complete {
    Complete {
        connection: connection.into(),
        model: String::new(),
        prompt: prompt.into(),
        parameters: Parameters::new(),
    }
}

impl Complete {
    /// The model or, with Azure OpenAI, the deployment. Without it, what the connection prescribes.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = name.into();
        self
    }

    /// Any parameter of the service, such as `temperature`, `max_tokens` or `stop`.
    pub fn param(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.parameters.set(name, value);
        self
    }

    /// Asks and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]; the host has already retried what is worth retrying.
    pub fn send(self) -> Result<Completion, CallError> {
        let reply = wit::complete(&wit::CompletionRequest {
            connection: self.connection,
            model: self.model,
            prompt: self.prompt,
            parameters: self.parameters.into_json()?,
        })?;
        let wit::CompletionReply { id, model, text, finish_reason, usage, raw } = reply;
        Ok(Completion { id, model, text, finish_reason, usage, raw })
    }
}

impl Completion {
    /// The service's answer, whole: `{"id": "…", "choices": […], …}`, with all choices and what else it says.
    ///
    /// # Errors
    ///
    /// The answer is not JSON.
    pub fn raw(&self) -> Result<Value, CallError> {
        whole(&self.raw)
    }
}
