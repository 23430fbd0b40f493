//! A call to a model in the words of the GenAI conventions: parameters of the request, and messages in their JSON shape.
//!
//! Read out of the texts that cross anyway. What a service takes and this does not know is left out here; `inputs` has it.

use std::collections::HashMap;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::telemetry::Redactor;
use crate::telemetry::content::{cut, label};
use crate::telemetry::names::semconv;

/// How the value of a parameter is told.
#[derive(Clone, Copy)]
enum Kind {
    Double,
    Integer,
    /// A text, or a list of them.
    Texts,
    /// Only if so, as the conventions have it.
    Truth,
    /// Only if it is not one.
    Choices,
    /// A `response_format`.
    Format,
}

/// Parameters of OpenAI's interface and their attributes. Of two with one attribute the first that is there counts.
const PARAMETERS: [(&str, &str, Kind); 11] = [
    ("temperature", semconv::REQUEST_TEMPERATURE, Kind::Double),
    ("top_p", semconv::REQUEST_TOP_P, Kind::Double),
    ("frequency_penalty", semconv::REQUEST_FREQUENCY_PENALTY, Kind::Double),
    ("presence_penalty", semconv::REQUEST_PRESENCE_PENALTY, Kind::Double),
    ("max_tokens", semconv::REQUEST_MAX_TOKENS, Kind::Integer),
    ("max_completion_tokens", semconv::REQUEST_MAX_TOKENS, Kind::Integer),
    ("seed", semconv::REQUEST_SEED, Kind::Integer),
    ("n", semconv::REQUEST_CHOICES, Kind::Choices),
    ("stop", semconv::REQUEST_STOP, Kind::Texts),
    ("stream", semconv::REQUEST_STREAM, Kind::Truth),
    ("response_format", semconv::OUTPUT_TYPE, Kind::Format),
];

/// Stop sequences that are told: OpenAI's interface takes four.
const MOST_TEXTS: usize = 4;

/// A text is cut to this at least, however many there are.
const LEAST_TEXT: usize = 64;

/// The parameters of a model that the conventions have attributes for, out of the JSON of the arguments.
pub(super) fn parameters(redactor: &Redactor, inputs: &str) -> Vec<KeyValue> {
    let members: HashMap<String, &RawValue> = serde_json::from_str(inputs).unwrap_or_default();
    let mut told: Vec<KeyValue> = Vec::new();
    for (name, key, kind) in PARAMETERS {
        let Some(value) = members.get(name).and_then(|value| kind.read(redactor, value.get())) else { continue };
        if !told.iter().any(|it| it.key.as_str() == key) {
            told.push(KeyValue::new(key, value));
        }
    }
    told
}

impl Kind {
    fn read(self, redactor: &Redactor, text: &str) -> Option<Value> {
        match self {
            Self::Double => text.parse::<f64>().ok().map(Value::F64),
            Self::Integer => text.parse::<i64>().ok().map(Value::I64),
            Self::Choices => text.parse::<i64>().ok().filter(|count| *count != 1).map(Value::I64),
            Self::Truth => (text == "true").then_some(Value::Bool(true)),
            Self::Texts => {
                let texts = match serde_json::from_str(text).ok()? {
                    Json::String(text) => vec![text],
                    Json::Array(texts) => texts.into_iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect(),
                    _ => return None,
                };
                let texts = texts.iter().take(MOST_TEXTS).map(|text| StringValue::from(label(redactor, text)));
                Some(Value::Array(Array::String(texts.collect())))
            }
            Self::Format => {
                let format: Json = serde_json::from_str(text).ok()?;
                let kind = if format["type"].as_str()?.starts_with("json") { "json" } else { "text" };
                Some(Value::from(kind))
            }
        }
    }
}

/// One message that somebody said, as a list of messages.
pub(super) fn said(role: &str, text: &str) -> String {
    json!([{"role": role, "parts": [part(text)]}]).to_string()
}

/// The instructions of a request: messages of the system that stand before all others. None if there are none.
pub(super) fn system(inputs: &str, most: usize) -> Option<String> {
    let messages = Messages::of(inputs)?;
    let parts: Vec<Json> = messages.list[..messages.instructions].iter().flat_map(Message::parts).collect();
    (!parts.is_empty()).then(|| within(Json::Array(parts), most))
}

/// The other messages of a request; of a completion its prompt.
pub(super) fn messages(inputs: &str, most: usize) -> Option<String> {
    let messages = Messages::of(inputs)?;
    let list: Vec<Json> = messages.list[messages.instructions..].iter().map(Message::told).collect();
    Some(within(Json::Array(list), most))
}

/// What a model answered: the JSON of a message, or the text of a completion.
pub(super) fn answer(generated: &str, finish_reason: &str, most: usize) -> Option<String> {
    if generated.is_empty() {
        return None;
    }
    let mut message = match serde_json::from_str::<Message>(generated) {
        Ok(message) => message.told(),
        Err(_) => json!({"role": "assistant", "parts": [part(generated)]}),
    };
    message["finish_reason"] = finish_reason.into();
    Some(within(json!([message]), most))
}

/// A message of OpenAI's interface, as far as it is told.
#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Json,
    #[serde(default)]
    tool_calls: Option<Vec<Json>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

/// The messages of a request, and how many of them are instructions.
struct Messages {
    list: Vec<Message>,
    instructions: usize,
}

impl Messages {
    fn of(inputs: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Inputs {
            #[serde(default)]
            messages: Option<Vec<Message>>,
            #[serde(default)]
            prompt: Option<String>,
        }
        let inputs: Inputs = serde_json::from_str(inputs).ok()?;
        let prompt = |text| {
            vec![Message { role: "user".to_owned(), content: Json::String(text), tool_calls: None, tool_call_id: None }]
        };
        let list = inputs.messages.or_else(|| inputs.prompt.map(prompt))?;
        let instructions = list.iter().take_while(|it| matches!(it.role.as_str(), "system" | "developer")).count();
        Some(Self { list, instructions })
    }
}

impl Message {
    fn told(&self) -> Json {
        json!({"role": self.role, "parts": self.parts()})
    }

    fn parts(&self) -> Vec<Json> {
        if let Some(id) = &self.tool_call_id {
            return vec![json!({"type": "tool_call_response", "id": id, "response": self.content})];
        }
        let mut parts: Vec<Json> = match &self.content {
            Json::String(text) => vec![part(text)],
            Json::Array(parts) => parts.iter().map(translated).collect(),
            _ => Vec::new(),
        };
        parts.extend(self.tool_calls.iter().flatten().map(|call| {
            let function = &call["function"];
            // They are JSON in a text, which is told as JSON if it is some.
            let arguments = function["arguments"].as_str().unwrap_or_default();
            let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Json::from(arguments));
            json!({"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": arguments})
        }));
        parts
    }
}

fn part(text: &str) -> Json {
    json!({"type": "text", "content": text})
}

/// A part of a message. Kinds that are not known are told as they are, which the conventions allow.
fn translated(written: &Json) -> Json {
    match (&written["type"], &written["text"], &written["image_url"]["url"]) {
        (Json::String(kind), Json::String(text), _) if kind == "text" => part(text),
        (Json::String(kind), _, Json::String(url)) if kind == "image_url" => {
            json!({"type": "uri", "modality": "image", "uri": url})
        }
        _ => written.clone(),
    }
}

/// JSON whose texts are cut so that it has about so many bytes and is JSON still.
fn within(mut told: Json, most: usize) -> String {
    let whole = told.to_string();
    if whole.len() <= most {
        return whole;
    }
    let mut texts = 0;
    each_text(&mut told, &mut |_| texts += 1);
    // A mark, quotes and names take their part as well; three quarters are left for what was said.
    let each = (most * 3 / 4 / texts.max(1)).max(LEAST_TEXT);
    each_text(&mut told, &mut |text| {
        if text.len() > each {
            *text = format!("{}… [{} bytes]", cut(text, each), text.len());
        }
    });
    told.to_string()
}

fn each_text(told: &mut Json, with: &mut impl FnMut(&mut String)) {
    match told {
        Json::String(text) => with(text),
        Json::Array(list) => list.iter_mut().for_each(|it| each_text(it, with)),
        Json::Object(members) => {
            let contents = ["content", "response", "arguments", "parts"];
            let members =
                members.iter_mut().filter(|(name, value)| contents.contains(&name.as_str()) || value.is_object());
            members.for_each(|(_, value)| each_text(value, with));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(inputs: &str) -> Vec<String> {
        let parameters = parameters(&Redactor::default(), inputs);
        parameters.iter().map(|it| format!("{}={}", it.key, it.value)).collect()
    }

    #[test]
    fn parameters_are_told_by_their_types() {
        let inputs = r#"{"model":"m","temperature":0.5,"top_p":1,"frequency_penalty":-1,"presence_penalty":0.1,
            "max_completion_tokens":7,"seed":3,"n":2,"stop":["a","b"],"stream":true,"response_format":{"type":"json_object"}}"#;
        assert_eq!(
            told(inputs),
            [
                "gen_ai.request.temperature=0.5",
                "gen_ai.request.top_p=1",
                "gen_ai.request.frequency_penalty=-1",
                "gen_ai.request.presence_penalty=0.1",
                "gen_ai.request.max_tokens=7",
                "gen_ai.request.seed=3",
                "gen_ai.request.choice.count=2",
                r#"gen_ai.request.stop_sequences=["a","b"]"#,
                "gen_ai.request.stream=true",
                "gen_ai.output.type=json",
            ]
        );
        assert_eq!(
            told(r#"{"n":1,"stream":false,"temperature":"hot","stop":"x"}"#),
            [r#"gen_ai.request.stop_sequences=["x"]"#]
        );
        assert_eq!(told("no JSON"), [""; 0]);
    }

    #[test]
    fn messages_have_the_shape_of_the_conventions() {
        let inputs = r#"{"messages":[
            {"role":"system","content":"be brief"},
            {"role":"user","content":[{"type":"text","text":"what is it"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},
            {"role":"tool","tool_call_id":"c1","content":"a cat"}]}"#;
        assert_eq!(system(inputs, usize::MAX).unwrap(), r#"[{"type":"text","content":"be brief"}]"#);
        let expected = json!([
            {"role":"user","parts":[{"type":"text","content":"what is it"},{"type":"uri","modality":"image","uri":"https://x/y.png"}]},
            {"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"look","arguments":{"at":1}}]},
            {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"a cat"}]},
        ]);
        assert_eq!(messages(inputs, usize::MAX).unwrap(), expected.to_string());
    }

    #[test]
    fn answers_end_with_their_reason() {
        let message = r#"{"role":"assistant","content":"so"}"#;
        let expected = r#"[{"role":"assistant","parts":[{"type":"text","content":"so"}],"finish_reason":"stop"}]"#;
        assert_eq!(answer(message, "stop", usize::MAX).unwrap(), expected);
        assert_eq!(answer("so", "stop", usize::MAX).unwrap(), expected, "a completion");
        assert_eq!(answer("", "stop", usize::MAX), None);
        assert_eq!(messages(r#"{"prompt":"hi"}"#, usize::MAX).unwrap(), said("user", "hi"));
        assert_eq!(messages(r#"{"input":["hi"]}"#, usize::MAX), None);
    }

    #[test]
    fn what_is_too_long_is_cut_within_its_texts() {
        let inputs =
            json!({"messages": [{"role": "user", "content": "ä".repeat(5000)}, {"role": "user", "content": "short"}]});
        let told = messages(&inputs.to_string(), 1000).unwrap();
        assert!(told.len() < 1000, "{}", told.len());
        let told: Json = serde_json::from_str(&told).unwrap();
        assert_eq!(told[1]["parts"][0]["content"], "short");
        let long = told[0]["parts"][0]["content"].as_str().unwrap();
        assert!(long.ends_with("ä… [10000 bytes]"), "{long}");
    }
}
