//! Spans as OTLP's `ExportTraceServiceRequest`, written from what the SDK gives.
//!
//! All nodes of all requests pass here. The messages of opentelemetry-proto would be made of copies of all texts, and
//! measured before they are written; that took four times as long as to write them at once. Field numbers are those of
//! `opentelemetry/proto/trace/v1/trace.proto`; tests hold them against opentelemetry-proto.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as Scope;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;

use super::wire::Fields;
use crate::telemetry::names::attribute;
use crate::telemetry::outbox::parcel::{PARCEL_BYTES, Parcel, Signal};

/// What a span of a small request takes, in bytes.
const USUAL: usize = 2 << 10;

/// What all spans of a request have in common.
pub(super) struct Common<'a> {
    /// A `Resource`.
    pub(super) resource: &'a [u8],
    pub(super) schema_url: &'a str,
}

/// Spans of one scope.
struct Group<'a> {
    scope: &'a InstrumentationScope,
    /// Fields of its `ScopeSpans`, span after span.
    spans: Vec<u8>,
    /// Where each span ends in there.
    ends: Vec<usize>,
}

/// Spans in as many parcels as their size asks for; none, if there are none.
pub(super) fn parcels(common: &Common<'_>, spans: &[SpanData]) -> Vec<Parcel> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for span in spans {
        let scope = &span.instrumentation_scope;
        let found = groups.iter().position(|group| group.scope == scope).unwrap_or_else(|| {
            groups.push(Group { scope, spans: Vec::with_capacity(spans.len() * USUAL), ends: Vec::new() });
            groups.len() - 1
        });
        groups[found].push(span);
    }
    let mut parcels = Parcels { common, done: Vec::new(), open: Vec::new(), bytes: 0 };
    for group in &groups {
        (0..group.ends.len()).for_each(|span| parcels.add(group, span));
    }
    parcels.close();
    parcels.done
}

impl Group<'_> {
    fn push(&mut self, told: &SpanData) {
        Fields::at_end_of(&mut self.spans).message(2, |span| write(span, told));
        self.ends.push(self.spans.len());
    }

    fn bytes(&self, spans: Range<usize>) -> &[u8] {
        let start = spans.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.spans[start..self.ends[spans.end - 1]]
    }
}

/// What is said around spans beside texts that are counted: keys and lengths of fields, in bytes, and more.
const FRAME: usize = 64;

/// Puts spans into parcels until these are full.
struct Parcels<'a> {
    common: &'a Common<'a>,
    done: Vec<Parcel>,
    /// What the next one will hold: none of these is empty.
    open: Vec<(&'a Group<'a>, Range<usize>)>,
    /// About what it takes so far.
    bytes: usize,
}

impl<'a> Parcels<'a> {
    fn add(&mut self, group: &'a Group<'a>, span: usize) {
        let bytes = group.bytes(span..span + 1).len();
        if !self.open.is_empty() && self.bytes + bytes > PARCEL_BYTES {
            self.close();
        }
        if self.open.is_empty() {
            self.bytes = FRAME + self.common.resource.len() + self.common.schema_url.len();
        }
        match self.open.last_mut() {
            Some((last, spans)) if std::ptr::eq(*last, group) => spans.end = span + 1,
            _ => {
                self.open.push((group, span..span + 1));
                self.bytes += FRAME + scope(group.scope).encoded_len() + group.scope.schema_url().map_or(0, str::len);
            }
        }
        self.bytes += bytes;
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let (mut body, mut items) = (Vec::with_capacity(self.bytes), 0);
        Fields::at_end_of(&mut body).message(1, |resource_spans| {
            resource_spans.some_bytes(1, self.common.resource);
            for (group, spans) in self.open.drain(..) {
                items += spans.len();
                resource_spans.message(2, |scope_spans| {
                    scope_spans.some_bytes(1, &scope(group.scope).encode_to_vec());
                    scope_spans.written(group.bytes(spans));
                    scope_spans.text(3, group.scope.schema_url().unwrap_or_default());
                });
            }
            resource_spans.text(3, self.common.schema_url);
        });
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.done.push(Parcel { signal: Signal::Traces, items, body: Bytes::from(body) });
    }
}

fn scope(scope: &InstrumentationScope) -> Scope {
    (scope, None).into()
}

/// The fields of a `Span`.
fn write(span: &mut Fields<'_>, told: &SpanData) {
    context(span, &told.span_context);
    if told.parent_span_id != SpanId::INVALID {
        span.bytes(4, &told.parent_span_id.to_bytes());
    }
    span.text(5, &told.name);
    span.unsigned(6, kind(&told.span_kind));
    span.fixed64(7, nanos(told.start_time));
    span.fixed64(8, nanos(told.end_time));
    // Its trace state says it by OpenTelemetry's own name.
    attributes(span, 9, told.attributes.iter().filter(|it| it.key.as_str() != attribute::SAMPLE_RATE));
    span.unsigned(10, told.dropped_attributes_count.into());
    for told in &told.events.events {
        span.message(11, |event| {
            event.fixed64(1, nanos(told.timestamp));
            event.text(2, &told.name);
            attributes(event, 3, &told.attributes);
            event.unsigned(4, told.dropped_attributes_count.into());
        });
    }
    span.unsigned(12, told.events.dropped_count.into());
    for told in &told.links.links {
        span.message(13, |link| {
            context(link, &told.span_context);
            attributes(link, 4, &told.attributes);
            link.unsigned(5, told.dropped_attributes_count.into());
            link.fixed32(6, flags(&told.span_context, told.span_context.is_remote()));
        });
    }
    span.unsigned(14, told.links.dropped_count.into());
    span.message(15, |status| {
        let (code, message) = match &told.status {
            Status::Unset => (0, ""),
            Status::Ok => (1, ""),
            Status::Error { description } => (2, &**description),
        };
        status.text(2, message);
        status.unsigned(3, code);
    });
    span.fixed32(16, flags(&told.span_context, told.parent_span_is_remote));
}

/// The first three fields of a span, and of a link.
fn context(fields: &mut Fields<'_>, context: &SpanContext) {
    fields.bytes(1, &context.trace_id().to_bytes());
    fields.bytes(2, &context.span_id().to_bytes());
    fields.text(3, &context.trace_state().header());
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

fn attributes<'a>(fields: &mut Fields<'_>, number: u32, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for attribute in attributes {
        fields.message(number, |pair| {
            pair.text(1, attribute.key.as_str());
            pair.message(2, |any| value(any, &attribute.value));
        });
    }
}

/// The one field of an `AnyValue`.
fn value(any: &mut Fields<'_>, value: &Value) {
    match value {
        Value::Bool(value) => truth(any, *value),
        Value::I64(value) => whole(any, *value),
        Value::F64(value) => double(any, *value),
        Value::String(value) => any.some_bytes(1, value.as_str().as_bytes()),
        Value::Array(array) => any.message(5, |list| match array {
            Array::Bool(values) => values.iter().for_each(|value| list.message(1, |any| truth(any, *value))),
            Array::I64(values) => values.iter().for_each(|value| list.message(1, |any| whole(any, *value))),
            Array::F64(values) => values.iter().for_each(|value| list.message(1, |any| double(any, *value))),
            Array::String(values) => {
                values.iter().for_each(|value| list.message(1, |any| any.some_bytes(1, value.as_str().as_bytes())));
            }
            // One that a later API may have.
            other => list.message(1, |any| any.some_bytes(1, other.to_string().as_bytes())),
        }),
        other => any.some_bytes(1, other.as_str().as_bytes()),
    }
}

fn truth(any: &mut Fields<'_>, value: bool) {
    any.some_varint(2, value.into());
}

fn whole(any: &mut Fields<'_>, value: i64) {
    any.some_varint(3, value.cast_unsigned());
}

fn double(any: &mut Fields<'_>, value: f64) {
    any.some_fixed64(4, value.to_bits());
}
