//! What flows may ask for at most, as the operator's policy file says. Pure: text in, a policy or its problems out. What
//! an entry means, the capability knows that it is for.
//!
//! ```yaml
//! http:
//! - https://api.example.com
//! - {url: "https://*.example.com", methods: [GET]}
//! llm: [{connection: "azure_*", models: ["gpt-4o*"]}]
//! ```
//!
//! What a policy does not name may not be asked for.

use crate::flow::problem::{Findings, Problems};
use crate::flow::value::Json;
use crate::flow::yaml::{Node, Value};

/// A policy as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What to call the file in messages.
    pub file: String,
    pub sections: Vec<Section>,
}

/// What it says of one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub capability: String,
    /// In the file, counted from one.
    pub line: usize,
    pub entries: Vec<Entry>,
}

/// One thing that may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub said: Json,
    pub line: usize,
}

impl Policy {
    /// Reads a file; `name` is what to call it in messages.
    ///
    /// # Errors
    /// All that is wrong with its shape.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let mut findings = Findings::of(name, text).calling_misshapen("InvalidPolicy");
        let sections = Node::parse(text, &mut findings).map(|root| sections(&root, text, &mut findings));
        findings.finish().map(|_| Self { file: name.to_owned(), sections: sections.unwrap_or_default() })
    }
}

fn sections(root: &Node, text: &str, findings: &mut Findings) -> Vec<Section> {
    let line = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
    let written = match &root.value {
        Value::Map(written) => written.as_slice(),
        // An empty file lets flows ask for nothing.
        Value::Null => &[],
        _ => {
            let message = format!("a policy must be a mapping of capabilities to lists, not {}", root.kind());
            findings.problem("InvalidPolicy", &root.span, message);
            &[]
        }
    };
    let mut sections = Vec::new();
    for entry in written {
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            Value::Null => &[],
            _ => {
                let message =
                    format!("`{}` must be a list of what may be asked for, not {}", entry.key, entry.value.kind());
                findings.problem("InvalidPolicy", &entry.value.span, message);
                continue;
            }
        };
        let mut entries = Vec::new();
        for item in items {
            match item.to_json() {
                Some(said) => entries.push(Entry { said, line: line(item.span.start) }),
                None => {
                    let message = format!("`{}`: JSON has no such number, so no flow could ask for it", entry.key);
                    findings.problem("InvalidPolicy", &item.span, message);
                }
            }
        }
        sections.push(Section { capability: entry.key.clone(), line: line(entry.key_span.start), entries });
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_knows_where_each_entry_stands() {
        let text = "# of the house\nhttp:\n- https://api.example.com\n- url: https://b.test\n  methods: [GET]\nnodes: ['*']\nllm:\n";
        let policy = Policy::parse("policy.yaml", text).expect("a policy");
        let lines = policy.sections.iter().map(|section| {
            let entries = section.entries.iter().map(|entry| (entry.said.as_str(), entry.line));
            (section.capability.as_str(), section.line, entries.collect::<Vec<_>>())
        });
        let expected = [
            (
                "http",
                2,
                vec![(r#""https://api.example.com""#, 3), (r#"{"url":"https://b.test","methods":["GET"]}"#, 4)],
            ),
            ("nodes", 6, vec![(r#""*""#, 6)]),
            ("llm", 7, vec![]),
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(Policy::parse("p", "").expect("an empty policy").sections, []);
    }

    #[test]
    fn a_file_that_is_no_policy_is_refused_with_the_place() {
        for (text, expected) in [
            ("- http", "p.yaml:1:3: a policy must be a mapping of capabilities to lists, not a list"),
            ("http: all\n", "p.yaml:1:7: `http` must be a list of what may be asked for, not text"),
            ("http:\n- .nan\n", "p.yaml:2:3: `http`: JSON has no such number, so no flow could ask for it"),
            ("llm: [{models: [-.inf]}]\n", "p.yaml:1:7: `llm`: JSON has no such number, so no flow could ask for it"),
            ("http: [a]\nhttp: [b]\n", "p.yaml:2:1: key `http` appears more than once"),
        ] {
            let told = Policy::parse("p.yaml", text).expect_err(text).plain();
            assert!(told.contains(expected), "{told}");
        }
    }
}
