//! One connection file as it is written. Pure: text in, a draft or problems out; values are completed later.
//!
//! Values may be secrets, so no problem quotes one: not the value, and not the line that holds it.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::draft::Draft;
use super::{Kind, Problem};

/// Reads one connection file.
pub(super) fn parse(origin: &str, text: &str) -> Result<Draft, Vec<Problem>> {
    let problem = |what: String| Problem::new(origin, what);
    // A snippet of the file may hold its key, and so may the parser's words.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    let written: Written = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |at| format!("line {}: ", at.line()));
        vec![problem(format!(
            "{place}not a connection; expected one `key: value` on a line, each key once, every value a text, and only \
             under `configs` and `secrets` keys of their own"
        ))]
    })?;

    let mut problems = Vec::new();
    if written.name.is_empty() {
        problems.push(problem("name: is missing; it is what `connection:` in a flow says".to_owned()));
    }
    let kind = Kind::of_type(&written.kind);
    if kind.is_none() {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.type_name()).collect();
        problems.push(problem(format!("type: {:?} is unknown; types are: {}", written.kind, known.join(", "))));
    }
    if written.name == super::OFFLINE && written.kind != super::OFFLINE {
        problems.push(problem("name: \"offline\" is built in; choose another".to_owned()));
    }
    match kind {
        Some(kind) if problems.is_empty() => Ok(Draft {
            name: written.name,
            origin: origin.to_owned(),
            kind,
            fields: written.fields,
            configs: written.configs,
            secrets: written.secrets,
        }),
        _ => Err(problems),
    }
}

/// The keys of a file. A map and not a struct, so that a number keeps the digits it is written with.
#[derive(Default)]
struct Written {
    name: String,
    kind: String,
    fields: IndexMap<String, String>,
    configs: IndexMap<String, String>,
    secrets: IndexMap<String, String>,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of a connection")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let mut written = Written::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "$schema" => _ = map.next_value::<IgnoredAny>()?,
                "name" => written.name = map.next_value::<Option<String>>()?.unwrap_or_default(),
                "type" => written.kind = map.next_value::<Option<String>>()?.unwrap_or_default(),
                "configs" => written.configs = group(map.next_value()?),
                "secrets" => written.secrets = group(map.next_value()?),
                // A key without a value is as good as none.
                _ => written.fields.extend(map.next_value::<Option<String>>()?.map(|value| (key, value))),
            }
        }
        Ok(written)
    }
}

/// In a group a key without a value stays: the environment may have it.
fn group(written: Option<IndexMap<String, Option<String>>>) -> IndexMap<String, String> {
    written.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
}
