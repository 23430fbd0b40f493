//! A judgement as OpenTelemetry's conventions have it: the event `gen_ai.evaluation.result`, which is a log record.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::logs::SdkLoggerProvider;

use super::any;
use crate::telemetry::names::event;
use crate::telemetry::outbox::parcel::Log;
use crate::telemetry::scope;

/// The record of an evaluation of `judged`, the span that it is about. Pure: the same arguments make the same record.
pub(in crate::telemetry) fn evaluation(judged: &SpanContext, time: SystemTime, attributes: &[KeyValue]) -> Log {
    let scope = scope();
    // Only a logger makes a record; this one has nobody to tell.
    let mut record = SdkLoggerProvider::builder().build().logger_with_scope(scope.clone()).create_log_record();
    record.set_event_name(event::EVALUATION);
    record.set_timestamp(time);
    record.set_observed_timestamp(time);
    record.set_severity_number(Severity::Info);
    record.set_severity_text("INFO");
    record.set_trace_context(judged.trace_id(), judged.span_id(), Some(judged.trace_flags()));
    record.add_attributes(attributes.iter().map(|it| (it.key.clone(), any(&it.value))));
    (record, scope)
}
