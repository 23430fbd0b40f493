//! The instruments, and what each point of them must say. When they are recorded: see spans.rs.
//!
//! Labels are structs: a dimension that is forgotten does not compile. Values are names of things or codes, never
//! messages; those that come from outside are cut, and the SDK folds a stream's points together beyond 2000 sets.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};

use crate::id::{FlowId, NodeId};

use super::content::{LABEL_BYTES, cut};
use super::names::{self, dimension, metric, semconv};
use super::usage::Tokens;

/// The eight metrics of prompt flow, and the two of the GenAI conventions.
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
    gen_ai_duration: Histogram<f64>,
    gen_ai_tokens: Histogram<u64>,
    /// On every point of the eight.
    common: Vec<KeyValue>,
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

/// One run of a node, or one that did not come to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeRun<'a> {
    pub(super) flow: &'a FlowId,
    pub(super) node: &'a NodeId,
    pub(super) run_status: RunStatus,
    pub(super) exception: &'a str,
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
    pub(super) api_call: &'a str,
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
        let scope = opentelemetry::InstrumentationScope::builder(names::CONVENTIONS_METER)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let conventions = provider.meter_with_scope(scope);
        Self {
            flow_request: ours.u64_counter(metric::FLOW_REQUEST).build(),
            flow_latency: latency(&ours, metric::FLOW_LATENCY),
            flow_streaming_response_duration: latency(&ours, metric::FLOW_STREAMING_RESPONSE_DURATION),
            node_request: ours.u64_counter(metric::NODE_REQUEST).build(),
            node_latency: latency(&ours, metric::NODE_LATENCY),
            rpc_request: ours.u64_counter(metric::RPC_REQUEST).build(),
            rpc_latency: latency(&ours, metric::RPC_LATENCY),
            token_consumption: ours.u64_counter(metric::TOKEN_CONSUMPTION).build(),
            gen_ai_duration: conventions
                .f64_histogram(metric::GEN_AI_DURATION)
                .with_unit("s")
                .with_boundaries(metric::GEN_AI_DURATION_BOUNDS.into())
                .build(),
            gen_ai_tokens: conventions
                .u64_histogram(metric::GEN_AI_TOKENS)
                .with_unit("{token}")
                .with_boundaries(metric::GEN_AI_TOKEN_BOUNDS.into())
                .build(),
            common: common.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect(),
        }
    }

    /// The same instruments with further common dimensions. What is there already stays.
    pub(super) fn with<'a>(&self, dimensions: impl Iterator<Item = (&'static str, &'a str)>) -> Self {
        let mut with = self.clone();
        for (name, value) in dimensions {
            if with.common.iter().all(|it| it.key.as_str() != name) {
                with.common.push(KeyValue::new(name, value.to_owned()));
            }
        }
        with
    }

    /// Counts a request.
    pub(super) fn flow_request(&self, request: FlowRequest<'_>) {
        let mut labels = self.flow_labels(request);
        labels.push(KeyValue::new(dimension::EXCEPTION, label(request.exception)));
        self.flow_request.add(1, &labels);
    }

    /// Records how long a request took, up to what `response_type` says.
    pub(super) fn flow_latency(&self, request: FlowRequest<'_>, response_type: ResponseType, took: Duration) {
        let mut labels = self.flow_labels(request);
        labels.push(KeyValue::new(dimension::RESPONSE_TYPE, response_type.as_str()));
        self.flow_latency.record(millis(took), &labels);
    }

    /// Records how long the stream of an answer lasted, from its first byte to its last.
    pub(super) fn flow_streaming_response_duration(&self, flow: &FlowId, took: Duration) {
        let labels = self.labels([(dimension::FLOW, flow.to_string())]);
        self.flow_streaming_response_duration.record(millis(took), &labels);
    }

    /// Counts a run of a node; records how long it took, if it ran.
    pub(super) fn node_run(&self, run: NodeRun<'_>, took: Option<Duration>) {
        let mut labels = self.labels([
            (dimension::FLOW, run.flow.to_string()),
            (dimension::NODE, run.node.to_string()),
            (dimension::RUN_STATUS, run.run_status.as_str().to_owned()),
        ]);
        if let Some(took) = took {
            self.node_latency.record(millis(took), &labels);
        }
        labels.push(KeyValue::new(dimension::EXCEPTION, label(run.exception)));
        self.node_request.add(1, &labels);
    }

    /// Counts a call, and records how long it took.
    pub(super) fn rpc_call(&self, call: RpcCall<'_>, took: Duration) {
        let mut labels = self.labels([
            (dimension::FLOW, call.flow.to_string()),
            (dimension::NODE, call.node.to_string()),
            (dimension::API_CALL, label(call.api_call)),
        ]);
        self.rpc_latency.record(millis(took), &labels);
        labels.push(KeyValue::new(dimension::EXCEPTION, label(call.exception)));
        self.rpc_request.add(1, &labels);
    }

    /// Counts the tokens of a call, by type. What is zero has no point.
    pub(super) fn token_consumption(&self, spent: Consumption<'_>) {
        let Tokens { prompt, completion, total } = spent.tokens;
        for (token_type, count) in
            [("prompt_tokens", prompt), ("completion_tokens", completion), ("total_tokens", total)]
        {
            if count > 0 {
                let labels = self.labels([
                    (dimension::FLOW, spent.flow.to_string()),
                    (dimension::NODE, spent.node.to_string()),
                    (dimension::LLM_ENGINE, label(spent.llm_engine)),
                    (dimension::TOKEN_TYPE, token_type.to_owned()),
                ]);
                self.token_consumption.add(count, &labels);
            }
        }
    }

    /// Records a call of a model as the GenAI conventions want it; `labels` are the attributes of the call.
    pub(super) fn gen_ai(
        &self,
        mut labels: Vec<KeyValue>,
        tokens: Option<Tokens>,
        error: Option<&str>,
        took: Duration,
    ) {
        for (token_type, count) in tokens.iter().flat_map(|it| [("input", it.prompt), ("output", it.completion)]) {
            if count > 0 {
                labels.push(KeyValue::new(semconv::TOKEN_TYPE, token_type));
                self.gen_ai_tokens.record(count, &labels);
                labels.pop();
            }
        }
        labels.extend(error.map(|code| KeyValue::new(semconv::ERROR_TYPE, label(code))));
        self.gen_ai_duration.record(took.as_secs_f64(), &labels);
    }

    fn flow_labels(&self, request: FlowRequest<'_>) -> Vec<KeyValue> {
        self.labels([
            (dimension::FLOW, request.flow.to_string()),
            (dimension::RESPONSE_CODE, request.response_code.to_string()),
            (dimension::STREAMING, if request.streaming { "True" } else { "False" }.to_owned()),
        ])
    }

    fn labels<const N: usize>(&self, own: [(&'static str, String); N]) -> Vec<KeyValue> {
        own.into_iter().map(|(key, value)| KeyValue::new(key, value)).chain(self.common.iter().cloned()).collect()
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

fn latency(meter: &Meter, name: &'static str) -> Histogram<f64> {
    // No unit: the original declares none, and a unit would rename the metric in Prometheus.
    meter.f64_histogram(name).with_boundaries(metric::LATENCY_BOUNDS.into()).build()
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

/// A value that may come from a guest, a caller or a service: it must not make points of any size.
fn label(value: &str) -> String {
    cut(value, LABEL_BYTES).to_owned()
}
