//! The manifest against itself and the flow folder: every problem found, or a [`Flow`]. Not the shape of the file: see
//! manifest.rs; not what each type of node needs: see check/kind.rs.

mod kind;
mod names;

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::fields::At;
use super::manifest::{self, Manifest};
use super::problem::{Findings, Problems, Span, Warning, listed, nearest};
use super::python;
use super::types::Type;
use super::units;
use super::value::{Json, View};
use super::{Activate, Binding, Files, Flow, Input, Limits, MessageFormat, Node, NodeIndex, NodeKind, Output, graph};
use crate::id::{FlowId, NodeId};
use names::{Bound, Names};

/// Most nodes of a flow. The largest that were seen in the wild have a few dozen.
const MAX_NODES: usize = 500;

/// Most references between nodes.
const MAX_EDGES: usize = 5000;

pub(super) fn flow(
    origin: &str,
    text: &str,
    folder_name: &str,
    files: &dyn Files,
) -> Result<(Flow, Vec<Warning>), Problems> {
    let mut findings = Findings::default();
    let checked = Manifest::parse(text, &mut findings).map(|manifest| {
        let mut checker = Checker { names: Names::new(&manifest, &mut findings), files, findings: &mut findings };
        checker.flow(&manifest, folder_name)
    });
    let warnings = findings.finish(origin, text)?;
    Ok((checked.expect("a manifest that cannot be read has a problem"), warnings))
}

struct Checker<'a> {
    names: Names<'a>,
    files: &'a dyn Files,
    findings: &'a mut Findings,
}

impl Checker<'_> {
    /// What is broken is left out, and has been found.
    fn flow(&mut self, manifest: &Manifest, folder_name: &str) -> Flow {
        self.language(manifest.language.as_ref());
        let message_format = self.message_format(manifest.message_format.as_ref());
        let inputs = manifest.inputs.iter().map(|input| self.input(input)).collect();
        let outputs = manifest.outputs.iter().filter_map(|output| self.output(output)).collect();
        let nodes = self.nodes(&manifest.nodes);
        let waits_for: Vec<_> = nodes.iter().map(waits_for).collect();
        let order = self.order(&nodes, &waits_for, manifest);
        let environment = manifest.environment_variables.iter().filter(|(_, value)| !value.value.is_null());
        let description = manifest.description.as_ref().or(manifest.display_name.as_ref());
        Flow {
            id: FlowId::new(folder_name),
            span_name: manifest.name.as_ref().map_or_else(|| span_name(folder_name), |name| name.value.clone()),
            description: description.map(|text| text.value.clone()),
            message_format,
            inputs,
            outputs,
            nodes,
            waits_for,
            order,
            environment_variables: environment.map(|(name, value)| (name.clone(), variable(&value.value))).collect(),
            additional_includes: self.additional_includes(manifest.additional_includes.as_ref()),
        }
    }

    fn language(&mut self, language: Option<&At<String>>) {
        if let Some(language) = language.filter(|language| language.value != "python") {
            let message = format!("flows in {:?} are not served, only those in python", language.value);
            let problem = self.findings.problem("InvalidFlow", &language.span, message);
            problem.help("nodes of any language are served as components (`type: wasm`); then drop `language`");
        }
    }

    fn additional_includes(&mut self, includes: Option<&At<Vec<String>>>) -> Vec<String> {
        let Some(includes) = includes.filter(|includes| !includes.value.is_empty()) else { return Vec::new() };
        let message = "files of `additional_includes` are not copied into the flow by this version";
        let warning = self.findings.warning("NotServed", &includes.span, message);
        warning.help("copy those that nodes need into the flow folder");
        includes.value.clone()
    }

    fn message_format(&mut self, format: Option<&At<String>>) -> MessageFormat {
        match format.map(|format| (format.value.as_str(), &format.span)) {
            None | Some(("basic", _)) => MessageFormat::Basic,
            Some(("openai-vision", _)) => MessageFormat::OpenaiVision,
            Some((other, span)) => {
                let message = format!("invalid message format {other:?}; supported are: basic, openai-vision");
                self.findings.problem("InvalidFlow", span, message);
                MessageFormat::Basic
            }
        }
    }

    fn input(&mut self, written: &manifest::Input) -> (String, Input) {
        let owner = format!("input {:?}", written.name.value);
        let kind = self.kind_of_value(&owner, &written.name.span, written.kind.as_ref()).unwrap_or(Type::Object);
        let default = written.default.as_ref().filter(|default| !default.value.is_null());
        if let Some(default) = default.filter(|default| kind.coerce("", &default.value).is_err()) {
            let name = kind.name();
            let message = format!("{owner}: the default is no {name}, so a request without this input will be refused");
            self.findings.warning("InputTypeError", &default.span, message);
        }
        let input = Input {
            kind,
            default: default.map(|default| default.value.clone()),
            description: written.description.as_ref().map(|text| text.value.clone()),
            is_chat_input: written.is_chat_input,
            is_chat_history: written.is_chat_history,
        };
        (written.name.value.clone(), input)
    }

    fn output(&mut self, written: &manifest::Output) -> Option<(String, Output)> {
        let name = &written.name;
        let kind = self.kind_of_value(&format!("output {:?}", name.value), &name.span, written.kind.as_ref());
        let reference = written.reference.as_ref().filter(|reference| !is_nothing(&reference.value));
        let Some(reference) = reference else {
            let message = format!("output {:?}: the reference is not specified", name.value);
            let problem = self.findings.problem("EmptyOutputReference", &name.span, message);
            problem.help("add `reference: ${NODE.output}`");
            return None;
        };
        let source = match self.names.of_output(&name.value, reference, self.findings)? {
            Bound::To(source) => source,
            Bound::ToAggregation(node) => {
                let message = format!(
                    "output {:?} references the aggregation node {node:?}, which serving does not run; it is left out",
                    name.value
                );
                self.findings.warning("OutputOfAggregation", &reference.span, message);
                return None;
            }
        };
        let output = Output {
            kind: kind?,
            source,
            description: written.description.as_ref().map(|text| text.value.clone()),
            evaluation_only: written.evaluation_only,
            is_chat_output: written.is_chat_output,
        };
        Some((name.value.clone(), output))
    }

    fn kind_of_value(&mut self, owner: &str, place: &Span, kind: Option<&At<String>>) -> Option<Type> {
        let known = Type::ALL.map(Type::name);
        let Some(kind) = kind else {
            let message = format!("{owner} has no type; types are: {}", listed(known));
            self.findings.problem("InvalidFlow", place, message);
            return None;
        };
        let parsed = Type::parse(&kind.value);
        if parsed.is_none() {
            let message = format!("{owner}: unknown type {:?}; types are: {}", kind.value, listed(known));
            let problem = self.findings.problem("InvalidFlow", &kind.span, message);
            if let Some(near) = nearest(&kind.value.to_lowercase(), known) {
                problem.help(format!("did you mean `{near}`?"));
            }
        }
        parsed
    }

    fn nodes(&mut self, written: &[manifest::Node]) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for written in written {
            if written.aggregation {
                self.names.check_aggregation(written, self.findings);
            } else if self.names.index(&written.name.value) == Some(NodeIndex(nodes.len())) {
                nodes.push(self.node(written));
            }
        }
        let quoting: Vec<_> = nodes.iter().map(|node| quoting(node, &nodes)).collect();
        for (node, quoting) in nodes.iter_mut().zip(quoting) {
            node.untrusted = flow_inputs(node).map(|(name, _)| name.to_owned()).collect();
            node.quoting = quoting;
        }
        nodes
    }

    fn node(&mut self, written: &manifest::Node) -> Node {
        let inputs = written.inputs.iter().filter(|(_, value)| !is_nothing(&value.value));
        let inputs: IndexMap<_, _> = inputs
            .filter_map(|(name, value)| {
                let binding = self.names.of_node(&written.name.value, value, self.findings)?;
                Some((name.value.clone(), binding))
            })
            .collect();
        let activate = written.activate.as_ref().and_then(|activate| {
            let when = self.names.of_node(&written.name.value, &activate.when, self.findings)?;
            Some(Activate { when, is: activate.is.value.clone() })
        });
        Node {
            id: NodeId::new(written.name.value.as_str()),
            kind: self.kind(written),
            inputs,
            activate,
            grants: written.grants.iter().map(|(name, ask)| (name.value.clone(), ask.value.clone())).collect(),
            limits: self.limits(written),
            untrusted: Vec::new(),
            quoting: Vec::new(),
        }
    }

    fn limits(&mut self, written: &manifest::Node) -> Limits {
        let mut read = |key: &str, text: &At<String>, error: String| {
            let message = format!("node {:?}: limits.{key}: {error}", written.name.value);
            self.findings.problem("InvalidLimit", &text.span, message);
        };
        let mut limits = Limits::default();
        if let Some(text) = &written.memory {
            limits.memory = units::bytes(&text.value).map_err(|error| read("memory", text, error)).ok();
        }
        if let Some(text) = &written.timeout {
            limits.timeout = units::duration(&text.value).map_err(|error| read("timeout", text, error)).ok();
        }
        limits
    }

    fn order(&mut self, nodes: &[Node], waits_for: &[Vec<NodeIndex>], manifest: &Manifest) -> Vec<NodeIndex> {
        let edges: usize = waits_for.iter().map(Vec::len).sum();
        if nodes.len() > MAX_NODES || edges > MAX_EDGES {
            let message = format!(
                "the flow has {} nodes and {edges} references between them; at most {MAX_NODES} and {MAX_EDGES} are served",
                nodes.len()
            );
            self.findings.problem("FlowTooLarge", &(0..0), message);
        }
        graph::order(waits_for).unwrap_or_else(|stuck| {
            let names: Vec<_> = stuck.iter().map(|node| nodes[node.0].id.as_str()).collect();
            let first = manifest.nodes.iter().find(|node| node.name.value == names[0]);
            let place = first.map_or(0..0, |node| node.name.span.clone());
            let message = format!(
                "node circular dependency has been detected among the nodes in your flow; review the references of: {}",
                listed(names)
            );
            self.findings.problem("NodeCircularDependency", &place, message);
            Vec::new()
        })
    }
}

/// A literal that means "not given".
fn is_nothing(value: &Json) -> bool {
    value.is_null() || value.as_str() == "\"\""
}

fn waits_for(node: &Node) -> Vec<NodeIndex> {
    let mut needed: Vec<_> = node.bindings().filter_map(Binding::node).collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// The inputs of a node that are flow inputs: their names in the node, and in the flow.
fn flow_inputs(node: &Node) -> impl Iterator<Item = (&str, &str)> {
    node.inputs.iter().filter_map(|(name, binding)| match binding {
        Binding::Input(input) => Some((name.as_str(), input.as_str())),
        Binding::Literal(_) | Binding::Node { .. } => None,
    })
}

/// The inputs of an llm node that hold the text of a prompt node, each with the flow inputs that went into it.
fn quoting(node: &Node, nodes: &[Node]) -> Vec<(String, Vec<String>)> {
    if !matches!(node.kind, NodeKind::Llm { .. }) {
        return Vec::new();
    }
    let quoted = |binding: &Binding| {
        let mut found = BTreeSet::new();
        collect_quoted(binding, nodes, &mut BTreeSet::new(), &mut found);
        (!found.is_empty()).then(|| found.into_iter().map(str::to_owned).collect())
    };
    node.inputs.iter().filter_map(|(name, binding)| Some((name.clone(), quoted(binding)?))).collect()
}

/// Follows prompt nodes up. `seen` ends it where nodes wait for each other, which is told elsewhere.
fn collect_quoted<'a>(
    binding: &Binding,
    nodes: &'a [Node],
    seen: &mut BTreeSet<NodeIndex>,
    found: &mut BTreeSet<&'a str>,
) {
    let Some(index) = binding.node() else { return };
    let node = &nodes[index.0];
    if !matches!(node.kind, NodeKind::Prompt { .. }) || !seen.insert(index) {
        return;
    }
    found.extend(flow_inputs(node).map(|(_, input)| input));
    for binding in node.inputs.values() {
        collect_quoted(binding, nodes, seen, found);
    }
}

/// A value of the environment: structures as JSON, the rest as Python prints it.
fn variable(value: &Json) -> String {
    match value.view() {
        View::List(_) | View::Object(_) => value.to_string(),
        _ => python::str(value),
    }
}

/// Prompt flow's name for a flow that gives itself none: the folder's, as a lower-case identifier.
fn span_name(folder_name: &str) -> String {
    let lower = folder_name.to_lowercase();
    let words: Vec<_> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_numeric()) { format!("n{name}") } else { name }
}
