//! JSON as Python writes it: `json.dumps`, and the filter `tojson` as in jinja2, which sorts keys and is safe inside
//! HTML. Both are ASCII only.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::python::repr_float;

/// `tojson`, `tojson(2)` or `tojson(indent=2)`.
#[expect(clippy::needless_pass_by_value, reason = "a filter's arguments by name have no other form")]
pub(crate) fn tojson(value: &Value, indent: Option<usize>, arguments: Kwargs) -> Result<Value, Error> {
    let named: Option<usize> = arguments.get("indent")?;
    arguments.assert_all_used()?;
    let mut writer = Writer { text: String::new(), form: Form::Filter, indent: indent.or(named), depth: 0 };
    writer.value(value)?;
    Ok(Value::from_safe_string(writer.text))
}

/// `json.dumps(value)` of a value that came from JSON.
pub(crate) fn dumps(value: &Value) -> String {
    let mut writer = Writer { text: String::new(), form: Form::Dumps, indent: None, depth: 0 };
    writer.value(value).expect("what came from JSON can be written as JSON");
    writer.text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Dumps,
    /// Keys are sorted, and what HTML gives a meaning is escaped.
    Filter,
}

struct Writer {
    text: String,
    form: Form,
    /// Spaces per level, each item on a line of its own; none for one line.
    indent: Option<usize>,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.enclosed(['[', ']'], &items, Self::value)?;
            }
            ValueKind::Map => self.object(value)?,
            kind => {
                let message = format!("Object of type {kind} is not JSON serializable");
                return Err(Error::new(ErrorKind::BadSerialization, message));
            }
        }
        Ok(())
    }

    fn object(&mut self, value: &Value) -> Result<(), Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        for key in value.try_iter()? {
            entries.push((key.to_string(), value.get_item(&key)?));
        }
        if self.form == Form::Filter {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        self.enclosed(['{', '}'], &entries, |writer, (key, item)| {
            writer.string(key);
            writer.text.push_str(": ");
            writer.value(item)
        })
    }

    fn enclosed<T>(
        &mut self,
        [open, close]: [char; 2],
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.text.push(open);
        self.depth += 1;
        for (index, item) in items.iter().enumerate() {
            match (index, self.indent) {
                (0, _) => {}
                (_, None) => self.text.push_str(", "),
                (_, Some(_)) => self.text.push(','),
            }
            self.new_line();
            write(self, item)?;
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.new_line();
        }
        self.text.push(close);
        Ok(())
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent * self.depth));
        }
    }

    fn number(&mut self, value: &Value) {
        match f64::try_from(value.clone()) {
            Ok(float) if !value.is_integer() => self.text.push_str(&repr_float(float)),
            _ => self.text.push_str(&value.to_string()),
        }
    }

    fn string(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                ' '..='~' if self.form == Form::Dumps || !"<>&'".contains(character) => self.text.push(character),
                _ => self.escape(character),
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(self.text, "\\u{unit:04x}").expect("a String takes any text");
        }
    }
}
