//! What spans say in other dialects, beside prompt flow's and GenAI's: one table, out of what they say anyway.
//!
//! Phoenix and Langfuse read GenAI's names of calls to models; flows and nodes stay unknown to them without these.

use opentelemetry::{KeyValue, Value};

use crate::setting::{Reader, Setting};
use crate::telemetry::names::open_inference as to;
use crate::telemetry::names::{attribute, semconv};

pub(in crate::telemetry) static DIALECTS: Setting = Setting::optional(
    "WEIR_TRACE_DIALECTS",
    "none",
    "names of attributes beside prompt flow's and GenAI's: `openinference`, which Phoenix reads",
);

/// Which dialects spans speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialects {
    pub open_inference: bool,
}

/// An attribute and what it is called in OpenInference.
const SAME: [(&str, &str); 7] = [
    (attribute::INPUTS, to::INPUT),
    (attribute::OUTPUT, to::OUTPUT),
    (attribute::LLM_RESPONSE_MODEL, to::MODEL),
    (attribute::LLM_PROMPT_TOKENS, to::PROMPT_TOKENS),
    (attribute::LLM_COMPLETION_TOKENS, to::COMPLETION_TOKENS),
    (attribute::LLM_TOTAL_TOKENS, to::TOTAL_TOKENS),
    (semconv::CONVERSATION, to::SESSION),
];

/// What goes along with some of them.
const TYPES: [(&str, &str); 2] = [(to::INPUT, to::INPUT_TYPE), (to::OUTPUT, to::OUTPUT_TYPE)];

impl Dialects {
    pub(in crate::telemetry) fn read(reader: &mut Reader<'_>) -> Self {
        reader.optional(&DIALECTS, Self::parse).unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut dialects = Self::default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.to_ascii_lowercase().as_str() {
                "openinference" => dialects.open_inference = true,
                // They are spoken anyway.
                "promptflow" | "gen_ai" | "none" => {}
                _ => return Err(format!("{name:?} is unknown; write openinference")),
            }
        }
        Ok(dialects)
    }

    /// Adds to the first attributes of a span what they are in other dialects, and what kind of span it is.
    pub(super) fn of_start(self, attributes: &mut Vec<KeyValue>) {
        if self.open_inference {
            let kind = kind(attributes);
            self.of(attributes);
            attributes.push(KeyValue::new(to::KIND, kind));
        }
    }

    /// Adds to some attributes what they are in other dialects.
    pub(super) fn of(self, attributes: &mut Vec<KeyValue>) {
        if !self.open_inference {
            return;
        }
        let mut more = Vec::new();
        for KeyValue { key, value, .. } in attributes.iter() {
            let Some((_, name)) = SAME.iter().find(|(ours, _)| *ours == key.as_str()) else { continue };
            more.push(KeyValue::new(*name, value.clone()));
            let kind = TYPES.iter().find(|(value, _)| value == name);
            more.extend(kind.map(|(_, kind)| KeyValue::new(*kind, "application/json")));
        }
        attributes.append(&mut more);
    }

    /// Adds where the span stands in the picture of its flow.
    pub(super) fn place(self, attributes: &mut Vec<KeyValue>, id: &str, parent: Option<&str>) {
        if self.open_inference {
            attributes.push(KeyValue::new(to::NODE_ID, id.to_owned()));
            attributes.extend(parent.map(|parent| KeyValue::new(to::PARENT_ID, parent.to_owned())));
        }
    }

    /// What a feedback says of itself.
    pub(in crate::telemetry) fn of_feedback(self, attributes: &mut Vec<KeyValue>) {
        if self.open_inference {
            attributes.push(KeyValue::new(to::KIND, "EVALUATOR"));
        }
    }
}

/// The kind of a span with these attributes.
fn kind(attributes: &[KeyValue]) -> &'static str {
    let has = |key: &str| attributes.iter().any(|it| it.key.as_str() == key);
    let span_type = attributes.iter().find(|it| it.key.as_str() == attribute::SPAN_TYPE).map(|it| &it.value);
    match span_type {
        Some(Value::String(text)) if text.as_str() == "LLM" => "LLM",
        Some(Value::String(text)) if text.as_str() == "Embedding" => "EMBEDDING",
        // These are said by guests alone.
        Some(Value::String(text)) if text.as_str() == "Tool" => "TOOL",
        Some(Value::String(text)) if text.as_str() == "Retrieval" => "RETRIEVER",
        Some(Value::String(text)) if text.as_str() == "Function" => {
            // A node that renders a prompt or asks a model is a step on the way; a call of the host is a tool.
            let is_tool = has(semconv::TOOL_NAME) || !has(semconv::OPERATION) && has(semconv::HTTP_METHOD);
            if is_tool { "TOOL" } else { "CHAIN" }
        }
        _ => "CHAIN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(dialects: Dialects, attributes: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut attributes: Vec<_> = attributes.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect();
        let before = attributes.len();
        dialects.of_start(&mut attributes);
        attributes[before..].iter().map(|it| format!("{}={}", it.key, it.value)).collect()
    }

    #[test]
    fn spans_speak_open_inference_only_if_asked_to() {
        let flow = [(attribute::SPAN_TYPE, "Flow"), (attribute::INPUTS, "{}"), (semconv::CONVERSATION, "c")];
        assert_eq!(told(Dialects::default(), &flow), [""; 0]);
        assert_eq!(
            told(Dialects { open_inference: true }, &flow),
            ["input.value={}", "input.mime_type=application/json", "session.id=c", "openinference.span.kind=CHAIN"]
        );
    }

    #[test]
    fn kinds_follow_from_types() {
        for (attributes, expected) in [
            (&[(attribute::SPAN_TYPE, "LLM")][..], "LLM"),
            (&[(attribute::SPAN_TYPE, "Embedding")][..], "EMBEDDING"),
            (&[(attribute::SPAN_TYPE, "Function")][..], "CHAIN"),
            (&[(attribute::SPAN_TYPE, "Tool"), (semconv::OPERATION, "execute_tool")][..], "TOOL"),
            (&[(attribute::SPAN_TYPE, "Retrieval"), (semconv::OPERATION, "retrieval")][..], "RETRIEVER"),
            (&[(attribute::SPAN_TYPE, "LangChain")][..], "CHAIN"),
            (&[(attribute::SPAN_TYPE, "Function"), (semconv::TOOL_NAME, "n")][..], "TOOL"),
            (&[(attribute::SPAN_TYPE, "Function"), (semconv::HTTP_METHOD, "GET")][..], "TOOL"),
            (&[(semconv::HTTP_METHOD, "POST")][..], "CHAIN"),
        ] {
            let told = told(Dialects { open_inference: true }, attributes);
            assert_eq!(told, [format!("openinference.span.kind={expected}")], "{attributes:?}");
        }
    }

    #[test]
    fn an_unknown_dialect_is_told() {
        assert_eq!(Dialects::parse("promptflow, OpenInference"), Ok(Dialects { open_inference: true }));
        assert_eq!(Dialects::parse("openlit"), Err("\"openlit\" is unknown; write openinference".to_owned()));
    }
}
