//! From the JSON text of a run's inputs to the type the node asks for, and the words when it does not fit. The words
//! name the input and what was expected; they never repeat the value, which may be a secret of another node.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::error::NodeError;
use crate::raw::describe;

/// What a node may take as its inputs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the inputs of a node",
    label = "lacks `Deserialize` or `JsonSchema`",
    note = "put `#[weir_sdk::data]` on its type"
)]
pub trait NodeInputs: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> NodeInputs for T {}

/// What is known of a type because it is [`NodeInputs`].
pub struct InputsType<I> {
    pub(super) parse: fn(&str) -> Result<I, NodeError>,
    pub(super) schema: fn() -> Schema,
}

/// Here alone a type must be [`NodeInputs`].
pub fn inputs<I: NodeInputs>() -> InputsType<I> {
    InputsType { parse, schema: || describe::schema::<I>(SchemaSettings::draft2020_12().for_deserialize()) }
}

/// Reads the inputs of a run.
fn parse<I: NodeInputs>(text: &str) -> Result<I, NodeError> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| NodeError::user("InvalidInputs", explain(error.path(), &error.inner().to_string())))
}

/// `serde` says `invalid type: string "x", expected u32 at line 1 column 9`; a person wants
/// `input "times": expected u32, found a string`.
fn explain(path: &Path, message: &str) -> String {
    let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
    let input = name(path);
    if let Some(field) = quoted_after(message, "missing field ") {
        return match input {
            Some(input) => format!("input {input:?}: field {field:?} is missing"),
            None => format!("input {field:?} is missing"),
        };
    }
    let message = without_value(message);
    match input {
        Some(input) => format!("input {input:?}: {message}"),
        None => format!("inputs: {message}"),
    }
}

/// The path as a person writes it: `history[0].question`. None for the inputs as a whole.
fn name(path: &Path) -> Option<String> {
    let text = path.to_string();
    let known = path.iter().any(|segment| !matches!(segment, Segment::Unknown));
    known.then_some(text)
}

/// `text` in "…`text`…" right after `start`.
fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.strip_prefix('`')?.strip_suffix('`')
}

fn without_value(message: &str) -> String {
    let Some((fault, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    if fault.starts_with("unknown variant") {
        return format!("expected {expected}");
    }
    let Some(found) = fault.strip_prefix("invalid type: ").or_else(|| fault.strip_prefix("invalid value: ")) else {
        return message.to_owned();
    };
    format!("expected {expected}, found {}", json_word(found))
}

/// What JSON calls a thing that serde calls `sequence`, `` integer `5` `` or `string "x"`.
fn json_word(found: &str) -> &'static str {
    match found.split([' ', ',']).next() {
        Some("boolean") => "a boolean",
        Some("integer" | "floating") => "a number",
        Some("string" | "character") => "a string",
        Some("sequence") => "a list",
        Some("map") => "an object",
        Some("null" | "unit" | "Option") => "null",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use crate::data;

    use super::*;

    #[data]
    #[derive(Debug, PartialEq)]
    struct Inputs {
        text: String,
        times: Option<u32>,
        #[serde(default)]
        history: Vec<Turn>,
    }

    #[data]
    #[derive(Debug, PartialEq)]
    struct Turn {
        role: Role,
    }

    #[data]
    #[derive(Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Role {
        User,
        System,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = parse::<Inputs>(text).expect_err("these inputs do not fit");
        assert_eq!(error, NodeError::user("InvalidInputs", expected));
    }

    #[test]
    fn an_optional_input_may_be_absent() {
        let inputs: Inputs = parse(r#"{"text": "a", "more": 1}"#).expect("these inputs fit");
        assert_eq!(inputs, Inputs { text: "a".to_owned(), times: None, history: vec![] });
    }

    #[test]
    fn a_missing_input_is_named() {
        check("{}", r#"input "text" is missing"#);
        check(r#"{"text": "a", "history": [{}]}"#, r#"input "history[0]": field "role" is missing"#);
    }

    #[test]
    fn a_wrong_type_names_the_input_and_what_was_expected_but_not_the_value() {
        check(r#"{"text": 987654}"#, r#"input "text": expected a string, found a number"#);
        check(r#"{"text": "a", "times": "many"}"#, r#"input "times": expected u32, found a string"#);
        check(r#"{"text": "a", "times": -1}"#, r#"input "times": expected u32, found a number"#);
        check(r#"{"text": null}"#, r#"input "text": expected a string, found null"#);
        check(r#"{"text": "a", "history": {}}"#, r#"input "history": expected a sequence, found an object"#);
    }

    #[test]
    fn an_unknown_variant_lists_the_known_ones() {
        check(
            r#"{"text": "a", "history": [{"role": "secret"}]}"#,
            r#"input "history[0].role": expected `user` or `system`"#,
        );
    }

    #[test]
    fn inputs_that_are_no_object_are_refused() {
        check("7", "inputs: expected struct Inputs, found a number");
    }
}
