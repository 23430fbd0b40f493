//! The instruments, and what each point of them must say. When they are recorded: see spans.rs.
//!
//! Labels are structs: a dimension that is forgotten does not compile. Values are names of things or codes, never
//! messages; of those that somebody else chooses, only so many are told: see words.rs. Prompt flow's eight are here, the
//! others in the files below.

mod gauges;
mod http;
mod models;
mod sandbox;
mod upstreams;
mod usual;
mod words;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue};

use crate::id::{FlowId, NodeId};

use super::names::{self, dimension, metric};
use super::usage::Tokens;
use words::Words;

pub use gauges::{Circuit, Compiled, Connections, Listener, Memory, Pool, Queue, Slots};
pub(super) use gauges::{rising, signed, up_down};
pub use http::HttpRequestTimer;
pub(super) use models::ModelCall;
pub use sandbox::NodeUse;
pub use upstreams::Unasked;
pub use usual::NodePoints;

/// All that is recorded when something happens. What is asked for when somebody looks is in gauges.rs.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    flow_request: Counter<u64>,
    flow_latency: Histogram<f64>,
    flow_streaming_response_duration: Histogram<f64>,
    node_request: Counter<u64>,
    node_latency: Histogram<f64>,
    rpc_request: Counter<u64>,
    rpc_latency: Histogram<f64>,
    token_consumption: Counter<u64>,
    refused: Counter<u64>,
    pub(super) http: http::Http,
    models: models::Models,
    sandbox: sandbox::Sandbox,
    upstreams: upstreams::Upstreams,
    /// On every point of the eight.
    common: Vec<KeyValue>,
    /// Which deployment of which endpoint it is, on metrics of ours.
    served: Vec<KeyValue>,
    names: Arc<Names>,
    /// Found already, of the flow that is served.
    usual: Arc<usual::OfFlow>,
}

/// What labels have been told whose text comes from elsewhere.
#[derive(Debug, Default)]
struct Names {
    exceptions: Words,
    models: Words,
    answered: Words,
}

/// One request that was answered, or whose client went away.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowRequest<'a> {
    pub(super) flow: &'a FlowId,
    pub(super) response_code: u16,
    pub(super) exception: &'a str,
    pub(super) streaming: bool,
}

/// Which latency of a request it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum ResponseType {
    /// From the request to the whole answer.
    Default,
    /// From the request to the first byte of a stream.
    FirstByte,
    /// From the request to the last byte of a stream.
    LastByte,
}

/// Why a request was refused before its flow ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All places were taken, and those in the queue.
    QueueFull,
    /// It waited, and no place became free in time.
    QueueTimeout,
    /// Too many bytes of bodies were on their way.
    BodiesFull,
    BodyTooLarge,
    /// Its body did not come in time.
    BodyTooSlow,
    /// The host was short of memory.
    MemoryScarce,
    Unauthenticated,
    RateLimited,
}

/// One run of a node, or one that did not come to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeRun<'a> {
    pub(super) flow: &'a FlowId,
    pub(super) node: &'a NodeId,
    pub(super) run_status: RunStatus,
    pub(super) exception: &'a str,
    /// Those of the node that have been found.
    pub(super) points: &'a NodePoints,
}

/// How a run of a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunStatus {
    Completed,
    Failed,
    Canceled,
    Bypassed,
}

/// One call of a node to the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct RpcCall<'a> {
    pub(super) flow: &'a FlowId,
    pub(super) node: &'a NodeId,
    pub(super) api_call: &'static str,
    pub(super) exception: &'a str,
}

/// What a call spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consumption<'a> {
    pub(super) flow: &'a FlowId,
    pub(super) node: &'a NodeId,
    pub(super) llm_engine: &'a str,
    pub(super) tokens: Tokens,
}

impl Metrics {
    pub(super) fn new(provider: &impl MeterProvider, common: &[(String, String)]) -> Self {
        let ours = provider.meter(names::METER);
        let conventions = conventions(provider);
        Self {
            flow_request: counter(&ours, metric::FLOW_REQUEST),
            flow_latency: histogram(&ours, metric::FLOW_LATENCY),
            flow_streaming_response_duration: histogram(&ours, metric::FLOW_STREAMING_RESPONSE_DURATION),
            node_request: counter(&ours, metric::NODE_REQUEST),
            node_latency: histogram(&ours, metric::NODE_LATENCY),
            rpc_request: counter(&ours, metric::RPC_REQUEST),
            rpc_latency: histogram(&ours, metric::RPC_LATENCY),
            token_consumption: counter(&ours, metric::TOKEN_CONSUMPTION),
            refused: counter(&conventions, metric::REQUEST_REFUSED),
            http: http::Http::new(&conventions),
            models: models::Models::new(&conventions),
            sandbox: sandbox::Sandbox::new(&conventions),
            upstreams: upstreams::Upstreams::new(&conventions),
            common: common.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect(),
            served: Vec::new(),
            names: Arc::default(),
            usual: Arc::default(),
        }
    }

    /// The same instruments with further common dimensions. What is there already stays.
    ///
    /// Names that come from elsewhere are counted anew, so that a node of one deployment takes no place of another's.
    pub(super) fn with<'a>(&self, dimensions: impl Iterator<Item = (&'static str, &'a str)>) -> Self {
        let mut with = Self { names: Arc::default(), usual: Arc::default(), ..self.clone() };
        for (name, value) in dimensions {
            let label = KeyValue::new(name, Arc::<str>::from(value));
            if with.common.iter().all(|it| it.key.as_str() != name) {
                with.common.push(label.clone());
            }
            with.served.push(label);
        }
        with
    }

    /// Counts a request.
    pub(super) fn flow_request(&self, request: FlowRequest<'_>) {
        let labels = || {
            let mut labels = self.flow_labels(request);
            labels.push(self.exception(request.exception));
            labels
        };
        match self.usual_of(request) {
            Some(usual) => usual.request.get_or_init(|| self.flow_request.bind(&labels())).add(1),
            None => self.flow_request.add(1, &labels()),
        }
    }

    /// Records how long a request took, up to what `response_type` says.
    pub(super) fn flow_latency(&self, request: FlowRequest<'_>, response_type: ResponseType, took: Duration) {
        let labels = || {
            let mut labels = self.flow_labels(request);
            labels.push(KeyValue::new(dimension::RESPONSE_TYPE, response_type.as_str()));
            labels
        };
        match self.usual_of(request) {
            // It was not streamed, so this is the one latency that it has.
            Some(usual) => usual.latency.get_or_init(|| self.flow_latency.bind(&labels())).record(millis(took)),
            None => self.flow_latency.record(millis(took), &labels()),
        }
    }

    /// The points of a request, if it went as nearly all do.
    fn usual_of(&self, request: FlowRequest<'_>) -> Option<&usual::OfFlow> {
        let FlowRequest { flow, response_code, exception, streaming } = request;
        let is_usual = response_code == 200 && exception.is_empty() && !streaming && self.usual.are_of(flow);
        is_usual.then_some(&self.usual)
    }

    /// Records how long the stream of an answer lasted, from its first byte to its last.
    pub(super) fn flow_streaming_response_duration(&self, flow: &FlowId, took: Duration) {
        self.flow_streaming_response_duration.record(millis(took), &self.labels([of_flow(flow)]));
    }

    /// Counts a request that was refused before its flow ran.
    pub(super) fn refused(&self, flow: &FlowId, reason: Refused) {
        let mut labels = vec![of_flow(flow), KeyValue::new(dimension::REASON, reason.as_str())];
        labels.extend(self.served.iter().cloned());
        self.refused.add(1, &labels);
    }

    /// Counts a run of a node; records how long it took, if it ran.
    pub(super) fn node_run(&self, run: NodeRun<'_>, took: Option<Duration>) {
        let labels = || {
            self.labels([
                of_flow(run.flow),
                of_node(run.node),
                KeyValue::new(dimension::RUN_STATUS, run.run_status.as_str()),
            ])
        };
        let counted = || {
            let mut labels = labels();
            labels.push(self.exception(run.exception));
            labels
        };
        let points = run.points.get();
        match (took, run.run_status) {
            (Some(took), RunStatus::Completed) => {
                points.latency.get_or_init(|| self.node_latency.bind(&labels())).record(millis(took));
                points.request.get_or_init(|| self.node_request.bind(&counted())).add(1);
            }
            (took, _) => {
                took.inspect(|took| self.node_latency.record(millis(*took), &labels()));
                self.node_request.add(1, &counted());
            }
        }
    }

    /// Counts a call, and records how long it took.
    pub(super) fn rpc_call(&self, call: RpcCall<'_>, took: Duration) {
        let mut labels =
            self.labels([of_flow(call.flow), of_node(call.node), KeyValue::new(dimension::API_CALL, call.api_call)]);
        self.rpc_latency.record(millis(took), &labels);
        labels.push(self.exception(call.exception));
        self.rpc_request.add(1, &labels);
    }

    /// Counts the tokens of a call, by type. What is zero has no point.
    pub(super) fn token_consumption(&self, spent: Consumption<'_>) {
        let Tokens { prompt, completion, total } = spent.tokens;
        let engine = KeyValue::new(dimension::LLM_ENGINE, self.names.models.told(spent.llm_engine));
        let mut labels = self.labels([of_flow(spent.flow), of_node(spent.node), engine]);
        for (token_type, count) in
            [("prompt_tokens", prompt), ("completion_tokens", completion), ("total_tokens", total)]
        {
            if count > 0 {
                labels.push(KeyValue::new(dimension::TOKEN_TYPE, token_type));
                self.token_consumption.add(count, &labels);
                labels.pop();
            }
        }
    }

    fn flow_labels(&self, request: FlowRequest<'_>) -> Vec<KeyValue> {
        self.labels([
            of_flow(request.flow),
            KeyValue::new(dimension::RESPONSE_CODE, response_code(request.response_code)),
            KeyValue::new(dimension::STREAMING, if request.streaming { "True" } else { "False" }),
        ])
    }

    fn exception(&self, code: &str) -> KeyValue {
        KeyValue::new(dimension::EXCEPTION, self.names.exceptions.told(code))
    }

    /// Room for one more, which all of them have.
    fn labels<const N: usize>(&self, own: [KeyValue; N]) -> Vec<KeyValue> {
        let mut labels = Vec::with_capacity(N + 1 + self.common.len());
        labels.extend(own);
        labels.extend_from_slice(&self.common);
        labels
    }
}

impl ResponseType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::FirstByte => "firstbyte",
            Self::LastByte => "lastbyte",
        }
    }
}

impl Refused {
    fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::BodiesFull => "bodies_full",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::MemoryScarce => "memory_scarce",
            Self::Unauthenticated => "unauthenticated",
            Self::RateLimited => "rate_limited",
        }
    }
}

impl RunStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Bypassed => "Bypassed",
        }
    }
}

/// The meter of all but prompt flow's.
pub(super) fn conventions(provider: &impl MeterProvider) -> Meter {
    let scope = InstrumentationScope::builder(names::CONVENTIONS_METER)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build();
    provider.meter_with_scope(scope)
}

pub(super) fn counter(meter: &Meter, name: &'static str) -> Counter<u64> {
    let promised = metric::of(name);
    meter.u64_counter(name).with_unit(promised.unit).with_description(promised.meaning).build()
}

fn up_down_counter(meter: &Meter, name: &'static str) -> UpDownCounter<i64> {
    let promised = metric::of(name);
    meter.i64_up_down_counter(name).with_unit(promised.unit).with_description(promised.meaning).build()
}

fn histogram(meter: &Meter, name: &'static str) -> Histogram<f64> {
    let promised = metric::of(name);
    let histogram = meter.f64_histogram(name).with_unit(promised.unit).with_description(promised.meaning);
    histogram.with_boundaries(promised.bounds.into()).build()
}

fn whole_histogram(meter: &Meter, name: &'static str) -> Histogram<u64> {
    let promised = metric::of(name);
    let histogram = meter.u64_histogram(name).with_unit(promised.unit).with_description(promised.meaning);
    histogram.with_boundaries(promised.bounds.into()).build()
}

fn of_flow(flow: &FlowId) -> KeyValue {
    KeyValue::new(dimension::FLOW, StringValue::from(flow.shared()))
}

fn of_node(node: &NodeId) -> KeyValue {
    KeyValue::new(dimension::NODE, StringValue::from(node.shared()))
}

/// A status as text; nothing is made anew for those that nearly all answers have.
fn response_code(status: u16) -> StringValue {
    match status {
        200 => "200".into(),
        400 => "400".into(),
        500 => "500".into(),
        503 => "503".into(),
        other => other.to_string().into(),
    }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
