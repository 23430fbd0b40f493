//! What a component says of itself, as far as a flow is checked by it. Not how it is asked: see sandbox/describe.rs.

use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::types::Type;
use super::value::{Json, View};

/// The description of a component: see `describe` in wit/handler.wit. What it does not say is `None`.
#[derive(Clone, Debug, Default)]
pub struct Description {
    pub inputs: Option<Ports>,
    /// What it is initialised with.
    pub init: Option<Ports>,
    pub streams: Option<bool>,
}

/// The members of an object that a component takes.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    ports: IndexMap<String, Port>,
    /// Whether it takes other members as well.
    pub open: bool,
}

/// One member.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Names of JSON Schema; empty: any, or more than a name can say.
    types: Vec<String>,
    pub required: bool,
    /// Whether it is given the name of a connection.
    pub is_connection: bool,
    /// As what prompt flow reads a literal for it, where a name of JSON Schema does not say it: of an `object`, and of a
    /// parameter of no type, a text that is JSON as what it says; of a `double` an integer as a float, which Python tells apart.
    read_as: Option<Type>,
}

/// What [`Description::parse`] reads.
#[derive(Deserialize)]
struct Written {
    inputs: Option<Schema>,
    init: Option<Schema>,
    streams: Option<bool>,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    properties: Option<IndexMap<String, Value>>,
    #[serde(default)]
    required: HashSet<String>,
    #[serde(default, rename = "additionalProperties")]
    additional: Option<Value>,
}

impl Description {
    /// Reads what a component answered. What does not fit the contract is as good as not said: a description is there
    /// to help.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str::<Written>(text).map(Self::from).unwrap_or_default()
    }

    /// Of what a component answered that is several nodes, what it said of this one.
    pub fn parse_entry(text: &str, entry: &str) -> Self {
        Self::find_entry(text, entry).unwrap_or_default()
    }

    /// The same. None: it is not one of them.
    pub fn find_entry(text: &str, entry: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Entries {
            entries: IndexMap<String, Value>,
        }
        let entry = serde_json::from_str::<Entries>(text).ok()?.entries.swap_remove(entry)?;
        Some(serde_json::from_value::<Written>(entry).map(Self::from).unwrap_or_default())
    }
}

impl From<Written> for Description {
    fn from(written: Written) -> Self {
        Self {
            inputs: written.inputs.and_then(Ports::of),
            init: written.init.and_then(Ports::of),
            streams: written.streams,
        }
    }
}

impl Ports {
    fn of(schema: Schema) -> Option<Self> {
        let Schema { properties, required, additional } = schema;
        let open = !matches!(additional, None | Some(Value::Bool(false)));
        let port = |(name, schema): (String, Value)| {
            let required = required.contains(&name);
            let is_connection = schema.get("x-weir-connection").is_some();
            let read_as = schema["x-promptflow-type"].as_str().and_then(Type::parse);
            let read_as = read_as.filter(|kind| matches!(kind, Type::Object | Type::Double));
            (name, Port { types: types(&schema), required, is_connection, read_as })
        };
        let ports = properties.map(|properties| properties.into_iter().map(port).collect());
        // A schema without properties that forbids nothing says nothing.
        match (ports, open) {
            (Some(ports), open) => Some(Self { ports, open }),
            (None, true) => None,
            (None, false) => Some(Self::default()),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Port> {
        self.ports.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ports.keys().map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Port)> {
        self.ports.iter().map(|(name, port)| (name.as_str(), port))
    }

    /// Names of those that have to be given.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|(_, port)| port.required).map(|(name, _)| name)
    }
}

impl Port {
    /// Whether a value is of one of the types, as far as names of types tell.
    pub fn takes(&self, value: &Json) -> bool {
        let own = match value.view() {
            View::Null => "null",
            View::Bool(_) => "boolean",
            View::Text(_) => "string",
            View::List(_) => "array",
            View::Object(_) => "object",
            View::Number(text) if text.contains(['.', 'e', 'E']) && !text.ends_with(".0") => "number",
            View::Number(_) => "integer",
        };
        let is = |kind: &String| kind == own || (kind == "number" && own == "integer");
        self.types.is_empty() || self.types.iter().any(is)
    }

    /// A literal of a flow file as what is taken. Editors of flow files write many a number, flag and list as text, and
    /// prompt flow reads such text as the type of the parameter. None: it is nothing of the kind.
    pub(super) fn read(&self, literal: &Json) -> Option<Json> {
        match (self.read_as, literal.view()) {
            (Some(Type::Object), View::Text(_)) => return Type::Object.coerce("", literal).ok(),
            (Some(Type::Double), View::Number(_)) => return Type::Double.coerce("", literal).ok(),
            _ => {}
        }
        if self.takes(literal) {
            return Some(literal.clone());
        }
        let wanted = match (self.one_type()?, literal.view()) {
            ("integer", View::Text(_)) => Type::Int,
            ("number", View::Text(_)) => Type::Double,
            ("boolean", View::Text(_)) => Type::Bool,
            ("array", View::Text(_)) => Type::List,
            ("object", View::Text(_)) => Type::Object,
            ("string", View::Number(_) | View::Bool(_)) => Type::String,
            _ => return None,
        };
        wanted.coerce("", literal).ok().filter(|read| self.takes(read))
    }

    /// The only type, but for null.
    pub(super) fn one_type(&self) -> Option<&str> {
        let mut types = self.types.iter().filter(|kind| *kind != "null");
        types.next().filter(|_| types.next().is_none()).map(String::as_str)
    }
}

/// `integer`, `string or null`
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.types.is_empty() { "any value" } else { "" })?;
        f.write_str(&self.types.join(" or "))
    }
}

fn types(schema: &Value) -> Vec<String> {
    match &schema["type"] {
        Value::String(kind) => vec![kind.clone()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_members_and_their_types() {
        let description = Description::parse(
            r#"{"name":"n","inputs":{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},
               "b":{"type":["string","null"]},"c":{"$ref":"x"}}},"streams":true,"unknown":[]}"#,
        );
        let inputs = description.inputs.expect("inputs");
        assert_eq!(inputs.required().collect::<Vec<_>>(), ["a"]);
        let takes = |name: &str, value: &str| inputs.get(name).unwrap().takes(&Json::parse(value).unwrap());
        assert!(takes("a", "1") && takes("a", "1.0") && !takes("a", "1.5") && !takes("a", "null"));
        assert!(takes("b", "null") && takes("b", "\"x\"") && !takes("b", "1"));
        assert!(takes("c", "[]"));
        assert_eq!((description.streams, inputs.open, description.init.is_none()), (Some(true), false, true));
        assert_eq!(inputs.get("b").unwrap().to_string(), "string or null");
    }

    #[test]
    fn a_literal_is_read_as_the_one_type_that_is_taken() {
        let read = |kind: &str, literal: &str| {
            let text = format!(r#"{{"inputs":{{"properties":{{"x":{{"type":{kind}}}}}}}}}"#);
            let inputs = Description::parse(&text).inputs.unwrap();
            inputs
                .get("x")
                .unwrap()
                .read(&Json::parse(literal).unwrap())
                .map_or("refused".to_owned(), |read| read.to_string())
        };
        for (kind, literal, expected) in [
            (r#""integer""#, r#""5""#, "5"),
            (r#"["integer","null"]"#, r#""5""#, "5"),
            (r#""integer""#, r#""five""#, "refused"),
            (r#""integer""#, "4.9", "refused"),
            (r#""number""#, r#""0.70""#, "0.7"),
            (r#""number""#, "1", "1"),
            (r#""boolean""#, r#""True""#, "true"),
            (r#""boolean""#, "1", "refused"),
            (r#""array""#, r#""[1, 2]""#, "[1, 2]"),
            (r#""array""#, r#""{}""#, "refused"),
            (r#""object""#, r#""{\"a\": 1}""#, r#"{"a": 1}"#),
            (r#""object""#, r#""text""#, "refused"),
            (r#""string""#, "5", r#""5""#),
            (r#""string""#, "true", r#""True""#),
            (r#""string""#, "[1]", "refused"),
            (r#"["string","integer"]"#, r#""5""#, r#""5""#),
            (r#"["boolean","integer"]"#, r#""5""#, "refused"),
        ] {
            assert_eq!(read(kind, literal), expected, "{literal} as {kind}");
        }
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        for text in ["", "5", "[]", "{}", r#"{"inputs": 5}"#, r#"{"inputs": {"additionalProperties": true}}"#] {
            assert!(Description::parse(text).inputs.is_none(), "{text}");
        }
        assert_eq!(Description::parse(r#"{"inputs": {"type": "object"}}"#).inputs.unwrap().names().count(), 0);
    }
}
