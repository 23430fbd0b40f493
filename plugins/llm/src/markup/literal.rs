//! Python literals, as a template prints them: what `ast.literal_eval` reads and JSON can hold.

use serde_json::{Map, Number, Value};

/// Deeper nesting is refused: a prompt is a caller's text, and the stack has an end.
const MAX_DEPTH: usize = 64;

/// The literal at the start of a text and what follows it. None if there is none.
pub(crate) fn parse_start(text: &str) -> Option<(Value, &str)> {
    let mut reader = Reader { rest: text, depth: 0 };
    Some((reader.value()?, reader.rest))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        self.skip_space();
        match self.rest.chars().next()? {
            '[' => self.sequence('[', ']'),
            '(' => self.sequence('(', ')'),
            '{' => self.dict(),
            '\'' | '"' => self.strings().map(Value::String),
            'A'..='Z' => self.constant(),
            _ => self.number(),
        }
    }

    fn sequence(&mut self, open: char, close: char) -> Option<Value> {
        let mut items = Vec::new();
        self.items(open, close, |reader| {
            items.push(reader.value()?);
            Some(())
        })?;
        Some(Value::Array(items))
    }

    fn dict(&mut self) -> Option<Value> {
        let mut entries = Map::new();
        self.items('{', '}', |reader| {
            let Value::String(key) = reader.value()? else {
                return None;
            };
            reader.expect(':')?;
            entries.insert(key, reader.value()?);
            Some(())
        })?;
        Some(Value::Object(entries))
    }

    /// Items between brackets, with a comma after each but perhaps the last.
    fn items(&mut self, open: char, close: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        while self.expect(close).is_none() {
            item(self)?;
            if self.expect(',').is_none() {
                self.expect(close)?;
                break;
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn constant(&mut self) -> Option<Value> {
        let constants = [("True", Value::Bool(true)), ("False", Value::Bool(false)), ("None", Value::Null)];
        let (name, value) = constants.into_iter().find(|(name, _)| self.rest.starts_with(name))?;
        self.rest = &self.rest[name.len()..];
        Some(value)
    }

    fn number(&mut self) -> Option<Value> {
        let is_part = |character: char| character.is_ascii_digit() || "+-.eE_".contains(character);
        let end = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let text = self.rest[..end].replace('_', "");
        self.rest = &self.rest[end..];
        let integer = text.parse::<i64>().ok().map(Number::from).or_else(|| text.parse::<u64>().ok().map(Number::from));
        integer.or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number)
    }

    /// One or more strings in a row, which Python joins.
    fn strings(&mut self) -> Option<String> {
        let mut text = self.string()?;
        loop {
            self.skip_space();
            if !self.rest.starts_with(['\'', '"']) {
                return Some(text);
            }
            text.push_str(&self.string()?);
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple = String::from_iter([quote; 3]);
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(&*end) {
                self.rest = rest;
                return Some(text);
            }
            match self.next()? {
                '\\' => self.escape(&mut text)?,
                '\n' if end.len() == 1 => return None,
                character => text.push(character),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        match self.next()? {
            '\n' => {}
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'x' => text.push(self.code(2)?),
            'u' => text.push(self.code(4)?),
            'U' => text.push(self.code(8)?),
            character @ ('\\' | '\'' | '"') => text.push(character),
            // Python keeps what it does not know.
            other => text.extend(['\\', other]),
        }
        Some(())
    }

    /// A character by its hexadecimal code.
    fn code(&mut self, digits: usize) -> Option<char> {
        let code = u32::from_str_radix(self.rest.get(..digits)?, 16).ok()?;
        self.rest = &self.rest[digits..];
        char::from_u32(code)
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn expect(&mut self, character: char) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(character)?;
        Some(())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: impl Into<Option<Value>>) {
        assert_eq!(parse_start(text).map(|(value, _)| value), expected.into());
    }

    #[test]
    fn literals_that_json_can_hold_are_read() {
        check("[1, -2, 1.5, True, False, None, 'a', \"b\",]", json!([1, -2, 1.5, true, false, null, "a", "b"]));
        check("{'a': {'b': []}, 'c': (1,)} and more", json!({"a": {"b": []}, "c": [1]}));
        check(r#"'it\'s \x41é\n\q' "b""#, json!("it's Aé\n\\qb"));
        check("'''a\n'b'''", json!("a\n'b"));
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        check("[1, 2", None);
        check("{1: 2}", None);
        check("[true]", None);
        check("f(x)", None);
        check("'a\nb'", None);
        check("'\\ud800'", None);
        check(&"[".repeat(100_000), None);
    }
}
