//! POST /feedback: the body becomes a span in the caller's trace. Any payload is taken.
//!
//! The span is the original's: attribute `feedback` with the raw body; with `?flatten=true` one attribute for each key of
//! a JSON object; and one for each entry of the caller's baggage.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use opentelemetry::{Array, KeyValue, StringValue, Value as Attribute};
use serde_json::{Map, Value};

use crate::server::App;
use crate::server::problem::Problem;
use crate::telemetry::propagation;

pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = app.bodies.feedback(&headers, body).await?;
    let text = String::from_utf8_lossy(&body);
    let parent = propagation::extract(&headers);
    let flatten = wants_flat(query.as_deref().unwrap_or_default());
    app.telemetry.feedback(&parent, attributes(&text, flatten));
    Ok(([(header::CONTENT_TYPE, "application/json")], r#"{"status": "Feedback received."}"#).into_response())
}

/// As the original reads it: `true` in any case; any other value, and anything else in the query, is no fault.
fn wants_flat(query: &str) -> bool {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().any(|(name, value)| name == "flatten" && value.eq_ignore_ascii_case("true"))
}

/// The attributes of the span: what the body says.
fn attributes(text: &str, flatten: bool) -> Vec<KeyValue> {
    let whole = || vec![KeyValue::new("feedback", text.to_owned())];
    if !flatten {
        return whole();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => flattened(members),
        Ok(other) => vec![KeyValue::new("feedback", attribute(other))],
        Err(error) => {
            tracing::warn!(%error, "feedback to be flattened is not JSON; it is kept as text");
            whole()
        }
    }
}

fn flattened(members: Map<String, Value>) -> Vec<KeyValue> {
    members.into_iter().map(|(key, member)| KeyValue::new(key, attribute(member))).collect()
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

    #[track_caller]
    fn check<const N: usize>(body: &str, flatten: bool, expected: [(&'static str, Attribute); N]) {
        assert_eq!(attributes(body, flatten), expected.map(|(key, value)| KeyValue::new(key, value)));
    }

    #[test]
    fn only_true_asks_for_a_flat_feedback() {
        let cases =
            [("", false), ("flatten=TRUE", true), ("a=b&flatten=true", true), ("flatten=1", false), ("flatten", false)];
        for (query, expected) in cases {
            assert_eq!(wants_flat(query), expected, "{query:?}");
        }
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
}
