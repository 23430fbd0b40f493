//! Our envelopes beside those of Microsoft's exporter for Python, for the same spans, metrics and log records.
//!
//! tests/all/app_insights/telemetry.json is what both are given, golden.json beside it what the exporter sent; golden.py
//! makes it. Each difference is in [`DIFFERENCES`], with its reason: one that is not there fails the test, and so does
//! one that is there no longer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{InMemoryMetricExporterBuilder, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::{Map, Value as Json, json};

use super::envelope::Envelope;
use super::tags::Sender;
use super::{TEMPORALITY, logs, metrics, spans};
use crate::telemetry::outbox::parcel::Log;

const TELEMETRY: &str = include_str!("../../../../tests/all/app_insights/telemetry.json");
const GOLDEN: &str = include_str!("../../../../tests/all/app_insights/golden.json");

/// Longest text that is shown whole.
const LONG: usize = 200;

/// What stands for a value that one of the two does not send.
const NOTHING: &str = "(nothing)";

/// A difference: in which item, where in it, what Python says, what we say, and why. `*` stands for any item.
type Difference = (&'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const DIFFERENCES: [Difference; 31] = [
    ("*", "data/baseData/measurements", "{}", NOTHING, "an empty object says nothing"),
    ("*", "data/baseData/properties", "{}", NOTHING, "likewise"),
    ("*", "tags/ai.device.locale", "<machine>", NOTHING, "a server speaks no language"),
    ("*", "data/baseData/exceptions/0/stack", "None", NOTHING, "there is no stack; the text is a slip of theirs"),

    // What a field carries is not repeated; Python leaves out whole families of names, carried or not.
    ("spans 1 POST /score", "data/baseData/properties/network.protocol.version", NOTHING, "1.1", "no field carries it"),
    ("spans 5 answer", "data/baseData/properties/code.function", NOTHING, "f", "no field carries it"),
    ("spans 5 answer", "data/baseData/properties/thread.name", NOTHING, "t", "no field carries it"),
    ("spans 10 GET /", "data/baseData/properties/error.type", NOTHING, "503", "what failures are grouped by"),
    ("spans 12 py", "data/baseData/properties/error.type", NOTHING, "ValueError", "what failures are grouped by"),
    ("spans 15 POST /score", "data/baseData/properties/error.type", NOTHING, "ValueError", "what failures are grouped by"),
    ("spans 13 boom happened", "data/baseData/properties/exception.escaped", NOTHING, "False", "no field carries it"),
    ("spans 17 promptflow-feedback", "data/baseData/properties/message.kind", NOTHING, "short", "a key of the user's own"),
    ("spans 16 POST /score", "data/baseData/properties/url.path", NOTHING, "/score", "without a host there is no address that carries it"),
    ("spans 16 POST /score", "data/baseData/properties/url.scheme", NOTHING, "http", "likewise"),
    ("spans 16 POST /score", "data/baseData/url", "", NOTHING, "no address is not an empty one"),

    // Calls of models by the name that conventions have now.
    ("spans 6 openai_chat", "data/baseData/type", "N/A", "GenAI | openai", "Python knows the provider by its older name, gen_ai.system, alone"),
    ("spans 6 openai_chat", "data/baseData/target", NOTHING, "api.openai.com", "which host was called; Python leaves it out for good"),
    ("spans 9 GET /v1/find", "data/baseData/target", "search.internal:443", "search.internal", "443 is what https means; Python looks at url.scheme, which clients do not have"),

    // Lists as JSON, which KQL reads by parse_json.
    ("spans 6 openai_chat", "data/baseData/properties/gen_ai.response.finish_reasons", "('stop', 'length')", r#"["stop","length"]"#, "Python's own notation is read by nobody else"),
    ("spans 17 promptflow-feedback", "data/baseData/properties/tags", "('a', 'b')", r#"["a","b"]"#, "likewise"),

    // Evaluations are looked for among custom events; Python's are log records with a name, ours an event of a span.
    ("spans 18 gen_ai.evaluation.result", "data/baseType", "MessageData", "EventData", "Azure's tools look for it there"),
    ("spans 18 gen_ai.evaluation.result", "name", "Microsoft.ApplicationInsights.Message", "Microsoft.ApplicationInsights.Event", "likewise"),
    ("spans 18 gen_ai.evaluation.result", "data/baseData/message", "gen_ai.evaluation.result", NOTHING, "likewise"),
    ("spans 18 gen_ai.evaluation.result", "data/baseData/name", NOTHING, "gen_ai.evaluation.result", "likewise"),
    ("spans 18 gen_ai.evaluation.result", "data/baseData/measurements/gen_ai.evaluation.score.value", NOTHING, "Some(0.5)", "a number can be summed up as a number"),
    ("spans 18 gen_ai.evaluation.result", "tags/ai.operation.parentId", "000000000000000d", "0000000000000001", "it belongs to what it judges"),
    ("logs 4 gen_ai.evaluation.result", "data/baseData/measurements/gen_ai.evaluation.score.value", NOTHING, "Some(0.5)", "likewise"),

    // A line that belongs to no request.
    ("logs 0 listening", "tags/ai.operation.id", "00000000000000000000000000000000", NOTHING, "zeros would make one operation of all lines of all hosts"),
    ("logs 0 listening", "tags/ai.operation.parentId", "0000000000000000", NOTHING, "likewise"),
    ("logs 2 n/a", "tags/ai.operation.id", "00000000000000000000000000000000", NOTHING, "likewise"),
    ("logs 2 n/a", "tags/ai.operation.parentId", "0000000000000000", NOTHING, "likewise"),
];

#[test]
fn our_envelopes_are_those_of_the_exporter_for_python_but_for_what_is_listed() {
    let golden: BTreeMap<String, Vec<Json>> = serde_json::from_str(GOLDEN).expect("golden.json is JSON");
    let ours = ours(&serde_json::from_str(TELEMETRY).expect("telemetry.json is JSON"));
    let mut found = Vec::new();
    for (signal, theirs) in &golden {
        let ours = &ours[signal];
        assert_eq!(ours.len(), theirs.len(), "as many {signal}");
        for (at, (ours, theirs)) in sorted(ours).iter().zip(sorted(theirs)).enumerate() {
            let label = format!("{signal} {at} {}", title(&theirs));
            let (ours, theirs) = (leaves(ours), leaves(&theirs));
            let mut places: Vec<_> = ours.keys().chain(theirs.keys()).collect();
            places.sort();
            places.dedup();
            for place in places.into_iter().filter(|place| ours.get(*place) != theirs.get(*place)) {
                let text = |leaves: &BTreeMap<String, String>| {
                    leaves.get(place).cloned().unwrap_or_else(|| NOTHING.to_owned())
                };
                found.push((label.clone(), place.clone(), text(&theirs), text(&ours)));
            }
        }
    }
    let is_listed = |(label, place, theirs, ours): &(String, String, String, String), row: &Difference| {
        (row.0 == "*" || label == row.0) && place == row.1 && theirs == row.2 && ours == row.3
    };
    let unlisted: Vec<_> = found.iter().filter(|it| !DIFFERENCES.iter().any(|row| is_listed(it, row))).collect();
    let gone: Vec<_> = DIFFERENCES.iter().filter(|row| !found.iter().any(|it| is_listed(it, row))).collect();
    assert!(unlisted.is_empty() && gone.is_empty(), "not listed: {unlisted:#?}\nlisted, but not there: {gone:#?}");
}

/// What we make of it, by signal.
fn ours(telemetry: &Json) -> BTreeMap<String, Vec<Json>> {
    let attributes = pairs(&telemetry["resource"]);
    let resource = Resource::builder_empty().with_attributes(attributes.clone()).build();
    let sender = Sender::of(&resource);
    let read: Vec<_> = each(&telemetry["spans"]).map(span).collect();
    let of_spans = read.iter().flat_map(|span| spans::envelopes(span, &sender));
    let of_spans = [metrics::of_resource(&attributes, None, &sender)].into_iter().chain(of_spans);
    let records: Vec<_> = each(&telemetry["logs"]).map(log).collect();
    let measured = measured(&telemetry["metrics"], resource.clone());
    BTreeMap::from([
        ("spans".to_owned(), of_spans.map(|it| told(&it)).collect()),
        ("metrics".to_owned(), metrics::envelopes(&measured, &sender).iter().map(told).collect()),
        (
            "logs".to_owned(),
            records.iter().filter_map(|record| logs::envelope(record, &sender)).map(|it| told(&it)).collect(),
        ),
    ])
}

/// As golden.py tells it: what differs from machine to machine is replaced.
fn told(envelope: &Envelope<'_>) -> Json {
    let mut envelope = serde_json::to_value(envelope).expect("an envelope is JSON");
    for tag in ["ai.device.id", "ai.internal.sdkVersion"] {
        envelope["tags"][tag] = "<machine>".into();
    }
    if envelope["data"]["baseType"] == "MetricData" {
        envelope["time"] = "<now>".into();
    }
    envelope
}

/// Metrics come in no order of their own.
fn sorted(envelopes: &[Json]) -> Vec<Json> {
    let mut sorted = envelopes.to_vec();
    if sorted.iter().all(|it| it["data"]["baseType"] == "MetricData") {
        sorted.sort_by_key(title);
    }
    sorted
}

/// What an item is known by.
fn title(envelope: &Json) -> String {
    let data = &envelope["data"]["baseData"];
    let names = [&data["name"], &data["message"], &data["metrics"][0]["name"], &data["exceptions"][0]["message"]];
    names.into_iter().find_map(Json::as_str).unwrap_or_default().to_owned()
}

/// Every value with its place.
fn leaves(envelope: &Json) -> BTreeMap<String, String> {
    fn walk(place: &str, value: &Json, leaves: &mut BTreeMap<String, String>) {
        let below = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}/{key}") };
        match value {
            Json::Object(members) if !members.is_empty() => {
                members.iter().for_each(|(key, value)| walk(&below(key), value, leaves));
            }
            Json::Array(items) if !items.is_empty() => {
                items.iter().enumerate().for_each(|(at, value)| walk(&below(&at.to_string()), value, leaves));
            }
            Json::String(text) if text.chars().count() > LONG => {
                let head: String = text.chars().take(8).collect();
                leaves.insert(place.to_owned(), format!("{head}… {} characters", text.chars().count()));
            }
            Json::String(text) => drop(leaves.insert(place.to_owned(), text.clone())),
            // 3 and 3.0 are one number in JSON.
            Json::Number(number) => drop(leaves.insert(place.to_owned(), format!("{:?}", number.as_f64()))),
            other => drop(leaves.insert(place.to_owned(), other.to_string())),
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", envelope, &mut leaves);
    leaves
}

fn each(list: &Json) -> impl Iterator<Item = &Map<String, Json>> {
    list.as_array().into_iter().flatten().filter_map(Json::as_object)
}

/// Microseconds after the beginning, as golden.py has it.
fn at(microseconds: &Json) -> SystemTime {
    let since = Duration::from_micros(microseconds.as_u64().expect("a time"));
    UNIX_EPOCH + Duration::from_secs(1_795_644_245) + since
}

fn number(of: &Map<String, Json>, key: &str) -> Option<u64> {
    of.get(key).and_then(Json::as_u64)
}

fn text_of(of: &Map<String, Json>, key: &str) -> String {
    of[key].as_str().expect("a text").to_owned()
}

fn pairs(attributes: &Json) -> Vec<KeyValue> {
    let members = attributes.as_object().into_iter().flatten();
    members.map(|(key, value)| KeyValue::new(key.clone(), value_of(value))).collect()
}

fn value_of(value: &Json) -> Value {
    match value {
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::I64(whole),
            None => Value::F64(number.as_f64().expect("a number")),
        },
        Json::String(text) => Value::from(text.clone()),
        Json::Array(items) => {
            let texts = items.iter().filter_map(Json::as_str).map(|text| StringValue::from(text.to_owned()));
            Value::Array(Array::String(texts.collect()))
        }
        Json::Object(repeated) => {
            let (text, times) = (text_of(repeated, "repeat"), number(repeated, "times").expect("how often"));
            Value::from(text.repeat(usize::try_from(times).expect("not that often")))
        }
        Json::Null => Value::from(""),
    }
}

fn context(trace: u64, span: u64) -> SpanContext {
    let ids = (TraceId::from(u128::from(trace)), SpanId::from(span));
    SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::NONE)
}

fn span(of: &Map<String, Json>) -> SpanData {
    let list = |key: &str| of.get(key).map(each).into_iter().flatten();
    let events = list("events").map(|it| Event::new(text_of(it, "name"), at(&it["at"]), pairs(&it["attributes"]), 0));
    let links = list("links")
        .map(|it| Link::new(context(number(it, "trace").unwrap_or(0), number(it, "span").unwrap_or(0)), Vec::new(), 0));
    let (mut span_events, mut span_links) = (SpanEvents::default(), SpanLinks::default());
    span_events.events = events.collect();
    span_links.links = links.collect();
    SpanData {
        span_context: context(1, number(of, "span").expect("an id")),
        parent_span_id: number(of, "parent").map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: false,
        span_kind: match of["kind"].as_str() {
            Some("server") => SpanKind::Server,
            Some("client") => SpanKind::Client,
            _ => SpanKind::Internal,
        },
        name: text_of(of, "name").into(),
        start_time: at(&of["start"]),
        end_time: at(&of["end"]),
        attributes: pairs(&of["attributes"]),
        dropped_attributes_count: 0,
        events: span_events,
        links: span_links,
        status: match &of["status"] {
            Json::String(text) if text == "ok" => Status::Ok,
            Json::Object(error) => Status::error(text_of(error, "error")),
            _ => Status::Unset,
        },
        instrumentation_scope: InstrumentationScope::builder("promptflow").build(),
    }
}

fn measured(metrics: &Json, resource: Resource) -> opentelemetry_sdk::metrics::data::ResourceMetrics {
    let exporter = InMemoryMetricExporterBuilder::new().with_temporality(TEMPORALITY).build();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
    let meter = provider.meter("promptflow standard metrics");
    for metric in each(metrics) {
        let (name, attributes) = (text_of(metric, "name"), pairs(&metric["attributes"]));
        for record in metric["records"].as_array().into_iter().flatten() {
            let value = record.as_f64().expect("a number");
            match metric["kind"].as_str() {
                Some("counter") => meter.f64_counter(name.clone()).build().add(value, &attributes),
                Some("histogram") => meter.f64_histogram(name.clone()).build().record(value, &attributes),
                Some("up_down_counter") => meter.f64_up_down_counter(name.clone()).build().add(value, &attributes),
                _ => meter.f64_gauge(name.clone()).build().record(value, &attributes),
            }
        }
    }
    provider.force_flush().expect("metrics are collected");
    exporter.get_finished_metrics().expect("metrics are there").pop().expect("metrics were recorded")
}

fn log(of: &Map<String, Json>) -> Log {
    let logger = SdkLoggerProvider::builder().build().logger("weir");
    let mut record = logger.create_log_record();
    record.set_timestamp(at(&of["at"]));
    record.set_body(text_of(of, "body").into());
    let severities = [(5, Severity::Debug), (9, Severity::Info), (13, Severity::Warn), (17, Severity::Error)];
    let severity = severities.into_iter().find(|(value, _)| Some(*value) == number(of, "severity"));
    record.set_severity_number(severity.expect("a severity").1);
    for KeyValue { key, value, .. } in pairs(&of["attributes"]) {
        record.add_attribute(
            key,
            match value {
                Value::I64(number) => AnyValue::Int(number),
                Value::F64(number) => AnyValue::Double(number),
                other => AnyValue::from(other.as_str().into_owned()),
            },
        );
    }
    if let (Some(trace), Some(span)) = (number(of, "trace"), number(of, "span")) {
        let context = context(trace, span);
        record.set_trace_context(context.trace_id(), context.span_id(), Some(context.trace_flags()));
    }
    (record, InstrumentationScope::builder("weir").build())
}

#[test]
fn the_telemetry_has_every_shape_that_the_host_tells() {
    let telemetry: Json = serde_json::from_str(TELEMETRY).expect("telemetry.json is JSON");
    let kinds: std::collections::BTreeSet<_> =
        ours(&telemetry).values().flatten().map(|it| it["data"]["baseType"].to_string()).collect();
    let expected = ["EventData", "ExceptionData", "MessageData", "MetricData", "RemoteDependencyData", "RequestData"];
    assert_eq!(json!(kinds), json!(expected.map(|kind| format!("\"{kind}\""))));
}
