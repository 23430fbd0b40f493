//! What a guest says on its node's span: attributes, events, metrics, log lines, within the bounds of bound.rs, which
//! wit/context.wit promises.
//!
//! Nothing here fails. What does not fit is left out, and how much that was is on the span.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};

use super::bound::{self, LogBounds};
use super::{Clock, Open};
use crate::id::NodeId;
use crate::telemetry::content::{Content, cut, marked};
use crate::telemetry::logs::{GuestLines, GuestLog};
use crate::telemetry::names::{self, attribute, event};
use crate::telemetry::{Redactor, Telemetry};

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
    content: Content,
    redactor: Redactor,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// Written when the span ends: a later value replaces an earlier one, which a span cannot.
    attributes: Vec<KeyValue>,
    /// Written with them.
    metrics: Vec<KeyValue>,
    events: usize,
    denials: usize,
    log: LogLines,
    left_out: i64,
    /// Calls of the run to the host.
    calls: usize,
    /// The span has ended.
    closed: bool,
}

impl Kept {
    fn with(log: LogLines) -> Self {
        Self {
            attributes: Vec::new(),
            metrics: Vec::new(),
            events: 0,
            denials: 0,
            log,
            left_out: 0,
            calls: 0,
            closed: false,
        }
    }
}

/// Where log lines go.
#[derive(Debug)]
enum LogLines {
    /// Events of the span, of which there are so many, and so many bytes: nobody exports logs.
    Events { count: usize, bytes: usize, bounds: LogBounds },
    /// Records, and how many lines were left out.
    Records(Box<GuestLines>, usize),
}

impl LogLines {
    fn events(bounds: LogBounds) -> Self {
        let lines = bounds.lines.min(bound::LOG_EVENTS);
        Self::Events { count: 0, bytes: 0, bounds: LogBounds { lines, ..bounds } }
    }
}

impl NodeNotes {
    pub(super) fn on(open: &Open, telemetry: &Telemetry, node: &NodeId, bounds: LogBounds) -> Self {
        let cx = open.context().clone();
        let records =
            |log: &GuestLog| LogLines::Records(Box::new(log.lines(node.as_str(), cx.span().span_context(), bounds)), 0);
        let log = telemetry.guest_log().map_or_else(|| LogLines::events(bounds), records);
        let kept = Kept::with(log);
        Self {
            clock: open.clock(),
            content: open.recording().content,
            redactor: open.redactor().clone(),
            kept: Arc::new(Mutex::new(kept)),
            cx,
        }
    }

    /// Notes on no span: nothing happens.
    pub fn of_nobody(&self) -> Self {
        let nothing = LogLines::events(LogBounds { bytes: 0, lines: 0 });
        Self {
            cx: Context::new(),
            clock: self.clock,
            content: self.content,
            redactor: self.redactor.clone(),
            kept: Arc::new(Mutex::new(Kept { closed: true, ..Kept::with(nothing) })),
        }
    }

    /// Sets an attribute; a later value replaces an earlier one.
    pub fn set_attribute(&self, key: &str, value: NoteValue) {
        let mut kept = self.kept();
        if !is_free(key) {
            kept.left_out += 1;
            return;
        }
        if !replace(&mut kept.attributes, bound::ATTRIBUTES, self.note(key.to_owned(), value)) {
            kept.left_out += 1;
        }
    }

    /// Tells a metric; a later value replaces an earlier one. Says whether it was within the bounds.
    pub fn log_metric(&self, name: &str, value: f64) -> bool {
        let mut kept = self.kept();
        let fits = is_name(name)
            && value.is_finite()
            && replace(
                &mut kept.metrics,
                bound::METRICS,
                KeyValue::new(format!("{}.{name}", attribute::METRICS), value),
            );
        if !fits {
            kept.left_out += 1;
        }
        fits
    }

    /// Adds an event.
    pub fn add_event(&self, name: &str, attributes: Vec<(String, NoteValue)>) {
        let mut kept = self.kept();
        if kept.events == bound::EVENTS || !is_free(name) {
            kept.left_out += 1;
            return;
        }
        kept.events += 1;
        let offered = attributes.len();
        let attributes: Vec<KeyValue> = attributes
            .into_iter()
            .filter(|(key, _)| is_free(key))
            .take(bound::ATTRIBUTES)
            .map(|(key, value)| self.note(key, value))
            .collect();
        kept.left_out += i64::try_from(offered - attributes.len()).unwrap_or(i64::MAX);
        drop(kept);
        self.event(self.redactor.text(name).into_owned(), attributes);
    }

    /// Adds a log line: a record with the ids of the span if logs are exported, else an event of it. `context` is what the
    /// guest calls the place it comes from; may be empty.
    pub fn log(&self, level: LogLevel, context: &str, message: &str) {
        let mut kept = self.kept();
        if kept.closed {
            return;
        }
        // Of what is left out there may be very much: it is only counted.
        let context = || cut(&self.redactor.text(context), bound::KEY).to_owned();
        match &mut kept.log {
            LogLines::Events { count, bytes, bounds } if *count < bounds.lines && *bytes < bounds.bytes => {
                let message = self.logged(message);
                *count += 1;
                *bytes += message.len();
                drop(kept);
                self.log_event(level, &context(), message);
            }
            LogLines::Events { .. } => kept.left_out += 1,
            LogLines::Records(lines, _) if lines.has_room() => {
                lines.tell(self.clock.wall(Instant::now()), level, &context(), self.logged(message));
            }
            LogLines::Records(_, left_out) => {
                *left_out += 1;
                kept.left_out += 1;
            }
        }
    }

    /// Marks that the node asked for what it does not hold. Beyond the bound it is only counted, by the metric.
    pub fn denied(&self, capability: &'static str, reason: &str) {
        let mut kept = self.kept();
        if kept.closed || kept.denials == bound::DENIALS {
            return;
        }
        kept.denials += 1;
        drop(kept);
        let reason = marked(&self.redactor, reason, bound::TEXT);
        let attributes =
            vec![KeyValue::new(attribute::CAPABILITY, capability), KeyValue::new(attribute::REASON, reason)];
        self.event(event::DENIED.to_owned(), attributes);
    }

    /// Whether one more call of the run has a span of its own. What has none is counted.
    pub fn may_tell_call(&self) -> bool {
        let mut kept = self.kept();
        kept.calls = kept.calls.saturating_add(1);
        kept.calls <= bound::CALLS
    }

    fn log_event(&self, level: LogLevel, context: &str, message: Arc<str>) {
        let mut attributes = vec![
            KeyValue::new(attribute::LOG_SEVERITY, level.as_str()),
            KeyValue::new(attribute::LOG_MESSAGE, message),
        ];
        if !context.is_empty() {
            attributes.push(KeyValue::new(attribute::LOG_CONTEXT, context.to_owned()));
        }
        self.event(event::LOG.to_owned(), attributes);
    }

    /// As much of a line as may be told. A guest may well write its inputs, so where no content is told only that there
    /// was a line is.
    fn logged(&self, message: &str) -> Arc<str> {
        match self.content {
            Content::None => format!("[{} bytes]", message.len()).into(),
            Content::Truncated | Content::Full => marked(&self.redactor, message, bound::TEXT),
        }
    }

    /// Counts a note that is left out.
    pub(super) fn leave_out(&self) {
        self.kept().left_out += 1;
    }

    /// Puts on the span what waited for its end.
    pub(super) fn write(&self) {
        let mut kept = self.kept();
        kept.closed = true;
        if let LogLines::Records(lines, left_out @ 1..) = &kept.log {
            lines.left_out(self.clock.wall(Instant::now()), *left_out);
        }
        let span = self.cx.span();
        span.set_attributes(std::mem::take(&mut kept.attributes));
        span.set_attributes(std::mem::take(&mut kept.metrics));
        if kept.left_out > 0 {
            span.set_attribute(KeyValue::new(attribute::NOTES_LEFT_OUT, kept.left_out));
        }
        if let Some(untold @ 1..) = kept.calls.checked_sub(bound::CALLS) {
            span.set_attribute(KeyValue::new(attribute::CALLS_LEFT_OUT, i64::try_from(untold).unwrap_or(i64::MAX)));
        }
    }

    /// A note without secrets, and within its bounds.
    pub(super) fn note(&self, key: String, value: NoteValue) -> KeyValue {
        let value = match value {
            NoteValue::Text(text) => Value::String(marked(&self.redactor, &text, bound::TEXT).into()),
            other => other.whole(),
        };
        let mut note = KeyValue::new(key, value);
        // One that is named like a key is masked whole.
        self.redactor.attribute(&mut note);
        note
    }

    fn event(&self, name: String, attributes: Vec<KeyValue>) {
        self.cx.span().add_event_with_timestamp(name, self.clock.wall(Instant::now()), attributes);
    }

    #[cfg(test)]
    pub(in crate::telemetry) fn redactor(&self) -> &Redactor {
        &self.redactor
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
pub(super) fn replace(list: &mut Vec<KeyValue>, most: usize, note: KeyValue) -> bool {
    match list.iter().position(|it| it.key == note.key) {
        Some(at) => list[at].value = note.value,
        None if list.len() < most => list.push(note),
        None => return false,
    }
    true
}

/// Whether a guest may use this key.
pub(super) fn is_free(key: &str) -> bool {
    is_name(key) && names::is_for_guests(key)
}

/// Whether a text is a name: letters, digits and some signs. Others could break a line, or hide what it says, where
/// somebody reads it.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || " _.-:/@%()[]+=<>#&".contains(c);
    !text.trim().is_empty() && text.len() <= bound::KEY && text.chars().all(allowed)
}
