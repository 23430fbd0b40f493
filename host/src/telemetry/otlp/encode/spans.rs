//! Spans as OTLP's `ExportTraceServiceRequest`, written from what the SDK gives.
//!
//! All nodes of all requests pass here. The messages of opentelemetry-proto would be made of copies of all texts, and
//! measured before they are written; that took four times as long as to write them at once. Each text is copied once, into
//! the body that is sent. Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`; tests hold them against
//! opentelemetry-proto. Those of a message fall from its last to its first, since it is written from its end: see wire.rs.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as Scope;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;

use super::wire::Fields;
use crate::telemetry::names::attribute;
use crate::telemetry::outbox::parcel::{PARCEL_BYTES, Parcel, Signal};

/// What all spans of a request have in common.
pub(super) struct Common<'a> {
    /// A `Resource`.
    pub(super) resource: &'a [u8],
    pub(super) schema_url: &'a str,
}

/// Spans in as many parcels as their size asks for; none, if there are none.
pub(super) fn parcels(common: &Common<'_>, spans: &[SpanData]) -> Vec<Parcel> {
    let spans = by_scope(spans);
    let (mut parcels, mut from) = (Vec::new(), 0);
    while from < spans.len() {
        let (items, room) = fitting(common, &spans[from..]);
        parcels.push(parcel(common, &spans[from..from + items], room));
        from += items;
    }
    parcels
}

/// The same spans, those of one scope one after the other.
fn by_scope(spans: &[SpanData]) -> Vec<&SpanData> {
    let mut groups: Vec<Vec<&SpanData>> = Vec::new();
    for span in spans {
        match groups.iter_mut().find(|group| is_of_one_scope(group[0], span)) {
            Some(group) => group.push(span),
            None => groups.push(vec![span]),
        }
    }
    groups.concat()
}

fn is_of_one_scope(one: &SpanData, other: &SpanData) -> bool {
    one.instrumentation_scope == other.instrumentation_scope
}

/// How many of these spans one parcel takes, one at least, and the room that its body needs at most.
pub(super) fn fitting(common: &Common<'_>, spans: &[&SpanData]) -> (usize, usize) {
    let mut room = FRAME + common.resource.len() + common.schema_url.len();
    for (items, span) in spans.iter().enumerate() {
        let is_first = items == 0 || !is_of_one_scope(spans[items - 1], span);
        let more = room_for(span) + if is_first { room_for_scope(&span.instrumentation_scope) } else { 0 };
        if items > 0 && room + more > PARCEL_BYTES {
            return (items, room);
        }
        room += more;
    }
    (spans.len(), room)
}

fn parcel(common: &Common<'_>, spans: &[&SpanData], room: usize) -> Parcel {
    let mut body = Fields::with_room(room);
    body.message(1, |resource_spans| {
        resource_spans.text(3, common.schema_url);
        for group in spans.chunk_by(|one, other| is_of_one_scope(one, other)).rev() {
            let by = &group[0].instrumentation_scope;
            resource_spans.message(2, |scope_spans| {
                scope_spans.text(3, by.schema_url().unwrap_or_default());
                group.iter().rev().for_each(|told| scope_spans.message(2, |span| write(span, told)));
                scope_spans.some_bytes(1, &scope(by).encode_to_vec());
            });
        }
        resource_spans.some_bytes(1, common.resource);
    });
    let items = u32::try_from(spans.len()).unwrap_or(u32::MAX);
    Parcel { signal: Signal::Traces, items, body: body.into_bytes() }
}

fn scope(scope: &InstrumentationScope) -> Scope {
    (scope, None).into()
}

/// The fields of a `Span`.
fn write(span: &mut Fields, told: &SpanData) {
    span.fixed32(16, flags(&told.span_context, told.parent_span_is_remote));
    span.message(15, |status| {
        let (code, message) = match &told.status {
            Status::Unset => (0, ""),
            Status::Ok => (1, ""),
            Status::Error { description } => (2, &**description),
        };
        status.unsigned(3, code);
        status.text(2, message);
    });
    span.unsigned(14, told.links.dropped_count.into());
    for told in told.links.links.iter().rev() {
        span.message(13, |link| {
            link.fixed32(6, flags(&told.span_context, told.span_context.is_remote()));
            link.unsigned(5, told.dropped_attributes_count.into());
            attributes(link, 4, &told.attributes);
            context(link, &told.span_context);
        });
    }
    span.unsigned(12, told.events.dropped_count.into());
    for told in told.events.events.iter().rev() {
        span.message(11, |event| {
            event.unsigned(4, told.dropped_attributes_count.into());
            attributes(event, 3, &told.attributes);
            event.text(2, &told.name);
            event.fixed64(1, nanos(told.timestamp));
        });
    }
    span.unsigned(10, told.dropped_attributes_count.into());
    // Its trace state says it by OpenTelemetry's own name.
    attributes(span, 9, told.attributes.iter().filter(|it| it.key.as_str() != attribute::SAMPLE_RATE));
    span.fixed64(8, nanos(told.end_time));
    span.fixed64(7, nanos(told.start_time));
    span.unsigned(6, kind(&told.span_kind));
    span.text(5, &told.name);
    if told.parent_span_id != SpanId::INVALID {
        span.bytes(4, &told.parent_span_id.to_bytes());
    }
    context(span, &told.span_context);
}

/// The first three fields of a span, and of a link.
fn context(fields: &mut Fields, context: &SpanContext) {
    fields.text(3, &context.trace_state().header());
    fields.bytes(2, &context.span_id().to_bytes());
    fields.bytes(1, &context.trace_id().to_bytes());
}

/// Those of W3C, and whether whoever stands above is known to be in another process.
fn flags(context: &SpanContext, remote: bool) -> u32 {
    const KNOWN: u32 = 0x100;
    const REMOTE: u32 = 0x200;
    u32::from(context.trace_flags().to_u8()) | KNOWN | if remote { REMOTE } else { 0 }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attributes<'a, I>(fields: &mut Fields, number: u32, attributes: I)
where
    I: IntoIterator<Item = &'a KeyValue, IntoIter: DoubleEndedIterator>,
{
    for attribute in attributes.into_iter().rev() {
        fields.message(number, |pair| {
            pair.message(2, |any| value(any, &attribute.value));
            pair.text(1, attribute.key.as_str());
        });
    }
}

/// The one field of an `AnyValue`.
fn value(any: &mut Fields, value: &Value) {
    match value {
        Value::Bool(value) => truth(any, *value),
        Value::I64(value) => whole(any, *value),
        Value::F64(value) => double(any, *value),
        Value::String(value) => any.some_bytes(1, value.as_str().as_bytes()),
        Value::Array(array) => any.message(5, |list| match array {
            Array::Bool(values) => each(list, values, |any, value| truth(any, *value)),
            Array::I64(values) => each(list, values, |any, value| whole(any, *value)),
            Array::F64(values) => each(list, values, |any, value| double(any, *value)),
            Array::String(values) => each(list, values, |any, value| any.some_bytes(1, value.as_str().as_bytes())),
            // One that a later API may have.
            other => list.message(1, |any| any.some_bytes(1, other.to_string().as_bytes())),
        }),
        other => any.some_bytes(1, other.as_str().as_bytes()),
    }
}

/// Each value as an `AnyValue` of an `ArrayValue`.
fn each<T>(list: &mut Fields, values: &[T], write: impl Fn(&mut Fields, &T)) {
    values.iter().rev().for_each(|value| list.message(1, |any| write(any, value)));
}

fn truth(any: &mut Fields, value: bool) {
    any.some_varint(2, value.into());
}

fn whole(any: &mut Fields, value: i64) {
    any.some_varint(3, value.cast_unsigned());
}

fn double(any: &mut Fields, value: f64) {
    any.some_fixed64(4, value.to_bits());
}

/// What a span, an event, a link or a scope takes beside its texts and attributes, at most, in bytes.
const FRAME: usize = 128;

/// What an attribute or an element of a list takes beside its texts, at most, in bytes: keys and lengths of four fields, or
/// a number.
const FIELDS: usize = 4 * 6 + 10;

fn room_for(span: &SpanData) -> usize {
    let status = if let Status::Error { description } = &span.status { description.len() } else { 0 };
    let events = span.events.iter().map(|it| FRAME + it.name.len() + room_for_attributes(&it.attributes));
    let links = span.links.iter().map(|it| room_for_context(&it.span_context) + room_for_attributes(&it.attributes));
    room_for_context(&span.span_context)
        + span.name.len()
        + status
        + room_for_attributes(&span.attributes)
        + events.sum::<usize>()
        + links.sum::<usize>()
}

fn room_for_context(context: &SpanContext) -> usize {
    FRAME + context.trace_state().header().len()
}

fn room_for_scope(scope: &InstrumentationScope) -> usize {
    let texts = [Some(scope.name()), scope.version(), scope.schema_url()];
    FRAME + texts.into_iter().flatten().map(str::len).sum::<usize>() + room_for_attributes(scope.attributes())
}

fn room_for_attributes<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> usize {
    attributes.into_iter().map(|it| FIELDS + it.key.as_str().len() + room_for_value(&it.value)).sum()
}

fn room_for_value(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::I64(_) | Value::F64(_) => 0,
        Value::Array(Array::Bool(values)) => FIELDS * values.len(),
        Value::Array(Array::I64(values)) => FIELDS * values.len(),
        Value::Array(Array::F64(values)) => FIELDS * values.len(),
        Value::Array(Array::String(values)) => values.iter().map(|it| FIELDS + it.as_str().len()).sum(),
        other => FIELDS + other.as_str().len(),
    }
}
