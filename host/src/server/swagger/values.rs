//! The values of a flow as JSON Schema: what `/score` takes and what it answers.
//!
//! A type is documented as the original documents it, which is narrower than what is taken: `int` takes `"7"` as well,
//! see flow/types.rs. Two of its schemas were wrong and are not kept: items of a list are of any kind (it said objects),
//! and so are the answers of flows that declare no outputs.

use serde_json::{Map, Value, json};

use crate::flow::types::Type;
use crate::flow::value::Json;
use crate::flow::{Flow, FlowKind, Input, Output};

/// The body of `/score`: one property for each input. All are called required, also those with a default: what was
/// generated from the original's document gives them all.
pub(super) fn request(flow: &Flow) -> Value {
    if flow.inputs().is_empty() {
        return json!({"type": "object"});
    }
    let properties: Map<_, _> = flow.inputs().iter().map(|(name, given)| (name.clone(), input(given))).collect();
    let required: Vec<_> = flow.inputs().keys().collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// The JSON that `/score` answers.
pub(super) fn reply(flow: &Flow) -> Value {
    if flow.kind() != FlowKind::Dag {
        return json!({"description": "what the flow answers: any JSON value"});
    }
    let shown = flow.outputs().iter().filter(|(_, output)| !output.evaluation_only);
    // An output of a node that was bypassed is null.
    let may_bypass = flow.nodes().any(|(_, node)| node.activate.is_some());
    let properties: Map<_, _> = shown.map(|(name, shown)| (name.clone(), output(shown, may_bypass))).collect();
    if properties.is_empty() { json!({"type": "object"}) } else { json!({"type": "object", "properties": properties}) }
}

fn input(input: &Input) -> Value {
    let mut schema = input.kind.map_or_else(Map::new, of_type);
    if input.is_chat_history == Some(true) && input.kind == Some(Type::List) {
        schema.insert("items".to_owned(), json!({"type": "object", "additionalProperties": {}}));
    }
    if let Some(kind) = input.kind {
        // Tells an image from an object, and a secret from other text.
        schema.insert("x-promptflow-type".to_owned(), json!(kind.name()));
    }
    if let Some(description) = &input.description {
        schema.insert("description".to_owned(), json!(description));
    }
    if let Some(default) = input.default.as_ref().and_then(|default| shown_default(input, default)) {
        schema.insert("default".to_owned(), default);
    }
    schema.into()
}

fn output(output: &Output, may_be_null: bool) -> Value {
    let mut schema = of_type(output.kind);
    if may_be_null {
        schema.insert("nullable".to_owned(), json!(true));
    }
    if let Some(description) = &output.description {
        schema.insert("description".to_owned(), json!(description));
    }
    schema.into()
}

fn of_type(kind: Type) -> Map<String, Value> {
    let schema = match kind {
        Type::Int => json!({"type": "integer"}),
        Type::Double => json!({"type": "number"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::String | Type::PromptTemplate | Type::FilePath => json!({"type": "string"}),
        Type::Secret => json!({"type": "string", "format": "password"}),
        Type::List => json!({"type": "array", "items": {}}),
        Type::Object | Type::AssistantDefinition => json!({"type": "object", "additionalProperties": {}}),
        Type::Image => json!({"type": "object"}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// A default as the original shows it: not if Python takes it for false. Nor if it is of another type than the schema
/// says, which the flow may allow.
fn shown_default(input: &Input, default: &Json) -> Option<Value> {
    let default = match input.kind {
        Some(kind) => kind.coerce("", default).ok()?,
        None => default.clone(),
    };
    let value: Value = serde_json::from_str(default.as_str()).ok()?;
    let fits = match (input.kind, &value) {
        (None | Some(Type::Int | Type::Double), Value::Number(number)) => number.as_f64() != Some(0.0),
        (None | Some(Type::Bool), Value::Bool(value)) => *value,
        (None | Some(Type::String | Type::PromptTemplate | Type::FilePath), Value::String(text)) => !text.is_empty(),
        (Some(Type::List), Value::Array(items)) if input.is_chat_history == Some(true) => {
            !items.is_empty() && items.iter().all(Value::is_object)
        }
        (None | Some(Type::List), Value::Array(items)) => !items.is_empty(),
        (None | Some(Type::Object | Type::Image | Type::AssistantDefinition), Value::Object(members)) => {
            !members.is_empty()
        }
        // Not a secret's either: who reads the document may be anyone.
        _ => false,
    };
    fits.then_some(value)
}
