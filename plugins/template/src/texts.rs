//! Texts in the form of OpenAI's messages, as flows of the form `openai-vision` have them among their values.

use std::mem;

use serde_json::{Map, Value};

/// Puts the text in place of each object that stands for one, however deep: `{"type": "text", "text": "…"}` or
/// `{"type": "text", "text": {"value": "…", …}}`, and nothing beside.
pub fn unwrap_texts(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unwrap_texts),
        Value::Object(entries) => match text(entries) {
            Some(text) => *value = Value::String(mem::take(text)),
            None => entries.values_mut().for_each(unwrap_texts),
        },
        _ => {}
    }
}

fn text(entries: &mut Map<String, Value>) -> Option<&mut String> {
    let is_text = entries.len() == 2 && entries.get("type").is_some_and(|kind| kind == "text");
    match entries.get_mut("text").filter(|_| is_text)? {
        Value::String(text) => Some(text),
        Value::Object(text) => match text.get_mut("value")? {
            Value::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_that_are_texts_become_texts() {
        let mut value = json!([
            {"type": "text", "text": "a"},
            {"deep": [{"type": "text", "text": {"value": "b", "annotations": [1]}}]},
            {"type": "text", "text": "c", "more": 1},
            {"type": "text", "text": 5},
            {"type": "text", "text": {"value": null}},
            {"type": "image_url", "text": "d"},
        ]);
        let mut expected = value.clone();
        (expected[0], expected[1]["deep"][0]) = (json!("a"), json!("b"));
        unwrap_texts(&mut value);
        assert_eq!(value, expected);
    }
}
