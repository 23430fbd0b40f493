//! What every span of weir has in common: how it starts, what it says of itself, how it ends, and when.
//!
//! One file below this for each kind: the request, the flow, a node, a call of a node. A span is ended by
//! `finish` or `fail`, once, and its metrics are recorded in the same breath; one that is dropped was cancelled. The
//! parent of a span is always named, never looked up in a thread: work moves between threads here.

pub(super) mod flow;
pub(super) mod node;
pub(super) mod notes;
pub(super) mod request;
pub(super) mod rpc;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};

use crate::id::RequestId;

use super::Telemetry;
use super::content::{Content, LABEL_BYTES, MESSAGE_BYTES, cut, marked};
use super::metrics::RunStatus;
use super::names::{attribute, event, semconv, value};

/// The other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub address: String,
    pub port: Option<u16>,
}

/// The request that a span belongs to.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The `line_run_id`.
    pub id: &'a RequestId,
    /// Whether the caller sent `id`; only then the span carries `request_id`.
    pub id_from_caller: bool,
    /// What kind of flow it asks for: `dag`, `flex` or `prompty`.
    pub target: &'static str,
}

/// A span that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    cx: Context,
    clock: Clock,
    began: Instant,
    content: Content,
    ended: bool,
}

/// How a span ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    Completed,
    Failed {
        code: &'a str,
        message: &'a str,
        detail: Option<&'a str>,
    },
    /// Nobody waited any more; with the code that says so.
    Cancelled {
        code: &'static str,
    },
}

/// The wall clock of one request.
///
/// All times of a trace are counted from its first span by the monotonic clock, so that a wall clock that is set back
/// in the middle cannot make a span end before it began, or begin before its parent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    wall: SystemTime,
    monotonic: Instant,
}

impl Open {
    /// Starts a span now. With tracing switched off there is none, and `context` is that of the parent.
    pub(super) fn start(
        telemetry: &Telemetry,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: &Context,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let began = Instant::now();
        let clock = parent.get::<Clock>().copied().unwrap_or_else(Clock::start);
        let cx = match telemetry.tracer() {
            Some(tracer) => {
                let builder = tracer
                    .span_builder(name)
                    .with_kind(kind)
                    .with_start_time(clock.wall(began))
                    .with_attributes(attributes);
                parent.with_span(tracer.build_with_context(builder, parent)).with_value(clock)
            }
            None => parent.with_value(clock),
        };
        // Without a span of our own, the span of `cx` is the caller's, which is not ours to end.
        Self { cx, clock, began, content: telemetry.content(), ended: false }
    }

    pub(super) fn context(&self) -> &Context {
        &self.cx
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn is_open(&self) -> bool {
        !self.ended
    }

    /// Whether anyone will see what is set; if not, it need not be made.
    pub(super) fn is_recording(&self) -> bool {
        self.cx.span().is_recording()
    }

    pub(super) fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.cx.span().set_attribute(KeyValue::new(key, value));
    }

    pub(super) fn set_all(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.cx.span().set_attributes(attributes);
    }

    pub(super) fn set_non_empty(&self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.set(key, cut(value, LABEL_BYTES).to_owned());
        }
    }

    /// Tells a piece of content as far as it may be told: as an attribute, and as an event with the same text.
    pub(super) fn tell(&self, attribute_key: &'static str, event_name: &'static str, text: &str) {
        if let Some(told) = self.told(text) {
            self.set(attribute_key, told.clone());
            self.event(event_name, vec![KeyValue::new(attribute::PAYLOAD, told)]);
        }
    }

    /// The text as it may be told; none if it may not, or nobody listens.
    pub(super) fn told(&self, text: &str) -> Option<Arc<str>> {
        if self.is_recording() { self.content.told(text) } else { None }
    }

    pub(super) fn event(&self, name: &'static str, attributes: Vec<KeyValue>) {
        let now = self.clock.wall(Instant::now());
        self.cx.span().add_event_with_timestamp(name, now, attributes);
    }

    /// Ends the span now, and gives how long it was open. What is to be said on it must have been said.
    pub(super) fn end(&mut self, end: End<'_>) -> Duration {
        self.ended = true;
        if let End::Failed { code, message, detail } = end {
            self.event(event::EXCEPTION, exception(code, message, detail));
        }
        if let Some(code) = end.code() {
            self.set_non_empty(semconv::ERROR_TYPE, code);
        }
        self.cx.span().set_status(end.status());
        self.close()
    }

    /// Ends the span now and leaves its status as it is.
    pub(super) fn close(&mut self) -> Duration {
        self.ended = true;
        let now = Instant::now();
        self.cx.span().end_with_timestamp(self.clock.wall(now));
        now.duration_since(self.began)
    }
}

impl<'a> End<'a> {
    /// A failure with this code; a run that nobody waited for any more has a code of its own.
    pub(super) fn failed(code: &'a str, message: &'a str, detail: Option<&'a str>) -> Self {
        if code == value::CANCELLED { Self::CANCELLED } else { Self::Failed { code, message, detail } }
    }

    pub(super) const CANCELLED: Self = Self::Cancelled { code: value::CANCELLED };

    pub(super) fn code(self) -> Option<&'a str> {
        match self {
            Self::Completed => None,
            Self::Failed { code, .. } | Self::Cancelled { code } => Some(code),
        }
    }

    pub(super) fn run_status(self) -> RunStatus {
        match self {
            Self::Completed => RunStatus::Completed,
            Self::Failed { .. } => RunStatus::Failed,
            Self::Cancelled { .. } => RunStatus::Canceled,
        }
    }

    fn status(self) -> Status {
        match self {
            // Set, not left unset: prompt flow's tools take only OK for success.
            Self::Completed => Status::Ok,
            Self::Failed { code, message, .. } => {
                Status::error(format!("{}: {}", cut(code, LABEL_BYTES), marked(message, MESSAGE_BYTES)))
            }
            Self::Cancelled { .. } => Status::error(value::EXECUTION_CANCELLED),
        }
    }
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }

    pub(super) fn wall(self, at: Instant) -> SystemTime {
        // The first span begins an instant before its clock is read.
        match at.checked_duration_since(self.monotonic) {
            Some(later) => self.wall + later,
            None => self.wall - self.monotonic.duration_since(at),
        }
    }
}

/// What prompt flow says on each of its spans: flow, node and rpc.
fn common(span_type: &'static str, request: RequestFacts<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(attribute::FRAMEWORK, value::FRAMEWORK),
        KeyValue::new(attribute::SPAN_TYPE, span_type),
        KeyValue::new(attribute::EXECUTION_TARGET, request.target),
        KeyValue::new(attribute::LINE_RUN_ID, request.id.to_string()),
    ];
    if request.id_from_caller {
        attributes.push(KeyValue::new(attribute::REQUEST_ID, request.id.to_string()));
    }
    attributes
}

fn exception(code: &str, message: &str, detail: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(semconv::EXCEPTION_TYPE, cut(code, LABEL_BYTES).to_owned()),
        KeyValue::new(semconv::EXCEPTION_MESSAGE, marked(message, MESSAGE_BYTES)),
    ];
    // A trap comes with all its frames; what a stack that overflowed holds is not bounded by anyone else.
    attributes.extend(detail.map(|it| KeyValue::new(semconv::EXCEPTION_STACKTRACE, marked(it, super::CONTENT_BYTES))));
    attributes
}
