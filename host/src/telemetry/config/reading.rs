//! How metrics are read for those they are pushed to: how often, since when, in what shape.

use std::time::Duration;

use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream, Temporality};

use crate::setting::{self, Reader, Setting};

static INTERVAL: Setting =
    Setting::new("OTEL_METRIC_EXPORT_INTERVAL", "60000", "how often metrics are sent, in milliseconds");
static TEMPORALITY: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "cumulative",
    "what OTLP is told: values since the start (`cumulative`), since the last time (`delta`), or the latter where it \
     saves memory (`lowmemory`)",
);
static AGGREGATION: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "explicit_bucket_histogram",
    "what histograms are: `explicit_bucket_histogram`, with the bounds of the table, or \
     `base2_exponential_bucket_histogram`, which `/metrics` cannot show and leaves out",
);

const TEMPORALITIES: [(&str, Temporality); 3] =
    [("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta), ("lowmemory", Temporality::LowMemory)];
const AGGREGATIONS: [(&str, Histograms); 2] = [
    ("explicit_bucket_histogram", Histograms::Explicit),
    ("base2_exponential_bucket_histogram", Histograms::Exponential),
];

const MAX_INTERVAL: usize = 24 * 3600 * 1000;

/// The standard's for exponential histograms.
const MAX_BUCKETS: u32 = 160;
const MAX_SCALE: i8 = 20;

/// How metrics are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub(crate) interval: Duration,
    /// For OTLP; others have one of their own.
    pub(crate) temporality: Temporality,
    pub(crate) histograms: Histograms,
}

/// In what shape histograms are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Histograms {
    /// With the bounds that each instrument has.
    Explicit,
    /// With bounds that follow the values.
    Exponential,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            temporality: Temporality::Cumulative,
            histograms: Histograms::Explicit,
        }
    }
}

impl Reading {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let milliseconds = setting::count_within(1, MAX_INTERVAL);
        Self {
            interval: reader.value(&INTERVAL, |text| Ok(Duration::from_millis(milliseconds(text)? as u64))),
            temporality: reader.value(&TEMPORALITY, setting::one_of(&TEMPORALITIES)),
            histograms: reader.value(&AGGREGATION, setting::one_of(&AGGREGATIONS)),
        }
    }
}

impl Histograms {
    /// The view that makes them so; none, where instruments are taken as they are.
    pub(crate) fn view(self) -> Option<impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static> {
        let view = |instrument: &Instrument| {
            let aggregation = Aggregation::Base2ExponentialHistogram {
                max_size: MAX_BUCKETS,
                max_scale: MAX_SCALE,
                record_min_max: true,
            };
            let is_histogram = instrument.kind() == InstrumentKind::Histogram;
            is_histogram.then(|| Stream::builder().with_aggregation(aggregation).build().ok()).flatten()
        };
        (self == Self::Exponential).then_some(view)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Reading, Vec<String>> {
        setting::read_from(env, Reading::read)
    }

    #[test]
    fn metrics_are_read_as_the_standard_has_it() {
        assert_eq!(read(&[]), Ok(Reading::default()));
        let env = [
            (INTERVAL.variable, "250"),
            (TEMPORALITY.variable, "LowMemory"),
            (AGGREGATION.variable, "BASE2_exponential_bucket_histogram"),
        ];
        let expected = Reading {
            interval: Duration::from_millis(250),
            temporality: Temporality::LowMemory,
            histograms: Histograms::Exponential,
        };
        assert_eq!(read(&env), Ok(expected));
        let problems = read(&[(INTERVAL.variable, "1m"), (TEMPORALITY.variable, "sometimes")]).unwrap_err();
        assert_eq!(
            problems,
            [
                "OTEL_METRIC_EXPORT_INTERVAL: \"1m\" must be a whole number from 1 to 86400000",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: \"sometimes\" is unknown; write one of: cumulative, \
                 delta, lowmemory",
            ]
        );
    }

    /// Whether a histogram with bounds of its own is told as an exponential one, and a counter as a sum.
    fn told(histograms: Histograms) -> (bool, bool) {
        let exporter = InMemoryMetricExporter::default();
        let mut provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build());
        if let Some(view) = histograms.view() {
            provider = provider.with_view(view);
        }
        let provider = provider.build();
        let meter = provider.meter("m");
        meter.f64_histogram("h").with_boundaries(vec![1.0, 2.0]).build().record(1.5, &[]);
        meter.u64_counter("c").build().add(1, &[]);
        provider.force_flush().unwrap();
        let metrics = exporter.get_finished_metrics().unwrap();
        let metrics: Vec<_> = metrics[0].scope_metrics().flat_map(ScopeMetrics::metrics).collect();
        let of = |name| metrics.iter().find(|metric| metric.name() == name).unwrap().data();
        let exponential = matches!(of("h"), AggregatedMetrics::F64(MetricData::ExponentialHistogram(_)));
        (exponential, matches!(of("c"), AggregatedMetrics::U64(MetricData::Sum(_))))
    }

    #[test]
    fn histograms_keep_their_bounds_unless_they_are_to_follow_the_values() {
        assert_eq!(told(Histograms::Explicit), (false, true));
        assert_eq!(told(Histograms::Exponential), (true, true));
    }
}
