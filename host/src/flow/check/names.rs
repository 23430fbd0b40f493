//! What the references of a flow file refer to. Not how they are written: see reference.rs.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::super::fields::At;
use super::super::manifest::{self, Manifest};
use super::super::problem::{Findings, Span, listed, nearest};
use super::super::reference::{Path, Reference};
use super::super::value::Json;
use super::super::{Binding, NodeIndex};

/// The names a flow file declares.
pub(super) struct Names<'a> {
    inputs: Vec<&'a str>,
    /// The same, to look them up.
    known_inputs: HashSet<&'a str>,
    /// In the order of the file.
    nodes: Vec<&'a str>,
    served: HashMap<&'a str, NodeIndex>,
    /// Their indices follow those of the served ones.
    aggregations: HashMap<&'a str, NodeIndex>,
}

/// What a reference was found to mean.
pub(super) enum Bound {
    To(Binding),
    /// The aggregation node of this name, which serving leaves out.
    ToAggregation(String, Binding),
}

/// Who refers, for messages: a node or an output.
#[derive(Clone, Copy)]
enum Referrer<'a> {
    Node(&'a str),
    Output(&'a str),
}

impl<'a> Names<'a> {
    pub(super) fn new(manifest: &'a Manifest, findings: &mut Findings) -> Self {
        let mut names = Self {
            inputs: manifest.inputs.iter().map(|input| input.name.value.as_str()).collect(),
            known_inputs: manifest.inputs.iter().map(|input| input.name.value.as_str()).collect(),
            nodes: Vec::new(),
            served: HashMap::new(),
            aggregations: HashMap::new(),
        };
        for node in &manifest.nodes {
            names.declare(node, findings);
        }
        for index in names.aggregations.values_mut() {
            index.0 += names.served.len();
        }
        names
    }

    fn declare(&mut self, node: &'a manifest::Node, findings: &mut Findings) {
        let name = node.name.value.as_str();
        if self.index(name).is_some() {
            let message =
                format!("node with name {name:?} appears more than once; make sure your node names are unique");
            findings.problem("DuplicateNodeName", &node.name.span, message);
            return;
        }
        self.nodes.push(name);
        if node.aggregation {
            self.aggregations.insert(name, NodeIndex(self.aggregations.len()));
        } else {
            self.served.insert(name, NodeIndex(self.served.len()));
        }
    }

    /// The index of a node.
    pub(super) fn index(&self, node: &str) -> Option<NodeIndex> {
        self.served.get(node).or_else(|| self.aggregations.get(node)).copied()
    }

    /// What an input or the condition of a node is. None: broken, and found.
    pub(super) fn of_node(&self, node: &manifest::Node, value: &At<Json>, findings: &mut Findings) -> Option<Binding> {
        let name = node.name.value.as_str();
        match self.bind(Referrer::Node(name), value, findings)? {
            Bound::To(binding) => Some(binding),
            Bound::ToAggregation(_, binding) if node.aggregation => Some(binding),
            Bound::ToAggregation(other, _) => {
                let message = format!("non-aggregation node {name:?} cannot reference the aggregation node {other:?}");
                let problem = findings.problem("InvalidNodeReference", &value.span, message);
                problem.help("an aggregation node runs once per batch, after all others, and never in serving");
                None
            }
        }
    }

    /// The condition of a node. None: broken, and found.
    pub(super) fn of_condition(
        &self,
        node: &manifest::Node,
        when: &At<Json>,
        findings: &mut Findings,
    ) -> Option<Binding> {
        let binding = self.of_node(node, when, findings)?;
        let referred = binding.node().and_then(|index| self.served.iter().find(|(_, served)| **served == index));
        if let Some((other, _)) = referred.filter(|_| node.aggregation) {
            let message = format!(
                "non-aggregation node {other:?} cannot be referenced in the activate config of the aggregation node {:?}",
                node.name.value
            );
            findings.problem("InvalidNodeReference", &when.span, message);
            return None;
        }
        Some(binding)
    }

    /// What an output is. None: broken, and found.
    pub(super) fn of_output(&self, output: &str, value: &At<Json>, findings: &mut Findings) -> Option<Bound> {
        self.bind(Referrer::Output(output), value, findings)
    }

    fn bind(&self, referrer: Referrer<'_>, value: &At<Json>, findings: &mut Findings) -> Option<Bound> {
        let literal = || Some(Bound::To(Binding::Literal(value.value.clone())));
        let Some(text) = value.value.as_text() else { return literal() };
        match Reference::parse(&text) {
            None => {
                self.warn_of_text(referrer, &text, &value.span, findings);
                literal()
            }
            Some(Ok(Reference::Input(name))) => self.bind_input(referrer, name, &value.span, findings),
            Some(Ok(Reference::Node { name, path })) => {
                warn_of_odd_path(referrer, &text, &value.span, findings);
                self.bind_node(referrer, name, path, &value.span, findings)
            }
            Some(Err(error)) => {
                findings.problem("UnsupportedReference", &value.span, format!("{referrer}: {error}"));
                None
            }
        }
    }

    /// A reference is the whole value or none at all; whoever writes one into a text expects more.
    fn warn_of_text(&self, referrer: Referrer<'_>, text: &str, place: &Span, findings: &mut Findings) {
        let inner = text.match_indices("${").filter_map(|(at, _)| text[at..].split_inclusive('}').next());
        let exists = |reference: &&str| match Reference::parse(reference) {
            Some(Ok(Reference::Input(name))) => self.inputs.contains(&name.as_str()),
            Some(Ok(Reference::Node { name, .. })) => self.nodes.contains(&name.as_str()),
            Some(Err(_)) | None => false,
        };
        if let Some(reference) = inner.into_iter().find(exists) {
            let message = format!("{referrer}: `{reference}` stands in a text, which is passed on as it is");
            let warning = findings.warning("OddReference", place, message);
            warning.help("a reference is the whole value; put texts together in a prompt node");
        }
    }

    fn bind_input(&self, referrer: Referrer<'_>, name: String, place: &Span, findings: &mut Findings) -> Option<Bound> {
        if self.known_inputs.contains(name.as_str()) {
            return Some(Bound::To(Binding::Input(name)));
        }
        let message = format!("{referrer} references flow input {name:?}, which is not defined in your flow");
        let problem = findings.problem(referrer.code("InputReferenceNotFound"), place, message);
        match name.split_once('.') {
            Some((input, _)) if self.known_inputs.contains(input) => {
                problem.help(format!("a reference to a flow input takes no path; write `${{inputs.{input}}}`"));
            }
            _ => problem.help_with(|| suggestion(&name, "inputs", &self.inputs)),
        }
        None
    }

    fn bind_node(
        &self,
        referrer: Referrer<'_>,
        name: String,
        path: Path,
        place: &Span,
        findings: &mut Findings,
    ) -> Option<Bound> {
        if let Some(&node) = self.served.get(name.as_str()) {
            return Some(Bound::To(Binding::Node { node, path }));
        }
        if let Some(&node) = self.aggregations.get(name.as_str()) {
            return Some(Bound::ToAggregation(name, Binding::Node { node, path }));
        }
        let message = format!("{referrer} references a non-existent node {name:?} in your flow");
        let problem = findings.problem(referrer.code("NodeReferenceNotFound"), place, message);
        problem.help_with(|| match name.as_str() {
            "inputs" => "a flow input is written `${inputs.NAME}`".to_owned(),
            _ => suggestion(&name, "nodes", &self.nodes),
        });
        None
    }
}

fn warn_of_odd_path(referrer: Referrer<'_>, text: &str, place: &Span, findings: &mut Findings) {
    if let Some(odd) = Reference::passed_over(text) {
        let message = format!("{referrer}: `{odd}` has no meaning in `{text}`, which is read as a path");
        findings.warning("OddReference", place, message).help("a key that is no plain word is written ['key']");
    }
}

fn suggestion(name: &str, what: &str, known: &[&str]) -> String {
    let all = listed(known.iter().copied());
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? {what} are: {all}"),
        None => format!("{what} are: {all}"),
    }
}

impl Referrer<'_> {
    fn code(self, of_node: &'static str) -> &'static str {
        match self {
            Self::Node(_) => of_node,
            Self::Output(_) => "OutputReferenceNotFound",
        }
    }
}

/// `node "chat"`, `output "answer"`
impl fmt::Display for Referrer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name:?}"),
            Self::Output(name) => write!(f, "output {name:?}"),
        }
    }
}
