//! From the JSON text that the host hands over to the type the node asks for, and the words when it does not fit. The
//! words name the value and what was expected; they never repeat the value, which may be a secret of another node.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::error::NodeError;

/// What the host hands over as JSON text.
#[derive(Clone, Copy)]
pub(crate) enum Given {
    /// The inputs of a run: the caller's to mend.
    Inputs,
    /// What the flow was initialised with: the operator's to mend.
    Init,
}

impl Given {
    /// What it is called as a whole, and one value of it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Inputs => ("inputs", "input"),
            Self::Init => ("init", "init value"),
        }
    }

    fn refused(self, message: String) -> NodeError {
        match self {
            Self::Inputs => NodeError::user("InvalidInputs", message),
            Self::Init => NodeError::system("InvalidInit", message),
        }
    }
}

/// Reads what was given.
pub(crate) fn fit<T: DeserializeOwned>(given: Given, text: &str) -> Result<T, NodeError> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| given.refused(explain(given, error.path(), &error.inner().to_string())))
}

/// `serde` says `invalid type: string "x", expected u32 at line 1 column 9`; a person wants
/// `input "times": expected u32, found a string`.
fn explain(given: Given, path: &Path, message: &str) -> String {
    let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
    let (all, one) = given.names();
    let name = name(path);
    if let Some(field) = quoted_after(message, "missing field ") {
        return match name {
            Some(name) => format!("{one} {name:?}: field {field:?} is missing"),
            None => format!("{one} {field:?} is missing"),
        };
    }
    let message = without_value(message);
    match name {
        Some(name) => format!("{one} {name:?}: {message}"),
        None => format!("{all}: {message}"),
    }
}

/// The path as a person writes it: `history[0].question`. None for the whole.
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
        let error = fit::<Inputs>(Given::Inputs, text).expect_err("these inputs do not fit");
        assert_eq!(error, NodeError::user("InvalidInputs", expected));
    }

    #[test]
    fn an_optional_input_may_be_absent() {
        let inputs: Inputs = fit(Given::Inputs, r#"{"text": "a", "more": 1}"#).expect("these inputs fit");
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

    #[test]
    fn init_that_does_not_fit_is_not_the_callers_fault() {
        let refused = |text| fit::<Inputs>(Given::Init, text).expect_err("this does not fit");
        assert_eq!(refused("{}"), NodeError::system("InvalidInit", r#"init value "text" is missing"#));
        let wrong = r#"init value "times": expected u32, found a string"#;
        assert_eq!(refused(r#"{"text": "a", "times": "9"}"#), NodeError::system("InvalidInit", wrong));
    }
}
