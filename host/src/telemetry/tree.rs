//! A trace as an indented tree of text. Pure: spans in, text out; see printer.rs for who prints, store.rs for who
//! gathers.
//!
//! The data are plain, so that tests can make them from what a collector received.

mod stable;
mod terminal;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, Status as OtelStatus};
use opentelemetry_sdk::trace::SpanData;

use super::names::{attribute, semconv, span, value};

/// Spans that belong together.
#[derive(Clone, Debug)]
pub struct Trace {
    /// In hexadecimal.
    pub id: String,
    /// In any order. A span whose parent is not among them is drawn at the left margin.
    pub spans: Vec<Span>,
}

/// A finished span.
#[derive(Clone, Debug)]
pub struct Span {
    /// In hexadecimal, like `parent`.
    pub id: String,
    /// None or empty: no parent.
    pub parent: Option<String>,
    pub name: String,
    pub kind: Kind,
    pub start: SystemTime,
    pub end: SystemTime,
    pub status: Status,
    /// With their values as text.
    pub attributes: Vec<(String, String)>,
}

/// The kind of a span, as OpenTelemetry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server,
    Client,
    Internal,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Unset,
    Ok,
    /// With its description.
    Error(String),
}

/// How a trace is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a person: times, bars, tokens, messages; in the order of start.
    Terminal { color: bool },
    /// For comparison: no ids, no times, no texts that vary; in the order of names. One line for each span:
    /// indentation, role, name, status, and the attributes that a test wants to see.
    Stable,
}

/// What a span is to weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Flow,
    Node,
    Guest,
    Rpc,
    Feedback,
}

/// Draws a trace. Ends with a line break.
pub fn render(trace: &Trace, style: Style) -> String {
    match style {
        Style::Terminal { color } => terminal::render(trace, color),
        Style::Stable => stable::render(trace),
    }
}

impl Trace {
    /// Spans without a parent here.
    fn roots(&self) -> Vec<&Span> {
        let is_here = |id: &String| self.spans.iter().any(|span| span.id == *id);
        self.spans.iter().filter(|span| !span.parent.as_ref().is_some_and(is_here)).collect()
    }

    /// Spans by the id of their parent.
    fn children(&self) -> HashMap<&str, Vec<&Span>> {
        let mut children: HashMap<&str, Vec<&Span>> = HashMap::new();
        for span in &self.spans {
            children.entry(span.parent.as_deref().unwrap_or_default()).or_default().push(span);
        }
        children
    }
}

impl Span {
    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(it, _)| it == key).map(|(_, value)| value.as_str())
    }

    fn role(&self) -> Role {
        match self.kind {
            Kind::Server => Role::Server,
            Kind::Client => Role::Rpc,
            Kind::Internal if self.name == span::FEEDBACK => Role::Feedback,
            // Before its type, which is a guest's word.
            Kind::Internal if self.attribute(attribute::SPAN_ORIGIN).is_some() => Role::Guest,
            Kind::Internal if self.attribute(attribute::SPAN_TYPE) == Some("Flow") => Role::Flow,
            Kind::Internal => Role::Node,
        }
    }

    /// The `run_status` that metrics give the same run.
    fn run_status(&self) -> &'static str {
        match &self.status {
            Status::Error(description) if description == value::EXECUTION_CANCELLED => "Canceled",
            Status::Error(_) => "Failed",
            Status::Ok | Status::Unset => "Completed",
        }
    }

    /// The model that was asked for, else the one that answered.
    fn model(&self) -> Option<&str> {
        self.attribute(semconv::REQUEST_MODEL).or_else(|| self.attribute(semconv::RESPONSE_MODEL))
    }

    fn duration(&self) -> Duration {
        self.end.duration_since(self.start).unwrap_or_default()
    }
}

impl Trace {
    /// The spans of one trace.
    pub(super) fn of(spans: &[SpanData]) -> Self {
        let id = spans.first().map(|span| span.span_context.trace_id().to_string()).unwrap_or_default();
        Self { id, spans: spans.iter().map(Span::from).collect() }
    }
}

impl From<&SpanData> for Span {
    fn from(span: &SpanData) -> Self {
        let parent = (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string());
        Self {
            id: span.span_context.span_id().to_string(),
            parent,
            name: span.name.to_string(),
            kind: match span.span_kind {
                SpanKind::Server => Kind::Server,
                SpanKind::Client => Kind::Client,
                _ => Kind::Internal,
            },
            start: span.start_time,
            end: span.end_time,
            status: match &span.status {
                OtelStatus::Unset => Status::Unset,
                OtelStatus::Ok => Status::Ok,
                OtelStatus::Error { description } => Status::Error(description.to_string()),
            },
            attributes: span.attributes.iter().map(|it| (it.key.to_string(), it.value.to_string())).collect(),
        }
    }
}
