//! How Python prints a value: `str` and `repr`. Not JSON: see json.rs.

use std::fmt::Write;

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::chat_list::ChatList;

/// What `str(value)` gives.
pub(crate) fn str(value: &Value) -> String {
    let mut text = String::new();
    match (value.as_str(), value.downcast_object_ref::<ChatList>()) {
        (Some(value), _) => text.push_str(value),
        (None, Some(list)) => {
            let lines: Vec<String> = list.items().iter().map(str).collect();
            text.push_str(&lines.join("\n"));
        }
        (None, None) => repr(value, &mut text),
    }
    text
}

/// What `repr(value)` gives, appended to `text`.
fn repr(value: &Value, text: &mut String) {
    match value.kind() {
        ValueKind::String => repr_string(value.as_str().unwrap_or_default(), text),
        ValueKind::Number => repr_number(value, text),
        ValueKind::Seq if value.is_tuple() => text.push_str(&value.to_string()),
        ValueKind::Seq => {
            let items = value.try_iter().into_iter().flatten();
            enclosed('[', items, ']', text, repr);
        }
        ValueKind::Map => {
            let keys = value.try_iter().into_iter().flatten();
            enclosed('{', keys, '}', text, |key, text| {
                repr(key, text);
                text.push_str(": ");
                repr(&value.get_item(key).unwrap_or_default(), text);
            });
        }
        _ => text.push_str(&value.to_string()),
    }
}

fn enclosed(
    open: char,
    items: impl Iterator<Item = Value>,
    close: char,
    text: &mut String,
    write: impl Fn(&Value, &mut String),
) {
    text.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        write(&item, text);
    }
    text.push(close);
}

fn repr_number(value: &Value, text: &mut String) {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => text.push_str(&repr_float(float)),
        _ => text.push_str(&value.to_string()),
    }
}

/// The shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn repr_float(float: f64) -> String {
    if !float.is_finite() {
        return float.to_string().to_lowercase();
    }
    let magnitude = float.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{float:?}");
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn repr_string(value: &str, text: &mut String) {
    let quote = if value.contains('\'') && !value.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ if character == quote => text.extend(['\\', quote]),
            _ if is_printable(character) => text.push(character),
            _ => escape(character, text),
        }
    }
    text.push(quote);
}

fn escape(character: char, text: &mut String) {
    let code = u32::from(character);
    let written = match code {
        0..=0xff => write!(text, "\\x{code:02x}"),
        0x100..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
    written.expect("a String takes any text");
}

/// Rust escapes for debugging what Python does not count as printable, and combining marks at the start of a text.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let after_a_letter = String::from_iter(['a', character]);
    !after_a_letter.escape_debug().any(|escaped| escaped == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(float: f64, expected: &str) {
        assert_eq!(repr_float(float), expected);
    }

    #[test]
    fn floats_have_an_exponent_where_python_writes_one() {
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1.5e-300, "1.5e-300");
        check(9_999_999_999_999_998.0, "9999999999999998.0");
        check(1e16, "1e+16");
        check(-1.25e22, "-1.25e+22");
        check(f64::NAN, "nan");
        check(f64::NEG_INFINITY, "-inf");
    }
}
