//! Whether tools and functions, and the choice among them, have the shape that prompt flow asks for, in its words. What
//! a model may do with them is the service's to say.

use serde_json::{Map, Value};
use weir_sdk::NodeError;
use weir_template::{python_json, python_str};

const TOOLS: &str = "ChatAPIInvalidTools";
const FUNCTIONS: &str = "ChatAPIInvalidFunctions";

const TOOLS_HELP: &str = concat!(
    r#"Here is a valid tool example: {"type": "function", "function": {"name": "get_current_weather", "description": "#,
    r#""Get the current weather in a given location", "parameters": {"type": "object", "properties": {"location": "#,
    r#"{"type": "string", "description": "The city and state, e.g. San Francisco, CA"}, "unit": {"type": "string", "#,
    r#""enum": ["celsius", "fahrenheit"]}}, "required": ["location"]}}}. See more details at "#,
    "https://platform.openai.com/docs/api-reference/chat/create"
);

const FUNCTIONS_HELP: &str = concat!(
    r#"Here is a valid function example: {"name": "function_name", "parameters": {"type": "object", "properties": "#,
    r#"{"parameter_name": {"type": "integer", "description": "parameter_description"}}}, "description": "#,
    r#""function_description"}. See more details at "#,
    "https://platform.openai.com/docs/api-reference/chat/create#chat/create-functions ",
    "or view sample 'How to use functions with chat models' in our gallery."
);

const CHOICE_HELP: &str = concat!(
    r#"Here is a valid example: {"type": "function", "function": {"name": "my_function"}}. See the guide at "#,
    "https://platform.openai.com/docs/api-reference/chat/create."
);

const CALL_HELP: &str = concat!(
    r#"Here is a valid example: {"name": "function_name"}. See the guide at "#,
    "https://platform.openai.com/docs/api-reference/chat/create#chat/create-function_call ",
    "or view sample 'How to call functions with chat models' in our gallery."
);

/// Checks `tools` and `tool_choice`, and sets the default of the latter.
pub(super) fn check_tools(parameters: &mut Map<String, Value>) -> Result<(), NodeError> {
    let wrong = |what: String| Err(NodeError::user(TOOLS, format!("{what}. {TOOLS_HELP}")));
    let tools = match parameters.get("tools") {
        Some(Value::Array(tools)) if tools.is_empty() => return wrong("tools cannot be an empty list".to_owned()),
        Some(Value::Array(tools)) => tools,
        other => return wrong(format!("tools must be a list, but not {}", class(other.unwrap_or(&Value::Null)))),
    };
    for (i, tool) in tools.iter().enumerate() {
        let text = python_str(tool);
        let Value::Object(tool) = tool else { return wrong(format!("tool {i} '{text}' is not a dict")) };
        if let Some(key) = missing(tool, ["type", "function"]) {
            return wrong(format!("tool {i} '{text}' does not have '{key}' property"));
        }
        check_function(i, &tool["function"]).or_else(wrong)?;
    }
    check_choice(parameters.entry("tool_choice").or_insert("auto".into()))
}

/// Checks `functions` and `function_call`, and sets the default of the latter.
pub(super) fn check_functions(parameters: &mut Map<String, Value>) -> Result<(), NodeError> {
    let wrong = |what: String| Err(NodeError::user(FUNCTIONS, format!("{what}. {FUNCTIONS_HELP}")));
    match parameters.get("functions") {
        Some(Value::Array(functions)) if functions.is_empty() => {
            return wrong("functions cannot be an empty list".to_owned());
        }
        Some(Value::Array(functions)) => {
            for (i, function) in functions.iter().enumerate() {
                check_function(i, function).or_else(wrong)?;
            }
        }
        other => return wrong(format!("functions must be a list, but not {}", class(other.unwrap_or(&Value::Null)))),
    }
    check_call(parameters.entry("function_call").or_insert("auto".into()))
}

/// What is wrong with a function, if something is.
fn check_function(i: usize, function: &Value) -> Result<(), String> {
    let text = python_str(function);
    let Value::Object(function) = function else { return Err(format!("function {i} '{text}' is not a dict")) };
    if let Some(key) = missing(function, ["name", "parameters"]) {
        return Err(format!("function {i} '{text}' does not have '{key}' property"));
    }
    let name = python_str(&function["name"]);
    let text = python_str(&function["parameters"]);
    let no_schema = "should be described as a JSON Schema object";
    let Value::Object(parameters) = &function["parameters"] else {
        return Err(format!("function {i} '{name}' parameters '{text}' {no_schema}"));
    };
    if let Some(key) = missing(parameters, ["type", "properties"]) {
        return Err(format!("function {i} '{name}' parameters '{text}' does not have '{key}' property"));
    }
    if parameters["type"] != "object" {
        return Err(format!("function {i} '{name}' parameters 'type' should be 'object'"));
    }
    if !parameters["properties"].is_object() {
        return Err(format!("function {i} '{name}' parameters 'properties' {no_schema}"));
    }
    Ok(())
}

fn check_choice(choice: &Value) -> Result<(), NodeError> {
    let wrong = |what: String| Err(NodeError::user(TOOLS, format!("{what}. {CHOICE_HELP}")));
    let fields = match choice {
        // Prompt flow is older than `required`, and refuses it.
        Value::String(word) if matches!(&**word, "auto" | "none" | "required") => return Ok(()),
        Value::Object(fields) => fields,
        other => {
            let (text, class) = (python_str(other), class(other));
            return wrong(format!("tool_choice parameter '{text}' must be a dict, but not {class}"));
        }
    };
    if let Some(key) = missing(fields, ["type", "function"]) {
        return wrong(format!("tool_choice parameter {} must contain \"{key}\" field", python_json(choice)));
    }
    let function = &fields["function"];
    match function.as_object() {
        None => {
            let (text, class) = (python_str(function), class(function));
            wrong(format!("function parameter \"{text}\" in tool_choice must be a dict, but not {class}"))
        }
        Some(fields) if fields.contains_key("name") => Ok(()),
        Some(_) => {
            let text = python_json(function);
            wrong(format!("function parameter \"{text}\" in tool_choice must contain \"name\" field"))
        }
    }
}

fn check_call(call: &Value) -> Result<(), NodeError> {
    let wrong = |what: String| Err(NodeError::user(FUNCTIONS, format!("{what}. {CALL_HELP}")));
    match call {
        Value::String(word) if matches!(&**word, "auto" | "none") => Ok(()),
        Value::Object(fields) if fields.contains_key("name") => Ok(()),
        Value::Object(_) => wrong(format!("function_call parameter {} must contain \"name\" field", python_json(call))),
        other => {
            let (text, class) = (python_str(other), class(other));
            wrong(format!("function_call parameter '{text}' must be a dict, but not {class}"))
        }
    }
}

fn missing<const N: usize>(fields: &Map<String, Value>, keys: [&'static str; N]) -> Option<&'static str> {
    keys.into_iter().find(|key| !fields.contains_key(*key))
}

/// The class of a value, as Python prints it.
fn class(value: &Value) -> &'static str {
    match value {
        Value::Null => "<class 'NoneType'>",
        Value::Bool(_) => "<class 'bool'>",
        Value::Number(number) if number.is_f64() => "<class 'float'>",
        Value::Number(_) => "<class 'int'>",
        Value::String(_) => "<class 'str'>",
        Value::Array(_) => "<class 'list'>",
        Value::Object(_) => "<class 'dict'>",
    }
}
