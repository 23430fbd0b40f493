//! The form of an answer: an llm node's text or message, or what a prompty's front matter asks for.

use serde_json::{Map, Value};
use weir_sdk::NodeError;
use weir_template::python_str;

use crate::inputs::{Response, Wanted};

/// What becomes of a model's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The text of the first choice; its message, if it may hold calls of tools.
    Node { tools: bool },
    /// As [`Form::Node`], but the model decides which by what it answers; or more of the answer than that.
    Prompty {
        response: Response,
        /// The text is JSON, and is read.
        json: bool,
        /// Of the JSON, the keys to keep. If empty, all.
        outputs: Vec<String>,
    },
}

impl Form {
    pub(crate) fn new(wanted: Option<Wanted>, parameters: &Map<String, Value>) -> Self {
        let Some(Wanted { response, outputs, .. }) = wanted else {
            return Self::Node { tools: ["tools", "functions"].iter().any(|name| parameters.contains_key(*name)) };
        };
        let format = parameters.get("response_format").and_then(|format| format.get("type"));
        Self::Prompty {
            response,
            json: format.is_some_and(|kind| kind == "json_object"),
            outputs: outputs.unwrap_or_default(),
        }
    }

    /// Whether the answer is the text of the first choice, if that is what the model answers.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Node { .. } | Self::Prompty { response: Response::First, json: false, .. })
    }

    /// The answer to a chat.
    ///
    /// # Errors
    ///
    /// That of `whole`, and those of a text that is not the JSON that was asked for.
    pub(crate) fn of_message(
        &self,
        message: &Value,
        finish_reason: &str,
        whole: impl FnOnce() -> Result<Value, NodeError>,
    ) -> Result<Value, NodeError> {
        let content = message.get("content").unwrap_or(&Value::Null);
        match self {
            Self::Prompty { response: Response::All, .. } => whole(),
            Self::Node { tools: true } => Ok(whole_message(message)),
            // Prompt flow looks for `function_calls`, which no service says.
            Self::Prompty { .. } if matches!(finish_reason, "tool_calls" | "function_call") => {
                Ok(whole_message(message))
            }
            Self::Prompty { json: true, outputs, .. } => read_json(content.as_str().unwrap_or_default(), outputs),
            Self::Node { tools: false } | Self::Prompty { json: false, .. } => Ok(content.clone()),
        }
    }

    /// The answer to a completion.
    ///
    /// # Errors
    ///
    /// As [`of_message`](Self::of_message).
    pub(crate) fn of_text(
        &self,
        text: &str,
        whole: impl FnOnce() -> Result<Value, NodeError>,
    ) -> Result<Value, NodeError> {
        match self {
            Self::Prompty { response: Response::All, .. } => whole(),
            Self::Prompty { json: true, outputs, .. } => read_json(text, outputs),
            Self::Node { .. } | Self::Prompty { json: false, .. } => Ok(text.into()),
        }
    }
}

/// The JSON of an answer, and of an object the keys that are wanted.
fn read_json(text: &str, outputs: &[String]) -> Result<Value, NodeError> {
    let wrong = |what: String| NodeError::user("LLMError", format!("OpenAI API hits exception: {what}"));
    let answer: Value = serde_json::from_str(text).map_err(|error| wrong(format!("JSONDecodeError: {error}")))?;
    if outputs.is_empty() {
        return Ok(answer);
    }
    let Value::Object(answer) = answer else {
        return Err(wrong("the answer is JSON but no object, and so has none of the outputs".to_owned()));
    };
    let kept = outputs.iter().map(|key| Ok((key.clone(), answer.get(key).ok_or(key)?.clone())));
    let kept: Result<Map<_, _>, &String> = kept.collect();
    kept.map(Value::Object).map_err(|key| {
        let found = python_str(&answer.keys().cloned().collect());
        NodeError::user("InvalidOutputKeyError", format!("Cannot find {key} in response {found}"))
    })
}

/// The message object as the nodes of a prompt flow expect it: what the service leaves out is null.
fn whole_message(message: &Value) -> Value {
    let mut message = message.clone();
    if let Value::Object(message) = &mut message {
        for key in ["content", "role", "function_call", "tool_calls"] {
            message.entry(key).or_insert(Value::Null);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_message_has_nulls_for_what_is_left_out() {
        assert_eq!(
            whole_message(&json!({"role": "assistant", "tool_calls": [1]})),
            json!({"role": "assistant", "tool_calls": [1], "content": null, "function_call": null})
        );
    }

    #[test]
    fn json_of_a_node_stays_text() {
        let parameters = Map::from_iter([("response_format".to_owned(), json!({"type": "json_object"}))]);
        let message = json!({"role": "assistant", "content": "{}"});
        let whole = || unreachable!("a node has the first choice only");
        assert_eq!(Form::new(None, &parameters).of_message(&message, "stop", whole), Ok(json!("{}")));
    }
}
