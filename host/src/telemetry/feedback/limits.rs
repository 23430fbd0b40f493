//! What may stand on the span of a feedback: keys and values come from strangers, and back ends have limits of their own.

use crate::telemetry::names;

/// Longest key, in bytes. Application Insights cuts at 150.
const KEY_BYTES: usize = 100;

/// Longest value, in bytes. Application Insights cuts at 8192; Python's exporter, and that of Rust, within a character.
pub const VALUE_BYTES: usize = 8000;

/// What a text ends with that was cut, and how long that may be.
const MARK: &str = "… [";
const MARK_BYTES: usize = 32;

/// Begins the keys that are the host's own, and those that it moves out of its way.
const PREFIX: &str = "feedback.";

/// Keys that say of what a span is part.
const RESERVED: [&str; 6] = ["trace_id", "span_id", "parent_id", "parent_span_id", "traceparent", "tracestate"];

/// Families of keys that say who tells: `service.name` and the like. Alone, as `host`, they are nobody's.
const FAMILIES: [&str; 11] =
    ["service", "telemetry", "otel", "host", "process", "deployment", "cloud", "k8s", "container", "os", "faas"];

/// The key of an attribute for a key that a stranger has chosen: of bounded length, without control characters, and none
/// that the host or a back end gives a meaning.
pub fn attribute_key(key: &str) -> String {
    let mut safe = if is_taken(key) { PREFIX.to_owned() } else { String::new() };
    for c in key.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
        if safe.len() > KEY_BYTES {
            break;
        }
    }
    safe.truncate(safe.floor_char_boundary(KEY_BYTES));
    safe
}

fn is_taken(key: &str) -> bool {
    // Escaped or padded it may look like one in a back end that trims.
    let key = key.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    let family = key.split_once('.').map(|(family, _)| family);
    key.is_empty()
        || key.starts_with(PREFIX)
        || names::is_reserved(key)
        || RESERVED.contains(&key)
        || family.is_some_and(|family| FAMILIES.contains(&family))
}

/// The value of an attribute, cut with a mark if it is too long.
pub fn attribute_value(text: String) -> String {
    if text.len() <= VALUE_BYTES {
        return text;
    }
    let head = cut_value(&text, VALUE_BYTES - MARK_BYTES);
    format!("{head}{MARK}{} bytes]", text.len())
}

/// The longest beginning of a text that has at most so many bytes and ends between two characters.
pub fn cut_value(text: &str, bytes: usize) -> &str {
    crate::telemetry::content::cut(text, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: &str) {
        assert_eq!(attribute_key(key), expected, "{key:?}");
    }

    #[test]
    fn keys_of_strangers_stay_out_of_the_way_of_our_own() {
        for key in ["score", "thumb", "feedback", "user.name", "host", "os", "__proto__", "ключ", "a b"] {
            check(key, key);
        }
        for key in ["service.name", "http.route", "trace_id", "error", "gen_ai.evaluation.name", "weir.x", "host.name"]
        {
            check(key, &format!("feedback.{key}"));
        }
        check("feedback.id", "feedback.feedback.id");
        check("", "feedback.");
        check(" ", "feedback. ");
    }

    #[test]
    fn control_characters_of_a_key_are_shown() {
        check("a\nb\0\u{1b}[31m", "a\\nb\\u{0}\\u{1b}[31m");
        check("\nservice.name", "feedback.\\nservice.name");
    }

    #[test]
    fn a_key_ends_between_two_characters() {
        check(&"k".repeat(101), &"k".repeat(100));
        check(&"é".repeat(60), &"é".repeat(50));
        check(&format!("service.{}", "漢".repeat(50)), &format!("feedback.service.{}", "漢".repeat(27)));
    }

    #[test]
    fn a_value_ends_between_two_characters_and_says_how_long_it_was() {
        let fits = "x".repeat(VALUE_BYTES);
        assert_eq!(attribute_value(fits.clone()), fits);
        for text in ["x", "é", "漢", "😀", "e\u{301}"] {
            for length in VALUE_BYTES - 8..VALUE_BYTES + 300 {
                let long = "a".repeat(length % 4) + &text.repeat(length / text.len());
                let value = attribute_value(long.clone());
                assert!(value.len() <= VALUE_BYTES, "{} bytes", value.len());
                let cut = value.split(MARK).next().unwrap_or_default();
                assert!(long.starts_with(cut) && (value == long || value.ends_with(" bytes]")), "{value:?}");
            }
        }
    }
}
