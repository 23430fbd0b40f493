//! A request to an embedding model.

use serde::Serialize;

use crate::bindings::weir::flow::llm as wit;
use crate::error::CallError;
use crate::llm::Usage;
use crate::llm::parameters::Parameters;

/// A request to an embedding model, made by [`embed`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until `send`"]
pub struct Embed {
    connection: String,
    model: String,
    inputs: Vec<String>,
    parameters: Parameters,
}

/// The vectors of some texts.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// The model that answered.
    pub model: String,
    /// One vector for each text, in the same order.
    pub vectors: Vec<Vec<f32>>,
    /// What the request cost; none if the service does not say.
    pub usage: Option<Usage>,
}

/// Begins a request to embed texts, at least one.
pub fn embed<T: Into<String>>(connection: impl Into<String>, texts: impl IntoIterator<Item = T>) -> Embed {
    Embed {
        connection: connection.into(),
        model: String::new(),
        inputs: texts.into_iter().map(Into::into).collect(),
        parameters: Parameters::new(),
    }
}

impl Embed {
    /// The model or, with Azure OpenAI, the deployment. Without it, what the connection prescribes.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = name.into();
        self
    }

    /// Any parameter of the service, such as `dimensions`.
    pub fn param(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.parameters.set(name, value);
        self
    }

    /// Asks and waits for the vectors.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]; the host has already retried what is worth retrying.
    pub fn send(self) -> Result<Embeddings, CallError> {
        let reply = wit::embed(&wit::EmbeddingRequest {
            connection: self.connection,
            model: self.model,
            inputs: self.inputs,
            parameters: self.parameters.into_json()?,
        })?;
        let wit::EmbeddingReply { model, vectors, usage } = reply;
        Ok(Embeddings { model, vectors, usage })
    }
}
