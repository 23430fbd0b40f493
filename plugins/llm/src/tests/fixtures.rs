//! Requests and answers against prompt flow's own: `tests/fixtures/make.py` writes the expectations. A case with `ours`
//! is one where weir differs on purpose; it says why.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_sdk::NodeError;

use crate::form::Form;
use crate::request::{Question, Request};

/// What a service takes for said when it is not said. Prompt flow says some of it.
const UNSAID: [(&str, &str); 9] = [
    ("stream", "false"),
    ("n", "1"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("echo", "false"),
    ("best_of", "1"),
    ("logit_bias", "{}"),
    ("user", r#""""#),
    ("tool_choice", r#""auto""#),
];

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(flatten)]
    theirs: Outcome,
    ours: Option<Outcome>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Request(Value),
    Value(Value),
    Error(Expected),
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Expected {
    Whole { code: String, message: String },
    Part { code: String, part: String },
}

#[test]
fn requests_are_those_of_prompt_flow() {
    let failed = |case: &Case| {
        let inputs = serde_json::from_value(case.rest["inputs"].clone()).expect("these inputs fit");
        let request = Request::build(inputs).and_then(|request| {
            if case.rest.contains_key("streaming") {
                request.relays()?;
            }
            Ok(request)
        });
        case.differs(&request.map(|request| Outcome::Request(as_sent(request))))
    };
    check(include_str!("../../tests/fixtures/requests.json"), failed);
}

#[test]
fn answers_of_a_prompty_are_those_of_prompt_flow() {
    let failed = |case: &Case| {
        let wanted = serde_json::from_value(case.rest["answer"].clone()).expect("this is an answer's form");
        let form = Form::new(Some(wanted), case.rest["parameters"].as_object().expect("parameters are an object"));
        let (reply, choice) = (&case.rest["reply"], &case.rest["reply"]["choices"][0]);
        let whole = || Ok(reply.clone());
        let value = match case.rest["api"].as_str() {
            Some("completion") => form.of_text(choice["text"].as_str().expect("a text"), whole),
            _ => {
                let reason = choice["finish_reason"].as_str().expect("a reason");
                form.of_message(&choice["message"], reason, whole)
            }
        };
        case.differs(&value.map(Outcome::Value))
    };
    check(include_str!("../../tests/fixtures/answers.json"), failed);
}

/// Tells all cases that fail at once.
#[track_caller]
fn check(cases: &str, failed: impl Fn(&Case) -> Option<String>) {
    let cases: Vec<Case> = serde_json::from_str(cases).expect("the fixtures are JSON");
    let faults: Vec<String> = cases.iter().filter_map(failed).collect();
    assert!(faults.is_empty(), "{} of {} cases\n{}", faults.len(), cases.len(), faults.join("\n"));
}

impl Case {
    /// How what came of a case is not as expected, if it is not.
    fn differs(&self, found: &Result<Outcome, NodeError>) -> Option<String> {
        let as_theirs = self.theirs.is(found);
        match &self.ours {
            Some(_) if as_theirs => Some(format!("{}: is prompt flow's; it needs no `ours`", self.name)),
            Some(ours) if !ours.is(found) => Some(format!("{}\n  {ours:?}\n  {found:?}", self.name)),
            None if !as_theirs => Some(format!("{}\n  {:?}\n  {found:?}", self.name, self.theirs)),
            _ => None,
        }
    }
}

impl Outcome {
    fn is(&self, found: &Result<Self, NodeError>) -> bool {
        match (self, found) {
            (Self::Error(Expected::Whole { code, message }), Err(error)) => {
                (code, message) == (&error.code, &error.message)
            }
            (Self::Error(Expected::Part { code, part }), Err(error)) => {
                code == &error.code && error.message.contains(part)
            }
            (Self::Request(expected) | Self::Value(expected), Ok(Self::Request(found) | Self::Value(found))) => {
                plain(expected.clone()) == plain(found.clone())
            }
            _ => false,
        }
    }
}

/// The request as one object, as prompt flow's client takes it.
fn as_sent(request: Request) -> Value {
    let mut sent = request.parameters.values;
    sent.insert("model".to_owned(), request.model.into());
    match request.question {
        Question::Chat(messages) => sent.insert("messages".to_owned(), messages.into()),
        Question::Completion(prompt) => sent.insert("prompt".to_owned(), prompt.into()),
    };
    if request.parameters.stream {
        sent.insert("stream".to_owned(), json!(true));
    }
    sent.into()
}

/// A value without what is unsaid or null, and with one kind of number.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let unsaid = |name: &str, value: &Value| UNSAID.contains(&(name, &*value.to_string()));
            let entries = entries.into_iter().map(|(name, value)| match value {
                Value::Number(number) if number.as_f64() == Some(0.0) => (name, json!(0)),
                Value::Number(number) if number.as_f64() == Some(1.0) => (name, json!(1)),
                value => (name, plain(value)),
            });
            entries.filter(|(name, value)| !value.is_null() && !unsaid(name, value)).collect()
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Number(number) => json!(number.as_f64()),
        other => other,
    }
}
