//! Makes the exporters of what is set.

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::Handle;

use super::StartError;
use super::chosen::Exporter;
use super::sink::{Direct, Sink};
use crate::telemetry::azure_monitor;
use crate::telemetry::config::Config;
use crate::telemetry::console::{Console, ConsoleLogs, ConsoleMetrics};
use crate::telemetry::feedback::Store;
use crate::telemetry::otlp;
use crate::telemetry::outbox::Outbox;
use crate::telemetry::outbox::parcel::{Destination, Signal};
use crate::telemetry::outbox::pipeline::{EditLogs, Logs, Points, Spans};
use crate::telemetry::printer::Printer;
use crate::telemetry::prometheus::Scrape;
use crate::telemetry::sampler::TailSampling;

/// By the exporters that send there.
type Destinations = Vec<(Exporter, Arc<dyn Destination>)>;

pub(super) struct ExportersBuilder<'a> {
    config: &'a Config,
    resource: Resource,
    runtime: &'a Handle,
    /// Where things are printed, if anything is.
    console: Option<Console>,
    pub(super) outboxes: Vec<Outbox>,
}

impl<'a> ExportersBuilder<'a> {
    pub(super) fn new(config: &'a mut Config, runtime: &'a Handle) -> Result<Self, StartError> {
        let prints = Signal::ALL.into_iter().any(|signal| config.choice.of(signal).has(Exporter::Console));
        let terminal = config.terminal.take().filter(|_| prints);
        let console = terminal.map(Console::start).transpose().map_err(StartError::Thread)?;
        let resource = config.resource.resource();
        Ok(Self { config, resource, runtime, console, outboxes: Vec::new() })
    }

    /// Also where Prometheus reads metrics, if it does.
    pub(super) fn meters(&mut self) -> Result<(SdkMeterProvider, Option<Scrape>), StartError> {
        let reading = self.config.reading;
        let mut meters = SdkMeterProvider::builder().with_resource(self.resource.clone());
        if let Some(view) = reading.histograms.view() {
            meters = meters.with_view(view);
        }
        for (exporter, outbox) in self.open(Signal::Metrics)? {
            let temporality = match exporter {
                // It knows no other.
                Exporter::AzureMonitor => azure_monitor::TEMPORALITY,
                _ => reading.temporality,
            };
            let points = Points { outbox, temporality };
            meters = meters.with_reader(PeriodicReader::builder(points).with_interval(reading.interval).build());
        }
        if let Some(console) = self.console_of(Signal::Metrics) {
            let console = ConsoleMetrics(console);
            meters = meters.with_reader(PeriodicReader::builder(console).with_interval(reading.interval).build());
        }
        let mut scrape = None;
        if self.config.choice.metrics.has(Exporter::Prometheus) {
            let (registry, reader) = Scrape::start()?;
            meters = meters.with_reader(reader);
            scrape = Some(registry);
        }
        Ok((meters.build(), scrape))
    }

    /// Also whoever decides late what is kept, if somebody does.
    pub(super) fn tracers(
        &mut self,
        meters: &SdkMeterProvider,
    ) -> Result<(SdkTracerProvider, Option<TailSampling>), StartError> {
        let outboxes = self.open(Signal::Traces)?.into_iter().map(|(_, outbox)| outbox).collect();
        let printer = self.console_of(Signal::Traces).map(Printer::on);
        let (redactor, limits) = (self.config.redactor.clone(), self.config.limits);
        let edit = move |span: &mut SpanData| {
            redactor.span(span);
            limits.apply(span);
        };
        let spans = Spans::start(self.config.outbox.spans, edit, outboxes, printer).map_err(StartError::Thread)?;
        let tracers = SdkTracerProvider::builder()
            .with_resource(self.resource.clone())
            .with_sampler(self.config.sampler.sampler(meters))
            .with_span_limits(limits.of_open_spans());
        Ok(match self.config.sampler.tail {
            None => (tracers.with_span_processor(spans).build(), None),
            Some(policy) => {
                let tail = TailSampling::start(policy, Box::new(spans), meters).map_err(StartError::Thread)?;
                (tracers.with_span_processor(tail.clone()).build(), Some(tail))
            }
        })
    }

    /// None: nobody is told logs.
    pub(super) fn loggers(&mut self) -> Result<Option<SdkLoggerProvider>, StartError> {
        let outboxes: Vec<Outbox> = self.open(Signal::Logs)?.into_iter().map(|(_, outbox)| outbox).collect();
        let console = self.console_of(Signal::Logs);
        if outboxes.is_empty() && console.is_none() {
            return Ok(None);
        }
        let (redactor, limits) = (self.config.redactor.clone(), self.config.limits);
        let edit = EditLogs(move |record: &mut SdkLogRecord| {
            redactor.log(record);
            limits.apply_log(record);
        });
        let mut loggers = SdkLoggerProvider::builder().with_resource(self.resource.clone()).with_log_processor(edit);
        if !outboxes.is_empty() {
            let logs = Logs::start(self.config.outbox.logs, outboxes).map_err(StartError::Thread)?;
            loggers = loggers.with_log_processor(logs);
        }
        if let Some(console) = console {
            loggers = loggers.with_log_processor(ConsoleLogs(console));
        }
        Ok(Some(loggers.build()))
    }

    /// Feedback is told where traces are. Over OTLP its evaluation is a log record as well.
    pub(super) fn feedback(&self) -> Result<Store, StartError> {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for (exporter, destination) in self.destinations(Signal::Traces)? {
            let records = self.config.choice.logs.has(exporter) && exporter == Exporter::Otlp;
            let records = records.then(|| self.destination(exporter, Signal::Logs)).transpose()?;
            sinks.push(Box::new(Direct::new(destination, records, self.runtime.clone())));
        }
        sinks.extend(self.console_of(Signal::Traces).map(|it| -> Box<dyn Sink> { Box::new(Printer::on(it)) }));
        Ok(Store::start(self.config.data_dir.as_deref(), &self.config.feedback, sinks)?)
    }

    /// Opens the outboxes of a signal.
    fn open(&mut self, signal: Signal) -> Result<Vec<(Exporter, Outbox)>, StartError> {
        let mut opened = Vec::new();
        let (data_dir, config) = (self.config.data_dir.as_deref(), &self.config.outbox);
        for (exporter, destination) in self.destinations(signal)? {
            let outbox = Outbox::start(exporter.as_str(), signal, destination, data_dir, config, self.runtime)?;
            self.outboxes.push(outbox.clone());
            opened.push((exporter, outbox));
        }
        Ok(opened)
    }

    /// Where a signal is pushed.
    fn destinations(&self, signal: Signal) -> Result<Destinations, StartError> {
        let pushes = |it: &Exporter| matches!(it, Exporter::Otlp | Exporter::AzureMonitor);
        let exporters = self.config.choice.of(signal).exporters.iter().copied().filter(pushes);
        exporters.map(|exporter| Ok((exporter, self.destination(exporter, signal)?))).collect()
    }

    fn destination(&self, exporter: Exporter, signal: Signal) -> Result<Arc<dyn Destination>, StartError> {
        // Clients look for their runtime when they are made.
        let _entered = self.runtime.enter();
        match exporter {
            Exporter::Otlp => {
                let endpoint = self.config.otlp.endpoint(signal);
                otlp::destination(signal, endpoint, &self.resource, &self.config.identity)
            }
            Exporter::AzureMonitor => {
                let connected = self.config.app_insights.connected().ok_or(StartError::NotConnected)?;
                Ok(azure_monitor::destination(connected, &self.resource)?)
            }
            other @ (Exporter::Prometheus | Exporter::Console) => unreachable!("{other} does not push"),
        }
    }

    fn console_of(&self, signal: Signal) -> Option<Console> {
        self.console.clone().filter(|_| self.config.choice.of(signal).has(Exporter::Console))
    }
}
