//! What a request gives a flow: the body of `/score` as the flow's inputs. Not how single values are read: see
//! types.rs.

use indexmap::IndexMap;

use super::images::ImageError;
use super::python;
use super::types::Type;
use super::value::{Json, Parsed};
use super::{Flow, FlowKind, Input, Needed};

/// Deepest nesting of a request body. Answers of models may go deeper; what a client sends has no reason to.
const MAX_DEPTH: usize = 64;

/// The values of a flow's inputs, complete and of their types, in the order the flow declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(IndexMap<String, Json>);

/// Why a request does not fit its flow: always the caller's to mend. Messages are prompt flow's, but hold no value and
/// no more of the request than the names the flow itself declares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error(
        "Promptflow executor received non json data, but there's more than 1 input fields, please use json request \
         data instead. ({problem})"
    )]
    NotJson { problem: String },
    #[error("the request body is not valid JSON: {problem}")]
    Unreadable { problem: String },
    #[error("the request body must be a JSON object with the flow's inputs: {}", list(.inputs))]
    NotAnObject { inputs: Vec<String> },
    #[error("the request body is not UTF-8 text")]
    NotText,
    #[error("Required input fields {} are missing in request data", list(.missing))]
    Missing { missing: Vec<String> },
    #[error(
        "The input for flow is incorrect. The value for flow input '{input}' is not provided in input data. Please review \
         your input data or remove this input in your flow if it's no longer needed."
    )]
    NotProvided { input: String },
    #[error(
        "The input for flow is incorrect. The value for flow input '{input}' does not match the expected type \
         '{}'. Please change flow input type or adjust the input value in your input data.", .expected.name()
    )]
    Type { input: String, expected: Type },
    #[error(
        "The input for flow is incorrect. The value for flow input '{input}' is not a finite number, which its type \
         'double' requires here. Please adjust the input value in your input data."
    )]
    NotFinite { input: String },
    #[error(
        "Failed to parse the flow input. The value for flow input '{input}' was interpreted as JSON string since its \
         type is '{}'. However, the value is invalid for JSON parsing. Error details: {problem}. Please make sure your \
         inputs are properly formatted.", .expected.name()
    )]
    Parse { input: String, expected: Type, problem: String },
    #[error("Failed to load image for input '{input}': ({}) {error}", .error.name())]
    Image { input: String, error: ImageError },
}

impl InputError {
    /// Prompt flow's name of the error: the innermost code of the reply and the `exception` of `flow_request`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "JsonPayloadRequiredForMultipleInputFields",
            Self::Unreadable { .. } | Self::NotAnObject { .. } | Self::NotText => "BadRequest",
            Self::Missing { .. } => "MissingRequiredFlowInput",
            Self::NotProvided { .. } => "InputNotFound",
            Self::Type { .. } | Self::NotFinite { .. } => "InputTypeError",
            Self::Parse { .. } => "InputParseError",
            Self::Image { .. } => "LoadMultimediaDataError",
        }
    }
}

impl Inputs {
    /// Reads a request body.
    ///
    /// A flow without inputs takes any body. A flow with exactly one takes text that is not JSON as that input.
    ///
    /// # Errors
    /// If the body does not give the flow what it needs.
    pub fn decode(flow: &Flow, body: &[u8]) -> Result<Self, InputError> {
        if flow.inputs().is_empty() {
            return Ok(Self::default());
        }
        Self::of_request(flow, &given(flow, body)?)
    }

    /// The inputs of a request that gives these values: of one that gives none, those of the flow's sample.
    ///
    /// # Errors
    /// If a value is missing or does not fit.
    pub fn of_request(flow: &Flow, given: &IndexMap<String, Json>) -> Result<Self, InputError> {
        let Some(sample) = flow.sample().filter(|_| given.is_empty()) else { return Self::new(flow, given) };
        if flow.kind() == FlowKind::Flex {
            // Prompt flow looks at what the entry needs before it looks for a sample.
            nothing_is_missing(flow, given)?;
        }
        Self::new(flow, sample)
    }

    /// Fills in defaults and brings every value to its declared type. Names the flow does not declare are ignored.
    ///
    /// # Errors
    /// If a value is missing or does not fit.
    pub fn new(flow: &Flow, given: &IndexMap<String, Json>) -> Result<Self, InputError> {
        nothing_is_missing(flow, given)?;
        let mut values = IndexMap::with_capacity(flow.inputs().len());
        for (name, input) in flow.inputs() {
            // One that need not be given and has no default is not there.
            let Some(value) = given.get(name).or(input.default.as_ref()) else {
                if input.needed == Needed::ByFile {
                    return Err(InputError::NotProvided { input: name.clone() });
                }
                continue;
            };
            let value = input.kind.map_or_else(|| Ok(value.clone()), |kind| kind.coerce(name, value))?;
            values.insert(name.clone(), value);
        }
        Ok(Self(values))
    }

    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// The same inputs with other values.
    pub(super) fn map(self, mut value: impl FnMut(&str, Json) -> Result<Json, InputError>) -> Result<Self, InputError> {
        let inputs = self.0.into_iter().map(|(name, old)| value(&name, old).map(|new| (name, new)));
        Ok(Self(inputs.collect::<Result<_, _>>()?))
    }

    /// All inputs as one object, as the flow's span shows them.
    pub fn to_json(&self) -> Json {
        Json::object(self.0.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

/// Whether all that each request must give is given.
fn nothing_is_missing(flow: &Flow, given: &IndexMap<String, Json>) -> Result<(), InputError> {
    let is_missing = |(name, input): &(&String, &Input)| input.needed == Needed::Yes && !given.contains_key(*name);
    let missing: Vec<_> = flow.inputs().iter().filter(is_missing).map(|(name, _)| name.clone()).collect();
    if missing.is_empty() { Ok(()) } else { Err(InputError::Missing { missing }) }
}

/// The values a body gives, by name.
fn given(flow: &Flow, body: &[u8]) -> Result<IndexMap<String, Json>, InputError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|_| InputError::NotText)?;
    match Json::parse_members(text, MAX_DEPTH) {
        Ok(Parsed::Object(members)) => Ok(members),
        Ok(Parsed::Null) => Ok(IndexMap::new()),
        Ok(Parsed::Other) => Err(InputError::NotAnObject { inputs: flow.inputs().keys().cloned().collect() }),
        Err(problem) => not_json(flow, text, problem.to_string()),
    }
}

fn not_json(flow: &Flow, text: &str, problem: String) -> Result<IndexMap<String, Json>, InputError> {
    // Prompt flow takes any text that is not JSON for the input, even half an object. JSON that only breaks our limits
    // is not such text.
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    match flow.inputs().keys().next() {
        _ if is_json => Err(InputError::Unreadable { problem }),
        // Prompt flow reads it as JSON. Taken for text it would be misread without a word.
        _ if python::is_json(text) => {
            let problem = "JSON has neither NaN nor Infinity; write null in their place".to_owned();
            Err(InputError::Unreadable { problem })
        }
        Some(name) if flow.inputs().len() == 1 => Ok(IndexMap::from([(name.clone(), Json::string(text))])),
        _ => Err(InputError::NotJson { problem }),
    }
}

/// As Python prints a list of names.
fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::flow;
    use super::*;

    const NONE: &str = "nodes: []\n";
    const ONE: &str = "inputs: {text: {type: string}}\nnodes: []\n";
    const MANY: &str = "
inputs:
  question: {type: string}
  chat_history: {type: list, default: []}
  n: {type: int, default: 3}
nodes: []
";

    /// `expected` is the inputs, or code and message of the refusal.
    #[track_caller]
    fn check(manifest: &str, body: &str, expected: &str) {
        let found = match Inputs::decode(&flow(manifest), body.as_bytes()) {
            Ok(inputs) => inputs.to_json().to_string(),
            Err(error) => format!("{}: {error}", error.code()),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_flow_without_inputs_ignores_the_body() {
        check(NONE, "not json [", "{}");
        check(NONE, r#"{"a":1}"#, "{}");
    }

    #[test]
    fn an_object_gives_inputs_by_name_and_defaults_fill_the_rest() {
        check(MANY, r#"{"other":1,"n":"7","question":"hi"}"#, r#"{"question":"hi","chat_history":[],"n":7}"#);
        check(MANY, "\u{feff}{\"question\":5}", r#"{"question":"5","chat_history":[],"n":3}"#);
    }

    #[test]
    fn null_is_an_empty_object() {
        check("inputs: {n: {type: int, default: 3}}\n", "null", r#"{"n":3}"#);
        check(ONE, "null", "MissingRequiredFlowInput: Required input fields ['text'] are missing in request data");
    }

    #[test]
    fn plain_text_is_the_one_input() {
        check(ONE, "hello there", r#"{"text":"hello there"}"#);
        check(ONE, "", r#"{"text":""}"#);
        check(ONE, r#"{"text": "#, r#"{"text":"{\"text\": "}"#);
    }

    #[test]
    fn plain_text_is_refused_where_there_are_more_inputs() {
        check(
            MANY,
            "hello",
            "JsonPayloadRequiredForMultipleInputFields: Promptflow executor received non json data, but there's more \
             than 1 input fields, please use json request data instead. (expected value at line 1 column 1)",
        );
    }

    #[test]
    fn json_that_is_no_object_is_refused() {
        for body in ["[1]", r#""hello""#, "5", "true"] {
            check(ONE, body, "BadRequest: the request body must be a JSON object with the flow's inputs: ['text']");
        }
    }

    #[test]
    fn json_past_our_limits_is_refused_and_not_taken_for_text() {
        let deep = format!(r#"{{"text":{}{}}}"#, "[".repeat(64), "]".repeat(64));
        check(ONE, &deep, "BadRequest: the request body is not valid JSON: nested deeper than 64 levels");
        check(
            ONE,
            r#"{"text":"\ud800"}"#,
            "BadRequest: the request body is not valid JSON: lone surrogate in a string at byte 9",
        );
    }

    #[test]
    fn what_only_python_takes_for_json_is_not_taken_for_text() {
        let refused = "BadRequest: the request body is not valid JSON: JSON has neither NaN nor Infinity; write null in their place";
        for body in [r#"{"text": NaN}"#, r#"{"text": [-Infinity, "NaN"]}"#, "[Infinity]"] {
            check(ONE, body, refused);
            check(MANY, body, refused);
        }
        check(ONE, "NaN", r#"{"text":"NaN"}"#);
        check(ONE, r#"{"text": "NaN"}"#, r#"{"text":"NaN"}"#);
        for text in ["{NaN}", "[1NaN]", "[-NaN]", "[NaNs]"] {
            check(ONE, text, &format!(r#"{{"text":"{text}"}}"#));
        }
        check(ONE, "is it {NaN or [Infinity]}?", r#"{"text":"is it {NaN or [Infinity]}?"}"#);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = Inputs::decode(&flow(ONE), b"\xff\xfe").unwrap_err();
        assert_eq!((error.code(), error), ("BadRequest", InputError::NotText));
    }

    #[test]
    fn missing_inputs_are_named_together_and_nothing_else_is() {
        check(
            "inputs: {a: {type: string}, b: {type: int}, c: {type: int, default: null}, d: {type: int, default: 1}}\n",
            r#"{"b":"s3cret"}"#,
            "MissingRequiredFlowInput: Required input fields ['a', 'c'] are missing in request data",
        );
    }

    #[test]
    fn a_given_null_is_not_missing_but_has_to_fit() {
        check(ONE, r#"{"text":null}"#, r#"{"text":"None"}"#);
        let error = Inputs::decode(&flow(MANY), br#"{"question":"q","n":null}"#).unwrap_err();
        assert_eq!(error, InputError::Type { input: "n".into(), expected: Type::Int });
    }
}
