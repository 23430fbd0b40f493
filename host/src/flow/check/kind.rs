//! What a node of each type needs: its source, its connection, names its inputs may not have. Not its references: see
//! names.rs.

use super::super::fields::At;
use super::super::manifest::{self, Source};
use super::super::problem::{Span, listed, nearest};
use super::super::template::reserved_name;
use super::super::{Api, NodeKind, Template};
use super::Checker;

/// Types this version serves.
const SERVED: [&str; 3] = ["llm", "prompt", "wasm"];

/// Types of prompt flow that this version does not serve, and what to do about it.
const NOT_SERVED: [(&str, &str); 3] = [
    (
        "python",
        "compile the node to a component, with componentize-py or in another language, and make it `type: wasm`",
    ),
    ("custom_llm", "use `type: llm` with a connection, or a component (`type: wasm`) that asks the model"),
    ("csharp", "compile the node to a component and make it `type: wasm`"),
];

/// Parameters of a chat call. A template cannot use their names: an input of such a name sets the parameter.
const CHAT: [&str; 19] = [
    "prompt",
    "deployment_name",
    "model",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stop",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "user",
    "function_call",
    "functions",
    "tool_choice",
    "tools",
    "response_format",
    "seed",
];

/// Parameters of a completion call, likewise.
const COMPLETION: [&str; 17] = [
    "prompt",
    "deployment_name",
    "model",
    "suffix",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stream",
    "logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "best_of",
    "logit_bias",
    "user",
];

impl Checker<'_> {
    /// What the node does. What is broken has been found; then anything may stand for it.
    pub(super) fn kind(&mut self, node: &manifest::Node) -> NodeKind {
        let kind = match node.kind.as_ref().map(|kind| kind.value.as_str()) {
            Some("prompt") => NodeKind::Prompt { template: self.template(node) },
            Some("llm") => NodeKind::Llm {
                template: self.template(node),
                connection: self.connection(node),
                api: self.api(node.api.as_ref(), &node.name.value),
            },
            Some("wasm") => NodeKind::Component { path: self.source_path(node).unwrap_or_default() },
            other => {
                self.not_served(node, other);
                return NodeKind::Component { path: String::new() };
            }
        };
        self.reserved_names(node, &kind);
        self.keys_of_other_types(node, &kind);
        kind
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
            Some(_) => format!("node {name:?}: {kind} nodes are not served by this version"),
            None => format!("node {name:?}: unknown type {kind:?}; types are: {served}"),
        };
        let problem = self.findings.problem("UnsupportedNodeType", place, message);
        match (known, nearest(kind, SERVED)) {
            (Some((_, advice)), _) => problem.help(*advice),
            (None, Some(near)) => problem.help(format!("did you mean `{near}`?")),
            (None, None) => {}
        }
    }

    fn template(&mut self, node: &manifest::Node) -> Template {
        let path = self.source_path(node).unwrap_or_default();
        let text = if path.is_empty() { String::new() } else { self.template_text(node, &path) };
        Template { path, text }
    }

    fn template_text(&mut self, node: &manifest::Node, path: &str) -> String {
        self.files.text(path).unwrap_or_else(|error| {
            let message = format!("load tool failed for node {:?}: template {path:?}: {error}", node.name.value);
            self.findings.problem("InvalidSource", &source_span(node), message);
            String::new()
        })
    }

    /// The file or folder that the node is made of. None: broken, and found.
    fn source_path(&mut self, node: &manifest::Node) -> Option<String> {
        let owner = format!("node {:?}", node.name.value);
        let Some(source) = &node.source else {
            let problem = self.findings.problem("InvalidSource", &node.name.span, format!("{owner} has no source"));
            problem.help("add `source: {type: code, path: FILE}`");
            return None;
        };
        self.source_type(&owner, source)?;
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
        if !self.files.exists(&path.value) {
            let message = format!("load tool failed for {owner}: file {:?} cannot be found", path.value);
            self.findings.problem("InvalidSource", &path.span, message);
            return None;
        }
        Some(path.value.clone())
    }

    fn source_type(&mut self, owner: &str, source: &Source) -> Option<()> {
        let Some(kind) = source.kind.as_ref().filter(|kind| kind.value != "code") else { return Some(()) };
        let tool = source.tool.as_ref().map(|tool| format!(" ({})", tool.value)).unwrap_or_default();
        let message = match kind.value.as_str() {
            "package" | "package_with_prompt" => {
                format!("{owner}: package tools{tool} are not served by this version, only source type code")
            }
            other => format!("{owner}: unknown source type {other:?}; types are: code"),
        };
        self.findings.problem("InvalidSource", &kind.span, message);
        None
    }

    fn connection(&mut self, node: &manifest::Node) -> String {
        match node.connection.as_ref().filter(|connection| !connection.value.is_empty()) {
            Some(connection) => connection.value.clone(),
            None => {
                let place = node.connection.as_ref().map_or(&node.name.span, |connection| &connection.span);
                let message = format!("llm node {:?} names no connection", node.name.value);
                let problem = self.findings.problem("GetConnectionError", place, message);
                problem.help("add `connection: NAME`; the connection named offline needs no key and no network");
                String::new()
            }
        }
    }

    fn api(&mut self, api: Option<&At<String>>, node: &str) -> Api {
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

    /// Names that an input or a variable of the template cannot have, because they mean something else already.
    fn reserved_names(&mut self, node: &manifest::Node, kind: &NodeKind) {
        for (input, _) in node.inputs.iter().filter(|(input, _)| kind.reserved().contains(&input.value.as_str())) {
            let message = duplicated(&node.name.value, &input.value, kind);
            self.findings.problem("NodeInputValidationError", &input.span, message).help("rename the input");
        }
        let (template, parameters): (_, &[&str]) = match kind {
            NodeKind::Prompt { template } => (template, &["template"]),
            NodeKind::Llm { template, api: Api::Chat, .. } => (template, &CHAT),
            NodeKind::Llm { template, api: Api::Completion, .. } => (template, &COMPLETION),
            NodeKind::Component { .. } => return,
        };
        if let Some(name) = reserved_name(&template.text, parameters) {
            let message = format!("{}: template {:?} uses it", duplicated(&node.name.value, name, kind), template.path);
            let problem = self.findings.problem("NodeInputValidationError", &source_span(node), message);
            problem.help("rename the variable");
        }
    }

    /// Keys that prompt flow passes over on other nodes. Somebody expects something of them.
    fn keys_of_other_types(&mut self, node: &manifest::Node, kind: &NodeKind) {
        if matches!(kind, NodeKind::Llm { .. }) {
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

fn duplicated(node: &str, name: &str, kind: &NodeKind) -> String {
    let of = match kind {
        NodeKind::Llm { api, .. } => format!("the parameters of llm ({api})"),
        NodeKind::Prompt { .. } | NodeKind::Component { .. } => "the reserved parameters of prompt tool".to_owned(),
    };
    format!("invalid input {name:?} in prompt template of node {node:?}, duplicated with {of}")
}

fn source_span(node: &manifest::Node) -> Span {
    let path = node.source.as_ref().and_then(|source| source.path.as_ref());
    path.map_or_else(|| node.name.span.clone(), |path| path.span.clone())
}

/// Why a path is not one inside of the flow folder, as far as its text tells.
fn leaves_folder(path: &str) -> Option<&'static str> {
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
