//! What a guest says on its node's span: attributes, events, metrics, log lines, within the bounds of wit/context.wit.
//!
//! Nothing here fails. What does not fit is left out, and how much that was is on the span.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};

use super::{Clock, Open};
use crate::telemetry::Redactor;
use crate::telemetry::content::{cut, marked};
use crate::telemetry::names::{self, attribute, event};
use crate::telemetry::propagation;

/// Longest key of an attribute, and longest name of an event, in bytes.
pub(in crate::telemetry) const MAX_KEY: usize = 100;
/// Longest text value, in bytes; longer ones are cut.
pub(in crate::telemetry) const MAX_TEXT: usize = 4 * 1024;
/// Attributes that one run may set, and that one of its events may have.
pub(in crate::telemetry) const MAX_ATTRIBUTES: usize = 32;
/// Metrics that one run may tell: as many as an evaluation has, and with [`MAX_ATTRIBUTES`] and the host's own attributes
/// below the 128 that the SDK keeps of a span.
pub(in crate::telemetry) const MAX_METRICS: usize = 64;
/// Events that one run may add.
pub(in crate::telemetry) const MAX_EVENTS: usize = 32;
/// Log lines of one run that are kept. With [`MAX_EVENTS`] and the host's own events they stay below the 128 that the
/// SDK keeps of a span, so that a talkative guest cannot push out the node's output.
pub(in crate::telemetry) const MAX_LOG_LINES: usize = 64;

/// A value that a guest gives.
#[derive(Clone, Debug, PartialEq)]
pub enum NoteValue {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Double(f64),
}

/// How much a log line matters, by the levels of `wasi:logging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// The span of a node, as its guest may use it. Clones share one set of bounds; after the span's end nothing happens.
#[derive(Clone, Debug)]
pub struct NodeNotes {
    cx: Context,
    clock: Clock,
    redactor: Redactor,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Written when the span ends: a later value replaces an earlier one, which a span cannot.
    attributes: Vec<KeyValue>,
    /// Written with them.
    metrics: Vec<KeyValue>,
    events: usize,
    log_lines: usize,
    left_out: i64,
}

impl NodeNotes {
    pub(super) fn on(open: &Open) -> Self {
        let (cx, clock, redactor) = (open.context().clone(), open.clock(), open.redactor().clone());
        Self { cx, clock, redactor, kept: Arc::default() }
    }

    /// Sets an attribute; a later value replaces an earlier one.
    pub fn set_attribute(&self, key: &str, value: NoteValue) {
        let mut kept = self.kept();
        if !is_free(key) {
            kept.left_out += 1;
            return;
        }
        if !replace(&mut kept.attributes, MAX_ATTRIBUTES, self.note(key.to_owned(), value)) {
            kept.left_out += 1;
        }
    }

    /// Tells a metric; a later value replaces an earlier one. Says whether it was within the bounds.
    pub fn log_metric(&self, name: &str, value: f64) -> bool {
        let mut kept = self.kept();
        let fits = !name.is_empty()
            && name.len() <= MAX_KEY
            && value.is_finite()
            && replace(&mut kept.metrics, MAX_METRICS, KeyValue::new(format!("{}.{name}", attribute::METRICS), value));
        if !fits {
            kept.left_out += 1;
        }
        fits
    }

    /// Adds an event.
    pub fn add_event(&self, name: &str, attributes: Vec<(String, NoteValue)>) {
        let mut kept = self.kept();
        if kept.events == MAX_EVENTS || !is_free(name) {
            kept.left_out += 1;
            return;
        }
        kept.events += 1;
        let offered = attributes.len();
        let attributes: Vec<KeyValue> = attributes
            .into_iter()
            .filter(|(key, _)| is_free(key))
            .take(MAX_ATTRIBUTES)
            .map(|(key, value)| self.note(key, value))
            .collect();
        kept.left_out += i64::try_from(offered - attributes.len()).unwrap_or(i64::MAX);
        drop(kept);
        self.event(self.redactor.text(name).into_owned(), attributes);
    }

    /// Adds a log line. `context` is what the guest calls the place it comes from; may be empty.
    pub fn log(&self, level: LogLevel, context: &str, message: &str) {
        let mut kept = self.kept();
        if kept.log_lines == MAX_LOG_LINES {
            kept.left_out += 1;
            return;
        }
        kept.log_lines += 1;
        drop(kept);
        let mut attributes = vec![
            KeyValue::new(attribute::LOG_SEVERITY, level.as_str()),
            KeyValue::new(attribute::LOG_MESSAGE, marked(&self.redactor, message, MAX_TEXT)),
        ];
        if !context.is_empty() {
            attributes
                .push(KeyValue::new(attribute::LOG_CONTEXT, cut(&self.redactor.text(context), MAX_KEY).to_owned()));
        }
        self.event(event::LOG.to_owned(), attributes);
    }

    /// The span as the text of a `traceparent` header; empty if there is no trace.
    pub fn traceparent(&self) -> String {
        propagation::traceparent(&self.cx)
    }

    /// Puts on the span what waited for its end.
    pub(super) fn write(&self) {
        let mut kept = self.kept();
        let span = self.cx.span();
        span.set_attributes(std::mem::take(&mut kept.attributes));
        span.set_attributes(std::mem::take(&mut kept.metrics));
        if kept.left_out > 0 {
            span.set_attribute(KeyValue::new(attribute::NOTES_LEFT_OUT, kept.left_out));
        }
    }

    /// A note without secrets, and within its bounds.
    fn note(&self, key: String, value: NoteValue) -> KeyValue {
        let mut note = KeyValue::new(key, value.whole());
        self.redactor.attribute(&mut note);
        if let Value::String(text) = &note.value {
            note.value = Value::String(marked(&self.redactor, text.as_str(), MAX_TEXT).into());
        }
        note
    }

    fn event(&self, name: String, attributes: Vec<KeyValue>) {
        self.cx.span().add_event_with_timestamp(name, self.clock.wall(Instant::now()), attributes);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds the lock; if something did, the counts would still be counts.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NoteValue {
    fn whole(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.into()),
            Self::Boolean(boolean) => Value::Bool(boolean),
            Self::Integer(integer) => Value::I64(integer),
            Self::Double(double) => Value::F64(double),
        }
    }
}

impl LogLevel {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Sets the value of a key, if it is there or there is room for one more.
fn replace(list: &mut Vec<KeyValue>, most: usize, note: KeyValue) -> bool {
    match list.iter().position(|it| it.key == note.key) {
        Some(at) => list[at].value = note.value,
        None if list.len() < most => list.push(note),
        None => return false,
    }
    true
}

/// Whether a guest may use this key.
fn is_free(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY && !names::is_reserved(key)
}
