//! Which inputs are parameters of the model, and in which form they go to it. All others are the template's variables.

use serde_json::{Map, Number, Value};
use weir_sdk::NodeError;

/// What a parameter must be. A flow file may have quoted it.
#[derive(Clone, Copy)]
enum Form {
    Float,
    Integer,
    Boolean,
    /// As it is.
    Any,
}

const COMMON: [(&str, Form); 10] = [
    ("temperature", Form::Float),
    ("top_p", Form::Float),
    ("n", Form::Integer),
    ("stream", Form::Any),
    ("stop", Form::Any),
    ("max_tokens", Form::Integer),
    ("presence_penalty", Form::Float),
    ("frequency_penalty", Form::Float),
    ("logit_bias", Form::Any),
    ("user", Form::Any),
];

const CHAT: [(&str, Form); 6] = [
    ("functions", Form::Any),
    ("function_call", Form::Any),
    ("tools", Form::Any),
    ("tool_choice", Form::Any),
    ("response_format", Form::Any),
    ("seed", Form::Integer),
];

const COMPLETION: [(&str, Form); 4] =
    [("suffix", Form::Any), ("logprobs", Form::Integer), ("echo", Form::Boolean), ("best_of", Form::Integer)];

/// Prompt flow sends these when a flow does not set them. A service's own defaults may differ.
const DEFAULTS: [(&str, f64); 2] = [("temperature", 1.0), ("top_p", 1.0)];

/// Prompt flow's default for completions.
const COMPLETION_MAX_TOKENS: u32 = 16;

/// Takes the parameters of a chat out of the inputs.
pub(crate) fn of_chat(inputs: &mut Map<String, Value>) -> Result<Map<String, Value>, NodeError> {
    let mut parameters = take(inputs, &CHAT)?;
    // Functions are the older form of tools; a choice without something to choose from is refused by the services.
    if parameters.contains_key("tools") {
        parameters.remove("functions");
    } else {
        parameters.remove("tool_choice");
    }
    if !parameters.contains_key("functions") {
        parameters.remove("function_call");
    }
    Ok(parameters)
}

/// Takes the parameters of a completion out of the inputs.
pub(crate) fn of_completion(inputs: &mut Map<String, Value>) -> Result<Map<String, Value>, NodeError> {
    let mut parameters = take(inputs, &COMPLETION)?;
    parameters.entry("max_tokens").or_insert(COMPLETION_MAX_TOKENS.into());
    Ok(parameters)
}

fn take(inputs: &mut Map<String, Value>, own: &[(&str, Form)]) -> Result<Map<String, Value>, NodeError> {
    let mut parameters = Map::new();
    for (name, form) in COMMON.iter().chain(own) {
        let Some(value) = inputs.shift_remove(*name).filter(is_set) else {
            continue;
        };
        if let Some(value) = in_form(name, value, *form)? {
            parameters.insert((*name).to_owned(), value);
        }
    }
    // Whether an answer is streamed is decided by who reads it.
    parameters.remove("stream");
    for (name, value) in DEFAULTS {
        parameters.entry(name).or_insert(value.into());
    }
    Ok(parameters)
}

/// A flow file writes `""` for "not set"; an empty list or object says no more.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The value in the form of its parameter; none if it means "no limit".
fn in_form(name: &str, value: Value, form: Form) -> Result<Option<Value>, NodeError> {
    let text = match &value {
        Value::String(text) => text.trim().to_lowercase(),
        other => other.to_string(),
    };
    let (value, expected) = match form {
        Form::Any => return Ok(Some(value)),
        Form::Integer if text == "inf" => return Ok(None),
        Form::Float => (text.parse().ok().and_then(Number::from_f64).map(Value::from), "a number"),
        Form::Integer => (integer(&text).map(Value::from), "a whole number"),
        Form::Boolean => (text.parse::<bool>().ok().map(Value::from), "true or false"),
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => Err(NodeError::user("InvalidInputs", format!("input {name:?}: expected {expected}"))),
    }
}

fn integer(text: &str) -> Option<i64> {
    let whole = text
        .split_once('.')
        .map_or(text, |(whole, rest)| if rest.trim_end_matches('0').is_empty() { whole } else { text });
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Take = fn(&mut Map<String, Value>) -> Result<Map<String, Value>, NodeError>;

    #[track_caller]
    fn check(take: Take, inputs: Value, expected: &Value) {
        let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
        let parameters = take(&mut inputs).expect("these parameters fit");
        assert_eq!(&json!({"parameters": parameters, "variables": inputs}), expected);
    }

    #[test]
    fn what_is_no_parameter_is_a_variable() {
        check(
            of_chat,
            json!({"temperature": 0.5, "question": "why", "echo": true, "seed": 7}),
            &json!({
                "parameters": {"temperature": 0.5, "top_p": 1.0, "seed": 7},
                "variables": {"question": "why", "echo": true},
            }),
        );
    }

    #[test]
    fn quoted_numbers_are_numbers() {
        check(
            of_completion,
            json!({"temperature": "0.7", "top_p": 1, "max_tokens": "256", "n": 1.0, "logprobs": "2", "echo": "True"}),
            &json!({
                "parameters": {
                    "temperature": 0.7, "top_p": 1.0, "max_tokens": 256, "n": 1, "logprobs": 2, "echo": true,
                },
                "variables": {},
            }),
        );
    }

    #[test]
    fn empty_values_are_not_set() {
        check(
            of_chat,
            json!({
                "temperature": null, "stop": "", "max_tokens": "inf", "logit_bias": {}, "tools": [], "stream": true,
                "tool_choice": "auto", "function_call": "auto",
            }),
            &json!({"parameters": {"temperature": 1.0, "top_p": 1.0}, "variables": {}}),
        );
    }

    #[test]
    fn tools_replace_functions() {
        check(
            of_chat,
            json!({"tools": [{}], "tool_choice": "auto", "functions": [{}], "function_call": "none"}),
            &json!({
                "parameters": {"tools": [{}], "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0},
                "variables": {},
            }),
        );
    }

    #[track_caller]
    fn check_error(inputs: Value, expected: &str) {
        let Value::Object(mut inputs) = inputs else { panic!("inputs are an object") };
        assert_eq!(of_chat(&mut inputs), Err(NodeError::user("InvalidInputs", expected)));
    }

    #[test]
    fn a_value_of_another_form_is_refused() {
        check_error(json!({"temperature": "warm"}), r#"input "temperature": expected a number"#);
        check_error(json!({"max_tokens": 1.5}), r#"input "max_tokens": expected a whole number"#);
        check_error(json!({"seed": true}), r#"input "seed": expected a whole number"#);
    }
}
