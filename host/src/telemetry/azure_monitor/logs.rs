//! Log records as items: messages, exceptions and custom events. Pure.
//!
//! An evaluation is told once: as an event of the feedback's span (spans.rs), which goes wherever its record does.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::trace::{SpanId, TraceId};

use super::envelope::{Data, EVENT_NAME, Envelope, Event, Exception, MESSAGE, Message, Thrown, VER};
use super::tags::Sender;
use super::text::{Measurements, Properties, any_text, cut, cut_cow};
use crate::telemetry::names::{event, semconv};
use crate::telemetry::outbox::parcel::Log;

/// Attribute by which a record says that it is a custom event, and its name.
const CUSTOM_EVENT: &str = "microsoft.custom_event.name";
/// Property with who logged.
const LOGGER: &str = "logger_name";
/// Instead of a message that is empty: none would be refused.
const NO_MESSAGE: &str = "n/a";

/// None for what is told otherwise.
pub(super) fn envelope<'a>((record, scope): &'a Log, sender: &'a Sender) -> Option<Envelope<'a>> {
    if record.event_name() == Some(event::EVALUATION) {
        return None;
    }
    let attribute = |wanted: &str| {
        let found = record.attributes_iter().find(|(key, _)| key.as_str() == wanted);
        found.map(|(_, value)| any_text(value)).filter(|text| !text.is_empty())
    };
    let exception = [semconv::EXCEPTION_TYPE, semconv::EXCEPTION_MESSAGE, semconv::EXCEPTION_STACKTRACE].map(attribute);
    let is_exception = exception[..2].iter().any(Option::is_some);
    let custom = attribute(CUSTOM_EVENT);

    let mut properties = Properties::default();
    let mut measurements = Measurements::new();
    for (key, value) in record.attributes_iter() {
        let key = key.as_str();
        let is_carried = key == CUSTOM_EVENT || (is_exception && is_of_exception(key));
        if !is_carried {
            properties.add(key, any_text(value));
        }
        if let Some(number) = number(value).filter(|_| !is_carried) {
            measurements.insert(key, number);
        }
    }
    let logger = record.target().map(|target| &**target).filter(|target| !target.is_empty()).unwrap_or(scope.name());
    if !logger.is_empty() {
        properties.add(LOGGER, logger);
    }

    let severity_level = Some(level(record.severity_number()));
    let body = record.body().map(any_text).filter(|body| !body.trim().is_empty());
    let data = if is_exception {
        let [type_name, message, stack] = exception;
        let thrown = Thrown::new(type_name, body.or(message), stack);
        Data::Exception(Exception { ver: VER, exceptions: [thrown], severity_level, properties })
    } else if let Some(name) = custom {
        Data::Event(Event { ver: VER, name: cut_cow(name, EVENT_NAME), properties, measurements })
    } else {
        let message = match body {
            Some(Cow::Borrowed(body)) => Cow::Borrowed(cut(body.trim(), MESSAGE)),
            Some(Cow::Owned(body)) => cut_cow(Cow::Owned(body), MESSAGE),
            None => NO_MESSAGE.into(),
        };
        Data::Message(Message { ver: VER, message, severity_level, properties })
    };
    let (trace, span) =
        record.trace_context().map_or((TraceId::INVALID, SpanId::INVALID), |it| (it.trace_id, it.span_id));
    let at = record.timestamp().or(record.observed_timestamp()).unwrap_or_else(SystemTime::now);
    Some(Envelope::new(at, sender.within(trace, span), data))
}

fn is_of_exception(key: &str) -> bool {
    [semconv::EXCEPTION_TYPE, semconv::EXCEPTION_MESSAGE, semconv::EXCEPTION_STACKTRACE].contains(&key)
}

/// Verbose, information, warning, error, critical.
fn level(severity: Option<Severity>) -> u8 {
    match severity.map_or(0, |severity| severity as u8) {
        0..=8 => 0,
        9..=12 => 1,
        13..=16 => 2,
        17..=20 => 3,
        _ => 4,
    }
}

fn number(value: &AnyValue) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a measurement is a double")]
        AnyValue::Int(number) => Some(*number as f64),
        AnyValue::Double(number) if number.is_finite() => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
    use opentelemetry::trace::TraceFlags;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
    use serde_json::{Value, json};

    use super::*;

    fn told(make: impl Fn(&mut SdkLogRecord)) -> Value {
        let logger = SdkLoggerProvider::builder().build().logger("");
        let mut record = logger.create_log_record();
        make(&mut record);
        let log: Log = (record, InstrumentationScope::builder("weir").build());
        let sender = Sender::of(&Resource::builder_empty().build());
        let mut envelope = serde_json::to_value(envelope(&log, &sender).expect("an item")).unwrap();
        let tags = envelope["tags"].as_object_mut().unwrap();
        tags.retain(|tag, _| tag.starts_with("ai.operation"));
        json!({"tags": tags.clone(), "data": envelope["data"]})
    }

    fn data(kind: &str, data: &Value) -> Value {
        json!({"tags": {}, "data": {"baseType": kind, "baseData": data}})
    }

    #[test]
    fn a_record_is_a_message_with_its_level() {
        for (severity, level) in [
            (None, 0),
            (Some(Severity::Trace), 0),
            (Some(Severity::Debug4), 0),
            (Some(Severity::Info), 1),
            (Some(Severity::Warn), 2),
            (Some(Severity::Error4), 3),
            (Some(Severity::Fatal), 4),
        ] {
            let found = told(|record| {
                severity.into_iter().for_each(|severity| record.set_severity_number(severity));
                record.set_body(" a line ".into());
                record.add_attribute("n", 1);
            });
            let properties = json!({"n": "1", "logger_name": "weir"});
            let expected = json!({"ver": 2, "message": "a line", "severityLevel": level, "properties": properties});
            assert_eq!(found, data("MessageData", &expected), "{severity:?}");
        }
        let found = told(|record| record.set_target("weir::server"));
        let expected =
            json!({"ver": 2, "message": "n/a", "severityLevel": 0, "properties": {"logger_name": "weir::server"}});
        assert_eq!(found, data("MessageData", &expected));
    }

    #[test]
    fn a_record_of_a_request_belongs_to_its_span() {
        let found = told(|record| {
            record.set_trace_context(TraceId::from(7), SpanId::from(9), Some(TraceFlags::SAMPLED));
        });
        let tags = json!({"ai.operation.id": format!("{:032x}", 7), "ai.operation.parentId": format!("{:016x}", 9)});
        assert_eq!(found["tags"], tags);
    }

    #[test]
    fn exceptions_and_named_events_go_to_their_own_tables() {
        let found = told(|record| {
            record.set_severity_number(Severity::Error);
            record.add_attribute("exception.type", "E");
            record.add_attribute("exception.message", "m");
            record.add_attribute("exception.stacktrace", "s");
        });
        let thrown = json!({"typeName": "E", "message": "m", "hasFullStack": true, "stack": "s"});
        let expected = json!({
            "ver": 2, "exceptions": [thrown], "severityLevel": 3, "properties": {"logger_name": "weir"}
        });
        assert_eq!(found, data("ExceptionData", &expected));

        let found = told(|record| {
            record.add_attribute(CUSTOM_EVENT, "an event");
            record.add_attribute("score", 0.5);
        });
        let expected = json!({
            "ver": 2, "name": "an event", "properties": {"score": "0.5", "logger_name": "weir"}, "measurements": {"score": 0.5}
        });
        assert_eq!(found, data("EventData", &expected));
    }

    #[test]
    fn an_evaluation_is_told_with_its_span_alone() {
        let logger = SdkLoggerProvider::builder().build().logger("");
        let mut record = logger.create_log_record();
        record.set_event_name(event::EVALUATION);
        let log: Log = (record, InstrumentationScope::builder("weir").build());
        assert!(envelope(&log, &Sender::of(&Resource::builder_empty().build())).is_none());
    }
}
