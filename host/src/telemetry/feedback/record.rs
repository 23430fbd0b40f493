//! A feedback as the journal keeps it, and as the span that it becomes. Every delivery of it is the same span.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use serde::{Deserialize, Serialize};

use super::{Evaluation, Feedback, attribute_key, cut_value};
use crate::telemetry::logs::evaluation;
use crate::telemetry::names::{attribute, event, semconv, span};
use crate::telemetry::outbox::parcel::Log;
use crate::telemetry::{propagation, scope};

/// Members of a caller's baggage that become attributes. The standard's limit, which the reader of the header keeps as
/// well.
const BAGGAGE_MEMBERS: usize = 64;

/// Longest value of such an attribute, in bytes.
const BAGGAGE_BYTES: usize = 256;

/// JSON in the journal. Fields may be added; older records do not have them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Record {
    /// By which whoever receives it twice knows.
    id: String,
    /// Ids are in hexadecimal.
    trace: String,
    span: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    flags: u8,
    /// Nanoseconds since 1970.
    time: u64,
    attributes: Vec<(String, Kept)>,
    /// Attributes of the evaluation event, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evaluation: Option<Vec<(String, Kept)>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// The value of an attribute. Doubles are kept as their bits: JSON would not give each back as it was.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
enum Kept {
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "b")]
    Truth(bool),
    #[serde(rename = "i")]
    Integer(i64),
    #[serde(rename = "d")]
    Double(u64),
    #[serde(rename = "S")]
    Texts(Vec<String>),
    #[serde(rename = "B")]
    Truths(Vec<bool>),
    #[serde(rename = "I")]
    Integers(Vec<i64>),
    #[serde(rename = "D")]
    Doubles(Vec<u64>),
}

impl Record {
    /// A feedback that came just now, about the span of `parent`.
    pub fn new(parent: &Context, feedback: Feedback) -> Self {
        let random = RandomIdGenerator::default();
        let about = parent.span();
        let about = Some(about.span_context()).filter(|span| span.is_valid());
        // It is told whatever the caller has sampled: see `Telemetry::feedback`.
        let flags = about.map_or(TraceFlags::SAMPLED, |span| span.trace_flags() | TraceFlags::SAMPLED);
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            trace: about.map_or_else(|| random.new_trace_id(), SpanContext::trace_id).to_string(),
            span: random.new_span_id().to_string(),
            parent: about.map(|span| span.span_id().to_string()),
            flags: flags.to_u8(),
            time: nanoseconds(SystemTime::now()),
            attributes: attributes(parent, feedback.attributes),
            evaluation: feedback.evaluation.map(event_attributes),
            key: feedback.idempotency_key,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written as JSON")
    }

    /// What [`Record::encode`] made; none if it is of another version.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The evaluation as a log record of the span that was judged, or, if nobody knows which, of the feedback's own.
    pub(super) fn evaluation(&self) -> Option<Log> {
        let mut attributes = key_values(self.evaluation.as_ref()?);
        attributes.push(KeyValue::new(attribute::FEEDBACK_ID, self.id.clone()));
        let trace = TraceId::from_hex(&self.trace).ok()?;
        let span = SpanId::from_hex(self.parent.as_ref().unwrap_or(&self.span)).ok()?;
        let judged =
            SpanContext::new(trace, span, TraceFlags::new(self.flags), self.parent.is_some(), TraceState::NONE);
        Some(evaluation(&judged, UNIX_EPOCH + Duration::from_nanos(self.time), &attributes))
    }

    /// The span; none if its ids are none.
    pub fn span(&self) -> Option<SpanData> {
        let trace = TraceId::from_hex(&self.trace).ok()?;
        let span = SpanId::from_hex(&self.span).ok()?;
        let parent = self.parent.as_deref().map_or(Some(SpanId::INVALID), |it| SpanId::from_hex(it).ok())?;
        let time = UNIX_EPOCH + Duration::from_nanos(self.time);
        let mut attributes = key_values(&self.attributes);
        attributes.push(KeyValue::new(attribute::FEEDBACK_ID, self.id.clone()));
        let mut events = SpanEvents::default();
        let evaluation = self.evaluation.iter();
        events.events.extend(evaluation.map(|it| Event::new(event::EVALUATION, time, key_values(it), 0)));
        Some(SpanData {
            span_context: SpanContext::new(trace, span, TraceFlags::new(self.flags), false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Internal,
            name: span::FEEDBACK.into(),
            start_time: time,
            end_time: time,
            attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            // It has nothing to tell but this.
            status: Status::Unset,
            instrumentation_scope: scope(),
        })
    }
}

/// The idempotency key of a record, if it has one.
pub(super) fn key_of(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Keyed {
        key: Option<String>,
    }
    serde_json::from_slice::<Keyed>(payload).ok()?.key
}

/// What the caller said, and then its baggage, which wins as in prompt flow where keys are the same.
fn attributes(parent: &Context, said: Vec<KeyValue>) -> Vec<(String, Kept)> {
    let baggage = propagation::baggage(parent).into_iter().take(BAGGAGE_MEMBERS).map(|it| {
        // `feedback` is what was said, and no baggage may say something else.
        let key = it.key.as_str();
        let key = if key == attribute::FEEDBACK { format!("{key}.{key}") } else { attribute_key(key) };
        (key, Kept::Text(cut_value(&it.value.as_str(), BAGGAGE_BYTES).to_owned()))
    });
    let mut unique: Vec<(String, Kept)> = Vec::new();
    for (key, value) in said.into_iter().map(|it| (it.key.to_string(), Kept::from(it.value))).chain(baggage) {
        match unique.iter_mut().find(|(earlier, _)| *earlier == key) {
            Some((_, earlier)) => *earlier = value,
            None => unique.push((key, value)),
        }
    }
    unique
}

fn event_attributes(evaluation: Evaluation) -> Vec<(String, Kept)> {
    let Evaluation { name, value, label, explanation } = evaluation;
    let attributes = [
        (semconv::EVALUATION_NAME, Some(Kept::Text(name))),
        (semconv::EVALUATION_SCORE, value.map(|it| Kept::Double(it.to_bits()))),
        (semconv::EVALUATION_LABEL, label.map(Kept::Text)),
        (semconv::EVALUATION_EXPLANATION, explanation.map(Kept::Text)),
    ];
    attributes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn key_values(attributes: &[(String, Kept)]) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), Value::from(value))).collect()
}

impl From<Value> for Kept {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.into()),
            Value::Bool(truth) => Self::Truth(truth),
            Value::I64(integer) => Self::Integer(integer),
            Value::F64(double) => Self::Double(double.to_bits()),
            Value::Array(Array::String(texts)) => Self::Texts(texts.into_iter().map(String::from).collect()),
            Value::Array(Array::Bool(truths)) => Self::Truths(truths),
            Value::Array(Array::I64(integers)) => Self::Integers(integers),
            Value::Array(Array::F64(doubles)) => Self::Doubles(doubles.into_iter().map(f64::to_bits).collect()),
            // What OpenTelemetry may add.
            other => Self::Text(other.to_string()),
        }
    }
}

impl From<&Kept> for Value {
    fn from(kept: &Kept) -> Self {
        match kept {
            Kept::Text(text) => text.clone().into(),
            Kept::Truth(truth) => (*truth).into(),
            Kept::Integer(integer) => (*integer).into(),
            Kept::Double(bits) => f64::from_bits(*bits).into(),
            Kept::Texts(texts) => {
                Self::Array(Array::String(texts.iter().map(|it| StringValue::from(it.clone())).collect()))
            }
            Kept::Truths(truths) => Self::Array(Array::Bool(truths.clone())),
            Kept::Integers(integers) => Self::Array(Array::I64(integers.clone())),
            Kept::Doubles(bits) => Self::Array(Array::F64(bits.iter().map(|it| f64::from_bits(*it)).collect())),
        }
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(flags: TraceFlags) -> Context {
        let span = SpanContext::new(TraceId::from(7), SpanId::from(8), flags, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    }

    fn recorded(parent: &Context, feedback: Feedback) -> SpanData {
        let record = Record::new(parent, feedback);
        let again = Record::decode(&record.encode()).unwrap();
        assert_eq!(again, record);
        again.span().unwrap()
    }

    #[test]
    fn every_value_comes_out_as_it_went_in() {
        let values: [(&str, Value); 9] = [
            ("s", "a\u{0}\u{ffff}é😀".into()),
            ("b", true.into()),
            ("i", i64::MIN.into()),
            ("d", 0.1.into()),
            ("tiny", 5e-324.into()),
            ("S", Value::Array(Array::String(vec!["a".into(), "".into()]))),
            ("B", Value::Array(Array::Bool(vec![true, false]))),
            ("I", Value::Array(Array::I64(vec![1, -1]))),
            ("D", Value::Array(Array::F64(vec![1.0, 1.1, f64::MAX]))),
        ];
        let attributes: Vec<_> = values.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        let span = recorded(&Context::new(), Feedback { attributes: attributes.clone(), ..Feedback::default() });
        assert_eq!(span.attributes[..9], attributes);
        assert_eq!(span.attributes[9].key.as_str(), "feedback.id");
    }

    #[test]
    fn a_feedback_is_a_child_of_the_span_it_is_about_and_sampled() {
        for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED] {
            let span = recorded(&about(flags), Feedback::default());
            assert_eq!((span.span_context.trace_id(), span.parent_span_id), (TraceId::from(7), SpanId::from(8)));
            assert!(span.span_context.is_sampled() && span.parent_span_is_remote);
            assert_eq!(
                (&*span.name, span.span_kind, &span.status),
                (span::FEEDBACK, SpanKind::Internal, &Status::Unset)
            );
        }
        let root = recorded(&Context::new(), Feedback::default());
        assert!(root.span_context.is_valid() && root.parent_span_id == SpanId::INVALID && !root.parent_span_is_remote);
    }

    #[test]
    fn an_evaluation_is_an_event() {
        let evaluation = Evaluation {
            name: "user_feedback".to_owned(),
            value: Some(0.1),
            label: None,
            explanation: Some("so".to_owned()),
        };
        let span = recorded(&Context::new(), Feedback { evaluation: Some(evaluation), ..Feedback::default() });
        let expected = vec![
            KeyValue::new("gen_ai.evaluation.name", "user_feedback"),
            KeyValue::new("gen_ai.evaluation.score.value", 0.1),
            KeyValue::new("gen_ai.evaluation.explanation", "so"),
        ];
        assert_eq!(span.events.events, [Event::new("gen_ai.evaluation.result", span.start_time, expected, 0)]);
    }

    #[test]
    fn an_evaluation_is_a_log_record_of_the_span_that_was_judged() {
        let judged = |parent: &Context| {
            let evaluation = Evaluation { name: "tone".to_owned(), value: Some(0.1), label: None, explanation: None };
            let record = Record::new(parent, Feedback { evaluation: Some(evaluation), ..Feedback::default() });
            (record.evaluation().unwrap(), record)
        };
        let ((log, scope), record) = judged(&about(TraceFlags::NOT_SAMPLED));
        assert_eq!(scope.name(), "promptflow");
        assert_eq!(log.event_name(), Some("gen_ai.evaluation.result"));
        let of = log.trace_context().unwrap();
        assert_eq!((of.trace_id, of.span_id), (TraceId::from(7), SpanId::from(8)));
        let attributes: Vec<_> = log.attributes_iter().cloned().collect();
        let expected: [(opentelemetry::Key, opentelemetry::logs::AnyValue); 3] = [
            ("gen_ai.evaluation.name".into(), "tone".into()),
            ("gen_ai.evaluation.score.value".into(), 0.1.into()),
            ("feedback.id".into(), record.id.clone().into()),
        ];
        assert_eq!(attributes, expected);
        assert_eq!(record.evaluation().unwrap().0, log, "each delivery says the same");

        let ((log, _), record) = judged(&Context::new());
        let of = log.trace_context().unwrap();
        assert_eq!((of.trace_id.to_string(), of.span_id.to_string()), (record.trace.clone(), record.span.clone()));
        assert!(Record::new(&Context::new(), Feedback::default()).evaluation().is_none());
    }

    #[test]
    fn a_key_is_found_in_its_record() {
        let feedback = Feedback { idempotency_key: Some("k-1".to_owned()), ..Feedback::default() };
        assert_eq!(key_of(&Record::new(&Context::new(), feedback).encode()).as_deref(), Some("k-1"));
        assert_eq!(key_of(&Record::new(&Context::new(), Feedback::default()).encode()), None);
        assert_eq!(key_of(b"of another version"), None);
    }
}
