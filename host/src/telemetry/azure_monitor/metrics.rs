//! Points of metrics as items, one each. Pure.
//!
//! Histograms arrive as sum, count, least and greatest: Application Insights has no buckets. The name of the meter is the
//! namespace, so the eight metrics are found under `promptflow standard metrics`.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};

use super::envelope::{Data, Envelope, Metric, NAME, NAMESPACE, Point, VER};
use super::tags::Sender;
use super::text::{Properties, cut, text};

/// What is asked of the SDK: what was added since the last time, for counters and histograms; what there is, for all
/// others.
pub(in crate::telemetry) const TEMPORALITY: Temporality = Temporality::Delta;

/// The name under which the resource's attributes are told.
const RESOURCE: &str = "_OTELRESOURCE_";

/// All points that are numbers.
pub(super) fn envelopes<'a>(metrics: &'a ResourceMetrics, sender: &'a Sender) -> Vec<Envelope<'a>> {
    let mut envelopes = Vec::new();
    for scope in metrics.scope_metrics() {
        let namespace = Some(cut(scope.scope().name(), NAMESPACE)).filter(|name| !name.is_empty());
        for metric in scope.metrics() {
            let mut batch = Batch { sender, namespace, name: cut(metric.name(), NAME), envelopes: &mut envelopes };
            match metric.data() {
                AggregatedMetrics::F64(data) => batch.add(data, |number| number),
                #[expect(clippy::cast_precision_loss, reason = "a value is a double")]
                AggregatedMetrics::U64(data) => batch.add(data, |number| number as f64),
                #[expect(clippy::cast_precision_loss, reason = "a value is a double")]
                AggregatedMetrics::I64(data) => batch.add(data, |number| number as f64),
            }
        }
    }
    envelopes
}

/// The attributes of the resource, as a metric without a value.
pub(super) fn of_resource<'a>(
    attributes: &'a [KeyValue],
    application: Option<&'a str>,
    sender: &'a Sender,
) -> Envelope<'a> {
    let mut properties = Properties::of(attributes, &[]);
    if let Some(application) = application {
        properties.add("microsoft.applicationId", application);
    }
    let point = Point { name: RESOURCE, namespace: None, value: 0.0, count: None, min: None, max: None };
    let data = Metric { ver: VER, metrics: [point], properties };
    Envelope::new(SystemTime::now(), sender.tags(), Data::Metric(data))
}

/// The points of one metric.
struct Batch<'a, 'b> {
    sender: &'a Sender,
    namespace: Option<&'a str>,
    name: &'a str,
    envelopes: &'b mut Vec<Envelope<'a>>,
}

impl<'a> Batch<'a, '_> {
    fn add<T: Copy>(&mut self, data: &'a MetricData<T>, number: impl Fn(T) -> f64) {
        let name = self.name;
        let namespace = self.namespace;
        let single = |value| Point { name, namespace, value: number(value), count: Some(1), min: None, max: None };
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.push(gauge.time(), point.attributes(), single(point.value()));
                }
            }
            MetricData::Sum(sum) => {
                // Every item costs, and that nothing was added says nothing.
                let only_added = sum.is_monotonic() && sum.temporality() == Temporality::Delta;
                for point in sum.data_points().filter(|point| !only_added || number(point.value()) != 0.0) {
                    self.push(sum.time(), point.attributes(), single(point.value()));
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    let (min, max) = (point.min().map(&number), point.max().map(&number));
                    let single = Point { count: Some(point.count()), min, max, ..single(point.sum()) };
                    self.push(histogram.time(), point.attributes(), single);
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    let (min, max) = (point.min().map(&number), point.max().map(&number));
                    let count = u64::try_from(point.count()).ok();
                    let single = Point { count, min, max, ..single(point.sum()) };
                    self.push(histogram.time(), point.attributes(), single);
                }
            }
        }
    }

    /// JSON has no number that is not finite: such a point cannot be told.
    fn push(&mut self, at: SystemTime, attributes: impl Iterator<Item = &'a KeyValue>, point: Point<'a>) {
        let finite = |number: &f64| number.is_finite();
        if !point.value.is_finite() {
            return;
        }
        let point = Point { min: point.min.filter(finite), max: point.max.filter(finite), ..point };
        let mut properties = Properties::default();
        for KeyValue { key, value, .. } in attributes {
            properties.add(key.as_str(), text(value));
        }
        let data = Metric { ver: VER, metrics: [point], properties };
        self.envelopes.push(Envelope::new(at, self.sender.tags(), Data::Metric(data)));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::{InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider};
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::names;

    /// What a second collection sends after `again`, so that what came before it shows whether it is counted twice.
    fn second(record: impl Fn(&opentelemetry::metrics::Meter)) -> Vec<Value> {
        let exporter = InMemoryMetricExporterBuilder::new().with_temporality(TEMPORALITY).build();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider =
            SdkMeterProvider::builder().with_reader(reader).with_resource(Resource::builder_empty().build()).build();
        let meter = provider.meter(names::METER);
        for _ in 0..2 {
            exporter.reset();
            record(&meter);
            provider.force_flush().unwrap();
        }
        let metrics = exporter.get_finished_metrics().unwrap();
        let sender = Sender::of(&Resource::builder_empty().build());
        let envelopes: Vec<_> = metrics.iter().flat_map(|metrics| envelopes(metrics, &sender)).collect();
        envelopes.iter().map(|envelope| serde_json::to_value(envelope).unwrap()["data"].clone()).collect()
    }

    fn one(name: &str, more: &Value) -> Value {
        let mut point = json!({"name": name, "ns": "promptflow standard metrics"});
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"baseType": "MetricData", "baseData": {"ver": 2, "metrics": [point]}})
    }

    #[test]
    fn counters_and_histograms_tell_what_was_added_and_others_what_there_is() {
        let told = second(|meter| meter.u64_counter("node_request").build().add(3, &[]));
        assert_eq!(told, [one("node_request", &json!({"value": 3.0, "count": 1}))]);
        let told = second(|meter| {
            let latency = meter.f64_histogram("node_latency").build();
            latency.record(1.5, &[]);
            latency.record(3.0, &[]);
        });
        assert_eq!(told, [one("node_latency", &json!({"value": 4.5, "count": 2, "min": 1.5, "max": 3.0}))]);
        let told = second(|meter| meter.i64_up_down_counter("active").build().add(-2, &[]));
        assert_eq!(told, [one("active", &json!({"value": -4.0, "count": 1}))]);
        let told = second(|meter| meter.f64_gauge("size").build().record(0.5, &[]));
        assert_eq!(told, [one("size", &json!({"value": 0.5, "count": 1}))]);
    }

    #[test]
    fn a_counter_to_which_nothing_was_added_is_not_told() {
        let told = second(|meter| {
            meter.u64_observable_counter("lost").with_callback(|told| told.observe(5, &[])).build();
            meter.i64_up_down_counter("active").build().add(0, &[]);
        });
        assert_eq!(told, [one("active", &json!({"value": 0.0, "count": 1}))]);
    }

    #[test]
    fn each_set_of_dimensions_is_an_item_and_what_is_no_number_is_none() {
        let told = second(|meter| {
            let counter = meter.f64_counter("token_consumption").build();
            counter.add(1.0, &[KeyValue::new("flow", "a"), KeyValue::new("streaming", "True")]);
            counter.add(2.0, &[KeyValue::new("flow", "漢".repeat(9000))]);
            meter.f64_gauge("none").build().record(f64::NAN, &[]);
        });
        let mut dimensions: Vec<_> = told.iter().map(|data| data["baseData"]["properties"].clone()).collect();
        dimensions.sort_by_key(|it| it["flow"].as_str().map(str::len));
        assert_eq!(dimensions, [json!({"flow": "a", "streaming": "True"}), json!({"flow": "漢".repeat(8192)})]);
    }

    #[test]
    fn the_resource_is_told_as_a_metric_without_a_value() {
        let sender = Sender::of(&Resource::builder_empty().build());
        let attributes = [KeyValue::new("service.name", "chat")];
        let told = serde_json::to_value(of_resource(&attributes, Some("app"), &sender)).unwrap();
        let properties = json!({"service.name": "chat", "microsoft.applicationId": "app"});
        let data = json!({"ver": 2, "metrics": [{"name": "_OTELRESOURCE_", "value": 0.0}], "properties": properties});
        assert_eq!(told["data"], json!({"baseType": "MetricData", "baseData": data}));
    }
}
