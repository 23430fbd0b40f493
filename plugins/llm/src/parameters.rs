//! Which inputs are parameters of the model, and in which form they go to it. All others are the template's variables.
//! Whether tools and functions have the shape that prompt flow asks for is in parameters/tools.rs.

mod tools;

use serde_json::{Map, Number, Value, json};
use weir_sdk::NodeError;

use crate::inputs::Api;

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

/// Of the tools for models that see: what they do not have is a variable there.
const VISION: [(&str, Form); 9] = [
    ("temperature", Form::Float),
    ("top_p", Form::Float),
    ("stream", Form::Any),
    ("stop", Form::Any),
    ("max_tokens", Form::Integer),
    ("presence_penalty", Form::Float),
    ("frequency_penalty", Form::Float),
    ("seed", Form::Integer),
    ("detail", Form::Any),
];

/// Prompt flow sends these when a flow does not set them. A service's own defaults may differ.
const DEFAULTS: [(&str, f64); 2] = [("temperature", 1.0), ("top_p", 1.0)];

/// Prompt flow's default for completions.
const COMPLETION_MAX_TOKENS: u32 = 16;

/// How closely a model may look at images; the first is the default.
const DETAILS: [&str; 3] = ["auto", "low", "high"];

/// The parameters of a request, and what the host must know of them.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameters {
    /// As they go to the service.
    pub(crate) values: Map<String, Value>,
    /// `tools` or `functions` are among them.
    pub(crate) tools: bool,
    /// `functions` were given, even if `tools` replace them.
    pub(crate) functions: bool,
    /// `stream` was set. Only prompties need it to stream; elsewhere it is decided by who reads the answer.
    pub(crate) stream: bool,
    /// How closely the model looks at images.
    pub(crate) detail: &'static str,
}

/// Takes the parameters of a chat out of the inputs.
pub(crate) fn of_chat(inputs: &mut Map<String, Value>, azure: bool) -> Result<Parameters, NodeError> {
    let mut parameters = Parameters::new(take(inputs, &[&COMMON, &CHAT])?);
    parameters.set_defaults();
    parameters.functions = parameters.values.contains_key("functions");
    let values = &mut parameters.values;
    // Functions are the older form of tools; a choice without something to choose from is refused by the services.
    if values.contains_key("tools") {
        values.shift_remove("functions");
        // Prompt flow asks no more of tools for OpenAI than OpenAI does.
        if azure {
            tools::check_tools(values)?;
        }
    } else {
        values.shift_remove("tool_choice");
    }
    if values.contains_key("functions") {
        tools::check_functions(values)?;
    } else {
        values.shift_remove("function_call");
    }
    Ok(parameters.with_tools())
}

/// Takes the parameters of a completion out of the inputs.
pub(crate) fn of_completion(inputs: &mut Map<String, Value>) -> Result<Parameters, NodeError> {
    let mut parameters = Parameters::new(take(inputs, &[&COMMON, &COMPLETION])?);
    parameters.set_defaults();
    parameters.values.entry("max_tokens").or_insert(COMPLETION_MAX_TOKENS.into());
    Ok(parameters)
}

/// Takes the parameters of a tool for models that see out of the inputs.
pub(crate) fn of_vision(inputs: &mut Map<String, Value>) -> Result<Parameters, NodeError> {
    let mut parameters = Parameters::new(take(inputs, &[&VISION])?);
    parameters.set_defaults();
    let values = &mut parameters.values;
    values.insert("n".to_owned(), 1.into());
    for name in ["presence_penalty", "frequency_penalty"] {
        values.entry(name).or_insert(0.0.into());
    }
    if let Some(detail) = values.shift_remove("detail") {
        let known = DETAILS.into_iter().find(|known| detail == *known);
        parameters.detail = known.ok_or_else(|| {
            NodeError::user(
                "InvalidInputs",
                format!("input \"detail\": expected one of auto, low and high, found {detail}"),
            )
        })?;
    }
    Ok(parameters)
}

/// The parameters of a prompty: any, as they are, without defaults. Without a list of their own they are those of the
/// inputs that have the names of parameters. If they are `overridden`, inputs of such names come before them, in the form
/// that a flow file's parameters have.
pub(crate) fn of_prompty(
    given: Option<Map<String, Value>>,
    overridden: bool,
    api: Api,
    inputs: &mut Map<String, Value>,
) -> Result<Parameters, NodeError> {
    let own: &[_] = match api {
        Api::Chat => &CHAT,
        Api::Completion => &COMPLETION,
    };
    let mut known: Vec<_> = COMMON.iter().chain(own).copied().collect();
    let values = match given {
        Some(mut values) if overridden => {
            let more = values.keys().filter(|name| known.iter().all(|(known, _)| known != name));
            let more: Vec<_> = more.cloned().collect();
            known.extend(more.iter().map(|name| (name.as_str(), Form::Any)));
            override_by(inputs, &known, &mut values)?;
            values
        }
        Some(values) => values,
        None => known.iter().filter_map(|(name, _)| inputs.shift_remove_entry(*name)).collect(),
    };
    let mut parameters = Parameters::new(values);
    let values = &mut parameters.values;
    values.retain(|_, value| !value.is_null());
    if values.contains_key("tools") {
        tools::check_tools(values)?;
    } else if values.contains_key("functions") {
        tools::check_functions(values)?;
    }
    Ok(parameters.with_tools())
}

impl Parameters {
    fn new(mut values: Map<String, Value>) -> Self {
        let stream = values.shift_remove("stream");
        let is_true =
            |value: Value| value == json!(true) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        Self { values, tools: false, functions: false, stream: stream.is_some_and(is_true), detail: DETAILS[0] }
    }

    fn set_defaults(&mut self) {
        for (name, value) in DEFAULTS {
            self.values.entry(name).or_insert(value.into());
        }
    }

    fn with_tools(mut self) -> Self {
        self.tools = ["tools", "functions"].iter().any(|name| self.values.contains_key(*name));
        self
    }
}

/// Puts inputs in place of parameters. One that is not set leaves the parameter as it is.
fn override_by(
    inputs: &mut Map<String, Value>,
    known: &[(&str, Form)],
    values: &mut Map<String, Value>,
) -> Result<(), NodeError> {
    for (name, form) in known {
        let Some(value) = inputs.shift_remove(*name).filter(is_set) else { continue };
        match in_form(name, value, *form)? {
            Some(value) => _ = values.insert((*name).to_owned(), value),
            None => _ = values.shift_remove(*name),
        }
    }
    Ok(())
}

fn take(inputs: &mut Map<String, Value>, own: &[&[(&str, Form)]]) -> Result<Map<String, Value>, NodeError> {
    let mut parameters = Map::new();
    for (name, form) in own.iter().copied().flatten() {
        let Some(value) = inputs.shift_remove(*name).filter(is_set) else {
            continue;
        };
        if let Some(value) = in_form(name, value, *form)? {
            parameters.insert((*name).to_owned(), value);
        }
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
mod tests;
