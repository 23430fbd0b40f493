//! A line of the host's log as it will be told: made when it is logged, since its span is known only then.

use std::error::Error;
use std::fmt::{Debug, Write};
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::logs::{AnyValue, LogRecord, Severity};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::Told;
use crate::telemetry::names::semconv;

/// A line of the log.
#[derive(Debug)]
pub(super) struct Draft {
    metadata: &'static Metadata<'static>,
    time: SystemTime,
    /// The span in which it was written, if it was in one.
    span: Option<SpanContext>,
    /// Texts as they were logged: who masks what is in them may not be known yet.
    body: Option<String>,
    attributes: Vec<(&'static str, AnyValue)>,
}

impl Draft {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let span = Context::map_current(|cx| cx.has_active_span().then(|| cx.span().span_context().clone()));
        let mut draft = Self {
            metadata: event.metadata(),
            time: SystemTime::now(),
            span: span.filter(SpanContext::is_valid),
            body: None,
            attributes: Vec::new(),
        };
        event.record(&mut draft);
        draft
    }

    /// Tells the line.
    pub(super) fn tell(self, told: &Told) {
        let mut record = told.record();
        let level = *self.metadata.level();
        record.set_timestamp(self.time);
        record.set_target(self.metadata.target());
        record.set_severity_number(severity(level));
        record.set_severity_text(level.as_str());
        if let Some(body) = self.body {
            record.set_body(told.text(&body));
        }
        if let Some(span) = self.span {
            record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
        let mut attributes = self.attributes;
        for (_, value) in &mut attributes {
            if let AnyValue::String(text) = value {
                *value = told.text(text.as_str());
            }
        }
        attributes.extend(self.metadata.file().map(|file| (semconv::CODE_FILE_PATH, file.into())));
        attributes.extend(self.metadata.line().map(|line| (semconv::CODE_LINE_NUMBER, i64::from(line).into())));
        told.emit(record, attributes);
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.body = Some(text),
            _ => self.add(field, text.into()),
        }
    }

    fn add(&mut self, field: &Field, value: AnyValue) {
        // By the conventions; what a failure is made of comes as a text or as the failure itself.
        let key = if field.name() == "error" { semconv::EXCEPTION_MESSAGE } else { field.name() };
        self.attributes.push((key, value));
    }
}

impl Visit for Draft {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // A text takes whatever is written into it.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.text(field, text);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value.into()),
            Err(_) => self.add(field, value.to_string().into()),
        }
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}
