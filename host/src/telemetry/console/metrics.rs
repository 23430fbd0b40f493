//! Metrics for people: one block each time they are exported, one line for each point.

use std::fmt::{Debug, Write};
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::{Console, FLUSH, pair, timestamp};

/// Prints metrics at each export. Sums and histograms are those since the start of the process.
#[derive(Debug)]
pub(in crate::telemetry) struct ConsoleMetrics(pub(in crate::telemetry) Console);

impl PushMetricExporter for ConsoleMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let Some(text) = render(metrics, SystemTime::now()) else { return Ok(()) };
        if self.0.print(|_| text) {
            Ok(())
        } else {
            Err(OTelSdkError::InternalFailure("the terminal is too slow".to_owned()))
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush(FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.flush(timeout)
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// The metrics as they are printed; none if there are none.
fn render(metrics: &ResourceMetrics, now: SystemTime) -> Option<String> {
    let mut text = String::new();
    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        let points = match metric.data() {
            AggregatedMetrics::F64(data) => points(data),
            AggregatedMetrics::U64(data) => points(data),
            AggregatedMetrics::I64(data) => points(data),
        };
        if points.is_empty() {
            continue;
        }
        let unit = metric.unit();
        let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
        let _ = write!(text, "\n  {}{unit}", metric.name());
        for (labels, value) in points {
            let _ = write!(text, "\n    {value}{}{labels}", if labels.is_empty() { "" } else { "  " });
        }
    }
    (!text.is_empty()).then(|| format!("metrics at {}{text}", timestamp(now)))
}

/// Labels and value of each point, in the order of the labels.
fn points<T: Copy + Debug>(data: &MetricData<T>) -> Vec<(String, String)> {
    let mut points: Vec<(String, String)> = match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().map(|it| (labels(it.attributes()), format!("{:?}", it.value()))).collect()
        }
        MetricData::Sum(sum) => {
            sum.data_points().map(|it| (labels(it.attributes()), format!("{:?}", it.value()))).collect()
        }
        MetricData::Histogram(histogram) => {
            let point = |count, sum, min: Option<T>, max: Option<T>| {
                let mut text = format!("n={count} sum={sum:?}");
                if let (Some(min), Some(max)) = (min, max) {
                    let _ = write!(text, " min={min:?} max={max:?}");
                }
                text
            };
            let points = histogram.data_points();
            points.map(|it| (labels(it.attributes()), point(it.count(), it.sum(), it.min(), it.max()))).collect()
        }
        MetricData::ExponentialHistogram(histogram) => {
            let points = histogram.data_points();
            points.map(|it| (labels(it.attributes()), format!("n={} sum={:?}", it.count(), it.sum()))).collect()
        }
    };
    points.sort();
    points
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut pairs: Vec<String> = attributes.map(|it| pair(it.key.as_str(), &it.value.as_str())).collect();
    pairs.sort();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};

    use super::*;

    #[test]
    fn each_point_has_a_line() {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        let meter = provider.meter("m");
        let requests = meter.u64_counter("flow_request").build();
        requests.add(2, &[KeyValue::new("flow", "chat"), KeyValue::new("exception", "")]);
        requests.add(1, &[KeyValue::new("flow", "chat"), KeyValue::new("exception", "Timeout")]);
        let latency = meter.f64_histogram("flow_latency").with_unit("ms").build();
        latency.record(1.5, &[KeyValue::new("flow", "two words")]);
        latency.record(3.0, &[KeyValue::new("flow", "two words")]);
        meter.i64_gauge("held").build().record(-1, &[]);
        provider.force_flush().unwrap();
        let metrics = exporter.get_finished_metrics().unwrap();
        let printed = render(&metrics[0], UNIX_EPOCH).unwrap();
        let expected = r#"metrics at 1970-01-01T00:00:00.000Z
  flow_request
    2  exception="" flow=chat
    1  exception=Timeout flow=chat
  flow_latency (ms)
    n=2 sum=4.5 min=1.5 max=3.0  flow="two words"
  held
    -1"#;
        assert_eq!(printed, expected);
        assert_eq!(render(&ResourceMetrics::default(), UNIX_EPOCH), None);
    }
}
