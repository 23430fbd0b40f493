//! Which nodes may run now. Pure: no clock, no tasks, no limit on how many run at once; see drive.rs for the running.

use std::sync::Arc;

use crate::flow::inputs::Inputs;
use crate::flow::reference::Path;
use crate::flow::value::Json;
use crate::flow::{Binding, Flow, Node, NodeIndex, python};

/// One run of a flow: what has become of each node, and what that allows next.
///
/// Ask [`Plan::ready`], run what it says, tell [`Plan::completed`] or [`Plan::failed`], ask again, until
/// [`Plan::is_done`]. The outputs do not depend on the order in which nodes that run at once complete.
#[derive(Debug)]
pub struct Plan {
    flow: Arc<Flow>,
    inputs: Inputs,
    states: Vec<State>,
    failed: bool,
}

#[derive(Debug)]
enum State {
    Waiting,
    Running,
    Completed(Json),
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

impl Plan {
    pub fn new(flow: Arc<Flow>, inputs: Inputs) -> Self {
        let states = flow.nodes().map(|_| State::Waiting).collect();
        Self { flow, inputs, states, failed: false }
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
        for &node in flow.order() {
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
        debug_assert!(matches!(self.states[node.get()], State::Running), "only a node that runs can complete");
        self.states[node.get()] = State::Completed(output);
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
        let others = self.states.iter().enumerate().filter(|(index, _)| *index != node.get());
        !self.failed
            && !self.states[node.get()].is_finished()
            && others.into_iter().all(|(_, state)| state.is_finished())
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
        let outputs = self.flow.outputs().iter();
        outputs
            .filter(|(_, output)| !output.evaluation_only && wanted(&output.source))
            .map(|(name, output)| Ok((name.as_str(), self.output(name, &output.source)?)))
            .collect()
    }

    fn output(&self, name: &str, source: &Binding) -> Result<Json, OutputsError> {
        if let Binding::Node { node, path } = source {
            let id = || self.flow.node(*node).id.as_str().to_owned();
            match &self.states[node.get()] {
                State::Waiting | State::Running => {
                    return Err(OutputsError::Unfinished { output: name.to_owned(), node: id() });
                }
                // Null has no parts.
                State::Bypassed if !path.is_empty() => {
                    return Err(InvalidReferenceProperty { node: id(), property: path.to_string() }.into());
                }
                State::Completed(_) | State::Bypassed => {}
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
        Ok(Step::Run { node: index, inputs: node.assemble(|binding| self.value(binding))? })
    }

    fn is_bypassed(&self, node: NodeIndex) -> bool {
        matches!(self.states[node.get()], State::Bypassed)
    }

    /// What a binding stands for. None: a node that was bypassed.
    fn value(&self, binding: &Binding) -> Result<Option<Json>, InvalidReferenceProperty> {
        match binding {
            Binding::Literal(value) => Ok(Some(value.clone())),
            // `Inputs` of a flow hold all that the flow declares.
            Binding::Input(name) => Ok(self.inputs.get(name).cloned()),
            Binding::Node { node, path } => match &self.states[node.get()] {
                State::Completed(output) => self.part(*node, output, path).map(Some),
                State::Waiting | State::Running | State::Bypassed => Ok(None),
            },
        }
    }

    fn part(&self, node: NodeIndex, output: &Json, path: &Path) -> Result<Json, InvalidReferenceProperty> {
        path.of(output).ok_or_else(|| InvalidReferenceProperty {
            node: self.flow.node(node).id.as_str().to_owned(),
            property: path.to_string(),
        })
    }
}

impl State {
    fn is_finished(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Bypassed)
    }
}

#[cfg(test)]
mod tests;
