//! DOOR 3: the span of one call of a node to the host, the `rpc_*` metrics and the tokens.

use std::time::{Duration, Instant};

use http::HeaderMap;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};

use crate::id::{FlowId, NodeId};

use super::tries::Tries;
use super::{End, Open, RequestFacts, Server, Start, common, gen_ai};
use crate::telemetry::content::{CONTENT_BYTES, Content, label};
use crate::telemetry::metrics::{Consumption, ModelCall, RpcCall};
use crate::telemetry::names::{attribute, event, gen_ai_content, semconv, value};
use crate::telemetry::usage::whole;
use crate::telemetry::{Redactor, Telemetry, Tokens, Usage};

/// What kind of call it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RpcKind {
    Chat,
    Completion,
    Embedding,
    /// Anything that is no model.
    #[default]
    Function,
}

/// What of a call may appear in a trace, known before it is made. What is empty is left out.
#[derive(Clone, Debug, Default)]
pub struct RpcRequest {
    pub kind: RpcKind,
    /// JSON text of the arguments. Never keys or headers.
    pub inputs: String,
    /// `gen_ai.provider.name`, such as `openai`.
    pub provider: String,
    /// The model or deployment that is asked for.
    pub model: String,
    /// The service that will be called.
    pub server: Option<Server>,
    /// What is sent, if the call is a plain HTTP request.
    pub http: Option<HttpRequest>,
}

/// A plain HTTP request as a trace may show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// Without credentials, query and fragment.
    pub url: String,
}

/// What of a reply may appear in a trace. What is empty is left out.
#[derive(Clone, Debug, Default)]
pub struct RpcReply {
    /// JSON text of the reply; of a stream, the array of all pieces.
    pub output: String,
    pub streamed: bool,
    /// What the call cost, if the service said.
    pub tokens: Option<Tokens>,
    /// The model that answered.
    pub model: String,
    /// The id that the service gave its answer.
    pub id: String,
    pub finish_reason: String,
    /// Of a chat, the JSON of the first choice's message; of a completion, its text.
    pub generated_message: String,
    /// Of an embedding, the JSON array that prompt flow shows: texts, and of each vector its length.
    pub embeddings: String,
    /// The status of the answer to a plain HTTP request. From 400 on the call has failed, and this is its code.
    pub http_status: Option<u16>,
}

/// What is known of a call before it is made.
#[derive(Debug)]
pub struct RpcStart<'a> {
    pub flow: &'a FlowId,
    pub node: &'a NodeId,
    pub request: RequestFacts<'a>,
    /// The node's span.
    pub parent: &'a Context,
    /// Name of the span and of the call, such as `openai_chat`: a small set.
    pub api_call: &'static str,
    pub facts: RpcRequest,
    /// Whether it has a span. Metrics, tokens and costs are told in any case.
    pub told: bool,
    /// What the node costs: the call's tokens are added to it when the call has ended.
    pub usage: Usage,
}

/// The span of a call, if it has one, and what is told of it beside. Dropped without an end: cancelled.
#[derive(Debug)]
pub struct RpcSpan {
    telemetry: Telemetry,
    flow: FlowId,
    node: NodeId,
    api_call: &'static str,
    facts: RpcRequest,
    usage: Usage,
    /// Taken when it ends. None: it is no call of a model.
    model: Option<ModelCall>,
    tries: Tries,
    open: Open,
    began: Instant,
    /// From the beginning of the call to the first piece of a streamed reply.
    first_chunk: Option<Duration>,
}

impl RpcRequest {
    /// A call of this kind with these arguments, as JSON text.
    pub fn new(kind: RpcKind, inputs: impl Into<String>) -> Self {
        Self { kind, inputs: inputs.into(), ..Self::default() }
    }
}

impl Telemetry {
    /// Opens the span of a call. DOOR 3.
    pub fn rpc(&self, start: RpcStart<'_>) -> RpcSpan {
        let RpcStart { flow, node, api_call, facts, usage, .. } = start;
        let span_type = facts.kind.span_type();
        let mut attributes = common(self.redactor(), span_type, start.request);
        attributes.push(KeyValue::new(attribute::FUNCTION, api_call));
        attributes.push(KeyValue::new(attribute::NODE_NAME, node.to_string()));
        attributes.extend(facts.labels(self.redactor()));
        attributes.extend(facts.http.iter().flat_map(|http| http.attributes(self.redactor())));
        let usage = Usage::below(&usage);
        let began = Instant::now();
        let open = Open::start(
            self,
            Start {
                name: api_call.into(),
                kind: SpanKind::Client,
                parent: start.parent,
                attributes,
                usage: Some(usage.clone()),
                told: start.told,
                flow: None,
            },
        );
        if open.is_recording() && facts.kind.operation().is_some() {
            open.set_all(gen_ai::parameters(self.redactor(), &facts.inputs));
        }
        if !facts.inputs.is_empty() {
            open.tell(attribute::INPUTS, event::INPUTS, &facts.inputs);
        }
        if matches!(facts.kind, RpcKind::Chat | RpcKind::Completion) {
            // What is cut is cut within the texts, so that it stays JSON.
            let most = if open.recording().content == Content::Full { usize::MAX } else { CONTENT_BYTES };
            open.tell_gen_ai(gen_ai_content::SYSTEM, || gen_ai::system(&facts.inputs, most));
            open.tell_gen_ai(gen_ai_content::INPUT, || gen_ai::messages(&facts.inputs, most));
        }
        let model = facts.kind.operation().map(|operation| {
            self.metrics().model_call(operation, &facts.provider, &facts.model, facts.server.as_ref())
        });
        let (telemetry, flow, node) = (self.clone(), flow.clone(), node.clone());
        let tries = Tries::of(&open, self, &flow);
        RpcSpan { telemetry, flow, node, api_call, facts, usage, model, tries, open, began, first_chunk: None }
    }
}

impl RpcSpan {
    /// The parent for spans of what the call causes, such as the run of another node.
    pub fn context(&self) -> Context {
        self.open.context().clone()
    }

    /// What the call costs, to be added to by what it causes.
    pub fn usage(&self) -> Usage {
        self.usage.clone()
    }

    /// What whoever calls a service may use to say how often it tried.
    pub fn tries(&self) -> Tries {
        self.tries.clone()
    }

    /// The headers by which the service that is called continues the trace.
    pub fn headers(&self) -> HeaderMap {
        self.telemetry.0.propagators.headers(self.open.context())
    }

    /// A chunk of a model's answer is there.
    pub fn chunk(&mut self) {
        if self.first_chunk.is_none() {
            self.first_chunk = Some(self.began.elapsed());
        }
        if let Some(call) = &mut self.model {
            self.telemetry.metrics().model_chunk(call);
        }
    }

    /// Ends the span with what came back; of a stream, after the last piece.
    pub fn finish(mut self, reply: &RpcReply) {
        self.tell(reply);
        match reply.http_status.filter(|status| *status >= 400) {
            None => self.end(End::Completed, Some(reply)),
            Some(status) => {
                let code = status.to_string();
                let message = format!("the service answered with status {status}");
                self.end(End::failed(&code, &message, None), Some(reply));
            }
        }
    }

    /// Ends the span as failed. The code `Cancelled` ends it as cancelled.
    pub fn fail(mut self, code: &str, message: &str) {
        self.end(End::failed(code, message, None), None);
    }

    fn tell(&self, reply: &RpcReply) {
        let open = &self.open;
        if reply.streamed {
            open.set(attribute::OUTPUT_TYPE, value::ITERATED);
        }
        if matches!(self.facts.kind, RpcKind::Chat | RpcKind::Completion) {
            let most = if open.recording().content == Content::Full { usize::MAX } else { CONTENT_BYTES };
            open.tell_gen_ai(gen_ai_content::OUTPUT, || {
                gen_ai::answer(&reply.generated_message, &reply.finish_reason, most)
            });
        }
        open.set_non_empty(attribute::LLM_RESPONSE_MODEL, &reply.model);
        open.set_non_empty(semconv::RESPONSE_MODEL, &reply.model);
        open.set_non_empty(semconv::RESPONSE_ID, &reply.id);
        if !reply.finish_reason.is_empty() {
            let reason = StringValue::from(label(open.redactor(), &reply.finish_reason));
            open.set(semconv::FINISH_REASONS, Value::Array(Array::String(vec![reason])));
        }
        let contents = [
            (attribute::LLM_GENERATED_MESSAGE, event::GENERATED_MESSAGE, &reply.generated_message),
            (attribute::EMBEDDINGS, event::EMBEDDINGS, &reply.embeddings),
            (attribute::OUTPUT, event::OUTPUT, &reply.output),
        ];
        for (key, event, text) in contents {
            if !text.is_empty() {
                open.tell(key, event, text);
            }
        }
        if let Some(status) = reply.http_status {
            open.set(semconv::HTTP_STATUS, i64::from(status));
        }
        open.set_all(reply.tokens.iter().flat_map(|tokens| token_attributes(self.facts.kind, *tokens)));
    }

    fn end(&mut self, end: End<'_>, reply: Option<&RpcReply>) {
        if !self.open.is_open() {
            return;
        }
        let tokens = reply.and_then(|it| it.tokens);
        if let Some(tokens) = tokens {
            self.usage.add(tokens);
        }
        self.open.set_all(self.tries.attributes());
        if let Some(first) = self.first_chunk {
            self.open.set(semconv::FIRST_CHUNK, first.as_secs_f64());
        }
        let took = self.open.end(end);
        let metrics = self.telemetry.metrics();
        let Self { flow, node, .. } = self;
        let exception = end.code().unwrap_or_default();
        metrics.rpc_call(RpcCall { flow, node, api_call: self.api_call, exception }, took);

        let answered_by = reply.map_or("", |it| it.model.as_str());
        if let Some(tokens) = tokens {
            let llm_engine = if self.facts.model.is_empty() { answered_by } else { &self.facts.model };
            metrics.token_consumption(Consumption { flow, node, llm_engine, tokens });
        }
        if let Some(call) = self.model.take() {
            metrics.model_called(call, answered_by, tokens, end.code(), took);
        }
    }
}

impl Drop for RpcSpan {
    fn drop(&mut self) {
        self.end(End::CANCELLED, None);
    }
}

impl RpcKind {
    fn span_type(self) -> &'static str {
        match self {
            Self::Chat | Self::Completion => "LLM",
            Self::Embedding => "Embedding",
            Self::Function => "Function",
        }
    }

    /// The operation in the words of the GenAI conventions, if it is one.
    fn operation(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat"),
            Self::Completion => Some("text_completion"),
            Self::Embedding => Some("embeddings"),
            Self::Function => None,
        }
    }
}

impl RpcRequest {
    /// What the conventions want on the span from its start, and on the metrics.
    fn labels(&self, redactor: &Redactor) -> Vec<KeyValue> {
        let mut labels: Vec<KeyValue> =
            self.kind.operation().map(|name| KeyValue::new(semconv::OPERATION, name)).into_iter().collect();
        labels.extend(non_empty(redactor, semconv::PROVIDER, &self.provider));
        labels.extend(non_empty(redactor, semconv::REQUEST_MODEL, &self.model));
        if let Some(Server { address, port }) = &self.server {
            labels.extend(non_empty(redactor, semconv::SERVER_ADDRESS, address));
            labels.extend(port.map(|port| KeyValue::new(semconv::SERVER_PORT, i64::from(port))));
        }
        labels
    }
}

impl HttpRequest {
    fn attributes(&self, redactor: &Redactor) -> Vec<KeyValue> {
        let of = |key, value: &str| non_empty(redactor, key, value);
        [of(semconv::HTTP_METHOD, &self.method), of(semconv::URL_FULL, &self.url)].into_iter().flatten().collect()
    }
}

fn token_attributes(kind: RpcKind, tokens: Tokens) -> Vec<KeyValue> {
    let (prompt, completion) = (whole(tokens.prompt), whole(tokens.completion));
    let mut attributes = vec![
        KeyValue::new(attribute::LLM_PROMPT_TOKENS, prompt),
        KeyValue::new(attribute::LLM_TOTAL_TOKENS, whole(tokens.total)),
        KeyValue::new(semconv::INPUT_TOKENS, prompt),
    ];
    if kind != RpcKind::Embedding {
        attributes.push(KeyValue::new(attribute::LLM_COMPLETION_TOKENS, completion));
        attributes.push(KeyValue::new(semconv::OUTPUT_TOKENS, completion));
    }
    attributes
}

fn non_empty(redactor: &Redactor, key: &'static str, value: &str) -> Option<KeyValue> {
    (!value.is_empty()).then(|| KeyValue::new(key, label(redactor, value)))
}
