//! One member of an object, without taking all others out of it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The JSON of the member of this name; none if there is none, or the text is no object. Of names that occur twice the last
/// counts. The text is known to be JSON.
pub(in crate::flow) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    if !text.starts_with('{') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(text);
    // It was checked when it was made, so nothing goes wrong.
    json.deserialize_map(Members(name)).ok().flatten().map(RawValue::get)
}

struct Members<'n>(&'n str);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = members.next_key_seed(Is(self.0))? {
            if is_it {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a name is this one.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_by_what_its_name_says() {
        let text = r#"{"a":1,"b":{"a":2},"a":[3],"\u0063":4,"":5}"#;
        let found = [("a", Some("[3]")), ("b", Some(r#"{"a":2}"#)), ("c", Some("4")), ("", Some("5")), ("d", None)];
        for (name, expected) in found {
            assert_eq!(member(text, name), expected, "{name:?}");
        }
        for text in ["[1]", "\"a\"", "1", "null", "{}"] {
            assert_eq!(member(text, "a"), None, "{text}");
        }
    }
}
