//! What has ended, as the messages of OTLP, in parcels of a size that collectors take. Pure.
//!
//! A message is split by its items (spans, points of metrics, log records), whatever group they stand in; each part says
//! again of which resource and scope its items are. An item is never split.

mod spans;
mod wire;

use std::mem;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_sdk::metrics::data;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

use super::super::outbox::parcel::{Log, PARCEL_BYTES, Parcel, Signal};

/// Makes parcels of what one resource tells.
#[derive(Debug)]
pub struct Encoder {
    resource: Resource,
    schema_url: String,
}

impl Encoder {
    pub fn new(resource: &opentelemetry_sdk::Resource) -> Self {
        Self { resource: resource.into(), schema_url: resource.schema_url().unwrap_or_default().to_owned() }
    }

    pub fn spans(&self, told: &[SpanData]) -> Vec<Parcel> {
        let common = spans::Common { resource: &self.resource.encode_to_vec(), schema_url: &self.schema_url };
        spans::parcels(&common, told)
    }

    pub(super) fn logs(&self, logs: &[Log]) -> Vec<Parcel> {
        let mut scope_logs: Vec<ScopeLogs> = Vec::new();
        for (record, by) in logs {
            let told = record.into();
            let scope = Some((by, record.target().cloned()).into());
            let schema_url = by.schema_url().unwrap_or_default();
            match scope_logs.iter_mut().find(|group| group.scope == scope && group.schema_url == schema_url) {
                Some(group) => group.log_records.push(told),
                None => {
                    let schema_url = schema_url.to_owned();
                    scope_logs.push(ScopeLogs { scope, schema_url, log_records: vec![told] });
                }
            }
        }
        let (resource, schema_url) = (Some(self.resource.clone()), self.schema_url.clone());
        let resource_logs = vec![ResourceLogs { resource, schema_url, scope_logs }];
        parcels(Signal::Logs, ExportLogsServiceRequest { resource_logs })
    }
}

/// Metrics say of themselves of which resource they are.
pub(super) fn metrics(metrics: &data::ResourceMetrics) -> Vec<Parcel> {
    parcels(Signal::Metrics, ExportMetricsServiceRequest::from(metrics))
}

/// The same items in two parcels; none, if it has one item or cannot be read.
pub(super) fn halve(parcel: &Parcel) -> Option<[Parcel; 2]> {
    match parcel.signal {
        Signal::Traces => halves(parcel, ExportTraceServiceRequest::decode(parcel.body.clone()).ok()?),
        Signal::Metrics => halves(parcel, ExportMetricsServiceRequest::decode(parcel.body.clone()).ok()?),
        Signal::Logs => halves(parcel, ExportLogsServiceRequest::decode(parcel.body.clone()).ok()?),
    }
}

fn halves<R: Message + Items>(parcel: &Parcel, mut message: R) -> Option<[Parcel; 2]> {
    let items = message.items();
    (items > 1).then(|| {
        let rest = message.split_off(items / 2);
        [packed(parcel.signal, &message), packed(parcel.signal, &rest)]
    })
}

/// A message in as many parcels as its size asks for; none, if it has no items.
fn parcels<R: Message + Items>(signal: Signal, message: R) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    // The last of these is the first to be told.
    let mut left = vec![message];
    while let Some(mut message) = left.pop() {
        let items = message.items();
        if items > 1 && message.encoded_len() > PARCEL_BYTES {
            let rest = message.split_off(items / 2);
            left.extend([rest, message]);
        } else if items > 0 {
            parcels.push(packed(signal, &message));
        }
    }
    parcels
}

fn packed<R: Message + Items>(signal: Signal, message: &R) -> Parcel {
    let items = u32::try_from(message.items()).unwrap_or(u32::MAX);
    Parcel { signal, items, body: Bytes::from(message.encode_to_vec()) }
}

/// A message that holds items, in groups or by itself.
trait Items {
    fn items(&self) -> usize;

    /// Takes out all items but the first `at`, with whatever is said of their groups.
    fn split_off(&mut self, at: usize) -> Self;
}

impl<G: Items> Items for Vec<G> {
    fn items(&self) -> usize {
        self.iter().map(Items::items).sum()
    }

    fn split_off(&mut self, at: usize) -> Self {
        let mut kept = 0;
        for index in 0..self.len() {
            let items = self[index].items();
            if kept == at {
                return Vec::split_off(self, index);
            }
            if kept + items > at {
                let rest = Vec::split_off(self, index + 1);
                let mut split = vec![self[index].split_off(at - kept)];
                split.extend(rest);
                return split;
            }
            kept += items;
        }
        Vec::new()
    }
}

/// `groups!(ScopeSpans: spans)`: a message whose items are in the field `spans`, and whose other fields hold for all of them.
/// `leaf` for a field whose elements are the items themselves.
macro_rules! groups {
    ($($message:ident: $($leaf:ident)? ($field:ident);)*) => {$(
        impl Items for $message {
            fn items(&self) -> usize {
                groups!(@items $($leaf)? self.$field)
            }

            fn split_off(&mut self, at: usize) -> Self {
                // What is said of the group is said of both parts; the items must not be copied for that.
                let mut items = mem::take(&mut self.$field);
                let mut rest = self.clone();
                rest.$field = groups!(@split $($leaf)? items, at);
                self.$field = items;
                rest
            }
        }
    )*};
    (@items leaf $items:expr) => { $items.len() };
    (@items $items:expr) => { Items::items(&$items) };
    (@split leaf $items:expr, $at:expr) => { Vec::split_off(&mut $items, $at) };
    (@split $items:expr, $at:expr) => { Items::split_off(&mut $items, $at) };
}

groups! {
    ExportTraceServiceRequest: (resource_spans);
    ResourceSpans: (scope_spans);
    ScopeSpans: leaf (spans);
    ExportMetricsServiceRequest: (resource_metrics);
    ResourceMetrics: (scope_metrics);
    ScopeMetrics: (metrics);
    ExportLogsServiceRequest: (resource_logs);
    ResourceLogs: (scope_logs);
    ScopeLogs: leaf (log_records);
}

/// Its items are its points, of whatever kind.
impl Items for Metric {
    fn items(&self) -> usize {
        match &self.data {
            Some(Data::Gauge(data)) => data.data_points.len(),
            Some(Data::Sum(data)) => data.data_points.len(),
            Some(Data::Histogram(data)) => data.data_points.len(),
            Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
            Some(Data::Summary(data)) => data.data_points.len(),
            None => 0,
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        let rest = self.data.as_mut().map(|data| match data {
            Data::Gauge(data) => Data::Gauge(Gauge { data_points: data.data_points.split_off(at) }),
            Data::Sum(data) => Data::Sum(Sum { data_points: data.data_points.split_off(at), ..*data }),
            Data::Histogram(data) => {
                Data::Histogram(Histogram { data_points: data.data_points.split_off(at), ..*data })
            }
            Data::ExponentialHistogram(data) => {
                let data_points = data.data_points.split_off(at);
                Data::ExponentialHistogram(ExponentialHistogram { data_points, ..*data })
            }
            Data::Summary(data) => Data::Summary(Summary { data_points: data.data_points.split_off(at) }),
        });
        // What is said of all points is said of both parts; the points must not be copied for that.
        let points = self.data.take();
        let split = Self { data: rest, ..self.clone() };
        self.data = points;
        split
    }
}

#[cfg(test)]
mod tests;
