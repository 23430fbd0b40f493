//! Which nodes may run now. Pure: no clock, no tasks, no limit on how many run at once; see drive.rs for the running.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::flow::inputs::Inputs;
use crate::flow::reference::{Path, Reference};
use crate::flow::value::Json;
use crate::flow::{Aggregation, Binding, Flow, Node, NodeIndex, python};

/// One run of a flow: what has become of each node, and what that allows next.
///
/// Ask [`Plan::ready`], run what it says, tell [`Plan::completed`] or [`Plan::failed`], ask again, until
/// [`Plan::is_done`]. The outputs do not depend on the order in which nodes that run at once complete.
#[derive(Debug)]
pub struct Plan {
    flow: Arc<Flow>,
    over: Over,
    states: Vec<State>,
    failed: bool,
}

/// What a plan runs over.
#[derive(Debug)]
enum Over {
    /// One request.
    Request(Inputs),
    /// One line of a batch: a request that shows all its outputs.
    Line(Inputs),
    /// A batch that is through: for each reference of an aggregation node, the list of what its lines gave.
    Batch(IndexMap<String, Json>),
}

/// What one line of a batch gave for the aggregation nodes, by the text of their references.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected(IndexMap<String, Json>);

#[derive(Debug)]
enum State {
    /// It is none of those that this plan runs, and nothing waits for it here.
    Elsewhere,
    Waiting,
    Running,
    Completed {
        output: Json,
        /// What of it came one by one, if it was a stream.
        chunks: Option<Vec<Json>>,
    },
    Bypassed,
}

/// What to do with a node. Each node gets one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run it with this object.
    Run { node: NodeIndex, inputs: Json },
    /// It does not run. Already counted as finished: there is nothing to tell the plan.
    Bypass { node: NodeIndex },
}

/// A reference names a part that the value does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Flow execution failed. Invalid property '{property}' when accessing the node '{node}'. Please check the property \
     and try again."
)]
pub struct InvalidReferenceProperty {
    pub node: String,
    pub property: String,
}

impl InvalidReferenceProperty {
    /// Prompt flow's name of the error; blame is the caller's, as it is there.
    pub const CODE: &str = "InvalidReferenceProperty";
}

/// Why there are no outputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputsError {
    #[error(transparent)]
    Property(#[from] InvalidReferenceProperty),
    /// Asked too early, or of a flow that failed.
    #[error("output {output:?} needs node {node:?}, which has not finished")]
    Unfinished { output: String, node: String },
}

impl Collected {
    /// One JSON object.
    pub fn to_json(&self) -> Json {
        Json::object(self.0.iter().map(|(reference, value)| (reference.as_str(), value)))
    }

    /// What [`Collected::to_json`] gave. None: it is something else.
    pub fn from_json(json: &Json) -> Option<Self> {
        json.members().map(Self)
    }

    /// Whether the flow has nothing to aggregate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Plan {
    /// A request.
    pub fn new(flow: Arc<Flow>, inputs: Inputs) -> Self {
        Self::over(flow, Over::Request(inputs))
    }

    /// A line of a batch: outputs for evaluation are shown as well.
    pub fn of_line(flow: Arc<Flow>, inputs: Inputs) -> Self {
        Self::over(flow, Over::Line(inputs))
    }

    /// The aggregation nodes, over what the lines of a batch gave. What a line did not give is null.
    pub fn of_batch(flow: Arc<Flow>, lines: &[Collected]) -> Self {
        let null = Json::null();
        let over = |reference: &String| Json::list(lines.iter().map(|line| line.0.get(reference).unwrap_or(&null)));
        let lists = aggregated(&flow).map(|(reference, _)| (reference.clone(), over(&reference))).collect();
        Self::over(flow, Over::Batch(lists))
    }

    fn over(flow: Arc<Flow>, over: Over) -> Self {
        let mut states: Vec<_> = flow.nodes().map(|_| State::Elsewhere).collect();
        for node in over.order(&flow) {
            states[node.get()] = State::Waiting;
        }
        Self { flow, over, states, failed: false }
    }

    /// What the aggregation nodes need of a line that is through; of a request nothing. A part that is not there is null.
    pub fn collected(&self) -> Collected {
        if !matches!(self.over, Over::Line(_)) {
            return Collected::default();
        }
        let value = |binding: &Binding| self.value(binding).ok().flatten().unwrap_or_else(Json::null);
        Collected(aggregated(&self.flow).map(|(reference, binding)| (reference, value(binding))).collect())
    }

    /// The steps that have become possible, in the order of dependency and, where that leaves a choice, of the file.
    /// Empty after a failure: nothing new starts then.
    ///
    /// # Errors
    /// If a reference names a part of an output that is not there. The run has failed then, as by [`Plan::failed`].
    pub fn ready(&mut self) -> Result<Vec<Step>, InvalidReferenceProperty> {
        let mut steps = Vec::new();
        let flow = Arc::clone(&self.flow);
        // Nodes come after those they wait for, so one pass carries a bypass through to the end.
        for &node in self.over.order(&flow) {
            if self.failed || !self.can_start(node) {
                continue;
            }
            let step = self.decide(node, flow.node(node)).inspect_err(|_| self.failed = true)?;
            self.states[node.get()] = match step {
                Step::Run { .. } => State::Running,
                Step::Bypass { .. } => State::Bypassed,
            };
            steps.push(step);
        }
        Ok(steps)
    }

    /// A node has run and this is its output.
    pub fn completed(&mut self, node: NodeIndex, output: Json) {
        self.finish(node, output, None);
    }

    /// A node has run and these are the chunks of its output, which are joined as prompt flow joins them.
    pub fn streamed(&mut self, node: NodeIndex, chunks: Vec<Json>) {
        let text: String = chunks.iter().map(python::str).collect();
        self.finish(node, Json::string(&text), Some(chunks));
    }

    fn finish(&mut self, node: NodeIndex, output: Json, chunks: Option<Vec<Json>>) {
        debug_assert!(matches!(self.states[node.get()], State::Running), "only a node that runs can complete");
        self.states[node.get()] = State::Completed { output, chunks };
    }

    /// A node has failed, and with it the flow: no further node starts.
    pub fn failed(&mut self, node: NodeIndex) {
        debug_assert!(matches!(self.states[node.get()], State::Running), "only a node that runs can fail");
        self.failed = true;
    }

    /// Nothing is left to wait for: all nodes have finished, or one has failed.
    pub fn is_done(&self) -> bool {
        self.failed || self.states.iter().all(State::is_finished)
    }

    /// Only this node is left to wait for. Then the first frame of a streamed reply can be sent.
    pub fn waits_only_for(&self, node: NodeIndex) -> bool {
        let mut others = self.states.iter().enumerate().filter(|(index, _)| *index != node.get());
        !self.failed && !self.states[node.get()].is_finished() && others.all(|(_, state)| state.is_finished())
    }

    /// The flow's outputs, in the order the flow declares them. Outputs for evaluation only are left out; of a bypassed
    /// node the output is null.
    ///
    /// # Errors
    /// If the flow has not finished, or a reference names a part that is not there.
    pub fn outputs(&self) -> Result<Vec<(&str, Json)>, OutputsError> {
        self.outputs_where(|_| true)
    }

    /// The outputs but those of this node: the first frame of a reply that streams it.
    ///
    /// # Errors
    /// As for [`Plan::outputs`], of the other outputs.
    pub fn outputs_beside(&self, streamed: NodeIndex) -> Result<Vec<(&str, Json)>, OutputsError> {
        self.outputs_where(|source| source.node() != Some(streamed))
    }

    fn outputs_where(&self, wanted: impl Fn(&Binding) -> bool) -> Result<Vec<(&str, Json)>, OutputsError> {
        if let Over::Batch(_) = &self.over {
            return self.node_outputs();
        }
        let all = matches!(self.over, Over::Line(_));
        let outputs = self.flow.outputs().iter();
        outputs
            .filter(|(_, output)| (all || !output.evaluation_only) && wanted(&output.source))
            .map(|(name, output)| Ok((name.as_str(), self.output(name, &output.source)?)))
            .collect()
    }

    /// Of a batch: what each of its nodes gave, by the node's name.
    fn node_outputs(&self) -> Result<Vec<(&str, Json)>, OutputsError> {
        let output = |node: NodeIndex| {
            let name = self.flow.node(node).id.as_str();
            Ok((name, self.output(name, &Binding::Node { node, path: Path::default() })?))
        };
        self.over.order(&self.flow).iter().copied().map(output).collect()
    }

    fn output(&self, name: &str, source: &Binding) -> Result<Json, OutputsError> {
        if let Binding::Node { node, path } = source {
            let id = || self.flow.node(*node).id.as_str().to_owned();
            match &self.states[node.get()] {
                State::Elsewhere | State::Waiting | State::Running => {
                    return Err(OutputsError::Unfinished { output: name.to_owned(), node: id() });
                }
                // Null has no parts.
                State::Bypassed if !path.is_empty() => {
                    return Err(InvalidReferenceProperty { node: id(), property: path.written().to_owned() }.into());
                }
                State::Completed { .. } | State::Bypassed => {}
            }
        }
        Ok(self.value(source)?.unwrap_or_else(Json::null))
    }

    fn can_start(&self, node: NodeIndex) -> bool {
        let waits_for = self.flow.waits_for(node);
        matches!(self.states[node.get()], State::Waiting)
            && waits_for.iter().all(|needed| self.states[needed.get()].is_finished())
    }

    /// A condition decides alone, even if all inputs were bypassed; without one a node is bypassed with its inputs.
    fn decide(&self, index: NodeIndex, node: &Node) -> Result<Step, InvalidReferenceProperty> {
        let runs = match &node.activate {
            Some(activate) => match self.value(&activate.when)? {
                Some(value) => python::equal(&value, &activate.is),
                None => false,
            },
            None => {
                let mut needed = node.inputs.values().filter_map(Binding::node).peekable();
                needed.peek().is_none() || needed.any(|node| !self.is_bypassed(node))
            }
        };
        if !runs {
            return Ok(Step::Bypass { node: index });
        }
        Ok(Step::Run { node: index, inputs: node.assemble(|binding| self.given(node, binding))? })
    }

    /// What a node is given of a binding.
    fn given(&self, node: &Node, binding: &Binding) -> Result<Option<Json>, InvalidReferenceProperty> {
        if let Binding::Node { node: source, path } = binding
            && let State::Completed { chunks: Some(chunks), .. } = &self.states[source.get()]
            && path.is_empty()
            && let Some(given) = node.chunks_of(self.flow.node(*source), chunks)
        {
            return Ok(Some(given));
        }
        self.value(binding)
    }

    fn is_bypassed(&self, node: NodeIndex) -> bool {
        matches!(self.states[node.get()], State::Bypassed)
    }

    /// What a binding stands for. None: a node that was bypassed.
    fn value(&self, binding: &Binding) -> Result<Option<Json>, InvalidReferenceProperty> {
        if let Over::Batch(lists) = &self.over
            && let Some(list) = lists.get(&text_of(&self.flow, binding))
        {
            return Ok(Some(list.clone()));
        }
        match binding {
            Binding::Literal(value) => Ok(Some(value.clone())),
            Binding::Input(name) => Ok(match &self.over {
                Over::Request(inputs) | Over::Line(inputs) => inputs.get(name).cloned(),
                Over::Batch(_) => None,
            }),
            Binding::Node { node, path } => match &self.states[node.get()] {
                State::Completed { output, .. } => self.part(*node, output, path).map(Some),
                State::Elsewhere | State::Waiting | State::Running | State::Bypassed => Ok(None),
            },
        }
    }

    fn part(&self, node: NodeIndex, output: &Json, path: &Path) -> Result<Json, InvalidReferenceProperty> {
        path.of(output).ok_or_else(|| InvalidReferenceProperty {
            node: self.flow.node(node).id.as_str().to_owned(),
            property: path.written().to_owned(),
        })
    }
}

impl State {
    fn is_finished(&self) -> bool {
        matches!(self, Self::Elsewhere | Self::Completed { .. } | Self::Bypassed)
    }
}

impl Over {
    /// The nodes that run, every one after those it waits for. What a batch needs of other nodes its lines gave.
    fn order<'f>(&self, flow: &'f Flow) -> &'f [NodeIndex] {
        match self {
            Self::Request(_) | Self::Line(_) => flow.order(),
            Self::Batch(_) => aggregation(flow),
        }
    }
}

fn aggregation(flow: &Flow) -> &[NodeIndex] {
    match flow.aggregation() {
        Aggregation::Nodes(nodes) => nodes,
        Aggregation::LeftOut => &[],
    }
}

/// The references of a flow's aggregation nodes to what lines give, with their texts.
fn aggregated(flow: &Flow) -> impl Iterator<Item = (String, &Binding)> {
    let nodes = aggregation(flow);
    let of_line = move |binding: &&Binding| match binding {
        Binding::Literal(_) => false,
        Binding::Input(_) => true,
        Binding::Node { node, .. } => !nodes.contains(node),
    };
    let bindings = nodes.iter().flat_map(move |index| {
        let node = flow.node(*index);
        node.inputs.values().chain(node.activate.iter().map(|activate| &activate.when))
    });
    bindings.filter(of_line).map(|binding| (text_of(flow, binding), binding))
}

/// A binding as a flow file writes it; of a literal, nothing.
fn text_of(flow: &Flow, binding: &Binding) -> String {
    match binding {
        Binding::Literal(_) => String::new(),
        Binding::Input(name) => Reference::Input(name.clone()).to_string(),
        Binding::Node { node, path } => {
            let name = flow.node(*node).id.as_str().to_owned();
            Reference::Node { name, path: path.clone() }.to_string()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
