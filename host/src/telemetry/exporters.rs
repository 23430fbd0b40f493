//! Everything that leaves the host: which exporters are on, and how they start and stop.
//!
//! Which those are is decided in exporters/chosen.rs. What pushes has an outbox for each signal (outbox.rs), fed by the SDK
//! through outbox/pipeline.rs. Feedback goes to the same destinations by a way of its own (feedback/deliver.rs): it was
//! promised to arrive. All of it runs on threads apart from guests and sockets.

mod builder;
pub(super) mod chosen;
mod sink;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Builder, Handle, Runtime};

use super::azure_monitor;
use super::config::{Config, DISABLE_TRACING};
use super::feedback::{self, Store};
use super::otlp::Unfit;
use super::otlp::config::GENERAL;
use super::outbox::parcel::Signal;
use super::outbox::{Outbox, OutboxStatus};
use super::prometheus::Scrape;
use super::sampler::TailSampling;
use super::{health, names};
use crate::journal::OpenError;
use builder::ExportersBuilder;
use chosen::{Chosen, Exporter};
pub(super) use sink::Sink;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Otlp(#[from] Unfit),
    #[error(transparent)]
    AzureMonitor(#[from] azure_monitor::StartError),
    #[error("Application Insights is to be told, and no resource is set")]
    NotConnected,
    #[error("cannot start a thread for telemetry")]
    Thread(#[source] std::io::Error),
    #[error("the data directory of {} cannot be used", feedback::DATA_DIR.variable)]
    Spool(#[from] OpenError),
    #[error("feedback cannot be kept")]
    Feedback(#[from] feedback::StartError),
    #[error("metrics cannot be read by Prometheus")]
    Prometheus(#[from] OTelSdkError),
}

/// Everything that is sent somewhere goes through this.
#[derive(Debug)]
pub(super) struct Exporters {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    /// None: nobody is told logs.
    pub(super) loggers: Option<SdkLoggerProvider>,
    /// Wants to know of feedback.
    tail: Option<TailSampling>,
    pub(super) feedback: Store,
    /// None: nobody comes to read metrics.
    pub(super) scrape: Option<Scrape>,
    outboxes: Vec<Outbox>,
    /// What goes where, one line each.
    pub(super) lines: Vec<String>,
    // Last: whatever still sends runs on it.
    _background: Background,
}

impl Exporters {
    pub(super) fn build(config: &mut Config) -> Result<Self, StartError> {
        let background = Background::start()?;
        if let Some(told) = config.app_insights.unlinked() {
            tracing::warn!("{told}");
        }
        let lines = lines(config);
        let mut builder = ExportersBuilder::new(config, background.handle())?;
        let (meters, scrape) = builder.meters()?;
        let (tracers, tail) = builder.tracers(&meters)?;
        let loggers = builder.loggers()?;
        let feedback = builder.feedback()?;
        let outboxes = builder.outboxes;
        health::watch(&meters.meter(names::CONVENTIONS_METER), &outboxes);
        Ok(Self { tracers, meters, loggers, tail, feedback, scrape, outboxes, lines, _background: background })
    }

    /// Exporters that were made elsewhere.
    #[cfg(test)]
    pub(super) fn of(tracers: SdkTracerProvider, meters: SdkMeterProvider, feedback: Store) -> Self {
        Self {
            tracers,
            meters,
            loggers: None,
            tail: None,
            feedback,
            scrape: None,
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
            // What waits for feedback first, and then what the SDK holds: it goes through the outboxes. They keep what they
            // cannot send.
            if let Some(tail) = &self.tail {
                tail.decide();
            }
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
        if let Some(loggers) = loggers {
            outstanding += start_stop("logs", &sender, move || loggers.shutdown_with_timeout(within));
        }
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
pub(super) fn lines(config: &Config) -> Vec<String> {
    let mut lines: Vec<String> = Signal::ALL.into_iter().flat_map(|signal| of_signal(config, signal)).collect();
    if !config.tracing_enabled {
        lines.push(format!("traces: feedback only ({}=true)", DISABLE_TRACING.variable));
    }
    lines.push(Store::describe(config.data_dir.as_deref()));
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
            Exporter::AzureMonitor => match config.app_insights.connected() {
                Some(connected) => (format!("azuremonitor to {}", connected.address()), Some(connected.variable)),
                None => ("azuremonitor".to_owned(), None),
            },
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
