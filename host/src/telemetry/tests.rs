//! What the doors tell, seen from where it arrives: SDK exporters in memory, a terminal that is a buffer, a socket.

mod measured;
mod noted;
mod printed;
mod sent;
pub(crate) mod simulated;
mod traced;

use std::collections::BTreeMap;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter as _};

use crate::id::{FlowId, NodeId, RequestId};

use super::*;

/// Labels of one point, and what it says: the sum of a counter, the number of values of a histogram.
type Point = (BTreeMap<String, String>, u64);

/// How much of the log of a node is told.
const LOG: LogBounds = LogBounds { bytes: 64 << 10, lines: 1000 };

/// Telemetry whose exporters are in memory, and the ids of one request.
struct Rig {
    telemetry: Telemetry,
    flow: FlowId,
    node: NodeId,
    request: RequestId,
    spans: InMemorySpanExporter,
    metrics: InMemoryMetricExporter,
}

/// Feedback is kept where all other spans are.
#[derive(Debug)]
struct Kept(InMemorySpanExporter);

impl exporters::Sink for Kept {
    fn tell(&self, spans: Vec<SpanData>, _: &[outbox::parcel::Log]) -> opentelemetry_sdk::error::OTelSdkResult {
        futures_executor::block_on(self.0.export(spans))
    }
}

impl Rig {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        Self::of(config, None)
    }

    fn of(config: &Config, loggers: Option<SdkLoggerProvider>) -> Self {
        let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
        let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
        let sink: Box<dyn exporters::Sink> = Box::new(Kept(spans.clone()));
        let feedback = feedback::Store::start(None, &config.feedback, vec![sink]).unwrap();
        let mut exporters = Exporters::of(tracers, meters, feedback);
        exporters.loggers = loggers;
        let telemetry = Telemetry::with(exporters, config);
        Self {
            telemetry,
            flow: FlowId::new("chat-basic"),
            node: NodeId::new("chat"),
            request: RequestId::new("req-1"),
            spans,
            metrics,
        }
    }

    fn request(&self, parent: &Context) -> RequestSpan {
        self.telemetry.request(self.request_start(parent))
    }

    fn request_start<'a>(&'a self, parent: &'a Context) -> RequestStart<'a> {
        RequestStart {
            parent,
            method: "POST",
            route: "/score",
            path: "/score",
            request_id: Some(&self.request),
            user_agent: Some("curl/8"),
            client: Some("127.0.0.1".to_owned()),
            host: Some("localhost:8080"),
            protocol: "1.1",
        }
    }

    fn flow(&self, parent: &Context, usage: &Usage) -> FlowSpan {
        self.telemetry.flow(FlowStart {
            parent,
            flow: &self.flow,
            name: "chat_basic",
            request: RequestFacts { id: &self.request, id_from_caller: true, target: "dag" },
            inputs: r#"{"question":"why?"}"#,
            content: None,
            conversation: None,
            usage: usage.clone(),
        })
    }

    fn node(&self, parent: &Context, usage: &Usage) -> NodeSpan {
        let facts = NodeFacts { function: "answer".to_owned(), ..NodeFacts::default() };
        self.node_with(parent, usage, &facts)
    }

    fn node_with(&self, parent: &Context, usage: &Usage, facts: &NodeFacts) -> NodeSpan {
        self.telemetry.node(NodeStart {
            flow: &self.flow,
            node: &self.node,
            request: RequestFacts { id: &self.request, id_from_caller: true, target: "dag" },
            parent,
            inputs: r#"{"question":"why?"}"#,
            facts,
            caller: None,
            usage: usage.clone(),
            log: LOG,
        })
    }

    fn rpc(&self, parent: &Context, usage: &Usage, facts: RpcRequest) -> RpcSpan {
        self.telemetry.rpc(RpcStart {
            flow: &self.flow,
            node: &self.node,
            request: RequestFacts { id: &self.request, id_from_caller: true, target: "dag" },
            parent,
            api_call: "openai_chat",
            facts,
            told: true,
            usage: usage.clone(),
        })
    }

    /// A feedback, which has been told when this returns.
    fn feedback(&self, parent: &Context, attributes: Vec<KeyValue>) {
        let feedback = feedback::Feedback { attributes, ..feedback::Feedback::default() };
        futures_executor::block_on(self.telemetry.feedback(parent, feedback)).unwrap();
        self.telemetry.0.exporters.feedback.settle();
    }

    fn finish_request(&self) -> FinishRequest<'_> {
        FinishRequest {
            flow: Some(&self.flow),
            status: 200,
            exception: "",
            message: "",
            streaming: false,
            refused: None,
            first_byte: None,
        }
    }

    /// Finished spans, in the order of their ends.
    fn spans(&self) -> Vec<SpanData> {
        self.spans.get_finished_spans().unwrap()
    }

    fn span(&self, name: &str) -> SpanData {
        self.spans().into_iter().find(|span| span.name == name).unwrap()
    }

    fn exported(&self) -> ResourceMetrics {
        self.telemetry.0.exporters.meters.force_flush().unwrap();
        self.metrics.get_finished_metrics().unwrap().pop().unwrap_or_default()
    }

    /// The points of one metric.
    fn points(&self, name: &str) -> Vec<Point> {
        let exported = self.exported();
        let mut points: Vec<Point> = exported
            .scope_metrics()
            .flat_map(ScopeMetrics::metrics)
            .filter(|metric| metric.name() == name)
            .flat_map(|metric| points(metric.data()))
            .collect();
        points.sort();
        points
    }
}

fn points(data: &AggregatedMetrics) -> Vec<Point> {
    match data {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            sum.data_points().map(|point| (texts(point.attributes()), point.value())).collect()
        }
        AggregatedMetrics::I64(MetricData::Sum(sum)) => {
            sum.data_points().map(|point| (texts(point.attributes()), point.value().unsigned_abs())).collect()
        }
        AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
            gauge.data_points().map(|point| (texts(point.attributes()), point.value())).collect()
        }
        AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
            histogram.data_points().map(|point| (texts(point.attributes()), point.count())).collect()
        }
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            histogram.data_points().map(|point| (texts(point.attributes()), point.count())).collect()
        }
        other => panic!("no instrument of weir makes {other:?}"),
    }
}

fn texts<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|it| (it.key.to_string(), it.value.to_string())).collect()
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A chat as a backend tells of it.
fn chat() -> RpcRequest {
    RpcRequest {
        provider: "openai".to_owned(),
        model: "gpt".to_owned(),
        server: Some(Server { address: "api.example.com".to_owned(), port: Some(443) }),
        ..RpcRequest::new(
            RpcKind::Chat,
            r#"{"model":"gpt","messages":[],"temperature":0.2,"max_tokens":9,"stream":true}"#,
        )
    }
}

fn chat_reply() -> RpcReply {
    RpcReply {
        output: r#"{"id":"c1"}"#.to_owned(),
        tokens: Some(Tokens { prompt: 9, completion: 5, total: 14 }),
        model: "gpt-2026".to_owned(),
        id: "c1".to_owned(),
        finish_reason: "stop".to_owned(),
        generated_message: r#"{"role":"assistant","content":"so"}"#.to_owned(),
        ..RpcReply::default()
    }
}
