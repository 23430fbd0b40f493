//! Application Insights: Azure Monitor's ingestion.
//!
//! | step | where |
//! | --- | --- |
//! | which resource, and what decided it | azure_monitor/config.rs, azure_monitor/connection.rs |
//! | spans, points and log records become envelopes | azure_monitor/spans.rs, azure_monitor/metrics.rs, azure_monitor/logs.rs |
//! | envelopes become parcels | azure_monitor/parcels.rs |
//! | parcels are sent, and what an answer means | azure_monitor/transmit.rs, azure_monitor/answer.rs |
//!
//! The mapping is that of Microsoft's exporter for Python, which the original used; azure_monitor/golden.rs holds the two
//! together, with a reason for each difference. Between parcels and sending lies an outbox, which keeps what cannot be
//! sent yet.

pub mod answer;
mod config;
pub mod connection;
mod envelope;
#[cfg(test)]
mod golden;
mod logs;
mod metrics;
mod parcels;
mod redirect;
mod spans;
mod tags;
mod text;
mod time;
mod transmit;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;

use super::outbox::parcel::{Destination, Encode, Log, Outcome, Parcel, Signal, Transmit};

pub(super) use config::Config;
pub(super) use config::Connected;
pub use config::{ENABLED, LINKED};
pub(super) use metrics::TEMPORALITY;
pub(crate) use transmit::StartError;

pub use parcels::items;
use tags::Sender;
use transmit::Transmitter;

/// Where all three signals go.
///
/// # Errors
/// Nothing can be sent from this machine.
pub(super) fn destination(connected: &Connected, resource: &Resource) -> Result<Arc<dyn Destination>, StartError> {
    Ok(Arc::new(AzureMonitor {
        encoder: Encoder::new(resource, connected.connection.application.clone(), connected.resource_metric),
        transmitter: Transmitter::new(connected)?,
    }))
}

/// One resource of Application Insights.
#[derive(Debug)]
struct AzureMonitor {
    encoder: Encoder,
    transmitter: Transmitter,
}

/// Makes parcels of what has ended.
#[derive(Debug)]
pub struct Encoder {
    sender: Sender,
    /// Attributes of the resource, if they are told.
    resource: Option<Vec<KeyValue>>,
    application: Option<String>,
}

impl Encoder {
    /// `application`: the resource's application id. `resource_metric`: whether what describes the host is told as well.
    pub fn new(resource: &Resource, application: Option<String>, resource_metric: bool) -> Self {
        let attributes = || resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        Self { sender: Sender::of(resource), resource: resource_metric.then(attributes), application }
    }

    /// Spans and their events.
    pub fn spans(&self, spans: &[SpanData]) -> Vec<Parcel> {
        let Self { sender, resource, application } = self;
        let resource = resource.as_ref().filter(|_| !spans.is_empty());
        let resource = resource.map(|attributes| metrics::of_resource(attributes, application.as_deref(), sender));
        let envelopes = spans.iter().flat_map(|span| spans::envelopes(span, sender));
        parcels::bundle(Signal::Traces, resource.into_iter().chain(envelopes))
    }
}

impl Encode for AzureMonitor {
    fn spans(&self, spans: &[SpanData]) -> Vec<Parcel> {
        self.encoder.spans(spans)
    }

    fn metrics(&self, metrics: &ResourceMetrics) -> Vec<Parcel> {
        parcels::bundle(Signal::Metrics, metrics::envelopes(metrics, &self.encoder.sender))
    }

    fn logs(&self, logs: &[Log]) -> Vec<Parcel> {
        parcels::bundle(Signal::Logs, logs.iter().filter_map(|log| logs::envelope(log, &self.encoder.sender)))
    }
}

impl Transmit for AzureMonitor {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome> {
        self.transmitter.send(parcel)
    }

    fn halve(&self, parcel: &Parcel) -> Option<[Parcel; 2]> {
        parcels::halve(parcel)
    }
}
