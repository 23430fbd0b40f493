//! Texts as Application Insights takes them: how long each may be, and values of attributes as texts. Pure.
//!
//! Its limits count UTF-16 units, as .NET does; every cut is between two characters.

use std::borrow::Cow;

use indexmap::IndexMap;
use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde::Serialize;

use crate::telemetry::names::semconv;

/// Longest key of a property or measurement.
const KEY: usize = 150;
/// Longest value of a property.
const VALUE: usize = 8 * 1024;
/// Longest value of a property that holds what a model was asked or has answered.
const CONTENT: usize = 256 * 1024;

/// Properties that hold such content.
const CONTENTS: [&str; 7] = [
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    semconv::EVALUATION_EXPLANATION,
];

/// The longest beginning of the text that has at most so many UTF-16 units and ends between two characters.
pub(super) fn cut(text: &str, units: usize) -> &str {
    // A character has at least as many bytes as units.
    if text.len() <= units {
        return text;
    }
    let mut count = 0;
    let end = text.char_indices().find(|(_, character)| {
        count += character.len_utf16();
        count > units
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// The same of a text that may have been made for the purpose.
pub(super) fn cut_cow(text: Cow<'_, str>, units: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text, units)),
        Cow::Owned(mut text) => {
            text.truncate(cut(&text, units).len());
            Cow::Owned(text)
        }
    }
}

/// Custom properties: what the portal calls custom dimensions.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Properties<'a>(IndexMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Properties<'a> {
    /// All attributes but those that a field carries.
    pub(super) fn of(attributes: &'a [KeyValue], carried: &[&str]) -> Self {
        let mut properties = Self::default();
        for KeyValue { key, value, .. } in attributes.iter().filter(|it| !carried.contains(&it.key.as_str())) {
            properties.add(key.as_str(), text(value));
        }
        properties
    }

    /// Adds a property, cut to what a property may be. Of two with the same key the later one counts.
    pub(super) fn add(&mut self, key: &'a str, value: impl Into<Cow<'a, str>>) {
        let limit = if CONTENTS.contains(&key) { CONTENT } else { VALUE };
        self.0.insert(self.key(key), cut_cow(value.into(), limit));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key, cut; if two are the same when they are cut, the later ones are numbered.
    fn key(&self, key: &'a str) -> Cow<'a, str> {
        let short = cut(key, KEY);
        if short.is_empty() {
            return Cow::Borrowed("_");
        }
        if short.len() == key.len() || !self.0.contains_key(short) {
            return Cow::Borrowed(short);
        }
        let numbered = |number: usize| {
            let end = format!("~{number}");
            format!("{}{end}", cut(short, KEY - end.len()))
        };
        let free = (2..=self.0.len() + 2).map(numbered).find(|key| !self.0.contains_key(key.as_str()));
        free.map_or(Cow::Borrowed(short), Cow::Owned)
    }
}

/// Numbers beside the properties.
pub(super) type Measurements<'a> = IndexMap<&'a str, f64>;

/// The attributes that are numbers.
pub(super) fn measurements(attributes: &[KeyValue]) -> Measurements<'_> {
    let number = |value: &Value| match value {
        #[expect(clippy::cast_precision_loss, reason = "a measurement is a double")]
        Value::I64(number) => Some(*number as f64),
        Value::F64(number) if number.is_finite() => Some(*number),
        _ => None,
    };
    attributes.iter().filter_map(|it| Some((cut(it.key.as_str(), KEY), number(&it.value)?))).collect()
}

/// The value of an attribute as prompt flow's users know it, truths in Python's spelling; lists are JSON, which KQL reads.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Bool(truth) => Cow::Borrowed(spelled(*truth)),
        Value::I64(number) => Cow::Owned(number.to_string()),
        Value::F64(number) => Cow::Owned(double(*number)),
        Value::Array(array) => Cow::Owned(list(array)),
        // Kinds that are yet to come have a text as well.
        other => Cow::Owned(other.to_string()),
    }
}

/// The same of a log record's.
pub(super) fn any_text(value: &AnyValue) -> Cow<'_, str> {
    match value {
        AnyValue::String(text) => Cow::Borrowed(text.as_str()),
        AnyValue::Boolean(truth) => Cow::Borrowed(spelled(*truth)),
        AnyValue::Int(number) => Cow::Owned(number.to_string()),
        AnyValue::Double(number) => Cow::Owned(double(*number)),
        other => Cow::Owned(json(other).to_string()),
    }
}

fn spelled(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// With a point or exponent, so that it is seen to be no whole number.
fn double(number: f64) -> String {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string(), |number| number.to_string())
}

fn list(array: &Array) -> String {
    fn written<T: Serialize>(items: &[T]) -> String {
        serde_json::to_string(items).unwrap_or_default()
    }
    match array {
        Array::Bool(items) => written(items),
        Array::I64(items) => written(items),
        Array::F64(items) => written(items),
        Array::String(items) => written(&items.iter().map(StringValue::as_str).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

fn json(value: &AnyValue) -> serde_json::Value {
    match value {
        AnyValue::Int(number) => (*number).into(),
        AnyValue::Double(number) => (*number).into(),
        AnyValue::String(text) => text.as_str().into(),
        AnyValue::Boolean(truth) => (*truth).into(),
        AnyValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        AnyValue::ListAny(items) => items.iter().map(json).collect(),
        AnyValue::Map(members) => {
            let mut members: Vec<_> = members.iter().map(|(key, value)| (key.to_string(), json(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            serde_json::Value::Object(members.into_iter().collect())
        }
        other => format!("{other:?}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(attributes: &[(&str, Value)], carried: &[&str]) -> Vec<(String, String)> {
        let attributes: Vec<_> =
            attributes.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let Properties(map) = Properties::of(&attributes, carried);
        map.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn a_cut_is_between_two_characters_and_counts_what_dotnet_counts() {
        for (text, units, expected) in [
            ("four", 4, "four"),
            ("fives", 4, "five"),
            ("grün!", 4, "grün"),
            ("漢字漢字", 3, "漢字漢"),
            ("🦀🦀🦀", 4, "🦀🦀"),
            ("🦀🦀", 3, "🦀"),
            ("🦀", 1, ""),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, units), expected, "{text} {units}");
            assert_eq!(cut_cow(Cow::Owned(text.to_owned()), units), expected, "{text} {units}");
        }
    }

    #[test]
    fn every_kind_of_value_has_a_text() {
        for (value, expected) in [
            (Value::from("a"), "a"),
            (Value::from(true), "True"),
            (Value::from(7), "7"),
            (Value::from(0.5), "0.5"),
            (Value::from(1.0), "1.0"),
            (Value::from(f64::NAN), "NaN"),
            (Value::Array(vec![StringValue::from("a\""), StringValue::from("b")].into()), r#"["a\"","b"]"#),
            (Value::Array(vec![true, false].into()), "[true,false]"),
            (Value::Array(vec![1_i64, 2].into()), "[1,2]"),
            (Value::Array(vec![1.5, f64::INFINITY].into()), "[1.5,null]"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_not_left_out() {
        let long = "ü".repeat(300_000);
        let (one, other) = ("k".repeat(150) + "1", "k".repeat(150) + "2");
        let found = properties(
            &[
                ("output", long.clone().into()),
                ("gen_ai.output.messages", long.clone().into()),
                (&one, "1".into()),
                (&other, "2".into()),
                ("", "3".into()),
                ("error.type", "carried".into()),
            ],
            &["error.type"],
        );
        let lengths: Vec<_> = found.iter().map(|(key, value)| (key.clone(), value.chars().count())).collect();
        let expected = [
            ("output".to_owned(), 8192),
            ("gen_ai.output.messages".to_owned(), 262_144),
            ("k".repeat(150), 1),
            ("k".repeat(148) + "~2", 1),
            ("_".to_owned(), 1),
        ];
        assert_eq!(lengths, expected);
    }

    #[test]
    fn numbers_are_measurements_too() {
        let attributes =
            [KeyValue::new("a", 1.5), KeyValue::new("b", 2), KeyValue::new("c", "3"), KeyValue::new("d", f64::NAN)];
        assert_eq!(measurements(&attributes), IndexMap::from([("a", 1.5), ("b", 2.0)]));
    }
}
