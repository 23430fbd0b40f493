//! What a feedback says, as attributes of its span: the original's, within bounds.
//!
//! Attribute `feedback` with the raw body; with `?flatten=true` one attribute for each key of a JSON object. What does not
//! fit into one attribute goes on in `feedback.1`, `feedback.2` and so on; what is left out is counted.

use opentelemetry::{Array, KeyValue, StringValue, Value as Attribute};
use serde_json::{Map, Value};

use crate::telemetry::feedback::{VALUE_BYTES, attribute_key, attribute_value, cut_value};
use crate::telemetry::names::attribute::{FEEDBACK, FEEDBACK_TRUNCATED};

/// Keys of a flattened feedback that become attributes. The rest is counted.
const MAX_KEYS: usize = 64;

/// `json`: what the text says, if it is JSON.
pub fn of(text: &str, json: Option<Value>, flatten: bool) -> Vec<KeyValue> {
    match json {
        _ if !flatten => whole(text),
        Some(Value::Object(members)) => flattened(members),
        Some(Value::String(text)) => whole(&text),
        Some(other) => match bounded(attribute(other)) {
            // What it says is as long as its text.
            Attribute::String(_) => whole(text),
            value => vec![KeyValue::new(FEEDBACK, value)],
        },
        None => {
            tracing::warn!("feedback to be flattened is not JSON; it is kept as text");
            whole(text)
        }
    }
}

/// The text in as many attributes as it takes.
fn whole(text: &str) -> Vec<KeyValue> {
    let first = cut_value(text, VALUE_BYTES);
    let mut attributes = vec![KeyValue::new(FEEDBACK, first.to_owned())];
    let mut rest = &text[first.len()..];
    while !rest.is_empty() {
        let part = cut_value(rest, VALUE_BYTES);
        attributes.push(KeyValue::new(format!("{FEEDBACK}.{}", attributes.len()), part.to_owned()));
        rest = &rest[part.len()..];
    }
    attributes
}

fn flattened(members: Map<String, Value>) -> Vec<KeyValue> {
    let truncated = members.len().saturating_sub(MAX_KEYS);
    let members = members.into_iter().take(MAX_KEYS);
    let mut attributes: Vec<KeyValue> =
        members.map(|(key, member)| KeyValue::new(attribute_key(&key), bounded(attribute(member)))).collect();
    if truncated > 0 {
        attributes.push(KeyValue::new(FEEDBACK_TRUNCATED, i64::try_from(truncated).unwrap_or(i64::MAX)));
    }
    attributes
}

fn bounded(value: Attribute) -> Attribute {
    match value {
        Attribute::String(text) => attribute_value(text.into()).into(),
        Attribute::Array(items) => {
            let text = items.to_string();
            if text.len() > VALUE_BYTES { attribute_value(text).into() } else { Attribute::Array(items) }
        }
        other => other,
    }
}

/// Text, number and truth are kept; a list of one kind becomes an array; everything else its JSON text.
fn attribute(value: Value) -> Attribute {
    match value {
        Value::String(text) => text.into(),
        Value::Bool(boolean) => boolean.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(double)) => double.into(),
            (None, None) => number.to_string().into(),
        },
        Value::Array(items) => array(items),
        other @ (Value::Object(_) | Value::Null) => other.to_string().into(),
    }
}

/// Arrays of an attribute hold one kind of value. A mixed list, which the original loses, is kept as its JSON text.
fn array(items: Vec<Value>) -> Attribute {
    if let Some(booleans) = all(&items, Value::as_bool) {
        return Attribute::Array(Array::Bool(booleans));
    }
    if let Some(integers) = all(&items, Value::as_i64) {
        return Attribute::Array(Array::I64(integers));
    }
    if let Some(doubles) = all(&items, Value::as_f64) {
        return Attribute::Array(Array::F64(doubles));
    }
    if let Some(texts) = all(&items, as_text) {
        return Attribute::Array(Array::String(texts));
    }
    Value::Array(items).to_string().into()
}

/// All items by the same conversion, if it fits all of them and there are any.
fn all<T>(items: &[Value], convert: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let converted: Option<Vec<T>> = items.iter().map(convert).collect();
    converted.filter(|converted| !converted.is_empty())
}

fn as_text(item: &Value) -> Option<StringValue> {
    match item {
        Value::String(text) => Some(text.clone().into()),
        Value::Object(_) | Value::Null => Some(item.to_string().into()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, flatten: bool) -> Vec<KeyValue> {
        of(body, serde_json::from_str(body).ok(), flatten)
    }

    #[track_caller]
    fn check<const N: usize>(body: &str, flatten: bool, expected: [(&'static str, Attribute); N]) {
        assert_eq!(read(body, flatten), expected.map(|(key, value)| KeyValue::new(key, value)));
    }

    #[test]
    fn any_body_is_kept_as_it_came() {
        check("{\"thumb\": \"up\"}", false, [("feedback", "{\"thumb\": \"up\"}".into())]);
        check("", false, [("feedback", "".into())]);
        check("good", true, [("feedback", "good".into())]);
    }

    #[test]
    fn a_flattened_body_is_one_attribute_a_key() {
        check("\"good\"", true, [("feedback", "good".into())]);
        check("3", true, [("feedback", 3.into())]);
        check("null", true, [("feedback", "null".into())]);
        check("[true]", true, [("feedback", Attribute::Array(Array::Bool(vec![true])))]);
        check("[1, \"a\"]", true, [("feedback", "[1, \"a\"]".into())]);
        check(
            r#"{"s": "a", "n": 1.5, "b": true, "o": {"x": 1}, "z": null, "l": ["a", "b"], "m": [1, "a"], "e": []}"#,
            true,
            [
                ("s", "a".into()),
                ("n", 1.5.into()),
                ("b", true.into()),
                ("o", "{\"x\":1}".into()),
                ("z", "null".into()),
                ("l", Attribute::Array(Array::String(vec!["a".into(), "b".into()]))),
                ("m", "[1,\"a\"]".into()),
                ("e", "[]".into()),
            ],
        );
    }

    #[test]
    fn keys_beyond_the_bound_are_counted() {
        for (keys, rest) in [(64, None), (65, Some(1)), (5000, Some(4936))] {
            let members: Vec<String> = (0..keys).map(|n| format!("\"k{n}\": {n}")).collect();
            let attributes = read(&format!("{{{}}}", members.join(",")), true);
            assert_eq!(attributes[63], KeyValue::new("k63", 63));
            let expected = rest.map(|rest| KeyValue::new("feedback.truncated_keys", rest));
            assert_eq!(attributes.get(64), expected.as_ref());
            assert!(attributes.len() <= 65);
        }
    }

    #[test]
    fn keys_that_are_taken_are_moved() {
        let body = r#"{"service.name": "x", "": 1, "feedback.id": 2, "feedback": 3, "a\nb": 4}"#;
        check(
            body,
            true,
            [
                ("feedback.service.name", "x".into()),
                ("feedback.", 1.into()),
                ("feedback.feedback.id", 2.into()),
                ("feedback", 3.into()),
                ("a\\nb", 4.into()),
            ],
        );
    }

    #[test]
    fn a_long_body_goes_on_in_further_attributes_and_none_ends_within_a_character() {
        for text in ["x", "é", "漢", "😀", "e\u{301}", "\u{0}", "\u{fffd}"] {
            for begin in 0..4 {
                let body = "a".repeat(begin) + &text.repeat(65_536 / text.len());
                let attributes = read(&body, false);
                let names: Vec<&str> = attributes.iter().map(|it| it.key.as_str()).collect();
                assert_eq!(names[..3], ["feedback", "feedback.1", "feedback.2"]);
                let parts: Vec<String> = attributes.iter().map(|it| it.value.to_string()).collect();
                assert!(parts.iter().all(|part| part.len() <= VALUE_BYTES));
                assert_eq!(parts.concat(), body);
            }
        }
    }

    #[test]
    fn a_long_member_is_cut_and_a_long_list_is_cut_as_text() {
        let (text, list) = ("é".repeat(4001), vec!["a"; 4000]);
        let body = serde_json::json!({"t": text, "l": list}).to_string();
        for attribute in read(&body, true) {
            let Attribute::String(value) = attribute.value else { panic!("not a text: {attribute:?}") };
            assert!(value.as_str().len() <= VALUE_BYTES && value.as_str().ends_with(" bytes]"), "{value}");
        }
        let list = serde_json::json!(list).to_string();
        let parts: Vec<String> = read(&list, true).iter().map(|it| it.value.to_string()).collect();
        assert_eq!(parts.concat(), list);
    }
}
