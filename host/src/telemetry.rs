//! What is told: the handle that everyone is given, and how telemetry starts and stops.
//!
//! Three doors use it, and nothing else records anything: the request edge ([`Telemetry::request`]), into a node
//! ([`Telemetry::node`]), out of a node ([`Telemetry::rpc`]). Beside them the scheduler opens the flow's span and
//! `/feedback` has a journal of its own. Nothing global: two hosts in one process would tell two stories.

pub mod azure_monitor;
mod config;
mod console;
mod content;
mod exporters;
pub mod feedback;
mod health;
mod images;
mod logs;
mod metrics;
pub mod names;
pub mod otlp;
pub mod outbox;
mod pause;
mod printer;
mod prometheus;
pub mod propagation;
mod redaction;
mod sampler;
mod spans;
mod store;
pub mod tree;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracer;

pub use azure_monitor::{ENABLED as APP_INSIGHTS_ENABLED, LINKED as APP_INSIGHTS_LINKED};
pub use config::Config;
pub use console::Terminal;
pub use content::{CONTENT_BYTES, Content, Policy};
pub use exporters::StartError;
pub use logs::HostLog;
pub use metrics::{
    Circuit, Compiled, Connections, HttpRequestTimer, Listener, Memory, NodePoints, NodeUse, Pool, Queue, Refused,
    Slots, Unasked,
};
pub use outbox::{Loss, OutboxStatus};
pub use prometheus::SCRAPE_TYPE;
pub use redaction::Redactor;
pub use spans::bound::{self, LogBounds};
pub use spans::flow::{FlowSpan, FlowStart};
pub use spans::guest::{GuestEnd, GuestKind, GuestSpans, GuestStart};
pub use spans::node::{NodeFacts, NodeKind, NodeSpan, NodeStart, PromptFacts};
pub use spans::notes::{LogLevel, NodeNotes, NoteValue};
pub use spans::request::{FinishRequest, RequestSpan, RequestStart};
pub use spans::rpc::{HttpRequest, RpcKind, RpcReply, RpcRequest, RpcSpan, RpcStart};
pub use spans::tries::{Retry, Tries};
pub use spans::{Dialects, Hold, RequestFacts, Server};
pub use usage::{Tokens, Usage};

use exporters::Exporters;
use logs::{GuestLog, Told};
use metrics::Metrics;
use names::dimension;
use propagation::Propagators;

/// The way to tell anything. Clones are the same.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tracer: SdkTracer,
    tracing_enabled: bool,
    content: Policy,
    dialects: Dialects,
    propagators: Propagators,
    redactor: Redactor,
    metrics: Metrics,
    /// None: nobody exports logs.
    guest_log: Option<GuestLog>,
    /// The number of the next span that a guest starts.
    guest_spans: Arc<AtomicU32>,
    exporters: Arc<Exporters>,
}

impl Telemetry {
    /// Starts telling. Returns without having reached anyone: a collector that is away at start is no reason not to
    /// serve.
    ///
    /// # Errors
    /// If an exporter cannot be made of its settings.
    pub fn start(mut config: Config) -> Result<Self, StartError> {
        let exporters = Exporters::build(&mut config)?;
        let telemetry = Self::with(exporters, &config);
        telemetry.watch_host();
        Ok(telemetry)
    }

    fn with(exporters: Exporters, config: &Config) -> Self {
        if let Some(log) = &config.host_log {
            log.export_by(exporters.loggers.as_ref().map(|it| Told::of_host(it, config)));
        }
        Self(Arc::new(Inner {
            tracer: exporters.tracers.tracer_with_scope(scope()),
            tracing_enabled: config.tracing_enabled,
            content: config.content,
            dialects: config.dialects,
            propagators: config.propagators,
            redactor: config.redactor.clone(),
            metrics: Metrics::new(&exporters.meters, &config.common_dimensions),
            guest_log: exporters.loggers.as_ref().map(|it| GuestLog::new(it, config)),
            guest_spans: Arc::default(),
            exporters: Arc::new(exporters),
        }))
    }

    /// The same, but that the eight metrics say which deployment of which endpoint they are of, unless the operator gives
    /// them such dimensions anyway.
    #[must_use]
    pub fn of_deployment(&self, endpoint: Option<&str>, deployment: Option<&str>) -> Self {
        let dimensions = [(dimension::ENDPOINT, endpoint), (dimension::DEPLOYMENT, deployment)];
        Self(Arc::new(Inner {
            tracer: self.0.tracer.clone(),
            tracing_enabled: self.0.tracing_enabled,
            content: self.0.content,
            dialects: self.0.dialects,
            propagators: self.0.propagators,
            redactor: self.0.redactor.clone(),
            metrics: self.0.metrics.with(dimensions.into_iter().filter_map(|(name, value)| Some((name, value?)))),
            guest_log: self.0.guest_log.clone(),
            guest_spans: Arc::clone(&self.0.guest_spans),
            exporters: self.0.exporters.clone(),
        }))
    }

    /// What goes where and which variable decided it, one line for each signal: for the message at start.
    pub fn describe(&self) -> Vec<String> {
        self.0.exporters.lines.clone()
    }

    /// How each exporter that pushes is doing.
    pub fn exporters(&self) -> Vec<OutboxStatus> {
        self.0.exporters.status()
    }

    /// Sends what is left, and stops. Blocks, for at most `within`; what could not be sent by then is lost, and logged.
    /// Spans that end afterwards are not sent. Feedback that has a data directory stays there.
    pub fn stop(&self, within: Duration) {
        self.0.exporters.stop(within);
    }

    /// What masks secrets in all that is told; whoever loads some has it learn them.
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    /// What travels with requests: reads it from their headers.
    pub fn propagators(&self) -> Propagators {
        self.0.propagators
    }

    /// The tracer, if tracing is on.
    fn tracer(&self) -> Option<&SdkTracer> {
        self.0.tracing_enabled.then_some(&self.0.tracer)
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn guest_log(&self) -> Option<&GuestLog> {
        self.0.guest_log.as_ref()
    }

    /// Numbers for as many spans as a guest may start; the first of them.
    fn guest_numbers(&self) -> u32 {
        let most = u32::try_from(bound::SPANS).unwrap_or(u32::MAX);
        self.0.guest_spans.fetch_add(most, Ordering::Relaxed)
    }

    fn content(&self) -> Policy {
        self.0.content
    }

    fn dialects(&self) -> Dialects {
        self.0.dialects
    }
}

/// Who tells.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::TRACER).with_schema_url(names::SCHEMA_URL).build()
}

#[cfg(test)]
pub(crate) mod tests;
