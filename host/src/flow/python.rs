//! What Python makes of a JSON value: `str()`, `repr()` and `==`, which prompt flow's inputs and conditions are
//! defined by; and what it takes for JSON. Not a Python of any other kind.

use super::value::{Json, View, view};

/// Python's `str()` of the value.
pub fn str(value: &Json) -> String {
    match value.view() {
        View::Text(text) => text,
        _ => repr(value.as_str()),
    }
}

/// Python's `json.dumps()` of the value.
pub(super) fn dumps(value: &Json) -> String {
    dumps_text(value.as_str())
}

/// Python's `a == b`: numbers and booleans by their value, strings never equal to numbers, objects in any order.
pub fn equal(a: &Json, b: &Json) -> bool {
    equal_texts(a.as_str(), b.as_str())
}

/// Whether Python takes the text for an object or a list of JSON although it is none: for the bare words that it writes
/// for numbers that JSON does not have.
pub(super) fn is_json(text: &str) -> bool {
    if !text.trim_start().starts_with(['{', '[']) || !(text.contains("NaN") || text.contains("Infinity")) {
        return false;
    }
    let (mut json, mut rest, mut quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(character) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word));
        let length = match (character, word) {
            (_, Some(word)) => word.len(),
            // With what it escapes.
            ('\\', None) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => character.len_utf8(),
        };
        quoted ^= character == '"';
        json.push_str(if word.is_some() { "null" } else { &rest[..length] });
        rest = &rest[length..];
    }
    serde_json::from_str::<&serde_json::value::RawValue>(&json).is_ok()
}

/// Python's `repr()` of a float: the shortest digits that give it back, with an exponent from 1e16 and below 1e-4.
pub(super) fn float_repr(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return if value.is_nan() { "nan".into() } else { scientific };
    };
    match exponent.parse::<i32>() {
        Ok(power) if (-4..16).contains(&power) => format!("{value:?}"),
        Ok(power) => format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()),
        Err(_) => scientific,
    }
}

fn repr(json: &str) -> String {
    match view(json) {
        View::Null => "None".into(),
        View::Bool(true) => "True".into(),
        View::Bool(false) => "False".into(),
        View::Number(text) => match Number::read(text) {
            Number::Integer(digits) => digits,
            Number::Float(value) => float_repr(value),
        },
        View::Text(text) => quote(&text),
        View::List(items) => {
            let items: Vec<_> = items.into_iter().map(|item| repr(item.get())).collect();
            format!("[{}]", items.join(", "))
        }
        View::Object(members) => {
            let members: Vec<_> =
                members.into_iter().map(|(key, value)| format!("{}: {}", quote(&key), repr(value.get()))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn dumps_text(json: &str) -> String {
    match view(json) {
        View::Null => "null".into(),
        View::Bool(value) => value.to_string(),
        View::Number(_) => repr(json),
        View::Text(text) => escape(&text),
        View::List(items) => {
            let items: Vec<_> = items.into_iter().map(|item| dumps_text(item.get())).collect();
            format!("[{}]", items.join(", "))
        }
        View::Object(members) => {
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| format!("{}: {}", escape(&key), dumps_text(value.get())))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// A text as `json.dumps()` writes it: in ASCII.
fn escape(text: &str) -> String {
    let mut escaped = String::from('"');
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            ' '..='~' => escaped.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped.push('"');
    escaped
}

fn quote(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(mark);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == mark => quoted.extend(['\\', c]),
            c if is_printable(c) => quoted.push(c),
            c => quoted.push_str(&match u32::from(c) {
                code @ ..0x100 => format!("\\x{code:02x}"),
                code @ ..0x1_0000 => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    quoted.push(mark);
    quoted
}

/// Rust's debug output escapes by the same Unicode classes as Python's `str.isprintable`. The leading letter keeps
/// combining marks from being escaped only for standing first.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'') || ['a', c].iter().collect::<String>().escape_debug().count() == 2
}

fn equal_texts(a: &str, b: &str) -> bool {
    match (view(a), view(b)) {
        (View::Null, View::Null) => true,
        (View::Text(a), View::Text(b)) => a == b,
        (View::List(a), View::List(b)) => {
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| equal_texts(a.get(), b.get()))
        }
        (View::Object(a), View::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal_texts(a.get(), b.get())))
        }
        (a, b) => match (Number::of(&a), Number::of(&b)) {
            (Some(a), Some(b)) => a.equals(&b),
            _ => false,
        },
    }
}

/// A number as Python has it: integers of any size, and doubles.
pub(super) enum Number {
    /// Digits without leading zeros, after a sign if negative.
    Integer(String),
    Float(f64),
}

impl Number {
    /// A number as JSON writes it: with a point or an exponent it is a float.
    pub(super) fn read(text: &str) -> Self {
        if text.contains(['.', 'e', 'E']) {
            Self::Float(text.parse().unwrap_or(f64::NAN))
        } else if text == "-0" {
            Self::Integer("0".into())
        } else {
            Self::Integer(text.into())
        }
    }

    fn of(view: &View<'_>) -> Option<Self> {
        match view {
            View::Bool(value) => Some(Self::Integer(u8::from(*value).to_string())),
            View::Number(text) => Some(Self::read(text)),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Integer(digits), Self::Float(value)) | (Self::Float(value), Self::Integer(digits)) => {
                truncated(*value).is_some_and(|whole| value.fract() == 0.0 && whole == *digits)
            }
        }
    }
}

/// Python's `int()` of a float, all digits; none of an infinity or NaN.
pub(super) fn truncated(value: f64) -> Option<String> {
    // Adding zero turns minus zero into zero.
    value.is_finite().then(|| format!("{:.0}", value.trunc() + 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn text_is_what_python_prints() {
        for (value, expected) in [
            ("null", "None"),
            ("true", "True"),
            ("123", "123"),
            ("-0", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.50", "1.5"),
            ("100.0", "100.0"),
            ("1e16", "1e+16"),
            ("1e15", "1000000000000000.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.25e-7", "1.25e-07"),
            (r#""plain 'text'""#, "plain 'text'"),
            (r#"{"a":1,"b":[null,"x",1.0]}"#, "{'a': 1, 'b': [None, 'x', 1.0]}"),
            (r#"["it's","\"","'\"","\\\n\t"]"#, r#"["it's", '"', '\'"', '\\\n\t']"#),
            (
                r#"["é","\u0000","\u200b","\u00a0","😀","e\u0301","\u0301"]"#,
                "['é', '\\x00', '\\u200b', '\\xa0', '😀', 'e\u{301}', '\u{301}']",
            ),
        ] {
            assert_eq!(str(&json(value)), expected, "{value}");
        }
    }

    #[test]
    fn json_is_what_python_writes() {
        for (value, expected) in [
            ("[]", "[]"),
            (r#"{"low":1,"high":[2.50,null,true,1e16]}"#, r#"{"low": 1, "high": [2.5, null, true, 1e+16]}"#),
            (r#"["a\"\\\/\n\t\u0001\u007f","é😀"]"#, r#"["a\"\\/\n\t\u0001\u007f", "\u00e9\ud83d\ude00"]"#),
        ] {
            assert_eq!(dumps(&json(value)), expected, "{value}");
        }
    }

    #[test]
    fn equality_is_pythons() {
        for (a, b, expected) in [
            ("1", "true", true),
            ("1.0", "true", true),
            ("0", "false", true),
            ("-0", "0.0", true),
            ("1", r#""1""#, false),
            ("null", "false", false),
            ("9007199254740993", "9007199254740992.0", false),
            ("9007199254740993", "9007199254740993", true),
            ("0.1", "0.10", true),
            ("1.5", "1", false),
            (r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":true}"#, true),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            ("[1,2]", "[2,1]", false),
            (r#""\u00e9""#, r#""é""#, true),
        ] {
            assert_eq!(equal(&json(a), &json(b)), expected, "{a} == {b}");
            assert_eq!(equal(&json(b), &json(a)), expected, "{b} == {a}");
        }
    }
}
