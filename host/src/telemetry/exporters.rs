//! Where spans and metrics go, and the threads that take them there.
//!
//! Spans leave in batches by a thread of the SDK, metrics every minute by another; a full queue drops spans rather
//! than slow a request. Both threads block while they send, so neither needs a runtime of ours. Only gRPC does: tonic
//! drives its connections on a runtime, and that gets a small one of its own, apart from guests and sockets.

use std::fmt::Debug;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol as OtlpProtocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as SdkSpanExporter};
use tokio::runtime::{Builder, Runtime};

use super::config::{Config, DISABLE_TRACING};
use super::console::Console;
use super::feedback::{self, Store};
use super::otlp::Unfit;
use super::otlp::config::{Endpoint, GENERAL, Protocol};
use super::outbox::parcel::Signal;
use super::printer::Printer;
use super::prometheus::Scrape;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot send {signal} to {url:?}, as {variable} asks")]
    Exporter {
        signal: &'static str,
        url: String,
        variable: &'static str,
        #[source]
        source: ExporterBuildError,
    },
    #[error(transparent)]
    Otlp(#[from] Unfit),
    #[error("cannot start a thread for telemetry")]
    Thread(#[source] std::io::Error),
    #[error("feedback cannot be kept")]
    Feedback(#[from] feedback::StartError),
    #[error("metrics cannot be read by Prometheus")]
    Prometheus(#[from] OTelSdkError),
}

/// Where spans are told that must arrive: whoever gives them keeps them until this says that they have.
pub(super) trait Sink: Debug + Send {
    /// Tells these spans, all or none as far as can be known. Blocks until that is done, for at most some seconds.
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult;
}

/// An exporter as a sink.
#[derive(Debug)]
pub(super) struct Exporting<E>(pub(super) E);

impl<E: SdkSpanExporter> Sink for Exporting<E> {
    fn tell(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        futures_executor::block_on(self.0.export(spans))
    }
}

/// Everything that is sent somewhere goes through this.
#[derive(Debug)]
pub(super) struct Exporters {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    /// None: nobody is told logs.
    pub(super) loggers: Option<SdkLoggerProvider>,
    pub(super) feedback: Store,
    /// None: nobody comes to read metrics.
    pub(super) scrape: Option<Scrape>,
    /// What goes where, one line each.
    pub(super) lines: Vec<String>,
    // After the providers: what they still have to send goes over its connections.
    _connections: Option<Connections>,
}

impl Exporters {
    pub(super) fn build(config: &mut Config) -> Result<Self, StartError> {
        let (traces, metrics) = (config.otlp.given(Signal::Traces), config.otlp.given(Signal::Metrics));
        let connections = Connections::for_grpc([traces, metrics])?;
        // The exporters of gRPC look for a runtime when they are made.
        let guard = connections.as_ref().and_then(Connections::enter);
        let resource = config.resource.resource();
        let mut lines = Vec::new();

        let mut tracers =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_sampler(config.sampler.sampler());
        let mut sink: Option<Box<dyn Sink>> = None;
        match (traces, config.terminal.take()) {
            (Some(endpoint), _) => {
                tracers = tracers.with_batch_exporter(spans_to(endpoint, RetryPolicy::default())?);
                // It is tried again and again by whoever keeps what is to be told.
                let mut exporter = spans_to(endpoint, RetryPolicy::disabled())?;
                exporter.set_resource(&resource);
                sink = Some(Box::new(Exporting(exporter)));
                lines.push(sent("traces", endpoint));
            }
            (None, Some(terminal)) => {
                let printer = Printer::on(Console::start(terminal).map_err(StartError::Thread)?);
                tracers = tracers.with_span_processor(printer.clone());
                sink = Some(Box::new(printer));
                lines.push(format!("traces: printed here ({} is not set)", GENERAL.endpoint.variable));
            }
            (None, None) => lines.push(unsent("traces")),
        }
        if !config.tracing_enabled {
            lines.push(format!("traces: feedback only ({}=true)", DISABLE_TRACING.variable));
        }

        let mut meters = SdkMeterProvider::builder().with_resource(resource);
        match metrics {
            Some(endpoint) => {
                meters = meters.with_periodic_exporter(metrics_to(endpoint)?);
                lines.push(sent("metrics", endpoint));
            }
            None => lines.push(unsent("metrics")),
        }
        let (scrape, reader) = Scrape::start()?;
        meters = meters.with_reader(reader);

        lines.push(Store::describe(config.data_dir.as_deref()));
        drop(guard);
        let feedback = Store::start(config.data_dir.as_deref(), &config.feedback, sink)?;
        Ok(Self {
            tracers: tracers.build(),
            meters: meters.build(),
            loggers: None,
            feedback,
            scrape: Some(scrape),
            lines,
            _connections: connections,
        })
    }

    /// Exporters that were made elsewhere.
    #[cfg(test)]
    pub(super) fn of(tracers: SdkTracerProvider, meters: SdkMeterProvider, feedback: Store) -> Self {
        Self { tracers, meters, feedback, loggers: None, scrape: None, lines: Vec::new(), _connections: None }
    }

    /// Sends what is left and ends. Returns when that is done or `within` is over, whichever is sooner: the SDK's own
    /// limits do not hold for metrics, and a process that is asked to stop has little time.
    pub(super) fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within;
        thread::scope(|scope| {
            // Feedback has its own connection to a collector, and its own way not to be lost.
            let stop = || self.feedback.stop(deadline);
            if thread::Builder::new().name("weir-stop-feedback".to_owned()).spawn_scoped(scope, stop).is_err() {
                stop();
            }
            self.stop_signals(within, deadline);
        });
    }

    fn stop_signals(&self, within: Duration, deadline: Instant) {
        let (tracers, meters) = (self.tracers.clone(), self.meters.clone());
        let (sender, ended) = mpsc::channel();
        let mut outstanding = 0;
        outstanding += start_stop("traces", &sender, move || tracers.shutdown_with_timeout(within));
        outstanding += start_stop("metrics", &sender, move || meters.shutdown_with_timeout(within));
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

/// The runtime on which gRPC connections live.
#[derive(Debug)]
struct Connections(Option<Runtime>);

impl Connections {
    fn for_grpc(endpoints: [Option<&Endpoint>; 2]) -> Result<Option<Self>, StartError> {
        if !endpoints.into_iter().flatten().any(|endpoint| endpoint.protocol == Protocol::Grpc) {
            return Ok(None);
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("weir-otlp").enable_all().build();
        Ok(Some(Self(Some(runtime.map_err(StartError::Thread)?))))
    }

    fn enter(&self) -> Option<tokio::runtime::EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which is a panic inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn spans_to(endpoint: &Endpoint, retry: RetryPolicy) -> Result<SpanExporter, StartError> {
    let builder = SpanExporter::builder();
    let url = endpoint.url.clone();
    match endpoint.protocol {
        Protocol::HttpProtobuf => {
            with_crypto();
            let builder = builder.with_http().with_protocol(OtlpProtocol::HttpBinary).with_endpoint(url);
            builder.with_retry_policy(retry).build()
        }
        Protocol::Grpc => {
            let builder = builder.with_tonic().with_endpoint(url).with_retry_policy(retry);
            match tls(endpoint) {
                Some(tls) => builder.with_tls_config(tls).build(),
                None => builder.build(),
            }
        }
    }
    .map_err(|source| refused("traces", endpoint, source))
}

fn metrics_to(endpoint: &Endpoint) -> Result<MetricExporter, StartError> {
    let builder = MetricExporter::builder();
    let url = endpoint.url.clone();
    match endpoint.protocol {
        Protocol::HttpProtobuf => {
            with_crypto();
            builder.with_http().with_protocol(OtlpProtocol::HttpBinary).with_endpoint(url).build()
        }
        Protocol::Grpc => match tls(endpoint) {
            Some(tls) => builder.with_tonic().with_endpoint(url).with_tls_config(tls).build(),
            None => builder.with_tonic().with_endpoint(url).build(),
        },
    }
    .map_err(|source| refused("metrics", endpoint, source))
}

/// The roots of the machine, for an address that may need them; by itself the crate trusts nobody.
fn tls(endpoint: &Endpoint) -> Option<ClientTlsConfig> {
    (!endpoint.url.starts_with("http://")).then(|| ClientTlsConfig::new().with_enabled_roots())
}

/// The HTTP client of the exporters takes the process's cryptography and panics without. If another part of the host
/// has installed it already, it is the same.
fn with_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn refused(signal: &'static str, endpoint: &Endpoint, source: ExporterBuildError) -> StartError {
    StartError::Exporter { signal, url: endpoint.shown(), variable: endpoint.decided_by(), source }
}

fn sent(signal: &str, endpoint: &Endpoint) -> String {
    let protocol = endpoint.protocol.as_str();
    format!("{signal}: {protocol} to {} ({})", endpoint.shown(), endpoint.decided_by())
}

fn unsent(signal: &str) -> String {
    format!("{signal}: sent nowhere ({} is not set)", GENERAL.endpoint.variable)
}
