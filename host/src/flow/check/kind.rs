//! What a node of each type needs: its source, its connection, its tool. Not its references: see names.rs; not its
//! inputs: see parameters.rs.

use indexmap::IndexMap;
use oci_client::Reference;

use super::super::fields::At;
use super::super::manifest::{self, Source};
use super::super::problem::{Span, listed, nearest};
use super::super::tools::{PACKAGE, PackageTool, Runs};
use super::super::value::Json;
use super::super::{Api, Binding, ComponentSource, FileError, Llm, LlmTool, NodeKind, Package, Python, Template};
use super::{Checker, is_prompty};

/// Largest template, in bytes: as large as a flow file.
const MAX_TEMPLATE: usize = 1024 * 1024;

/// The type of a source that is an artifact in a registry.
const OCI: &str = "oci";

/// Types this version serves.
const SERVED: [&str; 5] = ["llm", "prompt", "python", "custom_llm", "wasm"];

/// Types of prompt flow that are not served, or only with a package tool for a source, and what else to do.
const NOT_SERVED: [(&str, &str); 2] = [
    ("custom_llm", "use `type: llm` with a connection, or a component (`type: wasm`) that asks the model"),
    ("csharp", "compile the node to a component and make it `type: wasm`"),
];

/// What a node was found to be.
pub(super) struct Made {
    pub(super) kind: NodeKind,
    /// Inputs that the source of the node gives where the flow file does not.
    pub(super) defaults: Vec<(String, Json)>,
    /// Inputs of the flow file that are part of the kind, and so no inputs.
    pub(super) takes_over: &'static [&'static str],
}

impl From<NodeKind> for Made {
    fn from(kind: NodeKind) -> Self {
        Self { kind, defaults: Vec::new(), takes_over: &[] }
    }
}

impl Checker<'_> {
    /// What the node does. What is broken has been found; then anything may stand for it.
    pub(super) fn kind(&mut self, node: &manifest::Node, inputs: &IndexMap<String, Binding>) -> Made {
        let made = match node.kind.as_ref().map(|kind| kind.value.as_str()) {
            Some("prompt") => NodeKind::Prompt { template: self.template(node) }.into(),
            Some("llm") if self.is_of_prompty(node) => self.prompty_node(node),
            Some("llm" | "python" | "custom_llm") if is_package(node) => self.package(node, inputs),
            Some("llm") => NodeKind::Llm(Llm {
                template: self.template(node),
                connection: self.connection(node, None),
                service: None,
                api: self.api(node.api.as_ref(), &node.name.value),
                tool: LlmTool::Node,
                answer: None,
            })
            .into(),
            Some("python") => self.python(node).into(),
            Some("wasm") => self.component(node).into(),
            other => {
                self.not_served(node, other);
                return nothing();
            }
        };
        self.keys_of_other_types(node, &made.kind);
        made
    }

    fn not_served(&mut self, node: &manifest::Node, kind: Option<&str>) {
        let name = &node.name.value;
        let place = node.kind.as_ref().map_or(&node.name.span, |kind| &kind.span);
        let served = listed(SERVED);
        let Some(kind) = kind else {
            let message = format!("node {name:?} has no type; types are: {served}");
            self.findings.problem("InvalidFlow", place, message);
            return;
        };
        let known = NOT_SERVED.iter().find(|(known, _)| *known == kind);
        let message = match known {
            Some(("csharp", _)) => format!("node {name:?}: csharp nodes are not served by this version"),
            Some(_) => format!("node {name:?}: {kind} nodes of source type code are not served by this version"),
            None => format!("node {name:?}: unknown type {kind:?}; types are: {served}"),
        };
        let problem = self.findings.problem("UnsupportedNodeType", place, message);
        match known {
            Some((_, advice)) => problem.help(*advice),
            None => problem.help_if(|| nearest(kind, SERVED).map(|near| format!("did you mean `{near}`?"))),
        }
    }

    /// A node whose source is one of prompt flow's package tools.
    fn package(&mut self, node: &manifest::Node, inputs: &IndexMap<String, Binding>) -> Made {
        let owner = format!("node {:?}", node.name.value);
        let source = node.source.as_ref();
        let Some(id) = source.and_then(|source| source.tool.as_ref()) else {
            let span = source.map_or(&node.name.span, |source| &source.span);
            let problem = self.findings.problem("InvalidSource", span, format!("{owner}: source names no tool"));
            problem.help("add `tool: ID`, such as promptflow.tools.embedding.embedding");
            return nothing();
        };
        let Some(tool) = PackageTool::find(&id.value) else {
            self.unknown_tool(&owner, id);
            return nothing();
        };
        match tool.runs {
            Runs::Nothing(why) => {
                let message = format!("{owner}: package tool {:?} is not served", id.value);
                self.findings.problem("PackageToolNotServed", &id.span, message).help(why);
                nothing()
            }
            Runs::Plugin(plugin) => {
                let connection = self.connection(node, inputs.get("connection"));
                let defaults = vec![("connection".to_owned(), Json::string(&connection))];
                let package = Package { tool: tool.id, plugin, connection, service: None };
                Made { kind: NodeKind::Package(package), defaults, takes_over: &[] }
            }
            Runs::Llm { vision } => {
                let api = inputs.get("api").and_then(literal_text);
                let api = api.map(|value| At { value, span: node.name.span.clone() });
                Made {
                    kind: NodeKind::Llm(Llm {
                        template: self.template(node),
                        connection: self.connection(node, inputs.get("connection")),
                        service: None,
                        api: self.api(api.as_ref().or(node.api.as_ref()), &node.name.value),
                        tool: if vision { LlmTool::Vision } else { LlmTool::Package },
                        answer: None,
                    }),
                    defaults: Vec::new(),
                    takes_over: &["connection", "api"],
                }
            }
        }
    }

    fn unknown_tool(&mut self, owner: &str, id: &At<String>) {
        let served: Vec<_> =
            PACKAGE.iter().filter(|tool| !matches!(tool.runs, Runs::Nothing(_))).map(|tool| tool.id).collect();
        let message = format!("{owner}: package tool {:?} is not found", id.value);
        let problem = self.findings.problem("PackageToolNotFoundError", &id.span, message);
        problem.help_with(|| match nearest(&id.value, served.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("package tools are: {}", listed(served)),
        });
    }

    fn is_of_prompty(&self, node: &manifest::Node) -> bool {
        let path = node.source.as_ref().and_then(|source| source.path.as_ref());
        path.is_some_and(|path| is_prompty(&path.value))
    }

    fn template(&mut self, node: &manifest::Node) -> Template {
        let path = self.source_path(node).unwrap_or_default();
        let text = if path.is_empty() { String::new() } else { self.source_text(node, &path) };
        Template { path, text }
    }

    pub(super) fn source_text(&mut self, node: &manifest::Node, path: &str) -> String {
        let text = self.surroundings.text(path).and_then(|text| {
            let too_large = || FileError::Unreadable(format!("it is larger than {MAX_TEMPLATE} bytes"));
            Some(text).filter(|text| text.len() <= MAX_TEMPLATE).ok_or_else(too_large)
        });
        text.unwrap_or_else(|error| {
            let message = format!("load tool failed for node {:?}: template {path:?}: {error}", node.name.value);
            self.findings.problem("InvalidSource", &source_span(node), message);
            String::new()
        })
    }

    /// A component; or the entry of a flex flow, which may be Python.
    fn component(&mut self, node: &manifest::Node) -> NodeKind {
        let written = node.source.as_ref().and_then(|source| source.path.as_ref());
        let Some((path, module)) = written.and_then(|path| Some((path, python_module(&path.value)?))) else {
            return NodeKind::Component { source: self.component_source(node) };
        };
        let files = [format!("{module}.py"), format!("{module}/__init__.py")];
        if !files.iter().any(|file| self.surroundings.exists(file)) {
            let message = format!("entry {:?}: there is no module of that name; expected {:?}", path.value, files[0]);
            self.findings.problem("InvalidFlexFlowEntry", &path.span, message);
        }
        NodeKind::Python(Python { entry: path.value.clone(), connections: Vec::new() })
    }

    fn component_source(&mut self, node: &manifest::Node) -> ComponentSource {
        let source = node.source.as_ref();
        let Some(source) = source.filter(|source| source.kind.as_ref().is_some_and(|kind| kind.value == OCI)) else {
            return ComponentSource::Folder(self.source_path(node).unwrap_or_default());
        };
        let owner = format!("node {:?}", node.name.value);
        if let Some(path) = &source.path {
            let message = format!("{owner}: a source of type {OCI} has no path");
            let problem = self.findings.problem("InvalidSource", &path.span, message);
            problem.help("write `ref: REGISTRY/REPOSITORY:TAG@sha256:DIGEST`");
        }
        let Some(reference) = &source.reference else {
            let message = format!("{owner}: a source of type {OCI} has a ref");
            let problem = self.findings.problem("InvalidSource", &source.span, message);
            problem.help("add `ref: REGISTRY/REPOSITORY:TAG@sha256:DIGEST`; `weir push` prints it");
            return ComponentSource::Registry(String::new());
        };
        if let Err(error) = reference.value.parse::<Reference>() {
            let message = format!("{owner}: source ref {:?}: {error}", reference.value);
            let problem = self.findings.problem("InvalidSource", &reference.span, message);
            problem.help("write REGISTRY/REPOSITORY:TAG@sha256:DIGEST, as `weir push` prints it");
        }
        ComponentSource::Registry(reference.value.clone())
    }

    /// A file in Python that has a tool.
    fn python(&mut self, node: &manifest::Node) -> NodeKind {
        let entry = self.source_path(node).unwrap_or_default();
        if !entry.is_empty() && !entry.ends_with(".py") {
            let message =
                format!("node {:?}: source {entry:?} is no Python file; its name ends with .py", node.name.value);
            self.findings.problem("InvalidSource", &source_span(node), message);
        }
        NodeKind::Python(Python { entry, connections: Vec::new() })
    }

    /// The file or folder that the node is made of. None: broken, and found.
    pub(super) fn source_path(&mut self, node: &manifest::Node) -> Option<String> {
        let owner = format!("node {:?}", node.name.value);
        let Some(source) = &node.source else {
            let problem = self.findings.problem("InvalidSource", &node.name.span, format!("{owner} has no source"));
            problem.help("add `source: {type: code, path: FILE}`");
            return None;
        };
        self.source_type(&owner, source)?;
        let of_oci = source.kind.as_ref().filter(|kind| kind.value == OCI);
        if let Some(place) = source.reference.as_ref().or(of_oci) {
            let message = format!("{owner}: a ref is of a source of type {OCI}, and that of a node of type wasm");
            self.findings.problem("InvalidSource", &place.span, message);
            return None;
        }
        let Some(path) = &source.path else {
            let message = format!("{owner}: source has no path");
            self.findings.problem("InvalidSource", &source.span, message).help("add `path: FILE`");
            return None;
        };
        if let Some(reason) = leaves_folder(&path.value) {
            let message = format!("node source path {:?} is invalid on {owner}: {reason}", path.value);
            let problem = self.findings.problem("InvalidSource", &path.span, message);
            problem.help("write a path inside of the flow folder, relative to it");
            return None;
        }
        if !self.surroundings.exists(&path.value) {
            let message = format!("load tool failed for {owner}: file {:?} cannot be found", path.value);
            self.findings.problem("InvalidSource", &path.span, message);
            return None;
        }
        Some(path.value.clone())
    }

    fn source_type(&mut self, owner: &str, source: &Source) -> Option<()> {
        let known = ["code", "package", "package_with_prompt", OCI];
        let Some(kind) = source.kind.as_ref().filter(|kind| !known.contains(&kind.value.as_str())) else {
            return Some(());
        };
        let message = format!("{owner}: unknown source type {:?}; types are: {}", kind.value, listed(known));
        self.findings.problem("InvalidSource", &kind.span, message);
        None
    }

    /// The connection of a node that needs one: its own key, or its input of that name, which has to be a literal.
    pub(super) fn connection(&mut self, node: &manifest::Node, input: Option<&Binding>) -> String {
        let own = node.connection.as_ref().filter(|connection| !connection.value.is_empty());
        if let Some(connection) = own.map(|connection| connection.value.clone()).or(input.and_then(literal_text)) {
            return connection;
        }
        let place = node.connection.as_ref().map_or(&node.name.span, |connection| &connection.span);
        let kind = node.kind.as_ref().map_or("llm", |kind| kind.value.as_str());
        let message = match input {
            Some(_) => format!("{kind} node {:?}: a connection has to be named in the flow file", node.name.value),
            None => format!("{kind} node {:?} names no connection", node.name.value),
        };
        let problem = self.findings.problem("GetConnectionError", place, message);
        problem.help("add `connection: NAME`; the connection named offline needs no key and no network");
        String::new()
    }

    /// The API of a model that is meant: `chat` if none is named.
    pub(super) fn api(&mut self, api: Option<&At<String>>, node: &str) -> Api {
        match api.map(|api| (api.value.as_str(), &api.span)) {
            None | Some(("chat", _)) => Api::Chat,
            Some(("completion", _)) => Api::Completion,
            Some((other, span)) => {
                let message = format!("node {node:?}: unknown api {other:?}; apis are: chat, completion");
                self.findings.problem("InvalidFlow", span, message);
                Api::Chat
            }
        }
    }

    /// Keys that prompt flow passes over on other nodes. Somebody expects something of them.
    fn keys_of_other_types(&mut self, node: &manifest::Node, kind: &NodeKind) {
        if kind.connection().is_some() {
            return;
        }
        for (key, value) in [("connection", &node.connection), ("api", &node.api)] {
            let Some(value) = value.as_ref().filter(|value| !value.value.is_empty()) else { continue };
            let message = format!("node {:?}: `{key}` has no effect on a {} node", node.name.value, kind.name());
            let warning = self.findings.warning("UnusedKey", &value.span, message);
            if key == "connection" && matches!(kind, NodeKind::Component { .. }) {
                warning.help(format!("to let the node use it, write `grants: {{llm: [{}]}}`", value.value));
            }
        }
    }
}

/// Stands for a node that is broken, and found.
fn nothing() -> Made {
    NodeKind::Component { source: ComponentSource::Folder(String::new()) }.into()
}

fn is_package(node: &manifest::Node) -> bool {
    let kind = node.source.as_ref().and_then(|source| source.kind.as_ref());
    kind.is_some_and(|kind| matches!(kind.value.as_str(), "package" | "package_with_prompt"))
}

/// The module of `package.module:function`, as prompt flow writes an entry, without its ending.
fn python_module(entry: &str) -> Option<String> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let (module, name) = entry.split_once(':')?;
    (is_word(module) && is_word(name)).then(|| module.replace('.', "/"))
}

fn literal_text(binding: &Binding) -> Option<String> {
    match binding {
        Binding::Literal(value) => value.as_text(),
        Binding::Input(_) | Binding::Node { .. } => None,
    }
}

pub(super) fn source_span(node: &manifest::Node) -> Span {
    let path = node.source.as_ref().and_then(|source| source.path.as_ref());
    let reference = || node.source.as_ref().and_then(|source| source.reference.as_ref());
    path.or_else(reference).map_or_else(|| node.name.span.clone(), |path| path.span.clone())
}

/// Why a path is not one inside of the flow folder, as far as its text tells.
pub(super) fn leaves_folder(path: &str) -> Option<&'static str> {
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.is_empty() {
        Some("it is empty")
    } else if path.starts_with('/') || drive || path.contains("://") {
        Some("it is absolute")
    } else if path.contains(['\\', '\0']) {
        Some("parts are separated by `/`")
    } else if path.split('/').any(|part| part == "..") {
        Some("it leaves the flow folder")
    } else {
        None
    }
}
