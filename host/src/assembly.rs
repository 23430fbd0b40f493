//! Puts the parts together: a flow folder becomes a [`Runner`]. Wiring only: no part is told how to do its work.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::boundary::grants::{AskError, Grants};
use crate::builder::{self, BuildError};
use crate::capability::connection::{self, Connections, environment};
use crate::capability::{self, Capabilities, config, http, llm};
use crate::flow::problem::{Problems, Warning};
use crate::flow::{FileError, Files, Flow, Node, NodeKind};
use crate::folder::{Folder, FolderError};
use crate::plugins;
use crate::sandbox::component::{self, Component, LoadError, StartError, Workshop};
use crate::sandbox::limits::{DEFAULT_TIMEOUT, Limits, MAX_TIMEOUT};
use crate::sandbox::{self, Nodes, Threads};
use crate::scheduler::{DEFAULT_FLOW_TIMEOUT, Runner};
use crate::telemetry::{self, NodeFacts, PromptFacts, Telemetry};

/// A flow with everything its nodes need, ready to run.
#[derive(Debug)]
pub struct Parts {
    pub flow: Arc<Flow>,
    nodes: Vec<sandbox::Node>,
    /// Held as long as anything runs: its engine's clock ends with it.
    workshop: Workshop,
    pub warnings: Vec<String>,
}

/// Why a flow file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{0:?}")]
    Problems(miette::Report),
}

/// One fault of a flow's components, connections or grants.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Connection(connection::Problem),
    #[error("node {node:?}: {source}")]
    Component { node: String, source: BuildError },
    #[error("node {node:?}: {source}")]
    Load { node: String, source: LoadError },
    #[error("node {node:?}: {source}")]
    Grant { node: String, source: AskError },
    #[error("node {node:?}: limits.{limit}: {asked} is more than {allowed}, the most a flow may have")]
    Limit { node: String, limit: &'static str, asked: String, allowed: String },
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Reads the flow of a folder.
///
/// # Errors
/// All that is wrong with the flow file.
pub fn read_flow(folder: &Folder) -> Result<(Flow, Vec<Warning>), FlowError> {
    let text = folder.read_text(folder.flow_file())?;
    Flow::parse(folder.flow_file(), &text, &folder.name(), folder).map_err(report)
}

fn report(problems: Problems) -> FlowError {
    FlowError::Problems(miette::Report::new(problems))
}

/// The components that a flow names, each path once, in the order of the file.
pub fn component_paths(flow: &Flow) -> Vec<&str> {
    let mut paths = Vec::new();
    for (_, node) in flow.nodes() {
        if let NodeKind::Component { path } = &node.kind
            && !paths.contains(&path.as_str())
        {
            paths.push(path.as_str());
        }
    }
    paths
}

/// Loads the components of a flow, and gives each node what it asks for. May compile for seconds.
///
/// # Errors
/// Every fault, so that all can be mended at once.
pub fn prepare(
    folder: &Folder,
    flow: Flow,
    connection_paths: &[PathBuf],
    components: component::Config,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Parts, Vec<Fault>> {
    let flow = Arc::new(flow);
    let process = env;
    let declared = flow.environment_variables();
    // The process's own environment comes before what the flow file says. What stands for a value of a connection
    // cannot complete one.
    let plain = |value: &&String| environment::reference(value).is_none();
    let env = |name: &str| process(name).or_else(|| declared.get(name).filter(plain).cloned());
    let mut wanted = wanted_connections(&flow);
    wanted.extend(environment::wanted(declared, process));
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    // A connection that cannot be had is one fault; the search for others goes on without it.
    let (connections, warnings, mut faults) = match Connections::load(connection_paths, &wanted, &env) {
        Ok((connections, warnings)) => (connections, warnings, Vec::new()),
        Err(problems) => (Connections::default(), Vec::new(), problems.into_iter().map(Fault::Connection).collect()),
    };
    let has_connections = faults.is_empty();
    let environment = match environment::environment(declared, process, &connections) {
        Ok(environment) => environment,
        Err(problems) => {
            faults.extend(problems.into_iter().filter(|_| has_connections).map(Fault::Connection));
            IndexMap::new()
        }
    };
    let config = config::Config { connections: connections.clone(), environment };
    let http = http::Config { connections: connections.clone(), ..http::Config::default() };
    let llm = llm::Config { connections, ..llm::Config::default() };
    let capabilities = Capabilities::build(capability::Config { config, http, llm, ..capability::Config::default() });
    let workshop = Workshop::open(components).map_err(|error| vec![Fault::Start(error)])?;
    let mut assembling = Assembling {
        folder,
        capabilities,
        workshop: &workshop,
        warnings: warnings.iter().map(ToString::to_string).collect(),
        has_connections,
        faults,
    };
    let nodes: Vec<_> = flow.nodes().filter_map(|(_, node)| assembling.node(node)).collect();
    let Assembling { warnings, faults, .. } = assembling;
    if faults.is_empty() { Ok(Parts { flow, nodes, workshop, warnings }) } else { Err(faults) }
}

impl Parts {
    /// A runner of this flow on these threads.
    pub fn runner(self, telemetry: Telemetry, threads: Threads) -> Runner {
        let guests = threads.guests.clone();
        let nodes = Nodes::new(self.flow.clone(), self.nodes, self.workshop, threads);
        Runner { flow: self.flow, nodes, telemetry, guests, timeout: DEFAULT_FLOW_TIMEOUT }
    }
}

/// The connections a flow names, wherever it does.
fn wanted_connections(flow: &Flow) -> Vec<String> {
    flow.nodes().flat_map(|(_, node)| Capabilities::connections(connection(node), &asks(node))).collect()
}

/// A node's grants, by capability, as JSON texts.
fn asks(node: &Node) -> Vec<(&str, &str)> {
    node.grants.iter().map(|(name, ask)| (name.as_str(), ask.as_str())).collect()
}

fn connection(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Llm { connection, .. } => Some(connection),
        NodeKind::Prompt { .. } | NodeKind::Component { .. } => None,
    }
}

/// Nodes on their way from the flow file to the sandbox.
struct Assembling<'a> {
    folder: &'a Folder,
    capabilities: Arc<Capabilities>,
    workshop: &'a Workshop,
    warnings: Vec<String>,
    /// Whether all connections that the flow names are there.
    has_connections: bool,
    faults: Vec<Fault>,
}

impl Assembling<'_> {
    /// The node ready to run; none if it has faults, which are kept.
    fn node(&mut self, node: &Node) -> Option<sandbox::Node> {
        // All three, so that all faults are found.
        let component = self.component(node);
        let grants = self.grants(node);
        let limits = self.limits(node);
        Some(sandbox::Node {
            id: node.id.clone(),
            component: component?,
            grants: Arc::new(grants?),
            limits: limits?,
            facts: Arc::new(facts(node)),
        })
    }

    fn component(&mut self, node: &Node) -> Option<Arc<Component>> {
        let loaded = match &node.kind {
            NodeKind::Prompt { .. } => self.workshop.load("the built-in plugin `prompt`", plugins::PROMPT),
            NodeKind::Llm { .. } => self.workshop.load("the built-in plugin `llm`", plugins::LLM),
            NodeKind::Component { path } => match builder::component(self.folder, path) {
                Ok((bytes, warning)) => {
                    self.warnings.extend(warning);
                    self.workshop.load(path, &bytes)
                }
                Err(source) => {
                    self.faults.push(Fault::Component { node: node.id.to_string(), source });
                    return None;
                }
            },
        };
        loaded.map_err(|source| self.faults.push(Fault::Load { node: node.id.to_string(), source })).ok()
    }

    fn grants(&mut self, node: &Node) -> Option<Grants> {
        let granted = self.capabilities.grant(connection(node), &asks(node));
        let told_before = |error: &AskError| !self.has_connections && matches!(error, AskError::Unknown { .. });
        match granted {
            Ok(grants) => Some(grants),
            Err(errors) => {
                let errors = errors.into_iter().filter(|error| !told_before(error));
                self.faults.extend(errors.map(|source| Fault::Grant { node: node.id.to_string(), source }));
                None
            }
        }
    }

    fn limits(&mut self, node: &Node) -> Option<Limits> {
        let default_timeout = match node.kind {
            NodeKind::Llm { .. } => MAX_TIMEOUT,
            NodeKind::Prompt { .. } | NodeKind::Component { .. } => DEFAULT_TIMEOUT,
        };
        Limits::within(node.limits.memory.map(|memory| memory.0), node.limits.timeout, default_timeout)
            .map_err(|exceeded| {
                let node = node.id.to_string();
                let (limit, asked, allowed) = exceeded;
                self.faults.push(Fault::Limit { node, limit, asked, allowed });
            })
            .ok()
    }
}

/// What spans say of a node.
fn facts(node: &Node) -> NodeFacts {
    let prompt = |template: &crate::flow::Template| {
        let variables = node.inputs.keys().filter(|name| template.text.contains(name.as_str())).cloned().collect();
        Some(PromptFacts { template: template.text.clone(), variables })
    };
    match &node.kind {
        NodeKind::Prompt { template } => NodeFacts {
            function: "render_template_jinja2".to_owned(),
            kind: telemetry::NodeKind::Prompt,
            prompt: prompt(template),
        },
        NodeKind::Llm { template, api, .. } => {
            NodeFacts { function: format!("OpenAI.{api}"), kind: telemetry::NodeKind::Prompt, prompt: prompt(template) }
        }
        NodeKind::Component { path } => {
            NodeFacts { function: path.clone(), kind: telemetry::NodeKind::Tool, prompt: None }
        }
    }
}

impl Files for Folder {
    fn text(&self, path: &str) -> Result<String, FileError> {
        self.read_text(path).map_err(|error| match error {
            FolderError::Outside(_) => FileError::Outside,
            FolderError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => FileError::Missing,
            FolderError::Io { source, .. } => FileError::Unreadable(source.to_string()),
            other => FileError::Unreadable(other.to_string()),
        })
    }

    fn exists(&self, path: &str) -> bool {
        self.resolve(path).is_ok()
    }
}
