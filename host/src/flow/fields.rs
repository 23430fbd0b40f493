//! Reads a mapping of the flow file key by key, and finds what is wrong with it on the way. Not which keys there are:
//! see manifest.rs.

use super::problem::{Findings, Span, listed, nearest};
use super::value::{Json, MAX_DEPTH};
use super::yaml::{Entry, Node, Value};

/// A value and where it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The entries of one mapping that have not been asked for yet. [`Fields::finish`] warns of what nobody asked for.
pub(crate) struct Fields<'a> {
    /// What the mapping describes, for messages: `node "chat"`.
    owner: String,
    entries: Vec<&'a Entry>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// None if `node` is no mapping, which is then found. Nothing at all is an empty one.
    pub(crate) fn of(owner: impl Into<String>, node: &'a Node, findings: &mut Findings) -> Option<Self> {
        let owner = owner.into();
        let entries = entries(&owner, node, findings)?;
        Some(Self { owner, entries, known: Vec::new() })
    }

    /// The same fields under the name that the first of them gave.
    pub(crate) fn owned_by(self, owner: String) -> Self {
        Self { owner, ..self }
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Like [`Fields::take`], where nothing counts as absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take(key).filter(|node| !matches!(node.value, Value::Null))
    }

    /// Like [`Fields::take`], with the key's own place.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        let position = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(position))
    }

    /// Keys that belong in the file but have no effect here.
    pub(crate) fn ignore(&mut self, keys: &[&'static str]) {
        self.entries.retain(|entry| !keys.contains(&entry.key.as_str()));
    }

    /// Text; nothing counts as absent.
    pub(crate) fn text(&mut self, key: &'static str, findings: &mut Findings) -> Option<At<String>> {
        let node = self.take(key)?;
        text_of(&self.owner, key, node, findings)
    }

    /// True or false; nothing counts as absent.
    pub(crate) fn flag(&mut self, key: &'static str, findings: &mut Findings) -> Option<bool> {
        let node = self.take(key)?;
        match node.value {
            Value::Bool(value) => Some(value),
            Value::Null => None,
            _ => self.mismatch(key, "true or false", node, findings),
        }
    }

    /// A list of text.
    pub(crate) fn texts(&mut self, key: &'static str, findings: &mut Findings) -> Option<At<Vec<String>>> {
        let node = self.section(key)?;
        let texts = match &node.value {
            Value::List(items) => items.iter().map(as_text).collect(),
            _ => None,
        };
        let value = texts.or_else(|| self.mismatch(key, "a list of text", node, findings))?;
        Some(At { value, span: node.span.clone() })
    }

    /// A mapping whose keys are names the file gives.
    pub(crate) fn named(&mut self, key: &'static str, findings: &mut Findings) -> Vec<&'a Entry> {
        let Some(node) = self.take(key) else { return Vec::new() };
        entries(&format!("`{key}` of {}", self.owner), node, findings).unwrap_or_default()
    }

    /// The same of values that are text; nothing counts as absent.
    pub(crate) fn named_texts(&mut self, key: &'static str, findings: &mut Findings) -> Vec<(At<String>, At<String>)> {
        let owner = format!("{}: {key}", self.owner);
        let entries = self.named(key, findings);
        let text = |entry: &Entry| {
            let name = At { value: entry.key.clone(), span: entry.key_span.clone() };
            Some((name, text_of(&owner, &entry.key, &entry.value, findings)?))
        };
        entries.into_iter().filter_map(text).collect()
    }

    /// Warns of the keys that nobody asked for.
    pub(crate) fn finish(self, findings: &mut Findings) {
        for entry in self.entries {
            let message = format!("{}: unknown key `{}`; it has no effect", self.owner, entry.key);
            let warning = findings.warning("UnknownKey", &entry.key_span, message);
            let known = || self.known.iter().copied();
            warning.help_with(|| match nearest(&entry.key, known()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known keys: {}", listed(known())),
            });
        }
    }

    fn mismatch<T>(&self, key: &str, expected: &str, node: &Node, findings: &mut Findings) -> Option<T> {
        mismatch(&self.owner, key, expected, node, findings)
    }
}

fn text_of(owner: &str, key: &str, node: &Node, findings: &mut Findings) -> Option<At<String>> {
    match &node.value {
        Value::Text(text) => Some(At { value: text.clone(), span: node.span.clone() }),
        // A name such as `2024` is a number to YAML, but was meant as text.
        Value::Number(number) => Some(At { value: number.to_string(), span: node.span.clone() }),
        Value::Null => None,
        _ => mismatch(owner, key, "text", node, findings),
    }
}

fn mismatch<T>(owner: &str, key: &str, expected: &str, node: &Node, findings: &mut Findings) -> Option<T> {
    let message = format!("{owner}: `{key}` must be {expected}, not {}", node.kind());
    findings.problem(findings.misshapen(), &node.span, message);
    None
}

/// A value as JSON; what JSON does not have is found and counts as null.
pub(crate) fn json(owner: &str, node: &Node, findings: &mut Findings) -> At<Json> {
    // A file has a bound of its own; files in files can be deeper.
    if node.depth() > MAX_DEPTH {
        let message = format!("{owner}: the value is nested deeper than {MAX_DEPTH} levels");
        findings.problem(findings.misshapen(), &node.span, message);
        return At { value: Json::null(), span: node.span.clone() };
    }
    let value = node.to_json().unwrap_or_else(|| {
        let message = format!("{owner}: JSON has no such number, so no node could be given it");
        findings.problem(findings.misshapen(), &node.span, message);
        Json::null()
    });
    At { value, span: node.span.clone() }
}

fn as_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn entries<'a>(owner: &str, node: &'a Node, findings: &mut Findings) -> Option<Vec<&'a Entry>> {
    match &node.value {
        Value::Map(entries) => Some(entries.iter().collect()),
        Value::Null => Some(Vec::new()),
        _ => {
            let message = format!("{owner} must be a mapping, not {}", node.kind());
            findings.problem(findings.misshapen(), &node.span, message);
            None
        }
    }
}
