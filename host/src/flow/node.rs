//! A node of a checked flow: what it does, where its inputs come from, when it runs. Not what it is given in the end: see
//! given.rs.

use std::fmt;

use indexmap::IndexMap;

use super::given::Quoting;
use super::reference::Path;
use super::tools::Plugin;
use super::value::Json;
use super::{MessageFormat, NodeIndex};
use crate::id::NodeId;

/// A node that serving may run.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: NodeId,
    pub kind: NodeKind,
    /// In the order of the file. Literals `""` and null are not here: they mean "not given".
    pub inputs: IndexMap<String, Binding>,
    pub activate: Option<Activate>,
    /// What the flow asks of each capability, by the capability's name. Only that capability knows what it means.
    pub grants: IndexMap<String, Json>,
    /// What the flow says of its limits, as written, by key. Which there are, and what they may be, the sandbox knows.
    pub limits: IndexMap<String, String>,
    /// Its instances may serve one run after the other, within these bounds as written, by key; none: each run has a fresh one.
    pub reuse: Option<IndexMap<String, String>>,
    /// Its component says that it never answers with a stream.
    pub(super) described_whole: bool,
    /// Names of inputs whose text comes from outside the flow's author: `_inputs_to_escape`.
    pub(super) untrusted: Vec<String>,
    /// Of an llm node: the prompts whose text it is given.
    pub(super) quoting: Quoting,
    /// That of the flow.
    pub(super) message_format: MessageFormat,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Renders a template.
    Prompt { template: Template },
    /// Renders a template and asks a model.
    Llm(Llm),
    /// Runs a component.
    Component { source: ComponentSource },
    /// Runs what is written in Python: see [`Python`].
    Python(Python),
    /// Runs one of prompt flow's package tools that asks no chat model.
    Package(Package),
}

/// Where the component of a node comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentSource {
    /// A `.wasm` file, or the source that one was built from, relative to the flow folder.
    Folder(String),
    /// An artifact in a registry, such as `ghcr.io/acme/summarize:1.2@sha256:…`, pulled by `weir build`.
    Registry(String),
}

/// A node in Python. All Python of a flow is built into one component, which is told by the entry what of it to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// A file that has a tool, relative to the flow folder, such as `classify.py`; of a flex flow `module:name`.
    pub entry: String,
    /// The connections that the flow file gives it by name, once it is known which inputs are connections.
    pub connections: Vec<String>,
}

impl Python {
    /// The entry that is the `__aggregate__` of this one, if it is a class that has one.
    pub fn aggregation(&self) -> String {
        format!("{}#aggregate", self.entry)
    }
}

/// A node that is a package tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The id of the tool.
    pub tool: &'static str,
    pub plugin: Plugin,
    pub connection: String,
    /// The type of the connection, such as `azure_open_ai`, once it is known.
    pub service: Option<&'static str>,
}

/// A node that asks a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    pub template: Template,
    pub connection: String,
    /// The type of the connection, such as `azure_open_ai`, once it is known.
    pub service: Option<&'static str>,
    pub api: Api,
    pub tool: LlmTool,
    /// How a prompty's answer is read. None: as text, or as the whole message where there are tools.
    pub answer: Option<Answer>,
}

/// Which of prompt flow's tools an llm node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlmTool {
    /// `type: llm`.
    Node,
    /// The package tool that is the same.
    Package,
    /// The package tools for images.
    Vision,
}

/// What a prompty makes of a model's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// `response: all`: the service's answer, whole.
    pub all: bool,
    /// Of an answer that is an object, the keys that count; empty: all.
    pub outputs: Vec<String>,
    /// Parameters of the call, whatever they are called.
    pub parameters: Option<Json>,
    /// Inputs of the names of parameters come before those. Not where the prompty is the flow: its inputs may have any
    /// names.
    pub overridden: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub path: String,
    pub text: String,
}

/// Which API of a model an llm node calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Chat,
    Completion,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    Literal(Json),
    /// A flow input, which exists.
    Input(String),
    /// The output of a node, or a part of it.
    Node {
        node: NodeIndex,
        path: Path,
    },
}

/// Runs the node only if two values are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activate {
    pub when: Binding,
    pub is: Json,
}

impl Binding {
    /// The node it needs.
    pub fn node(&self) -> Option<NodeIndex> {
        match self {
            Self::Node { node, .. } => Some(*node),
            Self::Literal(_) | Self::Input(_) => None,
        }
    }
}

impl ComponentSource {
    /// As the flow file has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Folder(path) => path,
            Self::Registry(reference) => reference,
        }
    }
}

impl Node {
    /// Whether it may answer with a stream, as far as that can be known before it runs.
    pub(super) fn may_stream(&self) -> bool {
        match &self.kind {
            NodeKind::Prompt { .. } | NodeKind::Package(_) | NodeKind::Llm(Llm { api: Api::Completion, .. }) => false,
            NodeKind::Llm(Llm { answer: Some(answer), .. }) => answer.may_stream(),
            NodeKind::Llm(Llm { answer: None, .. }) => true,
            NodeKind::Component { .. } | NodeKind::Python(_) => !self.described_whole,
        }
    }

    /// What its flow asks of each capability, by the capability's name, as JSON texts.
    pub fn asks(&self) -> Vec<(&str, &str)> {
        self.grants.iter().map(|(name, ask)| (name.as_str(), ask.as_str())).collect()
    }

    /// The bindings that decide when the node can run: its inputs and the condition.
    pub(super) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.inputs.values().chain(self.activate.iter().map(|activate| &activate.when))
    }
}

impl Answer {
    /// A prompty streams where its parameters say so. Those of one that a flow uses may be changed by the flow.
    fn may_stream(&self) -> bool {
        let says = |parameters: &Json| parameters.members().is_some_and(|members| members.contains_key("stream"));
        !self.all && (self.overridden || self.parameters.as_ref().is_some_and(says))
    }
}

impl NodeKind {
    /// As flow files write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prompt { .. } => "prompt",
            Self::Llm(llm) if llm.tool == LlmTool::Node => "llm",
            Self::Llm(_) => "custom_llm",
            Self::Component { .. } => "wasm",
            Self::Python(_) | Self::Package(_) => "python",
        }
    }

    /// The connection that the node names.
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::Llm(Llm { connection, .. }) | Self::Package(Package { connection, .. }) => Some(connection),
            Self::Prompt { .. } | Self::Component { .. } | Self::Python(_) => None,
        }
    }

    /// All connections that the node names: naming them there grants them.
    pub fn connections(&self) -> impl Iterator<Item = &str> {
        let given = if let Self::Python(python) = self { python.connections.as_slice() } else { &[] };
        self.connection().into_iter().chain(given.iter().map(String::as_str))
    }

    /// The template that the node renders.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Prompt { template } | Self::Llm(Llm { template, .. }) => Some(template),
            Self::Component { .. } | Self::Python(_) | Self::Package(_) => None,
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
        })
    }
}
