//! `weir:flow/llm`: language models, by the name of a connection. Granted by naming the connection, or some of its models:
//! see llm/asked.rs.
//!
//! The names of calls, in spans and in the `api_call` dimension, are the original's (`openai_chat`, …): they say which
//! API is spoken, whoever answers.

mod asked;
pub mod backend;
mod caller;
mod failure;
mod meter;
pub mod offline;
pub mod openai;
pub mod sse;
mod wit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use wasmtime::component::Linker;

use crate::boundary::denial::shown;
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::{RpcKind, RpcReply, RpcRequest, RpcServer, Tokens};
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::{Capability, HostCall, Lend, Lent, Pass, StreamCall};

use crate::capability::connection::{self, Connections, Problem};
use crate::capability::upstream::Upstreams;
pub use asked::Asked;
use asked::Models;
use backend::{Backend, Outbound, Usage};
use caller::Caller;
use meter::Meter;

/// The connections that nodes may use, and how patient their clients are.
#[derive(Debug, Default)]
pub struct Config {
    pub connections: Connections,
    pub limits: openai::Limits,
    /// Whether their services are asked.
    pub upstreams: Upstreams,
    /// Who asks, beside weir itself.
    pub agent: Vec<String>,
}

/// Serves `weir:flow/llm`.
#[derive(Debug)]
pub struct Llm {
    backends: BTreeMap<String, Result<Arc<dyn Backend>, Problem>>,
    /// Connections that lead to no model.
    others: BTreeSet<String>,
    caller: Caller,
}

/// The connections that a node may use.
#[derive(Debug)]
pub struct Grant {
    held: BTreeMap<String, Held>,
    caller: Caller,
}

/// A connection, and those of its models that are granted.
#[derive(Debug)]
struct Held {
    backend: Arc<dyn Backend>,
    models: Models,
    /// Those that the operator's policy lets nodes have.
    rule: Models,
}

impl Capability for Llm {
    const NAME: &'static str = "llm";
    const INTERFACE: &'static str = "weir:flow/llm";
    type Config = Config;
    type Grant = Grant;
    type Rule = Asked;

    fn build(config: Config) -> Self {
        let backend = |connection: &Arc<connection::Connection>| {
            let backend = backend::choose(connection, config.connections.identity(), &config.limits, &config.upstreams);
            (connection.name.clone(), backend)
        };
        let others = config.connections.iter().filter(|connection| !connection.kind.is_model());
        Self {
            others: others.map(|connection| connection.name.clone()).collect(),
            backends: config.connections.iter().map(backend).collect(),
            caller: Caller::new(&config.agent),
        }
    }

    fn connections(ask: Ask<'_>) -> Vec<String> {
        asked::read(ask).unwrap_or_default().into_iter().map(|asked| asked.connection).collect()
    }

    fn grant(&self, ask: Ask<'_>, rules: &Rules<Asked>) -> Result<Option<Grant>, Vec<AskError>> {
        let mut asks = asked::read(ask).map_err(|error| vec![error])?;
        // A node's own connection may be of use for something else. Where a grant says more of it, that counts.
        let own = ask.connections.iter().filter(|name| !self.others.contains(**name));
        let own = own.filter(|name| !asks.iter().any(|asked| asked.connection == **name));
        let own: Vec<_> = own.map(|name| (*name).to_owned()).collect();
        let mut errors = Vec::new();
        errors.extend(asks.iter().filter_map(|asked| asked.check(rules).err()));
        errors.extend(own.iter().filter_map(|name| asked::check_own(name, ask.model, rules).err()));
        asks.extend(own.into_iter().map(Asked::any_model));
        let mut held = BTreeMap::<String, Held>::new();
        for Asked { connection, models } in asks {
            match self.backend(&connection) {
                Ok(backend) => match held.get_mut(&connection) {
                    Some(known) => known.models.extend(models),
                    None => {
                        let rule = asked::allowed(&connection, rules);
                        held.insert(connection, Held { backend, models, rule });
                    }
                },
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok((!held.is_empty()).then(|| Grant { held, caller: self.caller.clone() }))
        } else {
            Err(errors)
        }
    }

    fn rule(entry: &str) -> Result<Asked, String> {
        asked::read_one(entry)
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        crate::bindings::llm::add_to_linker::<T, Lent>(linker, T::lend)
    }
}

impl Llm {
    fn backend(&self, name: &str) -> Result<Arc<dyn Backend>, AskError> {
        match self.backends.get(name) {
            Some(Ok(backend)) => {
                backend.upstream().into_iter().for_each(|upstream| upstream.grant());
                Ok(backend.clone())
            }
            Some(Err(problem)) => Err(AskError::Unusable(problem.to_string())),
            None => Err(AskError::Unknown {
                what: "connection",
                name: name.to_owned(),
                known: self.backends.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

impl Grant {
    /// Who answers. `model` is what the request names; empty: the connection's own.
    fn backend(&self, name: &str, model: &str, pass: &Pass) -> Result<&Arc<dyn Backend>, CallError> {
        let (node, connection) = (pass.node.as_str(), shown(name));
        let refused = |message: String| CallError::new(CallErrorKind::NotGranted, message);
        let held = self.held.get(name).ok_or_else(|| {
            refused(format!("node {node:?} may not use connection {connection:?}; add it to `grants.llm` of the node"))
        })?;
        let model = if model.is_empty() { held.backend.model().unwrap_or_default() } else { model };
        if !(held.models.hold(model) && held.rule.hold(model)) {
            let (model, models) = (shown(model), if held.models.hold(model) { &held.rule } else { &held.models });
            return Err(refused(format!(
                "node {node:?} may not ask for model {model:?} of connection {connection:?}, of which its grant has \
                 {models}; add it to `grants.llm` of the node"
            )));
        }
        Ok(&held.backend)
    }
}

/// A request, and the connection it goes to.
#[derive(Debug)]
pub struct To<R> {
    pub connection: String,
    pub request: R,
}

/// Asks a chat model and waits for the whole answer.
#[derive(Debug)]
pub struct Chat(pub To<backend::ChatRequest>);

/// Asks a chat model and gives the answer as it is written.
#[derive(Debug)]
pub struct StreamChat(pub To<backend::ChatRequest>);

/// Asks a completion model and waits for the whole answer.
#[derive(Debug)]
pub struct Complete(pub To<backend::CompletionRequest>);

/// Embeds texts.
#[derive(Debug)]
pub struct Embed(pub To<backend::EmbeddingRequest>);

impl HostCall for Chat {
    const API_CALL: &'static str = "openai_chat";
    type Capability = Llm;
    type Reply = backend::ChatReply;

    fn request_facts(&self, grant: Option<&Grant>) -> RpcRequest {
        chat_facts(&self.0, grant, false)
    }

    fn reply_facts(reply: &Self::Reply) -> RpcReply {
        RpcReply {
            output: reply.raw.clone(),
            tokens: reply.usage.map(Tokens::from),
            model: reply.model.clone(),
            id: reply.id.clone(),
            finish_reason: reply.finish_reason.clone(),
            generated_message: reply.message.clone(),
            ..RpcReply::default()
        }
    }

    async fn run(self, grant: Arc<Grant>, pass: Pass) -> Result<Self::Reply, CallError> {
        let To { connection, request } = self.0;
        let backend = grant.backend(&connection, &request.model, &pass)?;
        let mut meter = Meter::start(&pass, &connection, [request.messages.as_str()])?;
        let reply = backend.chat(request, outbound(&grant, pass)).await;
        let reply = reply.inspect_err(|error| meter.failed(error))?;
        meter.answered(&reply.message, reply.usage);
        Ok(reply)
    }
}

impl StreamCall for StreamChat {
    const API_CALL: &'static str = "openai_chat";
    type Capability = Llm;
    type Item = backend::ChatEvent;
    type Seen = Seen;

    fn request_facts(&self, grant: Option<&Grant>) -> RpcRequest {
        chat_facts(&self.0, grant, true)
    }

    fn see(seen: &mut Seen, item: &backend::ChatEvent) {
        match item {
            backend::ChatEvent::Began { id, model } => {
                seen.id.clone_from(id);
                seen.model.clone_from(model);
            }
            backend::ChatEvent::Delta(delta) => {
                seen.text.push_str(&delta.content);
                seen.deltas.push(delta.delta.clone());
                seen.finish_reason = delta.finish_reason.clone().or(seen.finish_reason.take());
            }
            backend::ChatEvent::Usage(usage) => seen.usage = Some(*usage),
        }
    }

    fn is_chunk(item: &backend::ChatEvent) -> bool {
        matches!(item, backend::ChatEvent::Delta(_))
    }

    fn reply_facts(seen: Seen) -> RpcReply {
        RpcReply {
            output: format!("[{}]", seen.deltas.join(",")),
            streamed: true,
            tokens: seen.usage.map(Tokens::from),
            model: seen.model,
            id: seen.id,
            finish_reason: seen.finish_reason.unwrap_or_default(),
            generated_message: object([("role", r#""assistant""#), ("content", &json(&seen.text))].into_iter()),
            ..RpcReply::default()
        }
    }

    async fn run(
        self,
        grant: Arc<Grant>,
        pass: Pass,
    ) -> Result<BoxStream<'static, Result<backend::ChatEvent, CallError>>, CallError> {
        let To { connection, request } = self.0;
        let backend = grant.backend(&connection, &request.model, &pass)?;
        let mut meter = Meter::start(&pass, &connection, [request.messages.as_str()])?;
        let events = backend.stream_chat(request, outbound(&grant, pass)).await;
        let events = events.inspect_err(|error| meter.failed(error))?;
        meter.answered("", None);
        let counted = move |event: Result<backend::ChatEvent, CallError>| {
            event.iter().for_each(|event| meter.event(event));
            event
        };
        Ok(events.map(counted).boxed())
    }
}

/// What has been seen of a streamed answer.
#[derive(Debug, Default)]
pub struct Seen {
    id: String,
    model: String,
    text: String,
    deltas: Vec<String>,
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

impl HostCall for Complete {
    const API_CALL: &'static str = "openai_completion";
    type Capability = Llm;
    type Reply = backend::CompletionReply;

    fn request_facts(&self, grant: Option<&Grant>) -> RpcRequest {
        let To { connection, request } = &self.0;
        let (model, prompt) = (json(&request.model), json(&request.prompt));
        let inputs = arguments([("model", &model), ("prompt", &prompt)], &request.parameters);
        facts(RpcKind::Completion, inputs, &request.model, connection, grant)
    }

    fn reply_facts(reply: &Self::Reply) -> RpcReply {
        RpcReply {
            output: reply.raw.clone(),
            tokens: reply.usage.map(Tokens::from),
            model: reply.model.clone(),
            id: reply.id.clone(),
            finish_reason: reply.finish_reason.clone(),
            generated_message: reply.text.clone(),
            ..RpcReply::default()
        }
    }

    async fn run(self, grant: Arc<Grant>, pass: Pass) -> Result<Self::Reply, CallError> {
        let To { connection, request } = self.0;
        let backend = grant.backend(&connection, &request.model, &pass)?;
        let mut meter = Meter::start(&pass, &connection, [request.prompt.as_str()])?;
        let reply = backend.complete(request, outbound(&grant, pass)).await;
        let reply = reply.inspect_err(|error| meter.failed(error))?;
        meter.answered(&reply.text, reply.usage);
        Ok(reply)
    }
}

impl HostCall for Embed {
    const API_CALL: &'static str = "openai_embeddings";
    type Capability = Llm;
    type Reply = backend::EmbeddingReply;

    fn request_facts(&self, grant: Option<&Grant>) -> RpcRequest {
        let To { connection, request } = &self.0;
        let texts = serde_json::to_string(&request.inputs).expect("a list of texts is JSON");
        let inputs = arguments([("model", &json(&request.model)), ("input", &texts)], &request.parameters);
        facts(RpcKind::Embedding, inputs, &request.model, connection, grant)
    }

    fn reply_facts(reply: &Self::Reply) -> RpcReply {
        // As the original shows a vector: by its length. The numbers help nobody in a trace.
        let vectors = reply
            .vectors
            .iter()
            .map(|vector| format!(r#"{{"embedding.vector":"<{} dimensional vector>"}}"#, vector.len()));
        let embeddings = format!("[{}]", vectors.collect::<Vec<_>>().join(","));
        RpcReply {
            output: embeddings.clone(),
            tokens: reply.usage.map(Tokens::from),
            model: reply.model.clone(),
            embeddings,
            ..RpcReply::default()
        }
    }

    async fn run(self, grant: Arc<Grant>, pass: Pass) -> Result<Self::Reply, CallError> {
        let To { connection, request } = self.0;
        let backend = grant.backend(&connection, &request.model, &pass)?;
        let mut meter = Meter::start(&pass, &connection, request.inputs.iter().map(String::as_str))?;
        let reply = backend.embed(request, outbound(&grant, pass)).await;
        let reply = reply.inspect_err(|error| meter.failed(error))?;
        meter.answered("", reply.usage);
        Ok(reply)
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self { prompt: usage.prompt_tokens, completion: usage.completion_tokens, total: usage.total_tokens }
    }
}

fn outbound(grant: &Grant, mut pass: Pass) -> Outbound {
    grant.caller.introduce(&pass.origin.flow, &pass.origin.request, &mut pass.trace_headers);
    Outbound { headers: pass.trace_headers, deadline: pass.deadline, tries: pass.tries }
}

fn chat_facts(to: &To<backend::ChatRequest>, grant: Option<&Grant>, stream: bool) -> RpcRequest {
    let To { connection, request } = to;
    let (model, stream) = (json(&request.model), if stream { "true" } else { "false" });
    let own = [("model", model.as_str()), ("messages", &request.messages), ("stream", stream)];
    facts(RpcKind::Chat, arguments(own, &request.parameters), &request.model, connection, grant)
}

/// What the trace says of a request to a model: who is asked, for which model, with which arguments.
fn facts(kind: RpcKind, inputs: String, model: &str, connection: &str, grant: Option<&Grant>) -> RpcRequest {
    let backend = grant.and_then(|grant| grant.held.get(connection)).map(|held| &held.backend);
    let model = match (model, backend) {
        ("", Some(backend)) => backend.model().unwrap_or_default(),
        (model, _) => model,
    };
    RpcRequest {
        kind,
        inputs,
        provider: backend.map(|backend| backend.provider().to_owned()).unwrap_or_default(),
        model: model.to_owned(),
        server: backend
            .and_then(|backend| backend.server())
            .map(|(address, port)| RpcServer { address: address.to_owned(), port: Some(port) }),
        ..RpcRequest::default()
    }
}

/// The arguments of a call as one JSON object. Parameters that are no object are a fault of the request, which the
/// backend reports; the trace then shows the rest.
fn arguments<const N: usize>(own: [(&str, &str); N], parameters: &str) -> String {
    let parameters: IndexMap<String, &RawValue> = serde_json::from_str(parameters).unwrap_or_default();
    object(own.into_iter().chain(parameters.iter().map(|(name, value)| (name.as_str(), value.get()))))
}

/// A JSON object of names and JSON texts. Messages can have megabytes, so they are copied once.
fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members: Vec<_> = members.map(|(name, value)| (json(name), value)).collect();
    let length = members.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>() + 2;
    let mut text = String::with_capacity(length);
    for (name, value) in &members {
        text.push_str(if text.is_empty() { "{" } else { "," });
        text.extend([name.as_str(), ":", value]);
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    text
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
