//! A flow on its way: read as far as it can be read, not yet known to be good. Components, connections and grants add
//! what they find; [`Draft::finish`] decides. So all that is wrong with a flow is told at once, each with its place.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::describe::Description;
use super::images::{Image, ImageError};
use super::init::Resolved;
use super::manifest;
use super::problem::{Findings, Problem, Problems, Span, Warning, listed, nearest};
use super::reference::Path;
use super::{Aggregation, Binding, Flow, FlowKind, Input, Needed, Node, NodeIndex, NodeKind, Python};
use crate::id::NodeId;

/// What the node is called that a class is which is the entry of a flex flow, over all lines of a batch.
const AGGREGATE: &str = "__aggregate__";

/// A flow that may still have problems.
#[derive(Debug)]
pub struct Draft {
    pub(super) flow: Flow,
    /// Of each node of the flow, how it is written.
    pub(super) written: Vec<Written>,
    /// Of each variable that the flow declares, where it does.
    pub(super) variables: HashMap<String, Span>,
    pub(super) budget: manifest::Budget,
    pub(super) findings: Findings,
}

/// A node as it stands in the file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) node: manifest::Node,
    /// Whether nothing was found wrong with it.
    pub(super) sound: bool,
}

/// What of a flow file a problem is about.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    Node(NodeIndex),
    Source(NodeIndex),
    Connection(NodeIndex),
    /// An input, by its name.
    Input(NodeIndex, &'a str),
    /// The grant for a capability.
    Grant(NodeIndex, &'a str),
    /// A limit, by its key.
    Limit(NodeIndex, &'a str),
    /// What bounds the reuse of its instances, by its key.
    Reuse(NodeIndex, &'a str),
    /// A variable of `environment_variables`.
    Variable(&'a str),
    /// What a request may spend, by its key.
    Budget(&'a str),
    /// No place in the file; the message says where.
    Elsewhere,
}

impl Draft {
    /// The flow as far as it was read. Take nothing for granted but that it is in one piece: parts that are wrong are
    /// missing.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The nodes that nothing was found wrong with so far.
    pub fn sound_nodes(&self) -> Vec<NodeIndex> {
        let sound = |(index, written): (usize, &Written)| written.sound.then_some(NodeIndex(index));
        self.written.iter().enumerate().filter_map(sound).collect()
    }

    /// Adds a problem; a node that it is about is no longer sound.
    pub fn problem(&mut self, place: Place<'_>, code: &'static str, message: impl Into<String>) -> &mut Problem {
        let Some((node, span)) = self.span(place) else { return self.findings.problem_elsewhere(code, message) };
        if let Some(node) = node {
            self.written[node.0].sound = false;
        }
        self.findings.problem(code, &span, message)
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place<'_>, code: &'static str, message: impl Into<String>) {
        match self.span(place) {
            Some((_, span)) => _ = self.findings.warning(code, &span, message),
            None => self.findings.warning_elsewhere(code, message),
        }
    }

    /// Tells a node what type its connection is of, such as `azure_open_ai`.
    pub fn served_by(&mut self, index: NodeIndex, service: &'static str) {
        match &mut self.flow.nodes[index.0].kind {
            NodeKind::Llm(llm) => llm.service = Some(service),
            NodeKind::Package(package) => package.service = Some(service),
            NodeKind::Prompt { .. } | NodeKind::Component { .. } | NodeKind::Python(_) => {}
        }
    }

    /// Puts the images in place that the file gives to its nodes; `read` reads a file of the flow folder.
    pub fn load_images(&mut self, read: &dyn Fn(&str) -> Result<Image, ImageError>) {
        for error in self.flow.load_images(read).err().into_iter().flatten() {
            let node = self.flow.find(error.node.as_str()).expect("the flow has the node that it tells of");
            self.problem(Place::Input(node, &error.input), "ImageNotLoaded", error.to_string());
        }
    }

    /// Holds what a node is given against what its component says it takes, and reads the literals among it as that. Of
    /// the entry of a flex flow, also makes what the component takes the inputs of the flow.
    pub fn described(&mut self, index: NodeIndex, description: &Description) {
        self.flow.nodes[index.0].described_whole = description.streams == Some(false);
        if self.flow.entry() == Some(index) {
            self.entry_described(index, description);
        } else {
            self.node_described(index, description);
        }
    }

    /// Adds the node that is the entry's `__aggregate__`: it runs once per batch, over what the entry gave each line, and
    /// may do what the entry may. None: it takes nothing, or the flow has no entry in Python.
    pub fn aggregated(&mut self, aggregation: &Description) -> Option<NodeIndex> {
        let entry = self.flow.entry()?;
        let results = aggregation.inputs.as_ref()?.names().next()?.to_owned();
        let node = self.flow.node(entry).clone();
        let NodeKind::Python(python) = &node.kind else { return None };
        let kind = NodeKind::Python(Python { entry: python.aggregation(), ..python.clone() });
        let of_lines = Binding::Node { node: entry, path: Path::default() };
        let inputs = IndexMap::from([(results, of_lines)]);
        let index = NodeIndex(self.flow.nodes.len());
        self.flow.nodes.push(Node { id: NodeId::new(AGGREGATE), kind, inputs, ..node });
        self.flow.waits_for.push(vec![entry]);
        self.flow.aggregation = Aggregation::Nodes(vec![index]);
        let written = manifest::Node { inputs: Vec::new(), ..self.written[entry.0].node.clone() };
        self.written.push(Written { node: written, sound: true });
        Some(index)
    }

    /// What the entry is initialised with: see [`super::init::Init::resolve`]. None: nothing, or found wrong.
    pub fn initialise(&mut self, command_line: &IndexMap<String, String>, config: Option<&str>) -> Option<Resolved> {
        let Some(init) = &self.flow.init else {
            if let Some(name) = command_line.keys().next() {
                let message = format!("--init {name}: only flex flows are initialised, and this is none");
                self.findings.problem_elsewhere("InvalidFlowInitConfig", message);
            }
            return None;
        };
        match init.resolve(command_line, config) {
            Ok(resolved) => Some(resolved),
            Err(errors) => {
                for error in errors {
                    self.findings.problem_elsewhere(error.code(), error.to_string());
                }
                None
            }
        }
    }

    /// Lets replies have these outputs and no others, whatever the file says of evaluation. `written` is what `variable`
    /// holds: a JSON list of names. A name of no output shows nothing. A flow whose reply is one bare value shows it.
    pub fn show_only(&mut self, variable: &str, written: &str) {
        if self.flow.kind != FlowKind::Dag {
            return;
        }
        let Ok(names) = serde_json::from_str::<Vec<String>>(written) else {
            let message =
                format!("{variable}: expected a JSON list of outputs by name, such as [\"answer\"], found {written}");
            self.findings.problem_elsewhere("InvalidResponseIncludedFields", message);
            return;
        };
        for unknown in names.iter().filter(|name| !self.flow.outputs.contains_key(*name)) {
            let known = listed(self.flow.outputs.keys().map(String::as_str));
            let message = format!("{variable}: the flow has no output {unknown:?}; outputs are: {known}");
            self.findings.warning_elsewhere("OutputNotFound", message);
        }
        for (name, output) in &mut self.flow.outputs {
            output.evaluation_only = !names.contains(name);
        }
    }

    /// The flow, if nothing is wrong with it, and what is odd about it.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn finish(self) -> Result<(Flow, Vec<Warning>), Problems> {
        let warnings = self.findings.finish()?;
        Ok((self.flow, warnings))
    }

    fn span(&self, place: Place<'_>) -> Option<(Option<NodeIndex>, Span)> {
        let (index, span) = match place {
            Place::Node(index) => (index, None),
            Place::Source(index) => (index, self.source_span(index)),
            Place::Connection(index) => (index, self.connection_span(index)),
            Place::Input(index, name) => {
                let inputs = &self.written[index.0].node.inputs;
                (index, inputs.iter().find(|(key, _)| key.value == name).map(|(_, value)| value.span.clone()))
            }
            Place::Grant(index, name) => {
                let grants = &self.written[index.0].node.grants;
                (index, grants.iter().find(|(key, _)| key.value == name).map(|(key, _)| key.span.clone()))
            }
            Place::Limit(index, key) => {
                let limits = &self.written[index.0].node.limits;
                (index, limits.iter().find(|(limit, _)| limit.value == key).map(|(_, text)| text.span.clone()))
            }
            Place::Reuse(index, key) => {
                let mut bounds = self.written[index.0].node.reuse.iter().flatten();
                (index, bounds.find(|(bound, _)| bound.value == key).map(|(_, text)| text.span.clone()))
            }
            Place::Variable(name) => {
                return Some((None, self.variables.get(name)?.clone()));
            }
            Place::Budget(key) => {
                let written = if key == "calls" { &self.budget.calls } else { &self.budget.tokens };
                return Some((None, written.as_ref()?.span.clone()));
            }
            Place::Elsewhere => return None,
        };
        Some((Some(index), span.unwrap_or_else(|| self.written[index.0].node.name.span.clone())))
    }

    fn source_span(&self, index: NodeIndex) -> Option<Span> {
        let source = self.written[index.0].node.source.as_ref()?;
        Some(
            source
                .path
                .as_ref()
                .or(source.tool.as_ref())
                .or(source.reference.as_ref())
                .map_or_else(|| source.span.clone(), |path| path.span.clone()),
        )
    }

    fn connection_span(&self, index: NodeIndex) -> Option<Span> {
        let node = &self.written[index.0].node;
        let input = node.inputs.iter().find(|(name, _)| name.value == "connection").map(|(_, value)| &value.span);
        node.connection.as_ref().map(|connection| &connection.span).or(input).cloned()
    }

    fn node_described(&mut self, index: NodeIndex, description: &Description) {
        let Some(ports) = &description.inputs else { return };
        let (node, written) = (&mut self.flow.nodes[index.0], &self.written[index.0].node);
        let owner = format!("node {:?}", node.id.as_str());
        let mut wrong = Vec::new();
        for (name, value) in &written.inputs {
            match ports.get(&name.value) {
                None if ports.open || !node.inputs.contains_key(&name.value) => {}
                None => {
                    let message = format!("{owner}: its component takes no input {:?}; it has no effect", name.value);
                    let warning = self.findings.warning("UnknownInput", &name.span, message);
                    let known = || listed(ports.names());
                    warning.help_with(|| match nearest(&name.value, ports.names()) {
                        Some(near) => format!("did you mean {near:?}? inputs are: {}", known()),
                        None => format!("inputs are: {}", known()),
                    });
                }
                Some(port) => {
                    let Some(Binding::Literal(literal)) = node.inputs.get_mut(&name.value) else { continue };
                    match port.read(literal) {
                        Some(fitting) => {
                            if port.is_connection
                                && let (NodeKind::Python(python), Some(name)) = (&mut node.kind, fitting.as_text())
                            {
                                python.connections.push(name);
                            }
                            *literal = fitting;
                        }
                        None => wrong.push((
                            value.span.clone(),
                            format!("{owner}: input {:?} is {literal}, but its component takes {port}", name.value),
                        )),
                    }
                }
            }
        }
        // A node that does not always run may be there for others to call, and they give it what it needs.
        let is_called = self.flow.kind == FlowKind::Flex || node.activate.is_some();
        let missing = ports.required().filter(|name| !is_called && !node.inputs.contains_key(*name));
        wrong.extend(missing.map(|name| {
            let message = format!("{owner}: its component needs the input {name:?}, which is not given");
            (written.name.span.clone(), message)
        }));
        for (span, message) in wrong {
            self.findings.problem("NodeInputValidationError", &span, message);
            self.written[index.0].sound = false;
        }
    }

    /// The inputs that the file declares and those that the entry takes have to be the same; the entry says which must
    /// be given, the file what is read into them and what stands for one that is missing.
    fn entry_described(&mut self, index: NodeIndex, description: &Description) {
        if let Some(init) = &mut self.flow.init {
            if let (Some(ports), span) = (&description.init, &self.written[index.0].node.name.span) {
                let unknown: Vec<_> = init.names().filter(|name| !ports.open && ports.get(name).is_none()).collect();
                if !unknown.is_empty() {
                    let message = format!(
                        "the flow declares init values that its entry does not take: {}; init values of the entry are: {}",
                        listed(unknown),
                        listed(ports.names())
                    );
                    self.findings.problem("InvalidFlexFlowEntry", span, message);
                }
            }
            init.described(description.init.clone());
        }
        let Some(ports) = &description.inputs else { return };
        let declared = std::mem::take(&mut self.flow.inputs);
        let unknown: Vec<_> =
            declared.keys().map(String::as_str).filter(|name| !ports.open && ports.get(name).is_none()).collect();
        if !unknown.is_empty() {
            let message = format!(
                "the flow declares inputs that its entry does not take: {}; inputs of the entry are: {}",
                listed(unknown),
                listed(ports.names())
            );
            let span = self.written[index.0].node.name.span.clone();
            self.findings.problem("InvalidFlexFlowEntry", &span, message);
        }
        let mut inputs: IndexMap<String, Input> = ports
            .iter()
            .map(|(name, port)| {
                let needed = match (declared.get(name), port.required) {
                    // Prompt flow asks for one although the file has a default for it, and then never uses the default.
                    (Some(Input { default: Some(_), .. }), _) | (None, false) => Needed::No,
                    (_, true) => Needed::Yes,
                    (Some(input), false) => {
                        if input.needed == Needed::No {
                            Needed::No
                        } else {
                            Needed::ByFile
                        }
                    }
                };
                let input = declared.get(name).cloned().unwrap_or_default();
                (name.to_owned(), Input { needed, ..input })
            })
            .collect();
        for (name, input) in declared {
            inputs.entry(name).or_insert(input);
        }
        let bound = inputs.keys().map(|name| (name.clone(), Binding::Input(name.clone())));
        self.flow.nodes[index.0].inputs = bound.collect();
        self.flow.inputs = inputs;
    }
}
