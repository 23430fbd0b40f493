//! The seam between the `llm` capability and whatever answers: a service over HTTP or the offline model.
//!
//! A backend is chosen once, when connections are loaded, and shared by all calls. It checks what a guest asks for,
//! talks to its model, and says what went wrong. It knows no grants, spans or metrics: the boundary has done that.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use indexmap::IndexMap;
use serde_json::value::{RawValue, to_raw_value};

use super::offline::Offline;
use super::openai::{Limits, OpenAi};
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::Tries;
use crate::capability::connection::{Connection, Kind, Problem};
use crate::capability::upstream::{Upstream, Upstreams};
use crate::identity::Identity;

/// Longest name of a model or deployment, in bytes. It comes from a guest and goes into a URL; real ones are below 100.
const MAX_MODEL_NAME: usize = 256;

/// A model behind a connection.
///
/// The four operations return futures that own all they need, so that the caller may run them on another runtime than
/// its own: one with I/O and time enabled. Dropping a future, or a stream, gives the call up and cancels the request
/// behind it. A backend never waits past the call's deadline, and it retries by itself what is worth retrying.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Who answers, as OpenTelemetry's `gen_ai.provider.name` has it: `openai`, `azure.ai.openai`, `weir.offline`, …
    fn provider(&self) -> &str;

    /// Host and port of the service; none if there is no network behind it.
    fn server(&self) -> Option<(&str, u16)>;

    /// The model that answers when a request names none; none if a request has to.
    fn model(&self) -> Option<&str>;

    /// Whether its service is asked at all is decided there; none if there is no service.
    fn upstream(&self) -> Option<&Arc<Upstream>> {
        None
    }

    /// Asks a chat model and waits for the whole answer.
    fn chat(&self, request: ChatRequest, outbound: Outbound) -> Reply<ChatReply>;

    /// Asks a chat model; the future ends when the service has accepted the request, and the stream with the answer.
    ///
    /// After an error the stream is over. Its waits need a runtime with time enabled, where it is polled.
    fn stream_chat(&self, request: ChatRequest, outbound: Outbound) -> Reply<ChatStream>;

    /// Asks a completion model and waits for the whole answer.
    fn complete(&self, request: CompletionRequest, outbound: Outbound) -> Reply<CompletionReply>;

    /// Embeds texts: one vector for each, in the same order.
    fn embed(&self, request: EmbeddingRequest, outbound: Outbound) -> Reply<EmbeddingReply>;
}

/// What comes back from a backend, now or later.
pub type Reply<T> = BoxFuture<'static, Result<T, CallError>>;

/// An answer on its way: at most one [`ChatEvent::Began`] first, then the pieces, then the usage if it is known.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, CallError>>;

/// What a call carries besides its request.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Trace context for the service: `traceparent`, `tracestate`. Never replaces a header of the backend's own.
    pub headers: HeaderMap,
    /// When the call must have ended, a stream with its last piece.
    pub deadline: Instant,
    /// To be told of tries that are made again.
    pub tries: Tries,
}

/// See `chat-request` in wit/llm.wit; the connection has already led to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    pub model: String,
    /// JSON array.
    pub messages: String,
    /// JSON object.
    pub parameters: String,
}

/// See `completion-request` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionRequest {
    pub model: String,
    pub prompt: String,
    /// JSON object.
    pub parameters: String,
}

/// See `embedding-request` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingRequest {
    pub model: String,
    pub inputs: Vec<String>,
    /// JSON object.
    pub parameters: String,
}

/// See `chat-reply` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatReply {
    pub id: String,
    pub model: String,
    /// JSON object, as the service wrote it.
    pub message: String,
    pub finish_reason: String,
    pub usage: Option<Usage>,
    /// JSON object: all that the service wrote.
    pub raw: String,
}

/// See `completion-reply` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionReply {
    pub id: String,
    pub model: String,
    pub text: String,
    pub finish_reason: String,
    pub usage: Option<Usage>,
    /// JSON object: all that the service wrote.
    pub raw: String,
}

/// See `embedding-reply` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingReply {
    pub model: String,
    pub vectors: Vec<Vec<f32>>,
    pub usage: Option<Usage>,
}

/// One thing that a streamed answer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatEvent {
    /// Which answer this is, for the trace; guests do not see it. Left out if the service does not say.
    Began {
        id: String,
        model: String,
    },
    Delta(ChatDelta),
    Usage(Usage),
}

/// See `chat-delta` in wit/llm.wit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatDelta {
    pub content: String,
    /// JSON object, as the service wrote it.
    pub delta: String,
    pub finish_reason: Option<String>,
}

/// Tokens that a call cost, as the service counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
}

/// The backend for a connection. Called at start-up, once for each connection that nodes may use.
///
/// # Errors
///
/// The connection leads to no model, or cannot be used as it stands; the problem names the connection and the fix.
pub fn choose(
    connection: &Connection,
    identity: &Identity,
    limits: &Limits,
    upstreams: &Upstreams,
) -> Result<Arc<dyn Backend>, Problem> {
    if connection.kind == Kind::Offline {
        return Ok(Arc::new(Offline));
    }
    Ok(Arc::new(OpenAi::build(connection, identity, limits.clone(), upstreams.of(&connection.name))?))
}

/// A JSON object with its members in order and their values untouched.
pub(super) type Object = IndexMap<String, Box<RawValue>>;

impl ChatRequest {
    /// The request as one object, for `model`.
    pub(super) fn object(&self, model: &str) -> Result<Object, CallError> {
        let parameters = parameters(&self.parameters, &["model", "messages", "stream", "stream_options"])?;
        let messages = RawValue::from_string(self.messages.clone())
            .ok()
            .filter(|messages| messages.get().trim_start().starts_with('['))
            .ok_or_else(|| invalid("messages: expected a JSON array of message objects"))?;
        Ok(object([("model", text(model)), ("messages", messages)], parameters))
    }
}

impl CompletionRequest {
    /// The request as one object, for `model`.
    pub(super) fn object(&self, model: &str) -> Result<Object, CallError> {
        let parameters = parameters(&self.parameters, &["model", "prompt", "stream", "stream_options"])?;
        Ok(object([("model", text(model)), ("prompt", text(&self.prompt))], parameters))
    }
}

impl EmbeddingRequest {
    /// The request as one object, for `model`.
    pub(super) fn object(&self, model: &str) -> Result<Object, CallError> {
        let parameters = parameters(&self.parameters, &["model", "input", "encoding_format"])?;
        if self.inputs.is_empty() {
            return Err(invalid("inputs: expected at least one text, found none"));
        }
        let inputs = to_raw_value(&self.inputs).expect("a list of strings is JSON");
        Ok(object([("model", text(model)), ("input", inputs)], parameters))
    }
}

/// The model that a request means: the one it names, else the one of its connection.
pub(super) fn resolve_model<'a>(asked: &'a str, default: Option<&'a str>) -> Result<&'a str, CallError> {
    let model = if asked.is_empty() { default.unwrap_or_default() } else { asked };
    if model.is_empty() {
        return Err(invalid("no model is named; name the model, or with Azure OpenAI the deployment, in the request"));
    }
    // `.` and `..` would change the path of a URL that has the deployment as a segment.
    if model.len() > MAX_MODEL_NAME || model.chars().any(char::is_control) || model == "." || model == ".." {
        return Err(invalid(format!(
            "model: expected a name of at most {MAX_MODEL_NAME} bytes without control characters"
        )));
    }
    Ok(model)
}

/// Parameters of a request, without those that belong to the host.
fn parameters(parameters: &str, reserved: &[&str]) -> Result<Object, CallError> {
    // The parser's message would quote the text, which is the user's.
    let parameters: Object =
        serde_json::from_str(parameters).map_err(|_| invalid("parameters: expected a JSON object"))?;
    match reserved.iter().find(|name| parameters.contains_key(**name)) {
        Some(name) => Err(invalid(format!("parameters: {name:?} belongs to the host; leave it out"))),
        None => Ok(parameters),
    }
}

fn object<const N: usize>(own: [(&str, Box<RawValue>); N], parameters: Object) -> Object {
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(parameters).collect()
}

fn text(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a string is JSON")
}

pub(super) fn invalid(message: impl Into<String>) -> CallError {
    CallError::new(CallErrorKind::InvalidRequest, message)
}
