//! What every span of weir has in common: how it starts, what it says of itself, how it ends, and when.
//!
//! One file below this for each kind: the request, the flow, a node, a part of a node, a call of a node. A span is ended by
//! `finish` or `fail`, once, and its metrics are recorded in the same breath; one that is dropped was cancelled. The
//! parent of a span is always named, never looked up in a thread: work moves between threads here. However a request
//! ends, a span closes after those below it: see [`Held`].

pub mod bound;
pub(super) mod flow;
mod gen_ai;
pub(super) mod guest;
mod held;
pub(super) mod node;
pub(super) mod notes;
mod open_inference;
pub(super) mod request;
pub(super) mod rpc;
pub(super) mod tries;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};

use crate::id::RequestId;

use super::content::{Content, MESSAGE_BYTES, Recording, label, marked};
use super::metrics::RunStatus;
use super::names::{attribute, event, semconv, value};
use super::{Redactor, Telemetry, Usage};
use held::{Held, Inherited};

pub use held::Hold;
pub use open_inference::Dialects;

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
    /// For those below.
    cx: Context,
    clock: Clock,
    began: Instant,
    recording: Recording,
    redactor: Redactor,
    dialects: Dialects,
    /// Taken when it has ended.
    held: Option<Arc<Held>>,
}

/// What is known of a span when it starts.
pub(super) struct Start<'a> {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) parent: &'a Context,
    pub(super) attributes: Vec<KeyValue>,
    /// Whose sum is written when the span closes.
    pub(super) usage: Option<Usage>,
    /// Whether it is told. One that is not has the parent's span in its context, to which nothing can be added by it.
    pub(super) told: bool,
    /// If it is a flow's: what its file says of content, and the conversation that it belongs to.
    pub(super) flow: Option<(Option<Content>, Option<&'a str>)>,
}

/// How a span ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    Completed,
    Failed {
        /// The type of the exception; none: the code is.
        kind: Option<&'a str>,
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
    pub(super) fn start(telemetry: &Telemetry, start: Start<'_>) -> Self {
        let began = Instant::now();
        let Start { name, kind, parent, mut attributes, usage, told, flow } = start;
        let (mut inherited, above) = Inherited::of(parent);
        let clock = *inherited.clock.get_or_insert_with(Clock::start);
        if let Some((content, conversation)) = flow {
            inherited.recording = Some(telemetry.content().of(content));
            inherited.conversation = conversation.map(|it| label(telemetry.redactor(), it).into());
        }
        let recording = inherited.recording.unwrap_or_else(|| telemetry.content().of(None));
        if let Some(conversation) = &inherited.conversation {
            attributes.push(KeyValue::new(semconv::CONVERSATION, conversation.clone()));
        }
        let dialects = telemetry.dialects();
        dialects.of_start(&mut attributes);
        let own = match telemetry.tracer() {
            Some(tracer) if told => {
                let builder = tracer
                    .span_builder(name)
                    .with_kind(kind)
                    .with_start_time(clock.wall(began))
                    .with_attributes(attributes);
                parent.with_span(tracer.build_with_context(builder, parent))
            }
            Some(_) => parent.with_remote_span_context(parent.span().span_context().clone()),
            // Without a span of our own, the span of the context is the caller's, which is not ours to end.
            None => parent.clone(),
        };
        let held = Held::new(own, clock, usage, above);
        let cx = inherited.below(&held);
        Self { cx, clock, began, recording, redactor: telemetry.redactor().clone(), dialects, held: Some(held) }
    }

    pub(super) fn context(&self) -> &Context {
        &self.cx
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(super) fn recording(&self) -> Recording {
        self.recording
    }

    pub(super) fn is_open(&self) -> bool {
        self.held.is_some()
    }

    /// Whether anyone will see what is set; if not, it need not be made.
    pub(super) fn is_recording(&self) -> bool {
        self.cx.span().is_recording()
    }

    /// Whether anyone will see inputs, outputs and what else was said.
    pub(super) fn tells_content(&self) -> bool {
        self.is_recording() && self.recording.content != Content::None
    }

    pub(super) fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.set_all([KeyValue::new(key, value)]);
    }

    pub(super) fn set_all(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        let mut attributes: Vec<KeyValue> = attributes.into_iter().collect();
        self.dialects.of(&mut attributes);
        self.cx.span().set_attributes(attributes);
    }

    pub(super) fn set_non_empty(&self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.set(key, label(&self.redactor, value));
        }
    }

    /// Tells a piece of content as far as it may be told: as an attribute, and as an event with the same text.
    pub(super) fn tell(&self, attribute_key: &'static str, event_name: &'static str, text: &str) {
        let Some(told) = self.told(text) else { return };
        if self.recording.places.attributes {
            self.set(attribute_key, told.clone());
        }
        self.tell_event(event_name, told);
    }

    /// Tells a piece of content as an event, if events may have it.
    pub(super) fn tell_event(&self, name: &'static str, told: impl Into<Value>) {
        if self.recording.places.events {
            self.event(name, vec![KeyValue::new(attribute::PAYLOAD, told)]);
        }
    }

    /// Tells a piece of content under a name of the GenAI conventions, if somebody wants that. It is made only then.
    pub(super) fn tell_gen_ai(&self, key: &'static str, text: impl FnOnce() -> Option<String>) {
        if self.recording.places.gen_ai
            && self.tells_content()
            && let Some(told) = text().and_then(|text| self.told(&text))
        {
            self.set(key, told);
        }
    }

    /// The text as it may be told; none if it may not, or nobody listens.
    pub(super) fn told(&self, text: &str) -> Option<Arc<str>> {
        if self.is_recording() { self.recording.content.told(&self.redactor, text) } else { None }
    }

    pub(super) fn event(&self, name: &'static str, attributes: Vec<KeyValue>) {
        let now = self.clock.wall(Instant::now());
        self.cx.span().add_event_with_timestamp(name, now, attributes);
    }

    /// Ends the span now, and gives how long it was open. What is to be said on it must have been said.
    pub(super) fn end(&mut self, end: End<'_>) -> Duration {
        if let End::Failed { kind, code, message, detail } = end {
            self.event(event::EXCEPTION, self.exception(kind.unwrap_or(code), message, detail));
        }
        if let Some(code) = end.code() {
            self.set_non_empty(semconv::ERROR_TYPE, code);
        }
        self.cx.span().set_status(end.status(&self.redactor));
        self.close()
    }

    /// Ends the span now and leaves its status as it is. It closes when those below it have: see [`Held`].
    pub(super) fn close(&mut self) -> Duration {
        self.held = None;
        self.began.elapsed()
    }

    fn exception(&self, kind: &str, message: &str, detail: Option<&str>) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new(semconv::EXCEPTION_TYPE, label(&self.redactor, kind)),
            KeyValue::new(semconv::EXCEPTION_MESSAGE, marked(&self.redactor, message, MESSAGE_BYTES)),
        ];
        // A trap comes with all its frames; what a stack that overflowed holds is not bounded by anyone else.
        let frames = detail.map(|it| marked(&self.redactor, it, super::CONTENT_BYTES));
        attributes.extend(frames.map(|frames| KeyValue::new(semconv::EXCEPTION_STACKTRACE, frames)));
        attributes.push(KeyValue::new(semconv::EXCEPTION_ESCAPED, value::NOT_ESCAPED));
        attributes
    }
}

impl<'a> End<'a> {
    /// A failure with this code; a run that nobody waited for any more has a code of its own.
    pub(super) fn failed(code: &'a str, message: &'a str, detail: Option<&'a str>) -> Self {
        if code == value::CANCELLED { Self::CANCELLED } else { Self::Failed { kind: None, code, message, detail } }
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

    fn status(self, redactor: &Redactor) -> Status {
        match self {
            // Set, not left unset: prompt flow's tools take only OK for success.
            Self::Completed => Status::Ok,
            Self::Failed { kind, code, message, .. } => {
                let (kind, message) = (label(redactor, kind.unwrap_or(code)), marked(redactor, message, MESSAGE_BYTES));
                Status::error(format!("{kind}: {message}"))
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

/// As many as most spans have in the end, so that they are not moved as they become more.
const ATTRIBUTES: usize = 16;

/// What prompt flow says on each of its spans: flow, node, its parts, and rpc.
fn common(redactor: &Redactor, span_type: &'static str, request: RequestFacts<'_>) -> Vec<KeyValue> {
    let id: Arc<str> = label(redactor, request.id.as_str()).into();
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.extend([
        KeyValue::new(attribute::FRAMEWORK, value::FRAMEWORK),
        KeyValue::new(attribute::SPAN_TYPE, span_type),
        KeyValue::new(attribute::EXECUTION_TARGET, request.target),
        KeyValue::new(attribute::LINE_RUN_ID, id.clone()),
    ]);
    if request.id_from_caller {
        attributes.push(KeyValue::new(attribute::REQUEST_ID, id));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_trace_are_counted_by_the_monotonic_clock() {
        // As if the wall clock had been set since by a year: nobody looks at it again.
        let (wall, monotonic) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000), Instant::now());
        let clock = Clock { wall, monotonic };
        let second = Duration::from_secs(1);
        assert_eq!(clock.wall(monotonic), wall);
        assert_eq!(clock.wall(monotonic + second), wall + second);
        assert_eq!(clock.wall(monotonic + second).duration_since(clock.wall(monotonic)).ok(), Some(second));
    }
}
