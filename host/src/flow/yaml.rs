//! YAML text as a tree in which every value knows its place. Not what the values mean: see manifest.rs.
//!
//! A tree, and not types that derive `Deserialize`: those stop at the first value that does not fit, and a flow file
//! is to be told all its faults at once.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, NonFiniteFloatPolicy, Options, Spanned};

use super::problem::{Findings, Span};
use super::python;
use super::value::Json;

/// Largest flow file, in bytes.
const MAX_LENGTH: usize = 1024 * 1024;

/// Longest key, in bytes. Keys are names, which messages repeat; the longest in the wild are sentences.
const MAX_KEY: usize = 1024;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Json),
    /// `.nan` or `.inf`, which JSON does not have.
    NotFinite,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, each key once.
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// Reads a file of one document. None if it is not YAML, which is then found.
    pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            findings.problem("InvalidYaml", &(0..0), format!("the file is larger than {MAX_LENGTH} bytes"));
            return None;
        }
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
            Ok(raw) => Some(Self::placed(raw, text, findings)),
            Err(error) => {
                let place = error.location().map_or(0..0, |location| point(&location, text));
                let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
                // The place is told beside the message.
                let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
                findings.problem("InvalidYaml", &place, format!("not valid YAML: {message}"));
                None
            }
        }
    }

    fn placed(raw: Spanned<Raw>, text: &str, findings: &mut Findings) -> Self {
        let span = span(&raw.referenced, text);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Integer(digits) => Value::Number(Json::part(&digits)),
            Raw::Float(value) => number(value, text.get(self::span(&raw.defined, text)).unwrap_or_default()),
            Raw::Text(value) => Value::Text(value),
            Raw::List(items) => Value::List(items.into_iter().map(|item| Self::placed(item, text, findings)).collect()),
            Raw::Map(entries) => Value::Map(map(entries, text, findings)),
        };
        Self { span: wide(span, &value), value }
    }

    /// The value as JSON. None if JSON has no such value.
    pub(crate) fn to_json(&self) -> Option<Json> {
        Some(match &self.value {
            Value::Null => Json::null(),
            Value::Bool(value) => Json::from(*value),
            Value::Number(number) => number.clone(),
            Value::NotFinite => return None,
            Value::Text(text) => Json::string(text),
            Value::List(items) => Json::list(&items.iter().map(Self::to_json).collect::<Option<Vec<_>>>()?),
            Value::Map(entries) => {
                let members = entries.iter().map(|entry| Some((entry.key.as_str(), entry.value.to_json()?)));
                let members = members.collect::<Option<Vec<_>>>()?;
                Json::object(members.iter().map(|(key, value)| (*key, value)))
            }
        })
    }

    /// How deep lists and mappings are nested.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::NotFinite | Value::Text(_) => 0,
        }
    }

    /// What the value is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) | Value::NotFinite => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Of entries with equal keys the first stays; the others are found.
fn map(raw: Vec<(Spanned<String>, Spanned<Raw>)>, text: &str, findings: &mut Findings) -> Vec<Entry> {
    let mut keys = HashSet::new();
    let mut entries = Vec::new();
    for (key, value) in raw {
        let key_span = span(&key.referenced, text);
        if key.value.len() > MAX_KEY {
            let message = format!("a key has {} bytes; at most {MAX_KEY} are read", key.value.len());
            findings.problem("InvalidYaml", &key_span, message);
        } else if keys.insert(key.value.clone()) {
            entries.push(Entry { key: key.value, key_span, value: Node::placed(value, text, findings) });
        } else {
            findings.problem("DuplicateKey", &key_span, format!("key `{}` appears more than once", key.value));
        }
    }
    entries
}

/// Bounds for files that mean harm; a flow of the size anyone writes stays far below each.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 50_000,
            max_events: 200_000,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            // One is taken; that a second is not is better told in words than as a limit.
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        // YAML 1.2, as prompt flow reads it: `yes` and `on` are text.
        strict_booleans: true,
        // `map` reports them, each with its place.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What serde-saphyr says about a number is a double for integers past 64 bits and for those with leading zeros. The
/// digits are still in the file.
fn number(value: f64, written: &str) -> Value {
    let digits = written.strip_prefix(['-', '+']).unwrap_or(written);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && value.is_finite() {
        let digits = digits.trim_start_matches('0');
        let sign = if written.starts_with('-') { "-" } else { "" };
        return Value::Number(Json::part(&if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") }));
    }
    if value.is_finite() { Value::Number(Json::part(&python::float_repr(value))) } else { Value::NotFinite }
}

fn span(location: &Location, text: &str) -> Span {
    let place = location.span();
    let (Some(start), Some(length)) = (place.byte_offset(), place.byte_len()) else { return point(location, text) };
    let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(length)) else { return 0..0 };
    let written = text.get(start..start + length).unwrap_or_default();
    start..start + written.trim_end().len()
}

/// Errors of the scanner have no bytes, only line and column.
fn point(location: &Location, text: &str) -> Span {
    let (Ok(line), Ok(column)) = (usize::try_from(location.line()), usize::try_from(location.column())) else {
        return 0..0;
    };
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    start + within..start + within
}

/// A block collection is known by its first point; its first key is a better thing to underline.
fn wide(span: Span, value: &Value) -> Span {
    match value {
        Value::Map(entries) if span.is_empty() => entries.first().map_or(span, |entry| entry.key_span.clone()),
        Value::List(items) if span.is_empty() => items.first().map_or(span, |item| item.span.clone()),
        _ => span,
    }
}

/// The tree as serde-saphyr gives it.
enum Raw {
    Null,
    Bool(bool),
    Integer(String),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Raw>>()? {
            entries.push((text_key::<A>(key)?, map.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}

/// JSON's objects have text for keys; so do prompt flow's files, but for a number now and then.
fn text_key<'de, A: MapAccess<'de>>(key: Spanned<Raw>) -> Result<Spanned<String>, A::Error> {
    let value = match key.value {
        Raw::Text(text) | Raw::Integer(text) => text,
        Raw::Float(value) => python::float_repr(value),
        Raw::Bool(value) => value.to_string(),
        Raw::Null => "null".to_owned(),
        Raw::List(_) | Raw::Map(_) => return Err(A::Error::custom("a key must be text")),
    };
    Ok(Spanned { value, referenced: key.referenced, defined: key.defined })
}
