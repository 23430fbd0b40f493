use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::Resource as SdkResource;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::*;

fn encoder() -> Encoder {
    let resource = SdkResource::builder_empty().with_service_name("s");
    Encoder::new(&resource.with_schema_url([KeyValue::new("host.name", "h")], "https://resource").build())
}

fn span(id: u64, scope: &'static str, bytes: usize) -> SpanData {
    let context =
        SpanContext::new(TraceId::from(7_u128), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE);
    SpanData {
        span_context: context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: format!("span {id}").into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: vec![KeyValue::new("text", "x".repeat(bytes))],
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Ok,
        instrumentation_scope: InstrumentationScope::builder(scope).with_schema_url("https://scope").build(),
    }
}

/// Scope and span id of all spans of a parcel, after a look at what is said of all of them.
fn read(parcel: &Parcel) -> Vec<(String, u64)> {
    let message = ExportTraceServiceRequest::decode(parcel.body.clone()).unwrap();
    let mut found = Vec::new();
    for group in message.resource_spans {
        assert_eq!(group.schema_url, "https://resource");
        assert_eq!(group.resource.unwrap().attributes.len(), 2);
        for group in group.scope_spans {
            assert_eq!(group.schema_url, "https://scope");
            let scope = group.scope.unwrap().name;
            let id = |span: &Span| u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap());
            found.extend(group.spans.iter().map(|span| (scope.clone(), id(span))));
        }
    }
    assert_eq!(u32::try_from(found.len()), Ok(parcel.items));
    found
}

#[test]
fn a_batch_that_fits_is_one_parcel_and_nothing_is_none() {
    assert_eq!(encoder().spans(&[]), []);
    assert_eq!(encoder().logs(&[]), []);
    let spans = [span(1, "a", 1), span(2, "b", 1), span(3, "a", 1)];
    let parcels = encoder().spans(&spans);
    let [parcel] = parcels.as_slice() else { panic!("{parcels:?}") };
    assert_eq!((parcel.signal, parcel.items), (Signal::Traces, 3));
    assert_eq!(read(parcel), [("a".to_owned(), 1), ("a".to_owned(), 3), ("b".to_owned(), 2)]);
}

/// The same spans, once more through the messages of opentelemetry-proto.
#[test]
fn spans_are_told_as_the_library_would_tell_them() {
    let texts = |bytes: &[usize]| bytes.iter().map(|bytes| "é".repeat(*bytes)).collect::<Vec<_>>();
    let values: Vec<Value> = vec![
        "".into(),
        "x".repeat(127).into(),
        "x".repeat(128).into(),
        "x".repeat(20_000).into(),
        true.into(),
        false.into(),
        0_i64.into(),
        (-1_i64).into(),
        i64::MAX.into(),
        0.0.into(),
        (-1.5).into(),
        f64::NAN.into(),
        Value::Array(Array::Bool(vec![true, false])),
        Value::Array(Array::I64(vec![0, -7])),
        Value::Array(Array::F64(vec![])),
        Value::Array(Array::F64(vec![0.0, 2.5])),
        Value::Array(Array::String(texts(&[0, 1, 100]).into_iter().map(Into::into).collect())),
    ];
    let all: Vec<KeyValue> = values.into_iter().map(|value| KeyValue::new("key", value)).collect();
    let state = TraceState::from_key_value([("vendor", "a"), ("ot", "th:c")]).unwrap();
    let linked = SpanContext::new(TraceId::from(9_u128), SpanId::from(9), TraceFlags::NOT_SAMPLED, true, state.clone());

    let plain = span(1, "a", 0);
    let mut full = span(2, "a", 200);
    full.span_context = SpanContext::new(TraceId::from(u128::MAX), SpanId::from(2), TraceFlags::SAMPLED, false, state);
    (full.parent_span_id, full.parent_span_is_remote) = (SpanId::from(1), true);
    (full.start_time, full.end_time) = (SystemTime::now(), SystemTime::now());
    (full.attributes, full.dropped_attributes_count) = (all.clone(), 300);
    for (name, attributes) in [("first", all.clone()), ("", Vec::new())] {
        full.events.events.push(Event::new(name, SystemTime::now(), attributes, 1));
    }
    full.events.dropped_count = 2;
    full.links.links.push(Link::new(linked, all, 3));
    full.links.dropped_count = 4;
    full.status = Status::error("it failed");
    let mut ended = vec![plain, full];
    for (kind, status) in [
        (SpanKind::Server, Status::Unset),
        (SpanKind::Client, Status::error("")),
        (SpanKind::Producer, Status::Ok),
        (SpanKind::Consumer, Status::Ok),
    ] {
        let mut span = span(3, "a", 1);
        (span.span_kind, span.status, span.start_time) =
            (kind, status, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        ended.push(span);
    }

    let common = spans::Common { resource: &encoder().resource.encode_to_vec(), schema_url: &encoder().schema_url };
    let (items, room) = spans::fitting(&common, &ended.iter().collect::<Vec<_>>());
    let parcel = encoder().spans(&ended).remove(0);
    assert_eq!(items, ended.len());
    assert!(parcel.body.len() <= room && room < parcel.body.len() + 5000, "{} in {room}", parcel.body.len());
    let mut message = ExportTraceServiceRequest::decode(parcel.body.clone()).unwrap();
    assert_eq!(message.encode_to_vec(), parcel.body, "in the order of the fields, each length as short as it can be");
    let group = message.resource_spans.remove(0).scope_spans.remove(0);
    let expected: Vec<Span> = ended.into_iter().map(Into::into).collect();
    // As texts: one NaN is not another.
    for (told, expected) in group.spans.iter().zip(&expected) {
        assert_eq!(format!("{told:?}"), format!("{expected:?}"));
    }
    assert_eq!(group.spans.len(), expected.len());
}

#[test]
fn a_large_batch_is_split_by_spans_and_loses_none() {
    let spans: Vec<SpanData> = (1..=100).map(|id| span(id, if id % 3 == 0 { "a" } else { "b" }, 100_000)).collect();
    let parcels = encoder().spans(&spans);
    assert!(parcels.iter().all(|parcel| parcel.body.len() <= PARCEL_BYTES), "{:?}", parcels.len());
    // About ten megabytes.
    assert!((10..=20).contains(&parcels.len()), "{}", parcels.len());
    let found: Vec<(String, u64)> = parcels.iter().flat_map(read).collect();
    assert_eq!(found.len(), 100);
    let expected: BTreeSet<(String, u64)> =
        (1..=100).map(|id| ((if id % 3 == 0 { "a" } else { "b" }).to_owned(), id)).collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_span_alone_may_be_as_large_as_it_is() {
    let parcels = encoder().spans(&[span(1, "a", 10), span(2, "a", 3 * PARCEL_BYTES), span(3, "a", 10)]);
    let told: Vec<_> = parcels.iter().map(|parcel| (read(parcel).len(), parcel.body.len() > PARCEL_BYTES)).collect();
    assert_eq!(parcels.iter().map(|parcel| parcel.items).sum::<u32>(), 3);
    assert_eq!(told.iter().filter(|(_, large)| *large).count(), 1, "{told:?}");
    let large = parcels.iter().find(|parcel| parcel.body.len() > PARCEL_BYTES).unwrap();
    assert_eq!(large.items, 1);
    assert_eq!(halve(large), None);
}

#[test]
fn a_parcel_is_halved_until_it_holds_one_item() {
    let spans: Vec<SpanData> = (1..=5).map(|id| span(id, "a", 10)).collect();
    let whole = encoder().spans(&spans).remove(0);
    let [first, second] = halve(&whole).unwrap();
    assert_eq!((first.items, second.items), (2, 3));
    let ids = |parcel: &Parcel| read(parcel).into_iter().map(|(_, id)| id).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![1, 2], vec![3, 4, 5]));
    assert_eq!(halve(&Parcel { body: Bytes::from_static(b"\xff"), ..whole }), None);
}

#[test]
fn metrics_are_split_within_an_instrument_by_points() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_resource(SdkResource::builder_empty().with_service_name("s").build())
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .build();
    let meter = provider.meter("m");
    let counter = meter.u64_counter("counter").with_unit("{x}").build();
    let histogram = meter.f64_histogram("histogram").build();
    for point in 0..20 {
        counter.add(1, &[KeyValue::new("point", format!("{point}{}", "x".repeat(100_000)))]);
        histogram.record(1.0, &[KeyValue::new("point", format!("{point}{}", "x".repeat(100_000)))]);
    }
    provider.force_flush().unwrap();
    let told = exporter.get_finished_metrics().unwrap();
    let parcels = metrics(&told[0]);
    assert!(parcels.len() >= 4 && parcels.iter().all(|parcel| parcel.body.len() <= PARCEL_BYTES), "{}", parcels.len());
    assert_eq!(parcels.iter().map(|parcel| parcel.items).sum::<u32>(), 40);

    let (mut counted, mut measured) = (BTreeSet::new(), BTreeSet::new());
    for parcel in &parcels {
        let message = ExportMetricsServiceRequest::decode(parcel.body.clone()).unwrap();
        for metric in message.resource_metrics.into_iter().flat_map(|it| it.scope_metrics).flat_map(|it| it.metrics) {
            match metric.data.unwrap() {
                Data::Sum(sum) => {
                    assert_eq!(
                        (metric.name.as_str(), metric.unit.as_str(), sum.is_monotonic),
                        ("counter", "{x}", true)
                    );
                    assert_eq!(sum.aggregation_temporality, 2);
                    counted.extend(sum.data_points.iter().map(|point| format!("{:?}", point.attributes)));
                }
                Data::Histogram(histogram) => {
                    measured.extend(histogram.data_points.iter().map(|point| format!("{:?}", point.attributes)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((counted.len(), measured.len()), (20, 20));
}

#[test]
fn log_records_are_grouped_by_who_made_them() {
    let exporter = InMemoryLogExporter::default();
    let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter.clone()).build();
    for (scope, text) in [("a", "one"), ("b", "two"), ("a", "three")] {
        let logger = provider.logger(scope);
        let mut record = logger.create_log_record();
        record.set_body(AnyValue::from(text));
        logger.emit(record);
    }
    let logs: Vec<Log> =
        exporter.get_emitted_logs().unwrap().into_iter().map(|log| (log.record, log.instrumentation)).collect();
    let parcels = encoder().logs(&logs);
    assert_eq!(parcels.iter().map(|it| (it.signal, it.items)).collect::<Vec<_>>(), [(Signal::Logs, 3)]);
    let message = ExportLogsServiceRequest::decode(parcels[0].body.clone()).unwrap();
    let scopes = &message.resource_logs[0].scope_logs;
    let told: Vec<_> =
        scopes.iter().map(|it| (it.scope.as_ref().unwrap().name.as_str(), it.log_records.len())).collect();
    assert_eq!(told, [("a", 2), ("b", 1)]);
}
