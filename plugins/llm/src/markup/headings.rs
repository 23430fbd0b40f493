//! The headings inside a section: `## name:`, `## tool_call_id:`, `## tool_calls:` and `## content:`. The signs are
//! optional, and as in prompt flow a heading may stand anywhere.

use std::ops::Range;

use serde_json::Value;

use crate::inputs::Manner;
use crate::markup::literal;
use crate::markup::roles::{is_space, trim};

/// The value under one heading and what follows `content:`. Prompt flow's pattern is
/// `\n*#{0,2}\s*HEADING\s*:\s*\n+\s*(\S+)\s*\n*#{0,2}\s*content\s*:\s*\n?(.*)`.
pub(crate) fn value_and_content<'a>(body: &'a str, heading: &str) -> Option<(&'a str, &'a str)> {
    places(body, heading).find_map(|after| {
        let value = skip_line_break(skip_colon(after)?)?;
        let end = value.find(is_space).unwrap_or(value.len());
        // The value is as long as it can be and still be followed by the content.
        let ends = value[..end].char_indices().map(|(start, character)| start + character.len_utf8()).rev();
        ends.into_iter().find_map(|end| Some((&value[..end], content(&value[end..])?)))
    })
}

/// The list under `tool_calls:`; none if there is none, or if it is not a Python literal. Prompt flow's nodes take the
/// text up to the first `]`, and so lose calls that hold a list; here the literal ends where it ends. In a prompty
/// nothing may follow the list.
pub(crate) fn tool_calls(body: &str, manner: Manner) -> Option<Value> {
    places(body, "tool_calls").find_map(|after| {
        let list = skip_line_break(skip_colon(after)?)?;
        let (calls, rest) = if list.starts_with('[') { literal::parse_start(list)? } else { return None };
        (manner != Manner::Prompty || trim(rest).is_empty()).then_some(calls)
    })
}

/// Words that begin a heading. Without one of them `content` begins none.
const WORDS: [&str; 3] = ["name", "tool_call_id", "tool_calls"];

/// Where such words stand in a value as they would before a heading's own value, if a line break follows this one.
pub(crate) fn words(value: &str) -> Vec<Range<usize>> {
    let is_heading = |after: &str| {
        let Some(after) = skip_colon(after) else { return false };
        skip_space(after).is_empty() || skip_line_break(after).is_some()
    };
    let places = WORDS.iter().flat_map(|word| value.match_indices(word));
    let mut found: Vec<_> = places.map(|(start, word)| start..start + word.len()).collect();
    found.retain(|place| is_heading(&value[place.end..]));
    found.sort_by_key(|place| place.start);
    found
}

/// What follows each occurrence of a word.
fn places<'a>(body: &'a str, word: &str) -> impl Iterator<Item = &'a str> {
    body.match_indices(word).map(|(start, found)| &body[start + found.len()..])
}

fn content(text: &str) -> Option<&str> {
    let text = skip_space(text);
    let text = text.strip_prefix("##").or_else(|| text.strip_prefix('#')).unwrap_or(text);
    let after = skip_space(text).strip_prefix("content")?;
    Some(skip_space(skip_colon(after)?))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

fn skip_colon(text: &str) -> Option<&str> {
    skip_space(text).strip_prefix(':')
}

/// What follows white space that holds a line break.
fn skip_line_break(text: &str) -> Option<&str> {
    let rest = skip_space(text);
    text[..text.len() - rest.len()].contains('\n').then_some(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<(&str, &str)>) {
        assert_eq!(value_and_content(body, "name"), expected);
    }

    #[test]
    fn a_name_is_followed_by_its_content() {
        check("## name:\nweather\n## content:\n{\"a\": 1}\n", Some(("weather", "{\"a\": 1}\n")));
        check("name:\n\n  weather content: x", Some(("weather", "x")));
        check("\n# name :\nweather##content:\n", Some(("weather##", "")));
        check("## name: weather\n## content:\nx", None);
        check("## name:\nweather\nmore\n## content:\nx", None);
        check("no heading", None);
    }

    #[test]
    fn a_value_may_hold_headings() {
        let found = |value| words(value).into_iter().map(|place| &value[place]).collect::<Vec<_>>();
        assert_eq!(found("## name:\nbob\n## content:\nhi\ntool_call_id : \n1\ntool_calls:"), WORDS);
        assert_eq!(found("my name: bob, content:\nhi; surname"), [""; 0]);
    }

    #[test]
    fn tool_calls_are_a_python_list() {
        let body = "\n## tool_calls:\n[{'id': 'a', 'function': {'arguments': '[1]'}, 'index': None}]\n";
        let expected = json!([{"id": "a", "function": {"arguments": "[1]"}, "index": null}]);
        assert_eq!(tool_calls(body, Manner::Node), Some(expected));
        assert_eq!(tool_calls("## tool_calls:\n[broken", Manner::Node), None);
        assert_eq!(tool_calls("tool_calls: none", Manner::Node), None);
    }
}
