//! Members of JSON that are named like keys, wherever the JSON stands: in a text, in a log line, in a string of other JSON.
//!
//! Nothing is parsed: what is told is often cut, quoted, or JSON only in part. A name in quotes with a colon behind it is a
//! member, and what follows is its value, as far as it goes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use memchr::memchr;

use crate::secret::MASK;

/// Longest name that is looked for, in bytes.
const NAME: usize = 64;

/// The names that are looked for.
#[derive(Clone, Debug)]
pub(super) struct Members {
    names: BTreeSet<Vec<u8>>,
    /// By the bytes with which a name may begin, and end, as it is written: most are told from ours by that.
    begins: [bool; 256],
    ends: [bool; 256],
}

impl Members {
    /// None if there are no names.
    pub(super) fn new(names: &[&str]) -> Option<Self> {
        let plain = |name: &&str| Some(Plain::of(name.as_bytes())?.as_bytes().to_vec());
        let names: BTreeSet<Vec<u8>> = names.iter().filter_map(plain).collect();
        let begins = either_case(names.iter().filter_map(|name| name.first()));
        let ends = either_case(names.iter().filter_map(|name| name.last()));
        (!names.is_empty()).then_some(Self { names, begins, ends })
    }

    /// Whether this is one of the names.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|first| self.begins[usize::from(*first)])
            && name.last().is_some_and(|last| self.ends[usize::from(*last)])
            && Plain::of(name).is_some_and(|name| self.names.contains(name.as_bytes()))
    }

    /// The text with the values of all such members masked. JSON stays JSON.
    ///
    /// All that is told passes here, so the text is read once, for its colons, and only around those is anything else looked at.
    pub(super) fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let (mut told, mut copied, mut at) = (String::new(), 0, 0);
        while let Some(colon) = memchr(b':', &text.as_bytes()[at..]).map(|it| at + it) {
            at = colon + 1;
            let Some(depth) = self.named_before(&text.as_bytes()[copied..colon]) else { continue };
            let start = text.len() - text[at..].trim_start().len();
            if let Some(value) = value(text, start, depth) {
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

    /// Whether what stands before a colon ends with one of the names in quotes: how often these were escaped.
    fn named_before(&self, text: &[u8]) -> Option<usize> {
        let quoted = text.trim_ascii_end().strip_suffix(b"\"")?;
        let end = quoted.len() - backslashes_before(quoted, quoted.len());
        // Of most names this is all that is looked at.
        quoted[..end].last().filter(|last| self.ends[usize::from(**last)])?;
        let opening = quoted[..end].iter().rposition(|it| !is_of_a_name(*it))?;
        let is_ours = quoted[opening] == b'"' && self.has(&quoted[opening + 1..end]);
        is_ours.then(|| backslashes_before(quoted, opening))
    }
}

/// By all bytes, whether it is one of these in either case, or one that does not matter in a name.
fn either_case<'a>(bytes: impl Iterator<Item = &'a u8>) -> [bool; 256] {
    let mut among = [false; 256];
    for byte in bytes.chain(b"_-") {
        among[usize::from(*byte)] = true;
        among[usize::from(byte.to_ascii_uppercase())] = true;
    }
    among
}

/// A name in lower case, without `_` and `-`.
struct Plain {
    bytes: [u8; NAME],
    length: usize,
}

impl Plain {
    /// None if it is longer than any that is looked for.
    fn of(name: &[u8]) -> Option<Self> {
        let mut plain = Self { bytes: [0; NAME], length: 0 };
        for byte in name.iter().filter(|it| !b"_-".contains(it)) {
            *plain.bytes.get_mut(plain.length)? = byte.to_ascii_lowercase();
            plain.length += 1;
        }
        Some(plain)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Whether members can have this name and be found.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME && name.bytes().all(is_of_a_name)
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// How many backslashes stand right before a place: so often were the quotes escaped.
fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count()
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
        let run = backslashes_before(&text.as_bytes()[at..quote], quote - at);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Which bytes a name begins and ends with is looked at to save time alone.
        #[test]
        fn a_name_is_one_of_ours_however_it_begins_and_ends(
            names in prop::collection::vec("[ab_-]{1,3}", 1..4),
            text in "([abAB_-]{0,4}|[\\\\\": é,{}]){0,16}",
            name in "[abABé_-]{0,5}",
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let quick = Members::new(&names).unwrap();
            let slow = Members { begins: [true; 256], ends: [true; 256], ..quick.clone() };
            prop_assert_eq!(quick.masked(&text), slow.masked(&text));
            prop_assert_eq!(quick.has(name.as_bytes()), slow.has(name.as_bytes()));
        }
    }
}
