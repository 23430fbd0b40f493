//! Names with `*` for any part of them, as grants and policies have them: `*`, `gpt-4o*`, `search_*`.

use std::fmt;

/// A name, or a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads an entry of a policy that is a name and nothing else.
    pub(super) fn read(entry: &str, expected: &str) -> Result<Self, String> {
        let name: Option<String> = serde_json::from_str(entry).ok();
        name.map(Self).ok_or_else(|| format!("expected {expected}, found {entry}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name, or every name that a pattern stands for, is one of these. A `*` of the other counts as a sign
    /// like any, which only a `*` here takes: then so it does whatever may stand in its place.
    pub fn covers(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            // The leftmost place leaves most for what follows.
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, covered: &[&str], other: &[&str]) {
        for name in covered {
            assert!(Glob::new(pattern).covers(name), "{pattern} should cover {name:?}");
        }
        for name in other {
            assert!(!Glob::new(pattern).covers(name), "{pattern} should not cover {name:?}");
        }
    }

    #[test]
    fn a_pattern_covers_names_and_narrower_patterns() {
        check("gpt-4o", &["gpt-4o"], &["", "gpt-4", "gpt-4o-mini", "gpt-*", "*"]);
        check("gpt-*", &["gpt-", "gpt-4o", "gpt-4*", "gpt-*"], &["gpt", "o3", "*", "a-gpt-4"]);
        check("*_search", &["my_search", "_search", "*_search"], &["search", "my_search2"]);
        check("a*b*c", &["abc", "aXbYc", "abbc", "a*c*bc"], &["ac", "acb", "ab", "a*c"]);
        check("a*a", &["aa", "aba"], &["a"]);
        check("*", &["", "anything", "*"], &[]);
        check("**", &["", "anything"], &[]);
        check("", &[""], &["a", "*"]);
    }
}
