//! JSON values as they pass through a flow: checked once, then only handed on. Not which types inputs have: see
//! types.rs; not what Python would make of them: see python.rs.

mod member;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use memchr::{memchr, memchr2};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub(super) use member::member;

/// Deepest nesting of a value.
///
/// One level less than serde_json's own limit, so that whoever holds a [`Json`] can parse it, and so that walking one
/// by recursion is bounded.
pub const MAX_DEPTH: usize = 127;

/// One JSON value as text: valid, immutable, cheap to clone.
///
/// Most values only pass from one node to the next, so they stay text and lose nothing on the way: integers keep all
/// their digits, objects the order of their keys. A reader may rely on this: strings are valid Unicode (no lone
/// surrogates), numbers are within the range of a double, nesting is at most [`MAX_DEPTH`], so that
/// `serde_json::from_str::<Value>` cannot fail on it.
///
/// `==` compares texts; [`super::python::equal`] compares meanings.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Arc<str>);

/// Text that is not one JSON value, or one that some reader could not take. Never repeats the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(String);

/// What a text was that should be an object.
pub enum Parsed {
    Null,
    Object(IndexMap<String, Json>),
    Other,
}

/// One level of a value.
pub(super) enum View<'a> {
    Null,
    Bool(bool),
    /// The number as written.
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    /// Of keys that occur twice the last value counts, as in Python and JavaScript.
    Object(IndexMap<String, &'a RawValue>),
}

impl Json {
    /// Takes text over if it is one JSON value; blanks around it are dropped.
    ///
    /// # Errors
    /// If it is not, or breaks one of the promises of this type.
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        Self::parse_within(text, MAX_DEPTH)
    }

    /// [`Json::parse`] with a tighter bound on nesting.
    ///
    /// # Errors
    /// The same.
    pub fn parse_within(text: &str, depth: usize) -> Result<Self, NotJson> {
        checked(text, depth).map(Self::part)
    }

    /// The members of text that should be one JSON object: [`Json::parse_within`] and [`Json::members`] without a copy of the
    /// whole in between.
    ///
    /// # Errors
    /// If the text is not JSON, or breaks one of the promises of this type.
    pub fn parse_members(text: &str, depth: usize) -> Result<Parsed, NotJson> {
        let text = checked(text, depth)?;
        Ok(if text == "null" { Parsed::Null } else { members(text).map_or(Parsed::Other, Parsed::Object) })
    }

    pub fn null() -> Self {
        Self("null".into())
    }

    pub fn string(text: &str) -> Self {
        let mut json = String::with_capacity(text.len() + 2);
        push_string(&mut json, text);
        Self(json.into())
    }

    /// An object of these members, in this order.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, &'a Json)>) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        // With two quotes, a colon and a comma; a key that must be escaped makes it grow.
        let length = members.iter().map(|(key, value)| key.len() + value.as_str().len() + 4).sum::<usize>();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (key, value) in members {
            if text.len() > 1 {
                text.push(',');
            }
            push_string(&mut text, key);
            text.push(':');
            text.push_str(value.as_str());
        }
        text.push('}');
        Self(text.into())
    }

    /// A list of these items.
    pub fn list<'a>(items: impl IntoIterator<Item = &'a Json>) -> Self {
        let items: Vec<_> = items.into_iter().map(Self::as_str).collect();
        Self(format!("[{}]", items.join(",")).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a string that stands there as it is read: nothing in it is escaped.
    pub(super) fn is_plain_string(&self) -> bool {
        self.0.starts_with('"') && memchr(b'\\', self.0.as_bytes()).is_none()
    }

    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// The text of a string; none for every other value.
    pub fn as_text(&self) -> Option<String> {
        match self.view() {
            View::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object, in order; none for every other value.
    pub fn members(&self) -> Option<IndexMap<String, Json>> {
        members(&self.0)
    }

    pub(super) fn view(&self) -> View<'_> {
        view(&self.0)
    }

    /// A part of a value that was checked, or text made by code that cannot get it wrong.
    pub(super) fn part(text: &str) -> Self {
        Self(text.into())
    }
}

/// The JSON value within the blanks of a text.
fn checked(text: &str, depth: usize) -> Result<&str, NotJson> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| NotJson(error.to_string()))?;
    check_readable(raw.get().as_bytes(), depth.min(MAX_DEPTH))?;
    Ok(raw.get())
}

fn members(text: &str) -> Option<IndexMap<String, Json>> {
    match view(text) {
        View::Object(members) => Some(members.into_iter().map(|(key, raw)| (key, Json::part(raw.get()))).collect()),
        _ => None,
    }
}

/// Writes a text as a JSON string. Most have nothing in them that is written otherwise.
fn push_string(json: &mut String, text: &str) {
    // Without a way out in the middle, so that many are looked at at once.
    let is_escaped = |chunk: &[u8]| {
        chunk.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\'))
    };
    if text.as_bytes().chunks(256).any(is_escaped) {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

/// Looks one level into text that is known to be JSON.
pub(super) fn view(text: &str) -> View<'_> {
    match text.as_bytes().first() {
        Some(b'{') => View::Object(known(text)),
        Some(b'[') => View::List(known(text)),
        Some(b'"') => View::Text(known(text)),
        Some(b't') => View::Bool(true),
        Some(b'f') => View::Bool(false),
        Some(b'n') => View::Null,
        _ => View::Number(text),
    }
}

fn known<'a, T: serde::Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).expect("a Json was checked when it was made")
}

impl From<Json> for Arc<str> {
    fn from(json: Json) -> Self {
        json.0
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::part(if value { "true" } else { "false" })
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        known::<&RawValue>(&self.0).serialize(serializer)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Finds what the syntax check of `RawValue` lets through but a reader would stumble over.
fn check_readable(json: &[u8], max_depth: usize) -> Result<(), NotJson> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at + 1)?,
            b'-' | b'0'..=b'9' => at = end_of_number(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > max_depth {
                    return Err(NotJson(format!("nested deeper than {max_depth} levels")));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn end_of_string(json: &[u8], mut at: usize) -> Result<usize, NotJson> {
    // Within JSON that was read every string ends.
    while let Some(next) = memchr2(b'"', b'\\', &json[at..]) {
        at += next;
        match (json[at], json.get(at + 1)) {
            (b'"', _) => return Ok(at + 1),
            (_, Some(b'u')) => at = end_of_escape(json, at)?,
            _ => at += 2,
        }
    }
    Ok(json.len())
}

/// `\uXXXX`, or a pair of them for a character outside the basic plane.
fn end_of_escape(json: &[u8], at: usize) -> Result<usize, NotJson> {
    match code_unit(json, at) {
        Some(0xD800..=0xDBFF) if matches!(code_unit(json, at + 6), Some(0xDC00..=0xDFFF)) => Ok(at + 12),
        Some(0xD800..=0xDFFF) => Err(NotJson(format!("lone surrogate in a string at byte {at}"))),
        _ => Ok(at + 6),
    }
}

fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn end_of_number(json: &[u8], start: usize) -> Result<usize, NotJson> {
    let length = json[start..].iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let end = start + length.count();
    let number = std::str::from_utf8(&json[start..end]).unwrap_or_default();
    // Without an exponent it takes more than 300 digits to leave the range of a double.
    let in_range = number.len() < 300 && !number.contains(['e', 'E']) || number.parse().is_ok_and(f64::is_finite);
    if in_range { Ok(end) } else { Err(NotJson(format!("number out of range at byte {start}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Json::parse(text);
        let found = found.as_ref().map(Json::as_str).map_err(ToString::to_string);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn values_keep_their_text() {
        for text in [
            "null",
            "123456789012345678901234567890",
            "-0.1000",
            r#"{"z":1,"a":[true,{"é":"\u00e9"}]}"#,
            r#""\ud83d\ude00""#,
            r#"" \\u \" ""#,
        ] {
            check(text, Ok(text));
        }
        check(" [1 , 2]\n", Ok("[1 , 2]"));
    }

    #[test]
    fn what_some_reader_could_not_take_is_refused() {
        check(r#""\ud800""#, Err("lone surrogate in a string at byte 1"));
        check(r#"["\ude00\ud83d"]"#, Err("lone surrogate in a string at byte 2"));
        check("[1e999]", Err("number out of range at byte 1"));
        check("", Err("EOF while parsing a value at line 1 column 0"));
        check("1 2", Err("trailing characters at line 1 column 3"));
        check("NaN", Err("expected value at line 1 column 1"));
    }

    #[test]
    fn nesting_is_bounded_where_serde_json_can_still_read() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(serde_json::from_str::<serde_json::Value>(Json::parse(&nested(127)).unwrap().as_str()).is_ok());
        check(&nested(128), Err("nested deeper than 127 levels"));
        check(&nested(1_000_000), Err("nested deeper than 127 levels"));
        assert!(Json::parse_within(&nested(3), 2).is_err());
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let members = Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap().members().unwrap();
        assert_eq!(Json::object(members.iter().map(|(key, value)| (key.as_str(), value))).as_str(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn objects_and_lists_are_made_by_joining_texts() {
        let big = Json::parse("123456789012345678901234567890").unwrap();
        let list = Json::list([&big, &Json::string("\"é\n")]);
        assert_eq!(
            Json::object([("k\"", &list), ("n", &Json::null())]).as_str(),
            r#"{"k\"":[123456789012345678901234567890,"\"é\n"],"n":null}"#
        );
    }
}
