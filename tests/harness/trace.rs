//! A received trace as text: the values of the collector in the terms of weir's own rendering. How it is drawn is
//! decided there.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use weir::telemetry::tree;

use crate::collector::{Span, Status, Trace};

/// The trace as text that is the same for every run: without ids, times and texts that vary.
pub fn stable(trace: &Trace) -> String {
    let id = trace.spans.first().map(|span| span.trace_id.clone()).unwrap_or_default();
    let trace = tree::Trace { id, spans: trace.spans.iter().map(span).collect() };
    tree::render(&trace, tree::Style::Stable)
}

fn span(span: &Span) -> tree::Span {
    tree::Span {
        id: span.span_id.clone(),
        parent: span.parent.clone(),
        name: span.name.clone(),
        kind: match span.kind {
            "server" => tree::Kind::Server,
            "client" => tree::Kind::Client,
            _ => tree::Kind::Internal,
        },
        start: time(span.start),
        end: time(span.end),
        status: match &span.status {
            Status::Unset => tree::Status::Unset,
            Status::Ok => tree::Status::Ok,
            Status::Error(description) => tree::Status::Error(description.clone()),
        },
        attributes: span.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
    }
}

fn time(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// As OpenTelemetry writes attribute values: texts without quotes.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
