//! What guests write: by `wasi:logging`, to stdout and to stderr. Records of their node's span.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, LoggerProvider, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::logs::SdkLoggerProvider;

use super::Told;
use crate::telemetry::Config;
use crate::telemetry::names::attribute;
use crate::telemetry::scope;
use crate::telemetry::spans::bound::LogBounds;
use crate::telemetry::spans::notes::LogLevel;

/// By which the lines of guests are told.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct GuestLog(Told);

/// The lines of one run.
#[derive(Debug)]
pub(in crate::telemetry) struct GuestLines {
    log: GuestLog,
    node: Arc<str>,
    /// That of the node.
    span: SpanContext,
    bounds: LogBounds,
    lines: usize,
    bytes: usize,
}

impl GuestLog {
    pub(in crate::telemetry) fn new(provider: &SdkLoggerProvider, config: &Config) -> Self {
        Self(Told::by(provider.logger_with_scope(scope()), config))
    }

    /// Lines that a node will write in a run with this span.
    pub(in crate::telemetry) fn lines(&self, node: &str, span: &SpanContext, bounds: LogBounds) -> GuestLines {
        GuestLines { log: self.clone(), node: node.into(), span: span.clone(), bounds, lines: 0, bytes: 0 }
    }
}

impl GuestLines {
    /// Whether another line would be told.
    pub(in crate::telemetry) fn has_room(&self) -> bool {
        self.lines < self.bounds.lines && self.bytes < self.bounds.bytes
    }

    /// Tells a line, if there is room.
    pub(in crate::telemetry) fn tell(&mut self, time: SystemTime, level: LogLevel, context: &str, text: Arc<str>) {
        if self.has_room() {
            self.lines += 1;
            self.bytes += text.len();
            self.emit(time, level, context, text);
        }
    }

    /// Tells how many lines were left out.
    pub(in crate::telemetry) fn left_out(&self, time: SystemTime, count: usize) {
        let text = format!("{count} more lines of this node are left out");
        self.emit(time, LogLevel::Warn, "", text.into());
    }

    fn emit(&self, time: SystemTime, level: LogLevel, context: &str, text: Arc<str>) {
        let (severity, name) = severity(level);
        let mut record = self.log.0.record();
        record.set_timestamp(time);
        record.set_severity_number(severity);
        record.set_severity_text(name);
        record.set_body(AnyValue::String(text.into()));
        if self.span.is_valid() {
            let span = &self.span;
            record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
        let mut attributes = vec![(attribute::NODE_NAME, AnyValue::String(self.node.clone().into()))];
        if !context.is_empty() {
            attributes.push((attribute::LOG_CONTEXT, self.log.0.text(context)));
        }
        self.log.0.emit(record, attributes);
    }
}

fn severity(level: LogLevel) -> (Severity, &'static str) {
    match level {
        LogLevel::Trace => (Severity::Trace, "TRACE"),
        LogLevel::Debug => (Severity::Debug, "DEBUG"),
        LogLevel::Info => (Severity::Info, "INFO"),
        LogLevel::Warn => (Severity::Warn, "WARN"),
        LogLevel::Error => (Severity::Error, "ERROR"),
        LogLevel::Critical => (Severity::Fatal, "CRITICAL"),
    }
}
