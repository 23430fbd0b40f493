//! Metrics as plain values: for each instrument and label set the last cumulative value.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};

use super::spans::attributes;

/// All labels of a point by name. Values are text: what is not a string is written as JSON.
pub type Labels = BTreeMap<String, String>;

/// What one label set of an instrument has come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Of a counter: its value. Of a histogram: how many values were recorded.
    pub count: u64,
    /// Of a counter: its value. Of a histogram: the sum of the values.
    pub sum: f64,
    /// Upper bounds of a histogram's buckets; the last bucket has none.
    pub bounds: Vec<f64>,
}

/// What an instrument says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `counter`, `up-down counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub unit: String,
    pub description: String,
    /// Name of its meter.
    pub scope: String,
}

/// The points of an instrument, possibly narrowed to some labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric {
    pub form: Form,
    pub points: BTreeMap<Labels, Point>,
}

impl Metric {
    /// Only the points that have this label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.points.retain(|labels, _| labels.get(name).is_some_and(|found| found == value));
        self
    }

    /// Of a counter its value, of a histogram the number of recordings; over all points.
    pub fn count(&self) -> u64 {
        self.points.values().map(|point| point.count).sum()
    }

    /// The sum over all points.
    pub fn sum(&self) -> f64 {
        self.points.values().map(|point| point.sum).sum()
    }

    /// Each label set with its count: to be compared as a whole.
    pub fn counts(&self) -> BTreeMap<Labels, u64> {
        self.points.iter().map(|(labels, point)| (labels.clone(), point.count)).collect()
    }
}

/// The last values of all instruments.
#[derive(Debug, Default)]
pub(super) struct Latest(BTreeMap<String, Metric>);

impl Latest {
    pub(super) fn replace(&mut self, export: ExportMetricsServiceRequest) {
        for group in export.resource_metrics.into_iter().flat_map(|group| group.scope_metrics) {
            let scope = group.scope.unwrap_or_default().name;
            for metric in group.metrics {
                let Some(data) = metric.data else { continue };
                let (unit, description) = (metric.unit, metric.description);
                let known = self.0.entry(metric.name).or_default();
                known.form = Form { kind: kind(&data), unit, description, scope: scope.clone() };
                known.points.extend(points(data));
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Metric {
        self.0.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

fn kind(data: &Data) -> &'static str {
    match data {
        Data::Sum(sum) if sum.is_monotonic => "counter",
        Data::Sum(_) => "up-down counter",
        Data::Gauge(_) => "gauge",
        Data::Histogram(_) => "histogram",
        Data::ExponentialHistogram(_) | Data::Summary(_) => "unknown",
    }
}

fn points(data: Data) -> Vec<(Labels, Point)> {
    match data {
        Data::Sum(sum) => sum.data_points.into_iter().map(number).collect(),
        Data::Gauge(gauge) => gauge.data_points.into_iter().map(number).collect(),
        Data::Histogram(histogram) => histogram.data_points.into_iter().map(distribution).collect(),
        // Weir makes none of these.
        Data::ExponentialHistogram(_) | Data::Summary(_) => Vec::new(),
    }
}

fn number(point: NumberDataPoint) -> (Labels, Point) {
    let (count, sum) = match point.value {
        Some(Number::AsInt(value)) => (u64::try_from(value).unwrap_or_default(), value as f64),
        Some(Number::AsDouble(value)) => (value as u64, value),
        None => (0, 0.0),
    };
    (labels(point.attributes), Point { count, sum, bounds: Vec::new() })
}

fn distribution(point: HistogramDataPoint) -> (Labels, Point) {
    let value = Point { count: point.count, sum: point.sum.unwrap_or_default(), bounds: point.explicit_bounds };
    (labels(point.attributes), value)
}

fn labels(list: Vec<KeyValue>) -> Labels {
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    attributes(list).into_iter().map(|(name, value)| (name, text(value))).collect()
}
