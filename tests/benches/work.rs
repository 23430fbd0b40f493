//! The work that is measured, by time (parts.rs) and by count (counts.rs): what the host does in plain code on the way of a
//! request. Not what needs a sandbox: see rig.rs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use weir::capability::llm::openai::body::{self, Chunk};
use weir::capability::llm::sse::Events;
use weir::config::{Layers, Settings};
use weir::flow::inputs::Inputs;
use weir::flow::value::Json;
use weir::flow::{FileError, Flow, Surroundings};
use weir::id::{FlowId, NodeId, RequestId};
use weir::scheduler::plan::{Plan, Step};
use weir::telemetry::names::{TRACER, attribute, event, value};
use weir::telemetry::otlp::Encoder;
use weir::telemetry::outbox::parcel::Parcel;
use weir::telemetry::{FlowSpan, FlowStart, LogBounds, NodeFacts, NodeStart, Redactor, RequestFacts, Telemetry, Usage};

/// A flow that tells its caller what it was asked.
const ECHO: &str = "
inputs:
  question: {type: string}
  chat_history: {type: list, default: []}
outputs:
  answer: {type: string, reference: '${inputs.question}'}
  history: {type: list, reference: '${inputs.chat_history}'}
nodes: []
";

/// What each node of [`Chain`] gives.
const OUTPUT: &str =
    r#"{"answer": {"text": "An answer of some words, as a model gives it.", "citations": [1, 2, 3]}, "tokens": 12}"#;

/// One event of a model's stream, as services write it.
pub(crate) const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-BVxk2ZL4n9","object":"chat.completion.chunk","created":1764140400,"model":"gpt-4o-2024-11-20","#,
    r#""service_tier":"default","system_fingerprint":"fp_ee1d74bde0","choices":[{"index":0,"delta":{"content":" tokens"},"#,
    r#""logprobs":null,"finish_reason":null}]}"#,
    "\n\n"
);

/// A flow whose file is all there is.
struct Nothing;

impl Surroundings for Nothing {
    fn text(&self, _: &str) -> Result<String, FileError> {
        Err(FileError::Missing)
    }

    fn exists(&self, path: &str) -> bool {
        path.ends_with(".wasm")
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn flow(text: &str) -> Arc<Flow> {
    let (flow, _) = Flow::parse("flow.dag.yaml", text, "measured", &Nothing).expect("a sound flow");
    Arc::new(flow)
}

/// The body of a request and the reply to it, without a node between them.
pub(crate) struct Echo {
    flow: Arc<Flow>,
    /// Of the size that was asked for, within a turn of the history.
    pub(crate) body: String,
}

impl Echo {
    pub(crate) fn of(bytes: usize) -> Self {
        Self { flow: flow(ECHO), body: chat(bytes) }
    }

    /// What a request gives the flow.
    pub(crate) fn decode(&self) -> Inputs {
        Inputs::decode(&self.flow, self.body.as_bytes()).expect("a body that fits")
    }

    /// What the caller is told.
    pub(crate) fn reply(&self, inputs: Inputs) -> Json {
        let plan = Plan::new(self.flow.clone(), inputs);
        let outputs = plan.outputs().expect("there is no node to wait for");
        let outputs: Vec<_> = outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.flow.reply(&outputs)
    }
}

/// A chat of about so many bytes as JSON.
fn chat(bytes: usize) -> String {
    let turn = serde_json::json!({
        "inputs": {"question": "Which \"limits\" does a node have, and who may raise them?\n"},
        "outputs": {"answer": "Those of its flow, within those of the operator: time, memory, calls.", "score": 0.75},
    });
    let turn = turn.to_string();
    let turns = (bytes / (turn.len() + 1)).max(1);
    format!(r#"{{"question": "And who reads that?", "chat_history": [{}]}}"#, vec![turn.as_str(); turns].join(","))
}

/// A flow of ten nodes, each with what the one before it gave, a part of that, and an input of the flow.
pub(crate) struct Chain {
    flow: Arc<Flow>,
    inputs: Inputs,
    output: Json,
}

impl Chain {
    pub(crate) const NODES: usize = 10;

    pub(crate) fn new() -> Self {
        let node = |number: usize| {
            let above = format!("n{}", number.saturating_sub(1));
            let (whole, part) = match number {
                0 => ("${inputs.question}".to_owned(), "${inputs.question}".to_owned()),
                _ => (format!("${{{above}.output}}"), format!("${{{above}.output.answer.citations[1]}}")),
            };
            format!(
                "- {{name: n{number}, type: wasm, source: {{type: code, path: n.wasm}}, \
                 inputs: {{whole: '{whole}', part: '{part}', question: '${{inputs.question}}', k: 3}}}}\n"
            )
        };
        let nodes: String = (0..Self::NODES).map(node).collect();
        let last = Self::NODES - 1;
        let flow = flow(&format!(
            "inputs: {{question: {{type: string}}}}\n\
             outputs: {{answer: {{type: string, reference: '${{n{last}.output.answer.text}}'}}}}\nnodes:\n{nodes}"
        ));
        let inputs = Inputs::decode(&flow, br#"{"question": "And who reads that?"}"#).expect("a body that fits");
        Self { flow, inputs, output: Json::parse(OUTPUT).expect("it is JSON") }
    }

    /// Goes through the flow, without running its nodes: what each is given, and the reply.
    pub(crate) fn resolve(&self) -> Json {
        let mut plan = Plan::new(self.flow.clone(), self.inputs.clone());
        while !plan.is_done() {
            for step in plan.ready().expect("all parts are there") {
                let Step::Run { node, inputs } = step else { continue };
                black_box(inputs);
                plan.completed(node, self.output.clone());
            }
        }
        let outputs = plan.outputs().expect("all nodes have finished");
        let outputs: Vec<_> = outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.flow.reply(&outputs)
    }
}

/// Settings of a host whose environment this is.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Settings {
    let environment = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    let layers = Layers { variables: &[], flags: &[], environment: &environment, file: None, deployment: None };
    Settings::read(&layers).expect("settings that can be read")
}

/// No spans: metrics alone, which are always counted.
pub(crate) const WITHOUT_SPANS: [(&str, &str); 2] = [("OTEL_TRACES_EXPORTER", "none"), ("PF_DISABLE_TRACING", "true")];

/// As a host tells it that is told nothing else, on its way to nobody: a thread takes the spans, masks and drops them.
pub(crate) const TO_NOBODY: [(&str, &str); 1] = [("OTEL_TRACES_EXPORTER", "none")];

/// Spans of nodes, below that of a flow.
pub(crate) struct Spans {
    telemetry: Telemetry,
    above: FlowSpan,
    flow: FlowId,
    node: NodeId,
    request: RequestId,
    facts: NodeFacts,
    content: String,
}

impl Spans {
    /// Of a host with these variables, which has secrets; its nodes are given and give a chat of so many bytes.
    pub(crate) fn of(variables: &[(&str, &str)], content: usize) -> Self {
        let telemetry = Telemetry::start(settings(variables).telemetry).expect("exporters that reach nobody");
        telemetry.redactor().learn(secrets().iter().map(String::as_str));
        let (flow, request) = (FlowId::new("measured"), RequestId::new("4bf92f3577b34da6a3ce929d0e0e4736"));
        let above = telemetry.flow(FlowStart {
            parent: &Context::new(),
            flow: &flow,
            name: "measured",
            request: facts(&request),
            inputs: "{}",
            content: None,
            conversation: None,
            usage: Usage::default(),
        });
        let facts = NodeFacts { function: "text_step".to_owned(), ..NodeFacts::default() };
        Self { telemetry, above, flow, node: NodeId::new("answer"), request, facts, content: chat(content) }
    }

    /// A node runs: its span begins and ends, and its metrics are counted.
    pub(crate) fn node(&self) {
        let span = self.telemetry.node(NodeStart {
            flow: &self.flow,
            node: &self.node,
            request: facts(&self.request),
            parent: &self.above.context(),
            inputs: &self.content,
            facts: &self.facts,
            caller: None,
            usage: Usage::default(),
            log: LogBounds { bytes: 64 << 10, lines: 1000 },
        });
        span.finish(&self.content);
    }
}

fn facts(id: &RequestId) -> RequestFacts<'_> {
    RequestFacts { id, id_from_caller: true, target: "dag" }
}

/// A batch of spans of nodes that have ended, on its way out of the host: masked once more, and written as OTLP.
pub(crate) struct Batch {
    redactor: Redactor,
    encoder: Encoder,
    pub(crate) spans: Vec<SpanData>,
}

impl Batch {
    /// As many as are written at once.
    pub(crate) const SPANS: usize = 512;

    /// Of nodes that were given and gave a chat of so many bytes; the host has secrets, and none is in there.
    pub(crate) fn of(bytes: usize) -> Self {
        let redactor = Redactor::by_default();
        redactor.learn(secrets().iter().map(String::as_str));
        let resource = Resource::builder_empty().with_service_name("measured").build();
        let spans = (1..=Self::SPANS).map(|id| ended(id as u64, &chat(bytes))).collect();
        Self { redactor, encoder: Encoder::new(&resource), spans }
    }

    pub(crate) fn mask(&mut self) {
        self.spans.iter_mut().for_each(|span| self.redactor.span(span));
    }

    pub(crate) fn encode(&self) -> Vec<Parcel> {
        self.encoder.spans(&self.spans)
    }
}

/// The span of a node that was given a text and gave it back. What went in and out is told as an attribute and as an event,
/// by one text for both, as the host does.
fn ended(id: u64, content: &str) -> SpanData {
    let (given, gave): (Arc<str>, Arc<str>) = (content.into(), content.into());
    let trace = TraceId::from(u128::from(id) << 64 | 0x4bf9_2f35);
    let now = SystemTime::now();
    let mut span = SpanData {
        span_context: SpanContext::new(trace, SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: SpanId::from(id + 1),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "answer".into(),
        start_time: now,
        end_time: now,
        attributes: vec![
            KeyValue::new(attribute::FRAMEWORK, value::FRAMEWORK),
            KeyValue::new(attribute::SPAN_TYPE, "Function"),
            KeyValue::new(attribute::EXECUTION_TARGET, "dag"),
            KeyValue::new(attribute::LINE_RUN_ID, "4bf92f3577b34da6a3ce929d0e0e4736"),
            KeyValue::new(attribute::FUNCTION, "text_step"),
            KeyValue::new(attribute::NODE_NAME, "answer"),
            KeyValue::new(attribute::INPUTS, given.clone()),
            KeyValue::new(attribute::INSTANCE, value::REUSED),
            KeyValue::new(attribute::OUTPUT, gave.clone()),
        ],
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Ok,
        instrumentation_scope: InstrumentationScope::builder(TRACER).build(),
    };
    let told = |name, text: Arc<str>| Event::new(name, now, vec![KeyValue::new(attribute::PAYLOAD, text)], 0);
    span.events.events = vec![told(event::INPUTS, given), told(event::OUTPUT, gave)];
    span
}

/// Ten keys that may not be told.
pub(crate) fn secrets() -> Vec<String> {
    (1..=10_u128).map(|number| format!("sk-{:032x}", number * 0x9e37_79b9_7f4a_7c15_f39c_c060)).collect()
}

/// A text that is told, and has one of the secrets half-way, as one may that quotes an error of a service.
pub(crate) struct Masked {
    redactor: Redactor,
    pub(crate) text: String,
}

impl Masked {
    pub(crate) fn of(bytes: usize) -> Self {
        let (redactor, secrets) = (Redactor::by_default(), secrets());
        redactor.learn(secrets.iter().map(String::as_str));
        Self { redactor, text: [chat(bytes / 2), chat(bytes / 2)].join(&secrets[7]) }
    }

    pub(crate) fn mask(&self) -> String {
        self.redactor.text(&self.text).into_owned()
    }
}

/// Events of a model's stream, on the way to the node that asked.
pub(crate) fn event(events: &mut Events) -> Chunk {
    events.push(EVENT.as_bytes()).expect("an event that is small enough");
    body::chunk(&events.take().expect("it is whole")).expect("a chunk")
}
