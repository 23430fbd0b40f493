//! Log records for people: one line each, with the ids of the span in which it was written.

use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_millis;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};

use super::{Console, FLUSH, harmless, pair};

/// Prints log records as they come. Those that a slow terminal has no place for are not printed.
#[derive(Debug)]
pub(in crate::telemetry) struct ConsoleLogs(pub(in crate::telemetry) Console);

impl LogProcessor for ConsoleLogs {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        let line = render(record);
        // Whatever could be said of a line that is not printed would be a line.
        let _ = self.0.print(|_| line);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush(FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.flush(timeout)
    }
}

fn render(record: &SdkLogRecord) -> String {
    let time = record.timestamp().or_else(|| record.observed_timestamp()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut line = format!("{} {:>5}", format_rfc3339_millis(time), record.severity_text().unwrap_or_default());
    let source = record.event_name().or_else(|| record.target().map(|target| &**target));
    if let Some(source) = source {
        line.push_str(&format!(" {}:", harmless(source)));
    }
    if let Some(body) = record.body() {
        line.push_str(&format!(" {}", harmless(&text(body))));
    }
    for (key, value) in record.attributes_iter() {
        line.push_str(&format!(" {}", pair(key.as_str(), &text(value))));
    }
    if let Some(span) = record.trace_context() {
        line.push_str(&format!(" trace={} span={}", span.trace_id, span.span_id));
    }
    line
}

fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::Int(integer) => integer.to_string(),
        AnyValue::Double(double) => double.to_string(),
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Boolean(truth) => truth.to_string(),
        AnyValue::Bytes(bytes) => format!("[{} bytes]", bytes.len()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_sdk::logs::SdkLoggerProvider;

    use super::*;

    #[test]
    fn a_record_is_a_line() {
        let mut record = SdkLoggerProvider::builder().build().logger("").create_log_record();
        record.set_timestamp(SystemTime::UNIX_EPOCH);
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_target("weir::server");
        record.set_body("too\nmany".into());
        record.add_attribute("count", 3);
        record.add_attribute("error", "not now");
        record.set_trace_context(TraceId::from(7), SpanId::from(8), None);
        let expected = "1970-01-01T00:00:00.000Z  WARN weir::server: too\\nmany count=3 error=\"not now\" \
                        trace=00000000000000000000000000000007 span=0000000000000008";
        assert_eq!(render(&record), expected);
    }
}
