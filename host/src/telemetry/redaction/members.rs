//! Members of JSON that are named like keys, wherever the JSON stands: in a text, in a log line, in a string of other JSON.
//!
//! Nothing is parsed: what is told is often cut, quoted, or JSON only in part. A name in quotes with a colon behind it is a
//! member, and what follows is its value, as far as it goes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use regex::Regex;

use crate::secret::MASK;

/// The names, and how they are found.
#[derive(Clone, Debug)]
pub(super) struct Members {
    /// In lower case, without `_` and `-`.
    names: BTreeSet<String>,
    /// The name in its quotes, however often they were escaped, and the colon.
    head: Regex,
}

impl Members {
    /// None if there are no names.
    pub(super) fn new(names: &[&str]) -> Option<Self> {
        let any: Vec<String> = names.iter().map(|name| name.replace(['_', '-'], "[_-]?")).collect();
        let names: BTreeSet<String> = names.iter().map(|name| plain(name)).collect();
        let head = Regex::new(&format!(r#"(?i)"(?:{})\\*"\s*:\s*"#, any.join("|")));
        let head = head.expect("letters, digits and what stands between them are a regular expression");
        (!names.is_empty()).then_some(Self { names, head })
    }

    /// Whether this is one of the names.
    pub(super) fn has(&self, name: &str) -> bool {
        name.len() <= 64 && self.names.contains(&plain(name))
    }

    /// The text with the values of all such members masked. JSON stays JSON.
    pub(super) fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let (mut told, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(head) = self.head.find_at(text, at) {
            let depth = backslashes_before(text, head.start());
            at = head.end();
            if let Some(value) = value(text, at, depth) {
                told.push_str(&text[copied..value.start]);
                let quote = format!("{}\"", "\\".repeat(depth));
                told.push_str(&quote);
                told.push_str(MASK);
                told.push_str(&quote);
                (copied, at) = (value.end, value.end);
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        told.push_str(&text[copied..]);
        Cow::Owned(told)
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !"_-".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

/// How many backslashes stand right before a place: so often were the quotes escaped.
fn backslashes_before(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// Where the value that begins here stands; none if it tells nothing: `null`, `true`, nothing at all.
///
/// A text that was cut within its value ends it.
fn value(text: &str, start: usize, depth: usize) -> Option<std::ops::Range<usize>> {
    let rest = &text[start..];
    if let Some(inner) = opening(rest, depth) {
        let end = closing(text, start + inner, depth);
        return Some(start..end);
    }
    if rest.starts_with(['{', '[']) {
        return Some(start..nested(text, start, depth));
    }
    let bare = rest.find([',', '}', ']', '"', '\\']).unwrap_or(rest.len());
    let bare = rest[..bare].trim_end();
    let tells = !matches!(bare, "" | "null" | "true" | "false");
    tells.then(|| start..start + bare.len())
}

/// Length of the quote that opens a string, with its backslashes.
fn opening(rest: &str, depth: usize) -> Option<usize> {
    let escaped = rest.bytes().take_while(|byte| *byte == b'\\').count();
    (escaped == depth && rest[escaped..].starts_with('"')).then_some(escaped + 1)
}

/// Where a string ends whose opening quote stands before `at`; behind its closing quote, or at the end of the text.
fn closing(text: &str, at: usize, depth: usize) -> usize {
    let mut from = at;
    while let Some(quote) = text[from..].find('"').map(|it| from + it) {
        let run = backslashes_before(&text[at..quote], quote - at);
        // A backslash of the string itself is twice as many, one level up; so what is left over belongs to the quote.
        if run % (2 * (depth + 1)) == depth {
            return quote + 1;
        }
        from = quote + 1;
    }
    text.len()
}

/// Where a list or an object ends that begins here.
fn nested(text: &str, start: usize, depth: usize) -> usize {
    let (mut open, mut at) = (0_usize, start);
    while let Some(&byte) = text.as_bytes().get(at) {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at = closing(text, at + 1, depth);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}
