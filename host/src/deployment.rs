//! Azure ML's files for an online deployment and its endpoint, as written. Pure: text in, what it says or its problems
//! out. Where the model lies, and how it is served: see assembly/served.rs.
//!
//! | file | what of it counts |
//! | --- | --- |
//! | deployment | `name`, `endpoint_name`, `model`, `environment_variables`, `request_settings`, `app_insights_enabled` |
//! | endpoint | `name`, `traffic`, `properties.app_insights_connection_string` |
//! | model | `name`, `path` |
//!
//! Everything else belongs to the platform; what a reader may expect to have an effect is noted.

mod endpoint;

use indexmap::IndexMap;

use crate::flow::fields::{At, Fields};
use crate::flow::problem::{Findings, Problems, Warning};
use crate::flow::yaml::{Entry, Node, Value};

pub use endpoint::{Endpoint, LINKED};

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    Deployment(Deployment),
    Endpoint(Endpoint),
    Model(Model),
    /// None of Azure ML's: a flow, most likely.
    Other,
}

/// An online deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub name: String,
    pub endpoint: Option<String>,
    pub model: ModelReference,
    /// `environment_variables`, as texts.
    pub variables: IndexMap<String, String>,
    /// `request_settings` and `app_insights_enabled`: texts of the host's own settings by their variables, and the keys
    /// that say so.
    pub settings: IndexMap<&'static str, (String, String)>,
}

/// Where the flow of a deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelReference {
    /// A folder, relative to the file.
    Path(String),
    /// A model of a workspace, by its name: `azureml:NAME:VERSION`.
    Registered(String),
}

/// A model: a flow folder under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    pub path: String,
}

/// Keys of `request_settings`, and the settings of the host that they are.
const REQUEST_SETTINGS: [(&str, &str); 3] = [
    ("request_timeout_ms", "WEIR_REQUEST_TIMEOUT"),
    ("max_concurrent_requests_per_instance", "WEIR_MAX_CONCURRENCY"),
    ("max_queue_wait_ms", "WEIR_MAX_QUEUE_WAIT"),
];

/// The setting of the host that `app_insights_enabled` is.
const APP_INSIGHTS: &str = "WEIR_APP_INSIGHTS_ENABLED";

/// Keys that have no effect here, and what has.
const WITHOUT_EFFECT: [(&str, &str); 7] = [
    ("instance_count", "a host is one instance; its replicas are the cluster's"),
    ("scale_settings", "scaling is the cluster's"),
    ("liveness_probe", "point the cluster's probe to /livez of the operator's listener"),
    ("readiness_probe", "point the cluster's probe to /readyz of the operator's listener"),
    ("startup_probe", "point the cluster's probe to /startupz of the operator's listener"),
    ("data_collector", "inputs and outputs are on the spans: see WEIR_TRACE_CONTENT"),
    ("code_configuration", "a flow has no scoring script"),
];

/// Keys that nobody will miss.
const PLATFORM: [&str; 12] = [
    "$schema",
    "type",
    "description",
    "tags",
    "properties",
    "instance_type",
    "model_mount_path",
    "egress_public_network_access",
    "resources",
    "allowed_instance_types",
    "target",
    "location",
];

impl Document {
    /// Reads a file; `name` is what to call it in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<(Self, Vec<Warning>), Problems> {
        let mut findings = Findings::of(name, text).calling_misshapen("InvalidDeployment");
        let document = Node::parse(text, &mut findings).and_then(|root| Self::read(&root, &mut findings));
        findings.finish().map(|warnings| (document.unwrap_or(Self::Other), warnings))
    }

    fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &root.value else { return Some(Self::Other) };
        match kind(entries) {
            Kind::Deployment => Deployment::read(root, findings).map(Self::Deployment),
            Kind::Endpoint => Endpoint::read(root, findings).map(Self::Endpoint),
            Kind::Model => Model::read(root, findings).map(Self::Model),
            Kind::Other => Some(Self::Other),
        }
    }
}

enum Kind {
    Deployment,
    Endpoint,
    Model,
    Other,
}

/// By the schema that the file names, else by the keys that only one of them has.
fn kind(entries: &[Entry]) -> Kind {
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    let schema = entries.iter().find(|entry| entry.key == "$schema").map(|entry| &entry.value.value);
    let schema = if let Some(Value::Text(schema)) = schema { schema.to_ascii_lowercase() } else { String::new() };
    let names = |end: &str| schema.ends_with(&format!("{end}.schema.json"));
    if names("deployment") || has("endpoint_name") {
        Kind::Deployment
    } else if names("endpoint") || has("traffic") || has("auth_mode") {
        Kind::Endpoint
    } else if names("model") || (has("path") && has("name") && !has("nodes")) {
        Kind::Model
    } else if has("model") && has("name") && !has("inputs") {
        Kind::Deployment
    } else {
        Kind::Other
    }
}

impl Deployment {
    fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of("the deployment", root, findings)?;
        let name = name(&mut fields, "deployment", root, findings);
        let endpoint = fields.text("endpoint_name", findings).map(|at| at.value);
        let model = model(&mut fields, root, findings);
        let variables = variables(&mut fields, findings);
        let mut settings = request_settings(&mut fields, findings);
        if let Some(enabled) = app_insights(&mut fields, findings) {
            settings.insert(APP_INSIGHTS, (enabled.to_string(), "app_insights_enabled".to_owned()));
        }
        if let Some(environment) = fields.section("environment") {
            environment_routes(environment, findings);
        }
        for (key, instead) in WITHOUT_EFFECT {
            if let Some(entry) = fields.entry(key) {
                findings.warning("NoEffect", &entry.key_span, format!("`{key}` has no effect here: {instead}"));
            }
        }
        fields.ignore(&PLATFORM);
        fields.finish(findings);
        Some(Self { name: name?, endpoint, model: model?, variables, settings })
    }
}

impl Model {
    fn read(root: &Node, findings: &mut Findings) -> Option<Self> {
        let mut fields = Fields::of("the model", root, findings)?;
        let (name, path) = (name(&mut fields, "model", root, findings), fields.text("path", findings));
        let Some(path) = path else {
            findings.problem("InvalidDeployment", &root.span, "the model has no `path`; add `path: FOLDER`");
            return None;
        };
        Some(Self { name: name?, path: path.value })
    }
}

/// Whether traces, metrics and logs go to the linked resource, if the file says so.
fn app_insights(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<bool> {
    let node = fields.take("app_insights_enabled")?;
    match node.value {
        Value::Bool(enabled) => Some(enabled),
        Value::Null => None,
        _ => {
            let message = format!("`app_insights_enabled` must be true or false, not {}", node.kind());
            findings.problem("InvalidDeployment", &node.span, message);
            None
        }
    }
}

fn name(fields: &mut Fields<'_>, what: &str, root: &Node, findings: &mut Findings) -> Option<String> {
    let name = fields.text("name", findings);
    if name.is_none() {
        findings.problem("InvalidDeployment", &root.span, format!("the {what} has no name; add `name: …`"));
    }
    name.map(|at| at.value)
}

fn model(fields: &mut Fields<'_>, root: &Node, findings: &mut Findings) -> Option<ModelReference> {
    let Some(node) = fields.section("model") else {
        let problem = findings.problem("InvalidDeployment", &root.span, "the deployment has no model");
        problem.help("add `model: {path: FOLDER}` with the flow's folder");
        return None;
    };
    if let Value::Text(reference) = &node.value {
        let registered = reference.strip_prefix("azureml:").unwrap_or(reference);
        let name = registered.split([':', '@']).next().unwrap_or_default();
        return Some(ModelReference::Registered(name.to_owned()));
    }
    let mut fields = Fields::of("model", node, findings)?;
    let path = fields.text("path", findings);
    if path.is_none() {
        findings.problem("InvalidDeployment", &node.span, "the model has no `path`; add `path: FOLDER`");
    }
    path.map(|At { value, .. }| ModelReference::Path(value))
}

/// Environments are texts: lists and mappings become JSON.
fn variables(fields: &mut Fields<'_>, findings: &mut Findings) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    for entry in fields.named("environment_variables", findings) {
        let text = match &entry.value.value {
            Value::Null => Some(String::new()),
            Value::Text(text) => Some(text.clone()),
            _ => entry.value.to_json().map(|json| json.to_string()),
        };
        match text {
            Some(text) => drop(variables.insert(entry.key.clone(), text)),
            None => {
                let message = format!("environment variable `{}`: JSON has no such number", entry.key);
                findings.problem("InvalidDeployment", &entry.value.span, message);
            }
        }
    }
    variables
}

fn request_settings(fields: &mut Fields<'_>, findings: &mut Findings) -> IndexMap<&'static str, (String, String)> {
    let mut settings = IndexMap::new();
    let section = fields.section("request_settings");
    let Some(mut fields) = section.and_then(|node| Fields::of("request_settings", node, findings)) else {
        return settings;
    };
    for (key, variable) in REQUEST_SETTINGS {
        let Some(At { value, span }) = fields.text(key, findings) else { continue };
        if value.parse::<u64>().is_err() || value == "0" {
            let message = format!("`{key}` must be a whole number above zero, not {value}");
            findings.problem("InvalidDeployment", &span, message);
            continue;
        }
        let text = if key.ends_with("_ms") { format!("{value}ms") } else { value };
        settings.insert(variable, (text, format!("request_settings.{key}")));
    }
    fields.finish(findings);
    settings
}

/// Of the environment, which is the platform's, the route of requests is said: another than ours would not be found.
fn environment_routes(environment: &Node, findings: &mut Findings) {
    let member = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone()),
        _ => None,
    };
    let route = member(environment, "inference_config").and_then(|config| member(&config, "scoring_route"));
    let Some(path) = route.and_then(|route| member(&route, "path")) else { return };
    if matches!(&path.value, Value::Text(text) if text != "/score") {
        findings.warning("NoEffect", &path.span, "requests are served at /score, whatever route is named here");
    }
}

#[cfg(test)]
mod tests;
