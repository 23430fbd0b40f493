//! A flow: what was asked for. Text in, a checked [`Flow`] or its problems out.
//!
//! Pure: no clock, no tasks, no files but through [`Surroundings`]. A [`Flow`] has been checked whole, so that what runs
//! it need not doubt it: names exist, there are no cycles, templates are loaded. What runs when is not decided here: see
//! scheduler/plan.rs.

mod check;
pub mod describe;
mod draft;
pub(crate) mod fields;
mod files;
pub mod given;
mod graph;
pub mod images;
pub mod init;
pub mod inputs;
mod manifest;
mod node;
pub mod problem;
mod prompty;
pub mod python;
pub mod reference;
mod template;
pub mod tools;
pub mod types;
pub mod value;
pub(crate) mod yaml;

use indexmap::IndexMap;

use crate::id::FlowId;

pub use self::draft::{Draft, Place};
pub use self::node::{
    Activate, Answer, Api, Binding, ComponentSource, Llm, LlmTool, Node, NodeKind, Package, Python, Template,
};
use init::Init;
use problem::{Problems, Warning};
use types::Type;
use value::Json;

/// What a flow file may refer to: the files of its folder, by paths relative to it, and the environment.
///
/// Called while a flow is parsed, never later. An implementation refuses what lies outside of the folder, also by way
/// of links; paths that leave it by their text alone (`..`, absolute ones) are refused before they get here.
pub trait Surroundings {
    /// The text of a file.
    ///
    /// # Errors
    /// If there is none that may be read.
    fn text(&self, path: &str) -> Result<String, FileError>;

    /// Whether there is a file or a folder of that name.
    fn exists(&self, path: &str) -> bool;

    /// A variable of the process environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Why a file of the flow folder cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("there is no such file")]
    Missing,
    #[error("it lies outside of the flow folder")]
    Outside,
    #[error("{0}")]
    Unreadable(String),
}

/// A checked flow. It never changes; share it in an `Arc`.
#[derive(Debug)]
pub struct Flow {
    id: FlowId,
    kind: FlowKind,
    span_name: String,
    description: Option<String>,
    message_format: MessageFormat,
    trace_content: Option<TraceContent>,
    budget: Budget,
    inputs: IndexMap<String, Input>,
    outputs: IndexMap<String, Output>,
    nodes: Vec<Node>,
    waits_for: Vec<Vec<NodeIndex>>,
    order: Vec<NodeIndex>,
    aggregation: Aggregation,
    environment_variables: IndexMap<String, String>,
    additional_includes: Vec<String>,
    init: Option<Init>,
    sample: Option<IndexMap<String, Json>>,
    configurations: IndexMap<String, IndexMap<String, String>>,
}

/// What kind of file a flow is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// `flow.dag.yaml`: nodes and the values between them.
    Dag,
    /// `flow.flex.yaml`: one entry, which calls what it needs.
    Flex,
    /// A `.prompty` file: one call of a model.
    Prompty,
}

/// What a request may spend on models, as far as the flow says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub calls: Option<u64>,
    pub tokens: Option<u64>,
}

/// The nodes that run once per batch, over what all its lines gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// In the order they run; empty for most flows.
    Nodes(Vec<NodeIndex>),
    /// There are some, but they cannot be run, for the reasons that the flow's warnings give. Serving needs none.
    LeftOut,
}

/// A node of one flow: its position in the file, not counting the nodes that serving leaves out; those come after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(usize);

/// A declared input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// None: any value, as it is.
    pub kind: Option<Type>,
    /// A default of null counts as none, as in prompt flow.
    pub default: Option<Json>,
    pub needed: Needed,
    pub description: Option<String>,
    pub is_chat_input: bool,
    /// None if the file does not say; an input named `chat_history` is one then.
    pub is_chat_history: Option<bool>,
}

/// Whether an input must be given. One that need not be given and has no default is absent then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Needed {
    #[default]
    No,
    /// Each request must give it.
    Yes,
    /// The file of a flex flow declares it without a default, although its entry has one: it must be given, but a request
    /// that gives nothing at all leaves it to the sample.
    ByFile,
}

/// A declared output. Its type is told to clients, not enforced.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub kind: Type,
    pub source: Binding,
    pub description: Option<String>,
    /// Left out of replies, though not of the results of a batch.
    pub evaluation_only: bool,
    pub is_chat_output: bool,
}

/// How a flow writes images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFormat {
    #[default]
    Basic,
    OpenaiVision,
}

impl MessageFormat {
    /// As flow files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::OpenaiVision => "openai-vision",
        }
    }
}

/// How much of its content a flow lets be told in traces. Ours: prompt flow knows no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceContent {
    None,
    Truncated,
    Full,
}

impl Flow {
    /// Reads a flow file as far as it can be read. `origin` is what to call the file in messages, `folder_name` names
    /// the flow; a name that ends in `.prompty` says what the file is.
    pub fn draft(origin: &str, text: &str, folder_name: &str, surroundings: &dyn Surroundings) -> Draft {
        check::flow(origin, text, folder_name, surroundings)
    }

    /// [`Flow::draft`] of a flow that needs nothing but its file.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn parse(
        origin: &str,
        text: &str,
        folder_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        Self::draft(origin, text, folder_name, surroundings).finish()
    }

    /// Name of the folder: the `flow` dimension of every metric.
    pub fn id(&self) -> &FlowId {
        &self.id
    }

    pub fn kind(&self) -> FlowKind {
        self.kind
    }

    /// Name of the flow's span: `name` of the file, else made of the folder's name.
    pub fn span_name(&self) -> &str {
        &self.span_name
    }

    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub fn message_format(&self) -> MessageFormat {
        self.message_format
    }

    /// What the file says of content in traces, if it does.
    pub fn trace_content(&self) -> Option<TraceContent> {
        self.trace_content
    }

    /// What a request may spend on models.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// In the order of the file.
    pub fn inputs(&self) -> &IndexMap<String, Input> {
        &self.inputs
    }

    /// In the order of the file, which is that of replies.
    pub fn outputs(&self) -> &IndexMap<String, Output> {
        &self.outputs
    }

    /// In the order of the file.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeIndex, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeIndex(index), node))
    }

    /// The node at an index that came from this flow.
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.0]
    }

    pub fn find(&self, name: &str) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.id.as_str() == name).map(NodeIndex)
    }

    /// The nodes that a request runs, every one after those it waits for. Of a flex flow the entry alone: it calls the
    /// others. Aggregation nodes are not among them.
    pub fn order(&self) -> &[NodeIndex] {
        &self.order
    }

    /// The entry of a flex flow; none of others.
    pub fn entry(&self) -> Option<NodeIndex> {
        self.order.first().copied().filter(|_| self.kind == FlowKind::Flex)
    }

    /// Whether a node is what a flex flow initialises: its entry, also over all lines of a batch.
    pub fn is_initialised(&self, index: NodeIndex) -> bool {
        let aggregates = matches!(&self.aggregation, Aggregation::Nodes(nodes) if nodes.contains(&index));
        self.entry() == Some(index) || (self.kind == FlowKind::Flex && aggregates)
    }

    /// The nodes that run once per batch.
    pub fn aggregation(&self) -> &Aggregation {
        &self.aggregation
    }

    /// The nodes whose outputs a node needs, be it as inputs or to know whether it runs. Each once.
    pub fn waits_for(&self, node: NodeIndex) -> &[NodeIndex] {
        &self.waits_for[node.0]
    }

    /// Defaults for the environment of the flow; the process's own variables come first. Not resolved yet: a value may be
    /// a reference to a connection.
    pub fn environment_variables(&self) -> &IndexMap<String, String> {
        &self.environment_variables
    }

    /// Paths outside of the flow folder, relative to it, whose files the flow sees as its own, by their last part.
    /// `weir build` copies them.
    pub fn additional_includes(&self) -> &[String] {
        &self.additional_includes
    }

    /// What the entry of a flex flow is initialised with; none for other flows.
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// Inputs for a request that gives none at all.
    pub fn sample(&self) -> Option<&IndexMap<String, Json>> {
        self.sample.as_ref()
    }

    /// Model configurations that stand in the flow itself, as written, by the name of the connection they are used as.
    pub fn configurations(&self) -> &IndexMap<String, IndexMap<String, String>> {
        &self.configurations
    }

    /// What the caller is told: an object of the outputs, or the one value of a flow that has but one.
    pub fn reply(&self, outputs: &[(String, Json)]) -> Json {
        match (self.kind, outputs) {
            (FlowKind::Flex | FlowKind::Prompty, [(_, value)]) => value.clone(),
            _ => Json::object(outputs.iter().map(|(name, value)| (name.as_str(), value))),
        }
    }

    /// The nodes that may stream to the client, each with the output it is: those that one output of the reply shows
    /// whole, that no other node waits for, and of which nothing says that they never stream. Whether a node does stream
    /// is known when it has run; two that do are an error of a request that asked for a stream.
    pub fn stream_candidates(&self) -> Vec<(NodeIndex, &str)> {
        let shown: Vec<_> = self.outputs.iter().filter(|(_, output)| !output.evaluation_only).collect();
        let shows = |output: &Output, index| matches!(&output.source, Binding::Node { node, .. } if *node == index);
        let whole = |output: &Output| matches!(&output.source, Binding::Node { path, .. } if path.is_empty());
        let candidate = |index| {
            let mut outputs = shown.iter().filter(|(_, output)| shows(output, index));
            let (name, output) = outputs.next()?;
            let alone = outputs.next().is_none() && !self.is_needed(index);
            (alone && whole(output) && self.node(index).may_stream()).then_some((index, name.as_str()))
        };
        let served = (0..self.nodes.len()).map(NodeIndex).filter(|index| self.order.contains(index));
        served.filter_map(candidate).collect()
    }

    /// Whether another node that a request runs waits for this one.
    fn is_needed(&self, index: NodeIndex) -> bool {
        self.order.iter().any(|node| self.waits_for(*node).contains(&index))
    }
}

impl FlowKind {
    /// Value of the attribute `execution_target`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dag => "dag",
            Self::Flex => "flex",
            Self::Prompty => "prompty",
        }
    }
}

impl NodeIndex {
    /// Position, for tables beside the flow's nodes.
    pub fn get(self) -> usize {
        self.0
    }
}

#[cfg(test)]
pub(crate) mod tests;
