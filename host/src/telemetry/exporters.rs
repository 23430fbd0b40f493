//! Everything that leaves the host: which exporters are on, and how they start and stop.
//!
//! Which those are is decided in exporters/chosen.rs. What pushes has an outbox for each signal (outbox.rs), fed by the SDK
//! through outbox/pipeline.rs. Feedback goes to the same destinations by a way of its own (feedback/deliver.rs): it was
//! promised to arrive. All of it runs on threads apart from guests and sockets.

pub(super) mod chosen;
mod sink;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::{Builder, Handle, Runtime};

use super::config::{Config, DISABLE_TRACING};
use super::console::{Console, ConsoleLogs, ConsoleMetrics};
use super::feedback::{self, Store};
use super::health;
use super::names;
use super::otlp::config::GENERAL;
use super::otlp::{self, Unfit};
use super::outbox::parcel::{Destination, Signal};
use super::outbox::pipeline::{EditLogs, Logs, Points, Spans};
use super::outbox::{Outbox, OutboxStatus};
use super::printer::Printer;
use super::sampler::TailSampling;
use crate::journal::OpenError;
use chosen::{Chosen, Exporter};
use sink::Direct;
pub(super) use sink::Sink;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Otlp(#[from] Unfit),
    #[error("cannot start a thread for telemetry")]
    Thread(#[source] std::io::Error),
    #[error("the data directory of {} cannot be used", feedback::DATA_DIR.variable)]
    Spool(#[from] OpenError),
    #[error("feedback cannot be kept")]
    Feedback(#[from] feedback::StartError),
}

/// Everything that is sent somewhere goes through this.
#[derive(Debug)]
pub(super) struct Exporters {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) loggers: SdkLoggerProvider,
    /// Wants to know of feedback.
    tail: Option<TailSampling>,
    pub(super) feedback: Store,
    outboxes: Vec<Outbox>,
    /// What goes where, one line each.
    pub(super) lines: Vec<String>,
    // Last: whatever still sends runs on it.
    _background: Background,
}

impl Exporters {
    pub(super) fn build(config: &mut Config) -> Result<Self, StartError> {
        let background = Background::start()?;
        let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
        let mut builder =
            ExportersBuilder { config, resource: &resource, runtime: background.handle(), outboxes: Vec::new() };

        let console = builder.console()?;

        let mut meters = SdkMeterProvider::builder().with_resource(resource.clone());
        let metrics = builder.destinations(Signal::Metrics)?;
        for outbox in builder.outboxes(Signal::Metrics, &metrics)? {
            let temporality = Temporality::Cumulative;
            meters = meters.with_reader(PeriodicReader::builder(Points { outbox, temporality }).build());
        }
        if let Some(console) = console.as_ref().filter(|_| builder.config.choice.metrics.has(Exporter::Console)) {
            meters = meters.with_reader(PeriodicReader::builder(ConsoleMetrics(console.clone())).build());
        }
        let meters = meters.build();

        let traces = builder.destinations(Signal::Traces)?;
        let spans = builder.outboxes(Signal::Traces, &traces)?;
        let prints = builder.config.choice.traces.has(Exporter::Console);
        let printer = console.clone().filter(|_| prints).map(Printer::on);
        let redactor = builder.config.redactor.clone();
        let edit = move |span: &mut SpanData| redactor.span(span);
        let spans =
            Spans::start(builder.config.outbox.spans, edit, spans, printer.clone()).map_err(StartError::Thread)?;
        let tracers = SdkTracerProvider::builder().with_resource(resource.clone());
        let tracers = tracers.with_sampler(builder.config.sampler.sampler());
        let (tracers, tail) = match builder.config.sampler.tail {
            None => (tracers.with_span_processor(spans), None),
            Some(policy) => {
                let tail = TailSampling::start(policy, Box::new(spans), &meters).map_err(StartError::Thread)?;
                (tracers.with_span_processor(tail.clone()), Some(tail))
            }
        };

        let logs = builder.destinations(Signal::Logs)?;
        let logs = builder.outboxes(Signal::Logs, &logs)?;
        let redactor = builder.config.redactor.clone();
        let edit = EditLogs(move |record: &mut SdkLogRecord| redactor.log(record));
        let mut loggers = SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(edit);
        if !logs.is_empty() {
            let logs = Logs::start(builder.config.outbox.logs, logs).map_err(StartError::Thread)?;
            loggers = loggers.with_log_processor(logs);
        }
        if let Some(console) = console.filter(|_| builder.config.choice.logs.has(Exporter::Console)) {
            loggers = loggers.with_log_processor(ConsoleLogs(console));
        }

        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for (_, destination) in traces {
            sinks.push(Box::new(Direct::new(destination, background.handle().clone())));
        }
        sinks.extend(printer.map(|printer| -> Box<dyn Sink> { Box::new(printer) }));
        let outboxes = builder.outboxes;
        health::watch(&meters.meter(names::CONVENTIONS_METER), &outboxes);
        let mut lines = lines(config);
        lines.push(Store::describe(config.data_dir.as_deref()));
        let feedback = Store::start(config.data_dir.as_deref(), &config.feedback, sinks)?;
        let (tracers, loggers) = (tracers.build(), loggers.build());
        Ok(Self { tracers, meters, loggers, tail, feedback, outboxes, lines, _background: background })
    }

    /// Exporters that were made elsewhere.
    #[cfg(test)]
    pub(super) fn of(tracers: SdkTracerProvider, meters: SdkMeterProvider, feedback: Store) -> Self {
        Self {
            tracers,
            meters,
            loggers: SdkLoggerProvider::builder().build(),
            tail: None,
            feedback,
            outboxes: Vec::new(),
            lines: Vec::new(),
            _background: Background(None),
        }
    }

    /// A feedback about a span of this trace was accepted.
    pub(super) fn judged(&self, trace: TraceId) {
        if let Some(tail) = &self.tail {
            tail.feedback(trace);
        }
    }

    /// How each exporter that pushes is doing.
    pub(super) fn status(&self) -> Vec<OutboxStatus> {
        self.outboxes.iter().map(Outbox::status).collect()
    }

    /// Sends what is left and ends. Returns when that is done or `within` is over, whichever is sooner: a process that is
    /// asked to stop has little time.
    pub(super) fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within;
        thread::scope(|scope| {
            // Feedback has its own way to a collector, and not to be lost.
            let stop = || self.feedback.stop(deadline);
            if thread::Builder::new().name("weir-stop-feedback".to_owned()).spawn_scoped(scope, stop).is_err() {
                stop();
            }
            // What the SDK holds first: it goes through the outboxes. They keep what they cannot send.
            self.stop_signals(within / 2, Instant::now() + within / 2);
            for outbox in &self.outboxes {
                let stop = move || outbox.stop(deadline);
                if thread::Builder::new().name("weir-stop-outbox".to_owned()).spawn_scoped(scope, stop).is_err() {
                    stop();
                }
            }
        });
    }

    fn stop_signals(&self, within: Duration, deadline: Instant) {
        let (tracers, meters, loggers) = (self.tracers.clone(), self.meters.clone(), self.loggers.clone());
        let (sender, ended) = mpsc::channel();
        let mut outstanding = 0;
        outstanding += start_stop("traces", &sender, move || tracers.shutdown_with_timeout(within));
        outstanding += start_stop("metrics", &sender, move || meters.shutdown_with_timeout(within));
        outstanding += start_stop("logs", &sender, move || loggers.shutdown_with_timeout(within));
        for _ in 0..outstanding {
            match ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((_, Ok(()))) => {}
                Ok((signal, Err(error))) => tracing::warn!(signal, %error, "telemetry was not all sent"),
                Err(_) => {
                    tracing::warn!(?within, "telemetry was not all sent in the time there was");
                    return;
                }
            }
        }
    }
}

type Ended = (&'static str, OTelSdkResult);

/// Starts one end on a thread of its own, so that a slow one does not use up the time of the other. Gives how many
/// were started.
fn start_stop(
    signal: &'static str,
    ended: &mpsc::Sender<Ended>,
    stop: impl FnOnce() -> OTelSdkResult + Send + 'static,
) -> usize {
    let ended = ended.clone();
    // Nobody may be listening any more when it ends.
    let run = move || drop(ended.send((signal, stop())));
    match thread::Builder::new().name(format!("weir-stop-{signal}")).spawn(run) {
        Ok(_) => 1,
        Err(error) => {
            tracing::warn!(signal, %error, "telemetry was not all sent");
            0
        }
    }
}

/// What is needed to make them.
struct ExportersBuilder<'a> {
    config: &'a mut Config,
    resource: &'a Resource,
    runtime: &'a Handle,
    outboxes: Vec<Outbox>,
}

type Destinations = Vec<(Exporter, Arc<dyn Destination>)>;

impl ExportersBuilder<'_> {
    /// Where a signal is pushed.
    fn destinations(&self, signal: Signal) -> Result<Destinations, StartError> {
        let mut destinations = Vec::new();
        let config = &self.config;
        if config.choice.of(signal).has(Exporter::Otlp) {
            let endpoint = config.otlp.endpoint(signal);
            // Clients look for their runtime when they are made.
            let _entered = self.runtime.enter();
            destinations.push((Exporter::Otlp, otlp::destination(signal, endpoint, self.resource, &config.identity)?));
        }
        Ok(destinations)
    }

    fn outboxes(&mut self, signal: Signal, to: &Destinations) -> Result<Vec<Outbox>, StartError> {
        let mut outboxes = Vec::new();
        for (exporter, destination) in to {
            let (destination, config) = (Arc::clone(destination), &self.config);
            let (data_dir, limits) = (config.data_dir.as_deref(), &config.outbox);
            outboxes.push(Outbox::start(exporter.as_str(), signal, destination, data_dir, limits, self.runtime)?);
        }
        self.outboxes.extend(outboxes.iter().cloned());
        Ok(outboxes)
    }

    /// Where things are printed, if anything is.
    fn console(&mut self) -> Result<Option<Console>, StartError> {
        let choice = &self.config.choice;
        let prints = Signal::ALL.into_iter().any(|signal| choice.of(signal).has(Exporter::Console));
        let terminal = self.config.terminal.take().filter(|_| prints);
        terminal.map(Console::start).transpose().map_err(StartError::Thread)
    }
}

/// The threads on which parcels are sent.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl Background {
    fn start() -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("weir-telemetry").enable_all().build();
        Ok(Self(Some(runtime.map_err(StartError::Thread)?)))
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until it is dropped").handle()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which is a panic inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What goes where and why, for the message at start: one line for each exporter of a signal.
fn lines(config: &Config) -> Vec<String> {
    let mut lines: Vec<String> = Signal::ALL.into_iter().flat_map(|signal| of_signal(config, signal)).collect();
    if !config.tracing_enabled {
        lines.push(format!("traces: feedback only ({}=true)", DISABLE_TRACING.variable));
    }
    lines
}

fn of_signal(config: &Config, signal: Signal) -> Vec<String> {
    let Chosen { exporters, by } = config.choice.of(signal);
    let name = signal.as_str();
    if exporters.is_empty() {
        let why = by.map_or_else(|| format!("{} is not set", GENERAL.endpoint.variable), ToOwned::to_owned);
        return vec![format!("{name}: sent nowhere ({why})")];
    }
    let line = |exporter: &Exporter| {
        let (what, variable) = match exporter {
            Exporter::Otlp => {
                let endpoint = config.otlp.endpoint(signal);
                (format!("otlp ({}) to {}", endpoint.protocol.as_str(), endpoint.shown()), endpoint.variable)
            }
            Exporter::AzureMonitor => ("azuremonitor".to_owned(), None),
            Exporter::Prometheus => ("at /metrics of the admin listener".to_owned(), None),
            Exporter::Console => ("printed here".to_owned(), None),
        };
        let why: Vec<&str> = by.iter().copied().chain(variable).collect();
        match (why.is_empty(), exporter) {
            (true, Exporter::Console) => format!("{name}: {what} ({} is not set)", GENERAL.endpoint.variable),
            (true, _) => format!("{name}: {what}"),
            (false, _) => format!("{name}: {what} ({})", why.join(", ")),
        }
    };
    exporters.iter().map(line).collect()
}
