//! Puts the parts together: a flow folder becomes a [`Runner`]. Wiring only: no part is told how to do its work.

mod components;
mod connect;
pub mod endpoint;
mod policy;
pub mod served;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::boundary::grants::{Ask, AskError, Grants};
use crate::boundary::{Capability, budget};
use crate::builder::Sources;
use crate::capability::connection::{Field, Kind};
use crate::capability::files::{self, Scratch};
use crate::capability::upstream::Upstreams;
use crate::capability::{self, Capabilities, config, http, llm, nodes};
use crate::config::Flows;
use crate::flow::init::Resolved;
use crate::flow::problem::{Problems, Warning, listed, nearest};
use crate::flow::value::Json;
use crate::flow::{
    self, Binding, ComponentSource, Draft, FileError, Flow, Llm, LlmTool, Node, NodeIndex, NodeKind, Place,
    Surroundings,
};
use crate::folder::{Folder, FolderError};
use crate::images;
use crate::sandbox::ahead::MadeAhead;
use crate::sandbox::component::{Component, Workshop};
use crate::sandbox::limits::{self, Caps, Limits, Refused};
use crate::sandbox::reuse::{self, Reuse};
use crate::sandbox::{self, Nodes, Threads};
use crate::scheduler::Runner;
use crate::secret::Secret;
use crate::telemetry::{self, NodeFacts, NodePoints, PromptFacts, Telemetry};
use crate::units::Bytes;

use components::Loaded;
use connect::Connected;

/// A flow with everything its nodes need, ready to run.
#[derive(Debug)]
pub struct Parts {
    pub flow: Arc<Flow>,
    pub folder: Folder,
    nodes: Vec<sandbox::Node>,
    /// Held as long as anything runs: its engine's clock ends with it.
    workshop: Arc<Workshop>,
    pub warnings: Vec<Warning>,
    /// What its connections and variables hold that nobody is told.
    secrets: Vec<Secret>,
    /// Wall time of a request.
    timeout: Duration,
    /// What a request may spend on models.
    budget: budget::Limits,
    /// The services that its nodes may ask.
    upstreams: Upstreams,
    /// How many instances wait for the next run of a node that has them used again.
    kept: reuse::Kept,
    /// How many are made before a run asks.
    ahead: MadeAhead,
}

/// What an operator says about a flow that is to run.
pub struct Settings<'a> {
    /// `--init`, by name.
    pub init: &'a IndexMap<String, String>,
    pub flows: &'a Flows,
    /// Variables as the flow and its connections see them.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// Why a flow cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Flow(#[from] Problems),
    #[error("no runtime to ask components what they are: {0}")]
    Runtime(std::io::Error),
}

/// Variable with the values that the entry of a flex flow is initialised with.
const INIT_CONFIG: &str = "PF_FLOW_INIT_CONFIG";

/// Variables with the outputs that replies show, the first that is set: a JSON list of names.
const INCLUDED_FIELDS: [&str; 2] = ["PROMPTFLOW_RESPONSE_INCLUDED_FIELDS", "PF_RESPONSE_INCLUDED_FIELDS"];

/// Reads the flow of a folder, as far as it can be read.
///
/// # Errors
/// If its file cannot be read.
pub fn read(folder: &Folder, env: &dyn Fn(&str) -> Option<String>) -> Result<Draft, FolderError> {
    let text = folder.read_text(folder.flow_file())?;
    Ok(Flow::draft(folder.flow_file(), &text, &folder.name(), &Around { folder, env }))
}

/// What of a flow may have to be built, each once, in the order of the file.
pub fn sources(flow: &Flow) -> Sources<'_> {
    let mut sources = Sources { message_format: flow.message_format().name(), ..Sources::default() };
    for (_, node) in flow.nodes() {
        let (name, known) = match &node.kind {
            NodeKind::Component { source: ComponentSource::Folder(path) } => (path.as_str(), &mut sources.components),
            NodeKind::Component { source: ComponentSource::Registry(reference) } => {
                (reference.as_str(), &mut sources.artifacts)
            }
            NodeKind::Python(python) => (python.entry.as_str(), &mut sources.python),
            NodeKind::Prompt { .. } | NodeKind::Llm(_) | NodeKind::Package(_) => continue,
        };
        if !name.is_empty() && !known.contains(&name) {
            known.push(name);
        }
    }
    sources
}

/// Reads a flow, loads its components, and gives each node what it asks for. May compile for seconds.
///
/// # Errors
/// Every problem of the flow, its components, connections and grants, so that all can be mended at once.
pub fn prepare(folder: &Folder, workshop: &Arc<Workshop>, settings: &Settings<'_>) -> Result<Parts, Fault> {
    let mut draft = read(folder, settings.env)?;
    draft.load_images(&|path| images::read_file(folder, path));
    let components = components::load(folder, &mut draft, workshop).map_err(Fault::Runtime)?;
    let init = draft.initialise(settings.init, (settings.env)(INIT_CONFIG).as_deref());
    if let Some((variable, names)) = INCLUDED_FIELDS.iter().find_map(|name| Some((name, (settings.env)(name)?))) {
        draft.show_only(variable, &names);
    }
    let connected = connect::connect(&mut draft, init.as_ref(), &settings.flows.connections, settings.env);
    let has_connections = connected.is_some();
    let Connected { connections, environment, keys } = connected.unwrap_or_default();
    let variables = environment.values().filter_map(Field::secret);
    let secrets = connections.secrets().chain(variables).cloned().collect();
    let config = config::Config { connections: connections.clone(), environment, keys };
    let upstreams = Upstreams::new(settings.flows.upstream);
    let (allowed, upstreams_of) = (settings.flows.http_hosts.clone(), upstreams.clone());
    let http = http::Config { connections: connections.clone(), allowed, upstreams: upstreams_of };
    let agent = settings.flows.agent.clone();
    let (limits, upstreams_of) = (settings.flows.models.clone(), upstreams.clone());
    let llm = llm::Config { connections, limits, upstreams: upstreams_of, agent };
    let rulebook = policy::rulebook(&mut draft, settings.flows.policy.as_deref());
    let files =
        files::Config { folder: Some(folder.clone()), scratch: scratch(&mut draft, settings.flows.scratch.as_ref()) };
    let capabilities = capability::Config { config, http, llm, files, ..capability::Config::default() };
    let capabilities = Capabilities::build(capabilities, rulebook);
    let caps = settings.flows.limits;
    let mut assembling = Assembling { draft, capabilities, caps, init: init.as_ref(), has_connections };
    let nodes: Vec<_> = components.into_iter().filter_map(|loaded| assembling.node(loaded)).collect();
    let budget = assembling.budget(settings.flows.budget);
    let (flow, warnings) = assembling.draft.finish()?;
    let (flow, folder, workshop, timeout) = (Arc::new(flow), folder.clone(), workshop.clone(), settings.flows.timeout);
    let (kept, ahead) = (settings.flows.kept, settings.flows.ahead);
    Ok(Parts { flow, folder, nodes, workshop, warnings, secrets, timeout, budget, upstreams, kept, ahead })
}

/// Where runs of a flow may write; none if nobody asks to, or the operator lets nobody.
fn scratch(draft: &mut Draft, place: Option<&(PathBuf, Bytes)>) -> Option<Arc<Scratch>> {
    let (path, most) = place?;
    let asked = draft.flow().nodes().any(|(_, node)| node.grants.contains_key(files::Files::NAME));
    if !asked {
        return None;
    }
    match Scratch::open(path, *most) {
        Ok(scratch) => Some(scratch),
        Err(error) => {
            let message = format!("WEIR_SCRATCH_DIR: {}: no folder can be made there: {error}", path.display());
            draft.problem(Place::Elsewhere, "ScratchUnusable", message);
            None
        }
    }
}

impl Parts {
    /// Where its components were compiled.
    pub fn workshop(&self) -> &Arc<Workshop> {
        &self.workshop
    }

    /// A runner of this flow on these threads.
    pub fn runner(self, telemetry: Telemetry, threads: Threads) -> Runner {
        telemetry.redactor().learn(self.secrets.iter().map(Secret::expose));
        let guests = threads.guests.clone();
        let Self { flow, nodes, workshop, upstreams, kept, ahead, .. } = self;
        let nodes = Nodes::new(flow.clone(), nodes, workshop, threads, upstreams, kept, ahead);
        Runner { flow, nodes, telemetry, guests, timeout: self.timeout, budget: self.budget }
    }
}

/// Nodes on their way from the flow file to the sandbox.
struct Assembling<'a> {
    draft: Draft,
    capabilities: Arc<Capabilities>,
    caps: Caps,
    init: Option<&'a Resolved>,
    /// Whether all connections that the flow names are there.
    has_connections: bool,
}

impl Assembling<'_> {
    /// The node ready to run; none if something is wrong with it, which is then found.
    fn node(&mut self, Loaded { index, component }: Loaded) -> Option<sandbox::Node> {
        let node = self.draft.flow().node(index).clone();
        let init = self.init.filter(|_| self.draft.flow().is_initialised(index));
        // Both, so that all problems are found.
        let grants = self.grants(index, &node, init.map_or(&[], |init| &init.connections));
        let limits = self.limits(index, &node, component.as_deref());
        let reuse = node.reuse.as_ref().map(|asked| self.reuse(index, &node, asked));
        if let (Some(component), Some(limits)) = (&component, &limits)
            && component.memory > limits.memory
        {
            let message = format!(
                "node {:?}: its component begins with {} of memory, more than the {} that it may have; raise `limits.memory`",
                node.id.as_str(),
                component.memory,
                limits.memory
            );
            self.draft.problem(Place::Limit(index, "memory"), "LimitTooLow", message);
        }
        let grants = grants?;
        Some(sandbox::Node {
            id: node.id.clone(),
            component: component?,
            init: init.map_or_else(|| Json::object([]), |init| init.values.clone()),
            limits: limits?,
            reuse: reuse.flatten(),
            is_described_ahead: matches!(node.kind, NodeKind::Python(_)),
            environment: environment(&node, &grants).into(),
            grants: Arc::new(grants),
            facts: Arc::new(facts(self.draft.flow(), &node)),
        })
    }

    /// `connections` are those that the node is initialised with: naming them there grants them.
    fn grants(&mut self, index: NodeIndex, node: &Node, connections: &[String]) -> Option<Grants> {
        self.called_nodes(index, node);
        let connections = node.kind.connections().chain(connections.iter().map(String::as_str));
        let (connections, model) = (connections.collect::<Vec<_>>(), policy::model(node));
        let variables = matches!(node.kind, NodeKind::Python(_));
        let own = Ask { connections: &connections, model: model.as_deref(), variables, grant: None };
        match self.capabilities.grant(own, &node.asks()) {
            Ok(grants) => Some(grants),
            Err(errors) => {
                for (capability, error) in errors {
                    // A connection that is missing has been told of.
                    if self.has_connections || !matches!(error, AskError::Unknown { .. }) {
                        let message = format!("node {:?}: {error}", node.id.as_str());
                        let problem = self.draft.problem(Place::Grant(index, &capability), "GrantRefused", message);
                        if let AskError::UnknownCapability { name, known } = &error
                            && let Some(near) = nearest(name, known.split(", "))
                        {
                            problem.help(format!("did you mean `{near}`?"));
                        }
                    }
                }
                None
            }
        }
    }

    /// The nodes that a node may call have to be there.
    fn called_nodes(&mut self, index: NodeIndex, node: &Node) {
        let grant = node.grants.get(nodes::Nodes::NAME).map(Json::as_str);
        let called = Ask { grant, ..Ask::default() }.names(nodes::Nodes::NAME).unwrap_or_default();
        for name in called {
            let flow = self.draft.flow();
            if flow.find(&name).is_some() {
                continue;
            }
            let message = format!(
                "node {:?}: grants.nodes: there is no node {name:?}; nodes are: {}",
                node.id.as_str(),
                listed(flow.nodes().map(|(_, node)| node.id.as_str()))
            );
            self.draft.problem(Place::Grant(index, nodes::Nodes::NAME), "NodeReferenceNotFound", message);
        }
    }

    /// What a request may spend; where the flow asks for more than there is, that is found.
    fn budget(&mut self, most: budget::Limits) -> budget::Limits {
        let flow::Budget { calls, tokens } = self.draft.flow().budget();
        let mut within = |key: &str, asked: Option<u64>, default: u64, most: u64| match asked {
            None => default.min(most),
            Some(asked) => {
                if asked > most {
                    let message = format!("budget.{key}: {asked} is more than {most}, the most a flow may have");
                    self.draft.problem(Place::Budget(key), "BudgetTooHigh", message);
                }
                asked.min(most)
            }
        };
        budget::Limits {
            calls: within("calls", calls, budget::DEFAULT.calls, most.calls),
            tokens: within("tokens", tokens, budget::DEFAULT.tokens, most.tokens),
        }
    }

    /// How long an instance of the node serves; none: something is wrong, which is then found.
    fn reuse(&mut self, index: NodeIndex, node: &Node, asked: &IndexMap<String, String>) -> Option<Reuse> {
        let refused = match Reuse::asked(asked) {
            Ok(reuse) => return Some(reuse),
            Err(refused) => refused,
        };
        for (key, refused) in refused {
            let message = format!("node {:?}: instances.reuse.{key}: {refused}", node.id.as_str());
            let problem = self.draft.problem(Place::Reuse(index, &key), "InvalidInstances", message);
            if let reuse::Refused::Unknown = refused
                && let Some(near) = nearest(&key, Reuse::BOUNDS)
            {
                problem.help(format!("did you mean `{near}`?"));
            }
        }
        None
    }

    fn limits(&mut self, index: NodeIndex, node: &Node, component: Option<&Component>) -> Option<Limits> {
        let mut limits = Limits::defaults(&self.caps);
        match &node.kind {
            NodeKind::Llm(_) => limits.timeout = self.caps.timeout,
            // Beside what the interpreter and the modules take that it begins with.
            NodeKind::Python(_) => {
                let begins = component.map_or(0, |component| component.memory.0);
                limits.memory = Bytes((limits.memory.0 + begins).min(self.caps.memory.0));
            }
            NodeKind::Prompt { .. } | NodeKind::Component { .. } | NodeKind::Package(_) => {}
        }
        limits
            .asked(&node.limits, &self.caps)
            .map_err(|refused| {
                for (key, refused) in refused {
                    let code = match refused {
                        Refused::Unknown => "UnknownLimit",
                        Refused::Unreadable(_) => "InvalidLimit",
                        Refused::TooMuch { .. } => "LimitTooHigh",
                    };
                    let message = format!("node {:?}: limits.{key}: {refused}", node.id.as_str());
                    let problem = self.draft.problem(Place::Limit(index, &key), code, message);
                    if let Refused::Unknown = refused
                        && let Some(near) = nearest(&key, limits::known().iter().copied())
                    {
                        problem.help(format!("did you mean `{near}`?"));
                    }
                }
            })
            .ok()
    }
}

/// What the runtime of Python is told: which entry of the component it is, the models that the node may ask, by which
/// clients that name none find theirs, and what of connections is secret. Nodes do not see it.
fn environment(node: &Node, grants: &Grants) -> Vec<(&'static str, String)> {
    let NodeKind::Python(python) = &node.kind else { return Vec::new() };
    let granted = Capabilities::connections(&node.asks()).into_iter();
    let models = granted.filter(|(capability, _)| *capability == llm::Llm::NAME).map(|(_, name)| name);
    let models: Vec<_> = python.connections.iter().cloned().chain(models).collect();
    let mut told = vec![(sandbox::ENTRY, python.entry.clone()), (sandbox::MODELS, models.join(","))];
    let settings = grants.get::<config::Settings>();
    let secrets: Vec<_> = settings.iter().flat_map(|settings| settings.secret_keys()).collect();
    if !secrets.is_empty() {
        told.push((sandbox::SECRETS, secrets.join(",")));
    }
    told
}

/// What spans say of a node.
fn facts(flow: &Flow, node: &Node) -> NodeFacts {
    let prompt = |template: &flow::Template| {
        let used = template.variables();
        let variables = node.inputs.keys().filter(|name| used.contains(*name)).cloned().collect();
        PromptFacts { template: template.text.clone(), variables }
    };
    let function = match &node.kind {
        NodeKind::Prompt { .. } => "render_template_jinja2".to_owned(),
        NodeKind::Llm(Llm { answer: Some(_), .. }) => "Prompty".to_owned(),
        NodeKind::Llm(Llm { tool: LlmTool::Package, .. }) => "llm".to_owned(),
        NodeKind::Llm(Llm { tool: LlmTool::Vision, .. }) => "llm_vision".to_owned(),
        NodeKind::Llm(llm) if llm.service == Some(Kind::AzureOpenAi.type_name()) => format!("AzureOpenAI.{}", llm.api),
        NodeKind::Llm(llm) => format!("OpenAI.{}", llm.api),
        NodeKind::Component { source } => source.as_str().to_owned(),
        NodeKind::Python(python) => python.entry.clone(),
        NodeKind::Package(package) => package.tool.rsplit('.').next().unwrap_or(package.tool).to_owned(),
    };
    let kind = if node.kind.template().is_some() { telemetry::NodeKind::Prompt } else { telemetry::NodeKind::Tool };
    let after = node.inputs.values().find_map(Binding::node).map(|before| flow.node(before).id.to_string());
    NodeFacts { function, kind, prompt: node.kind.template().map(prompt), after, points: NodePoints::default() }
}

/// A flow folder, in the environment of the process.
struct Around<'a> {
    folder: &'a Folder,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Surroundings for Around<'_> {
    fn text(&self, path: &str) -> Result<String, FileError> {
        self.folder.read_text(path).map_err(|error| match error {
            FolderError::Outside(_) => FileError::Outside,
            FolderError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => FileError::Missing,
            FolderError::Io { source, .. } => FileError::Unreadable(source.to_string()),
            other => FileError::Unreadable(other.to_string()),
        })
    }

    fn exists(&self, path: &str) -> bool {
        self.folder.resolve(path).is_ok()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::tests::flow;

    #[test]
    fn variables_of_a_prompt_are_those_that_its_template_uses() {
        let flow = flow(
            "nodes:\n- {name: n, type: prompt, source: {type: code, path: hello.jinja2}, inputs: {name: a, Hello: b, e: c}}\n",
        );
        let (_, node) = flow.nodes().next().expect("one node");
        assert_eq!(facts(&flow, node).prompt.expect("it has a template").variables, ["name"]);
    }
}
