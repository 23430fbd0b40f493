//! Spans as plain values, and what makes a trace of them.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// Span id of the parent, if there is one.
    pub parent: Option<String>,
    /// Whether the parent is in another process: then this span is a root here.
    pub remote_parent: bool,
    pub name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
    pub kind: &'static str,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    pub attributes: BTreeMap<String, Value>,
    pub events: Vec<Event>,
    pub status: Status,
    /// Attributes of the resource, such as `service.name`.
    pub resource: BTreeMap<String, Value>,
    /// Name of the tracer.
    pub scope: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub attributes: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Unset,
    Ok,
    /// With its description.
    Error(String),
}

/// The spans of one trace that this collector has received.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub spans: Vec<Span>,
}

impl Trace {
    pub(super) fn of(spans: &[Span], id: &str) -> Self {
        Self { spans: spans.iter().filter(|span| span.trace_id == id).cloned().collect() }
    }

    /// The one span of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> &Span {
        let found: Vec<&Span> = self.spans.iter().filter(|span| span.name == name).collect();
        let names: Vec<&str> = self.spans.iter().map(|span| span.name.as_str()).collect();
        assert!(found.len() == 1, "{} spans are named {name:?}; the trace has {names:?}", found.len());
        found[0]
    }

    /// Spans whose parent is in no trace or in another process, in order of their start.
    pub fn roots(&self) -> Vec<&Span> {
        self.ordered(|span| span.parent.is_none() || span.remote_parent)
    }

    /// Spans right below this one, in order of their start.
    pub fn children(&self, parent: &Span) -> Vec<&Span> {
        self.ordered(|span| span.parent.as_ref() == Some(&parent.span_id))
    }

    /// Whether there is a root and each other span's parent is there. A span ends after those below it, so when the
    /// root has come there is nothing more to come below it.
    pub(super) fn is_connected(&self) -> bool {
        let ids: BTreeSet<&str> = self.spans.iter().map(|span| span.span_id.as_str()).collect();
        let known = |span: &Span| match &span.parent {
            Some(parent) => span.remote_parent || ids.contains(parent.as_str()),
            None => true,
        };
        !self.roots().is_empty() && self.spans.iter().all(known)
    }

    fn ordered(&self, wanted: impl Fn(&Span) -> bool) -> Vec<&Span> {
        let mut spans: Vec<&Span> = self.spans.iter().filter(|span| wanted(span)).collect();
        spans.sort_by_key(|span| span.start);
        spans
    }
}

/// The spans of an export.
pub(super) fn read(export: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for group in export.resource_spans {
        let resource = attributes(group.resource.map(|resource| resource.attributes).unwrap_or_default());
        for group in group.scope_spans {
            let scope = group.scope.map(|scope| scope.name).unwrap_or_default();
            spans.extend(group.spans.into_iter().map(|span| one(span, &resource, &scope)));
        }
    }
    spans
}

fn one(span: otlp::Span, resource: &BTreeMap<String, Value>, scope: &str) -> Span {
    let event = |event: otlp::span::Event| Event { name: event.name, attributes: attributes(event.attributes) };
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        remote_parent: span.flags & otlp::SpanFlags::ContextIsRemoteMask as u32 != 0,
        kind: kind(span.kind()),
        name: span.name,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        status: span.status.map_or(Status::Unset, status),
        resource: resource.clone(),
        scope: scope.to_owned(),
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn status(status: otlp::Status) -> Status {
    match status.code() {
        StatusCode::Unset => Status::Unset,
        StatusCode::Ok => Status::Ok,
        StatusCode::Error => Status::Error(status.message),
    }
}

pub(super) fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, Value> {
    list.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

pub(super) fn value(any: Option<AnyValue>) -> Value {
    match any.and_then(|any| any.value) {
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(truth)) => Value::Bool(truth),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(|item| value(Some(item))).collect(),
        Some(Any::KvlistValue(list)) => attributes(list.values).into_iter().collect(),
        Some(Any::BytesValue(bytes)) => Value::String(hex(&bytes)),
        // An index into a table of strings, which only profiles have.
        Some(Any::StringValueStrindex(_)) | None => Value::Null,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, remote_parent: bool) -> Span {
        Span {
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent: parent.map(str::to_owned),
            remote_parent,
            name: id.to_owned(),
            kind: "internal",
            start: 0,
            end: 0,
            attributes: BTreeMap::new(),
            events: Vec::new(),
            status: Status::Unset,
            resource: BTreeMap::new(),
            scope: String::new(),
        }
    }

    #[track_caller]
    fn check(spans: &[Span], connected: bool) {
        assert_eq!(Trace::of(spans, "t").is_connected(), connected);
    }

    #[test]
    fn spans_without_their_root_are_no_trace_yet() {
        check(&[span("node", Some("flow"), false)], false);
        check(&[], false);
    }

    #[test]
    fn a_root_whose_parent_is_elsewhere_completes_a_trace() {
        check(&[span("flow", Some("request"), false), span("request", Some("caller"), true)], true);
    }

    #[test]
    fn a_second_root_does_not_hide_a_missing_parent() {
        check(&[span("feedback", Some("caller"), true), span("flow", Some("request"), false)], false);
    }
}
