//! How much one span or log record may hold: the standard's limits. Pure.
//!
//! The SDK counts attributes, events and links while a span is open. It knows no length of values, and what is not made by
//! it (feedback) passes it by: both are seen to where a span has ended.

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SpanData, SpanLimits};

use crate::setting::{self, Reader, Setting};

/// Limits of spans and log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    span: Attributes,
    events: usize,
    links: usize,
    event_attributes: usize,
    link_attributes: usize,
    log: Attributes,
}

/// Limits of a set of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes {
    count: usize,
    /// In characters; none: as long as they are.
    length: Option<usize>,
}

/// The standard's default for whatever is counted.
const COUNT: usize = 128;

/// Most that may be asked for: the SDK counts in 32 bits.
const MAX_COUNT: usize = 1_000_000;
const MAX_LENGTH: usize = i32::MAX as usize;

static VALUE_LENGTH: Setting = Setting::optional(
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "no limit",
    "longest text in an attribute, in characters; a longer one is cut",
);
static SPAN_VALUE_LENGTH: Setting = Setting::optional(
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`",
    "likewise on spans, their events and links",
);
static LOG_VALUE_LENGTH: Setting = Setting::optional(
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`",
    "likewise on log records",
);
static ATTRIBUTES: Setting =
    Setting::new("OTEL_ATTRIBUTE_COUNT_LIMIT", "128", "most attributes of one thing; further ones are left out");
static SPAN_ATTRIBUTES: Setting =
    Setting::optional("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "`OTEL_ATTRIBUTE_COUNT_LIMIT`", "likewise of a span");
static LOG_ATTRIBUTES: Setting = Setting::optional(
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "`OTEL_ATTRIBUTE_COUNT_LIMIT`",
    "likewise of a log record",
);
static EVENTS: Setting = Setting::new("OTEL_SPAN_EVENT_COUNT_LIMIT", "128", "most events of a span");
static LINKS: Setting = Setting::new("OTEL_SPAN_LINK_COUNT_LIMIT", "128", "most links of a span");
static EVENT_ATTRIBUTES: Setting =
    Setting::new("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "128", "most attributes of an event");
static LINK_ATTRIBUTES: Setting = Setting::new("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "128", "most attributes of a link");

impl Default for Limits {
    fn default() -> Self {
        let attributes = Attributes { count: COUNT, length: None };
        Self {
            span: attributes,
            events: COUNT,
            links: COUNT,
            event_attributes: COUNT,
            link_attributes: COUNT,
            log: attributes,
        }
    }
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let count = setting::count_within(0, MAX_COUNT);
        let length = setting::count_within(0, MAX_LENGTH);
        // What is said of one kind comes before what is said of all.
        let general = reader.optional(&VALUE_LENGTH, &length);
        let [span_length, log_length] =
            [&SPAN_VALUE_LENGTH, &LOG_VALUE_LENGTH].map(|setting| reader.optional(setting, &length).or(general));
        let general = reader.value(&ATTRIBUTES, &count);
        let [span_count, log_count] =
            [&SPAN_ATTRIBUTES, &LOG_ATTRIBUTES].map(|setting| reader.optional(setting, &count).unwrap_or(general));
        Self {
            span: Attributes { count: span_count, length: span_length },
            events: reader.value(&EVENTS, &count),
            links: reader.value(&LINKS, &count),
            event_attributes: reader.value(&EVENT_ATTRIBUTES, &count),
            link_attributes: reader.value(&LINK_ATTRIBUTES, &count),
            log: Attributes { count: log_count, length: log_length },
        }
    }

    /// What the SDK sees to while a span is open.
    pub(crate) fn of_open_spans(&self) -> SpanLimits {
        // Whoever reads them bounds them.
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        SpanLimits {
            max_attributes_per_span: count(self.span.count),
            max_events_per_span: count(self.events),
            max_links_per_span: count(self.links),
            max_attributes_per_event: count(self.event_attributes),
            max_attributes_per_link: count(self.link_attributes),
        }
    }

    /// Cuts a span that has ended down to what it may hold. What is left out is counted on the span, as the standard has it.
    pub(crate) fn apply(&self, span: &mut SpanData) {
        let length = self.span.length;
        keep(&mut span.attributes, self.span.count, &mut span.dropped_attributes_count);
        cut_all(&mut span.attributes, length);
        keep(&mut span.events.events, self.events, &mut span.events.dropped_count);
        for event in &mut span.events.events {
            keep(&mut event.attributes, self.event_attributes, &mut event.dropped_attributes_count);
            cut_all(&mut event.attributes, length);
        }
        keep(&mut span.links.links, self.links, &mut span.links.dropped_count);
        for link in &mut span.links.links {
            keep(&mut link.attributes, self.link_attributes, &mut link.dropped_attributes_count);
            cut_all(&mut link.attributes, length);
        }
    }

    /// The same of a log record; its body is not an attribute.
    pub(crate) fn apply_log(&self, record: &mut SdkLogRecord) {
        let Attributes { count, length } = self.log;
        let is_long = |value: &AnyValue| length.is_some_and(|length| is_longer(value, length));
        if record.attributes_iter().count() <= count && !record.attributes_iter().any(|(_, value)| is_long(value)) {
            return;
        }
        let kept = record.attributes_iter().take(count).cloned();
        let cut = |(key, mut value): (Key, AnyValue)| {
            if let Some(length) = length {
                cut_any(&mut value, length);
            }
            (key, value)
        };
        let kept: Vec<_> = kept.map(cut).collect();
        let mut rest = without_attributes(record);
        rest.add_attributes(kept);
        *record = rest;
    }
}

/// Leaves out what is too many, and counts it.
fn keep<T>(things: &mut Vec<T>, most: usize, dropped: &mut u32) {
    let excess = things.len().saturating_sub(most);
    things.truncate(most);
    *dropped = dropped.saturating_add(u32::try_from(excess).unwrap_or(u32::MAX));
}

fn cut_all(attributes: &mut [KeyValue], length: Option<usize>) {
    let Some(length) = length else { return };
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => cut(text, length),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| cut(text, length)),
            // Numbers have no length.
            _ => {}
        }
    }
}

/// A record takes attributes and gives none back.
fn without_attributes(record: &SdkLogRecord) -> SdkLogRecord {
    // Only a logger makes a record; this one has nobody to tell.
    let mut rest = SdkLoggerProvider::builder().build().logger("").create_log_record();
    record.event_name().into_iter().for_each(|name| rest.set_event_name(name));
    record.target().into_iter().for_each(|target| rest.set_target(target.clone()));
    record.timestamp().into_iter().for_each(|time| rest.set_timestamp(time));
    record.observed_timestamp().into_iter().for_each(|time| rest.set_observed_timestamp(time));
    record.severity_number().into_iter().for_each(|severity| rest.set_severity_number(severity));
    record.severity_text().into_iter().for_each(|text| rest.set_severity_text(text));
    record.body().into_iter().for_each(|body| rest.set_body(body.clone()));
    if let Some(span) = record.trace_context() {
        rest.set_trace_context(span.trace_id, span.span_id, span.trace_flags);
    }
    rest
}

fn is_longer(value: &AnyValue, length: usize) -> bool {
    match value {
        AnyValue::String(text) => text.as_str().chars().nth(length).is_some(),
        AnyValue::Bytes(bytes) => bytes.len() > length,
        AnyValue::ListAny(values) => values.iter().any(|value| is_longer(value, length)),
        AnyValue::Map(values) => values.values().any(|value| is_longer(value, length)),
        // Numbers have no length.
        _ => false,
    }
}

fn cut_any(value: &mut AnyValue, length: usize) {
    match value {
        AnyValue::String(text) => cut(text, length),
        AnyValue::Bytes(bytes) => bytes.truncate(length),
        AnyValue::ListAny(values) => values.iter_mut().for_each(|value| cut_any(value, length)),
        AnyValue::Map(values) => values.values_mut().for_each(|value| cut_any(value, length)),
        // Numbers have no length.
        _ => {}
    }
}

fn cut(text: &mut StringValue, length: usize) {
    let end = text.as_str().char_indices().nth(length).map(|(end, _)| end);
    if let Some(end) = end {
        *text = text.as_str()[..end].to_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::logs::Severity;
    use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Limits, Vec<String>> {
        setting::read_from(env, Limits::read)
    }

    fn span() -> SpanData {
        let attributes = || vec![KeyValue::new("a", "ééé"), KeyValue::new("b", 12345), KeyValue::new("c", true)];
        let mut events = SpanEvents::default();
        events.events = vec![Event::new("e", SystemTime::UNIX_EPOCH, attributes(), 1); 3];
        let mut links = SpanLinks::default();
        links.links = vec![Link::new(SpanContext::NONE, attributes(), 0); 3];
        SpanData {
            span_context: SpanContext::NONE,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "s".into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: attributes(),
            dropped_attributes_count: 0,
            events,
            links,
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn by_default_things_are_counted_and_texts_are_as_long_as_they_are() {
        assert_eq!(read(&[]), Ok(Limits::default()));
        let mut cut = span();
        Limits::default().apply(&mut cut);
        assert_eq!(cut.attributes, span().attributes);
        assert_eq!((cut.events.events.len(), cut.links.links.len(), cut.dropped_attributes_count), (3, 3, 0));
    }

    #[test]
    fn what_is_said_of_spans_or_log_records_comes_before_what_is_said_of_all() {
        let length = |env: &[(&str, &str)]| read(env).map(|it| (it.span.length, it.log.length)).unwrap();
        let all = (VALUE_LENGTH.variable, "9");
        assert_eq!(length(&[all]), (Some(9), Some(9)));
        assert_eq!(length(&[all, (SPAN_VALUE_LENGTH.variable, "4")]), (Some(4), Some(9)));
        assert_eq!(length(&[(LOG_VALUE_LENGTH.variable, "4")]), (None, Some(4)));
        let count = |env: &[(&str, &str)]| read(env).map(|it| (it.span.count, it.log.count)).unwrap();
        let all = (ATTRIBUTES.variable, "9");
        assert_eq!(count(&[all]), (9, 9));
        assert_eq!(count(&[all, (SPAN_ATTRIBUTES.variable, "4"), (LOG_ATTRIBUTES.variable, "0")]), (4, 0));
    }

    #[test]
    fn what_is_too_much_on_a_span_is_left_out_and_counted() {
        let env = [
            (SPAN_ATTRIBUTES.variable, "2"),
            (EVENTS.variable, "1"),
            (LINKS.variable, "2"),
            (EVENT_ATTRIBUTES.variable, "1"),
            (LINK_ATTRIBUTES.variable, "0"),
        ];
        let limits = read(&env).unwrap();
        let mut cut = span();
        limits.apply(&mut cut);
        assert_eq!((cut.attributes.len(), cut.dropped_attributes_count), (2, 1));
        assert_eq!((cut.events.events.len(), cut.events.dropped_count), (1, 2));
        assert_eq!((cut.links.links.len(), cut.links.dropped_count), (2, 1));
        let event = &cut.events.events[0];
        assert_eq!((event.attributes.len(), event.dropped_attributes_count), (1, 3));
        let link = &cut.links.links[1];
        assert_eq!((link.attributes.len(), link.dropped_attributes_count), (0, 3));
        let open = limits.of_open_spans();
        let told = (open.max_attributes_per_span, open.max_events_per_span, open.max_links_per_span);
        assert_eq!((told, open.max_attributes_per_event, open.max_attributes_per_link), ((2, 1, 2), 1, 0));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let limits = read(&[(VALUE_LENGTH.variable, "2")]).unwrap();
        let mut cut = span();
        let texts = Array::String(vec!["xyz".into(), "ü".into()]);
        cut.attributes.push(KeyValue::new("list", Value::Array(texts)));
        limits.apply(&mut cut);
        let list = Value::Array(Array::String(vec!["xy".into(), "ü".into()]));
        let expected = [
            KeyValue::new("a", "éé"),
            KeyValue::new("b", 12345),
            KeyValue::new("c", true),
            KeyValue::new("list", list),
        ];
        assert_eq!(cut.attributes, expected);
        assert_eq!(cut.events.events[2].attributes[0], KeyValue::new("a", "éé"));
        assert_eq!(cut.links.links[2].attributes[0], KeyValue::new("a", "éé"));
    }

    #[test]
    fn a_log_record_keeps_all_but_what_is_too_much() {
        let record = |first: &str, attributes: &[(&'static str, AnyValue)]| {
            let mut record = SdkLoggerProvider::builder().build().logger("").create_log_record();
            record.set_event_name("event");
            record.set_target("target");
            record.set_timestamp(SystemTime::UNIX_EPOCH);
            record.set_observed_timestamp(SystemTime::UNIX_EPOCH);
            record.set_severity_number(Severity::Warn);
            record.set_severity_text("WARN");
            record.set_body("a long body".into());
            record.set_trace_context(TraceId::from(1_u128), SpanId::from(2_u64), Some(TraceFlags::SAMPLED));
            record.add_attribute("first", first.to_owned());
            record.add_attributes(attributes.iter().cloned());
            record
        };
        let list = |text: &str| AnyValue::ListAny(Box::new(vec![AnyValue::from(text.to_owned()), AnyValue::Int(1234)]));
        let long = record("äöü", &[("list", list("xyz")), ("third", true.into())]);

        let mut kept = long.clone();
        Limits::default().apply_log(&mut kept);
        assert_eq!(kept, long);
        let mut cut = long.clone();
        read(&[(VALUE_LENGTH.variable, "2")]).unwrap().apply_log(&mut cut);
        assert_eq!(cut, record("äö", &[("list", list("xy")), ("third", true.into())]));
        let mut cut = long;
        read(&[(LOG_ATTRIBUTES.variable, "2")]).unwrap().apply_log(&mut cut);
        assert_eq!(cut, record("äöü", &[("list", list("xyz"))]));
    }

    #[test]
    fn a_limit_is_a_number() {
        let problems = read(&[(EVENTS.variable, "many"), (VALUE_LENGTH.variable, "-1")]).unwrap_err();
        assert_eq!(
            problems,
            [
                "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: \"-1\" must be a whole number from 0 to 2147483647",
                "OTEL_SPAN_EVENT_COUNT_LIMIT: \"many\" must be a whole number from 0 to 1000000",
            ]
        );
    }
}
