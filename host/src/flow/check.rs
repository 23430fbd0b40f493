//! The manifest against itself and the flow folder: every problem found, or a [`Flow`]. Not the shape of the file: see
//! manifest.rs; not what each type of node needs: see check/kind.rs.

mod chat;
mod flex;
mod kind;
mod names;
mod parameters;
mod ports;
mod prompty;

use indexmap::IndexMap;

use super::draft::{Draft, Written};
use super::fields::At;
use super::files::Files;
use super::given::Quoting;
use super::manifest::{self, Manifest};
use super::problem::{Findings, listed};
use super::prompty::Prompty;
use super::python;
use super::value::{Json, View};
use super::{
    Activate, Aggregation, Binding, Budget, Flow, FlowKind, MessageFormat, Node, NodeIndex, Surroundings, TraceContent,
    graph,
};
use crate::id::{FlowId, NodeId};
use names::Names;

/// Most nodes of a flow. The largest that were seen in the wild have a few dozen.
const MAX_NODES: usize = 500;

/// Most inputs of all nodes together, and so most references between nodes.
const MAX_INPUTS: usize = 5000;

/// Most of the files that a flow names, in MiB. Hundreds of templates, each as long as a chapter, are less.
const MAX_READ: usize = 8;

pub(super) fn flow(origin: &str, text: &str, folder_name: &str, surroundings: &dyn Surroundings) -> Draft {
    let mut findings = Findings::of(origin, text);
    let surroundings = &Files::within(MAX_READ, surroundings);
    if is_prompty(origin) {
        return prompty::flow(origin, text, folder_name, surroundings, findings);
    }
    let manifest = Manifest::parse(text, &mut findings).unwrap_or_default();
    let manifest = flex::with_entry(within_bounds(manifest, &mut findings));
    let names = Names::new(&manifest, &mut findings);
    let configurations = IndexMap::new();
    let kind = if manifest.flex.is_some() { FlowKind::Flex } else { FlowKind::Dag };
    let checker = Checker { kind, names, surroundings, findings, configurations, flow_prompty: None };
    checker.flow(&manifest, folder_name)
}

/// The manifest; without its nodes and what refers to them if they are too many, which is then found.
fn within_bounds(manifest: Manifest, findings: &mut Findings) -> Manifest {
    let (nodes, inputs) = (manifest.nodes.len(), manifest.nodes.iter().map(|node| node.inputs.len()).sum::<usize>());
    if nodes <= MAX_NODES && inputs <= MAX_INPUTS {
        return manifest;
    }
    let message = format!(
        "the flow has {nodes} nodes with {inputs} inputs; at most {MAX_NODES} nodes with {MAX_INPUTS} are served"
    );
    findings.problem("FlowTooLarge", &(0..0), message);
    Manifest { nodes: Vec::new(), outputs: Vec::new(), ..manifest }
}

/// Whether a file of this name is a prompty.
fn is_prompty(path: &str) -> bool {
    path.to_lowercase().ends_with(".prompty")
}

struct Checker<'a> {
    kind: FlowKind,
    names: Names<'a>,
    surroundings: &'a dyn Surroundings,
    findings: Findings,
    /// Model configurations of prompty files, by the name of the connection that stands for them.
    configurations: IndexMap<String, IndexMap<String, String>>,
    /// The flow itself, if it is a prompty.
    flow_prompty: Option<Prompty>,
}

/// The nodes of a flow, on their way.
#[derive(Default)]
struct Nodes {
    nodes: Vec<Node>,
    written: Vec<Written>,
}

impl Checker<'_> {
    /// What is broken is left out, and has been found.
    fn flow(mut self, manifest: &Manifest, folder_name: &str) -> Draft {
        self.language(manifest.language.as_ref());
        let kind = self.kind;
        let message_format = self.message_format(manifest.message_format.as_ref());
        let trace_content = self.trace_content(manifest.trace_content.as_ref());
        let budget = self.budget(&manifest.budget);
        let inputs = manifest.inputs.iter().map(|input| self.input(input, kind)).collect();
        let Nodes { mut nodes, mut written } = self.nodes(manifest, message_format);
        let waits_for: Vec<_> = nodes.iter().map(waits_for).collect();
        let order = self.order(&nodes, &waits_for, manifest);
        let (order, aggregation) = split(order, &written);
        if aggregation == Aggregation::LeftOut {
            // They come last.
            let served = order.len();
            nodes.truncate(served);
            written.truncate(served);
        }
        let mut flow = Flow {
            id: FlowId::new(folder_name),
            kind,
            span_name: manifest.name.as_ref().map_or_else(|| span_name(folder_name), |name| name.value.clone()),
            description: description(manifest),
            message_format,
            trace_content,
            budget,
            inputs,
            outputs: IndexMap::new(),
            nodes,
            waits_for,
            order,
            aggregation,
            environment_variables: environment(manifest),
            additional_includes: self.additional_includes(manifest.additional_includes.as_ref()),
            init: None,
            sample: None,
            configurations: IndexMap::new(),
        };
        match &manifest.flex {
            None => {
                flow.outputs = manifest.outputs.iter().filter_map(|output| self.output(output)).collect();
                self.unused_nodes(&flow, &written);
                self.chat(manifest);
            }
            Some(flex) => {
                flow.outputs = flex::outputs(manifest);
                flow.order = vec![NodeIndex(0)];
                flow.init = Some(self.init(flex));
                flow.sample = self.sample_inputs(flex).filter(|sample| !sample.is_empty());
                self.flex_nodes(&written);
            }
        }
        flow.configurations = self.configurations;
        let variables = manifest.environment_variables.iter().map(|(name, value)| (name.clone(), value.span.clone()));
        let budget = manifest.budget.clone();
        Draft { flow, written, variables: variables.collect(), budget, findings: self.findings }
    }

    fn language(&mut self, language: Option<&At<String>>) {
        if let Some(language) = language.filter(|language| language.value != "python") {
            let message = format!("flows in {:?} are not served, only those in python", language.value);
            let problem = self.findings.problem("InvalidFlow", &language.span, message);
            problem.help("nodes of any language are served as components (`type: wasm`); then drop `language`");
        }
    }

    fn additional_includes(&mut self, includes: Option<&At<Vec<String>>>) -> Vec<String> {
        let Some(includes) = includes else { return Vec::new() };
        for include in &includes.value {
            let name = include.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            if !self.surroundings.exists(name) {
                let message = format!("additional include {include:?} is not part of the flow folder yet");
                let warning = self.findings.warning("AdditionalIncludeNotFound", &includes.span, message);
                warning.help("run `weir build` on the flow folder, which copies it into `.weir`");
            }
        }
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

    fn trace_content(&mut self, content: Option<&At<String>>) -> Option<TraceContent> {
        let content = content?;
        match content.value.as_str() {
            "none" => Some(TraceContent::None),
            "truncated" => Some(TraceContent::Truncated),
            "full" => Some(TraceContent::Full),
            other => {
                let message = format!("trace_content: unknown word {other:?}; write one of: none, truncated, full");
                self.findings.problem("InvalidFlow", &content.span, message);
                // Whoever writes it means to show less, if anything.
                Some(TraceContent::None)
            }
        }
    }

    fn budget(&mut self, written: &manifest::Budget) -> Budget {
        let mut read = |key: &str, text: Option<&At<String>>| {
            let text = text?;
            let number = text.value.parse().ok().filter(|number| *number > 0);
            if number.is_none() {
                let message = format!("budget.{key}: {:?} must be a whole number of at least 1", text.value);
                self.findings.problem("InvalidBudget", &text.span, message);
            }
            number
        };
        Budget { calls: read("calls", written.calls.as_ref()), tokens: read("tokens", written.tokens.as_ref()) }
    }

    /// The nodes that a request may run, then those that run once per batch. What is found wrong with the latter is
    /// but a warning: serving needs none of them.
    fn nodes(&mut self, manifest: &Manifest, message_format: MessageFormat) -> Nodes {
        let mut nodes = Nodes::default();
        let (aggregations, served): (Vec<_>, Vec<_>) = manifest.nodes.iter().partition(|node| node.aggregation);
        for written in served.into_iter().chain(aggregations) {
            // Of two nodes of one name the first counts.
            if self.names.index(&written.name.value) != Some(NodeIndex(nodes.nodes.len())) {
                continue;
            }
            let before = self.findings.problems();
            let (node, sound) = self.node(written);
            nodes.nodes.push(node);
            let sound = sound && self.findings.problems() == before;
            nodes.written.push(Written { node: written.clone(), sound });
        }
        let quoting: Vec<_> = nodes.nodes.iter().map(|node| Quoting::of(node, &nodes.nodes)).collect();
        for (node, quoting) in nodes.nodes.iter_mut().zip(quoting) {
            node.untrusted = node.flow_inputs().map(str::to_owned).collect();
            node.quoting = quoting;
            node.message_format = message_format;
        }
        nodes
    }

    /// The node, and whether what it does was found sound.
    fn node(&mut self, written: &manifest::Node) -> (Node, bool) {
        let mut inputs = IndexMap::new();
        for (name, value) in written.inputs.iter().filter(|(_, value)| !is_nothing(&value.value)) {
            if let Some(binding) = self.names.of_node(written, value, &mut self.findings) {
                inputs.insert(name.value.clone(), binding);
            }
        }
        let activate = written.activate.as_ref().and_then(|activate| {
            let when = self.names.of_condition(written, &activate.when, &mut self.findings)?;
            Some(Activate { when, is: activate.is.value.clone() })
        });
        let before = self.findings.problems();
        let made = self.kind(written, &inputs);
        inputs.retain(|name, _| !made.takes_over.contains(&name.as_str()));
        for (name, value) in made.defaults {
            inputs.entry(name).or_insert(Binding::Literal(value));
        }
        self.parameters(written, &made.kind, &inputs);
        let sound = self.findings.problems() == before;
        if written.aggregation {
            self.findings.demote(before);
        }
        let node = Node {
            id: NodeId::new(written.name.value.as_str()),
            kind: made.kind,
            inputs,
            activate,
            grants: written.grants.iter().map(|(name, ask)| (name.value.clone(), ask.value.clone())).collect(),
            limits: texts(&written.limits),
            reuse: written.reuse.as_deref().map(texts),
            described_whole: false,
            untrusted: Vec::new(),
            quoting: Quoting::default(),
            message_format: MessageFormat::default(),
        };
        (node, sound)
    }

    /// A node that nothing refers to still runs, and costs; mostly somebody forgot the reference. A flow without outputs
    /// runs for what its nodes do.
    fn unused_nodes(&mut self, flow: &Flow, written: &[Written]) {
        if flow.outputs.is_empty() {
            return;
        }
        let shown = |index| flow.outputs.values().any(|output| output.source.node() == Some(index));
        for (index, node) in flow.nodes() {
            let needed = flow.waits_for.iter().any(|needed| needed.contains(&index));
            if !needed && !shown(index) && !written[index.0].node.aggregation {
                let message = format!("node {:?} runs, but nothing uses its output", node.id.as_str());
                self.findings.warning("UnusedNode", &written[index.0].node.name.span, message);
            }
        }
    }

    fn order(&mut self, nodes: &[Node], waits_for: &[Vec<NodeIndex>], manifest: &Manifest) -> Vec<NodeIndex> {
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

/// Of all nodes in order, those of a request and those of a batch. The latter are all left out if one of them cannot run.
fn split(order: Vec<NodeIndex>, written: &[Written]) -> (Vec<NodeIndex>, Aggregation) {
    let is_aggregation = |index: &NodeIndex| written[index.0].node.aggregation;
    let (aggregation, order): (Vec<_>, Vec<_>) = order.into_iter().partition(is_aggregation);
    let sound = aggregation.iter().all(|index| written[index.0].sound);
    (order, if sound { Aggregation::Nodes(aggregation) } else { Aggregation::LeftOut })
}

fn texts(written: &[(At<String>, At<String>)]) -> IndexMap<String, String> {
    written.iter().map(|(key, text)| (key.value.clone(), text.value.clone())).collect()
}

/// A literal that means "not given".
fn is_nothing(value: &Json) -> bool {
    value.is_null() || is_empty(value)
}

/// Text without a character.
fn is_empty(value: &Json) -> bool {
    value.as_str() == "\"\""
}

fn waits_for(node: &Node) -> Vec<NodeIndex> {
    let mut needed: Vec<_> = node.bindings().filter_map(Binding::node).collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

fn description(manifest: &Manifest) -> Option<String> {
    let text = manifest.description.as_ref().or(manifest.display_name.as_ref())?;
    Some(text.value.clone())
}

fn environment(manifest: &Manifest) -> IndexMap<String, String> {
    let set = manifest.environment_variables.iter().filter(|(_, value)| !value.value.is_null());
    set.map(|(name, value)| (name.clone(), variable(&value.value))).collect()
}

/// A value of the environment: structures as Python's JSON, the rest as Python prints it.
fn variable(value: &Json) -> String {
    match value.view() {
        View::List(_) | View::Object(_) => python::dumps(value),
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
