//! What a `.prompty` file means: as a flow of its own, and as the source of an llm node.

use indexmap::IndexMap;

use super::super::draft::Draft;
use super::super::fields::At;
use super::super::manifest::{self, Manifest, Source};
use super::super::problem::Findings;
use super::super::prompty::Prompty;
use super::super::reference::{Path, Reference};
use super::super::template;
use super::super::tools::{CHAT, COMPLETION, Parameter};
use super::super::types::Type;
use super::super::value::{Json, View};
use super::super::{
    Api, Binding, FlowKind, Input, Llm, LlmTool, Needed, NodeIndex, NodeKind, Output, Surroundings, Template,
};
use super::Checker;
use super::kind::Made;
use super::names::Names;

/// Name of the one output: the frames of a stream have it.
const OUTPUT: &str = "output";

/// Inputs that say what is asked whom, and are no parameters of the call.
const NAMED: [&str; 3] = ["prompt", "deployment_name", "model"];

/// A flow that is one prompty.
pub(super) fn flow(
    origin: &str,
    text: &str,
    folder_name: &str,
    surroundings: &dyn Surroundings,
    mut findings: Findings,
) -> Draft {
    let mut prompty = Prompty::parse(text, surroundings, &mut findings);
    let mut manifest = Manifest::default();
    let mut inputs = IndexMap::new();
    if let Some(prompty) = &prompty {
        inputs = inputs_of(prompty, &mut findings);
        manifest.name.clone_from(&prompty.name);
        manifest.description.clone_from(&prompty.description);
        manifest.trace_content.clone_from(&prompty.trace_content);
        manifest.budget.clone_from(&prompty.budget);
        manifest.inputs = inputs.keys().map(|name| declared(name, prompty)).collect();
        manifest.nodes.push(node(origin, prompty, &inputs));
        manifest = super::within_bounds(manifest, &mut findings);
    }
    let names = Names::new(&manifest, &mut findings);
    let sample = prompty.as_mut().and_then(|prompty| prompty.sample.take());
    let configurations = IndexMap::new();
    let kind = FlowKind::Prompty;
    let checker = Checker { kind, names, surroundings, findings, configurations, flow_prompty: prompty };
    let mut draft = checker.flow(&manifest, folder_name);
    draft.flow.inputs = inputs;
    draft.flow.sample = sample;
    if !draft.flow.nodes.is_empty() {
        let source = Binding::Node { node: NodeIndex(0), path: Path::default() };
        let output =
            Output { kind: Type::Object, source, description: None, evaluation_only: false, is_chat_output: false };
        draft.flow.outputs.insert(OUTPUT.to_owned(), output);
    }
    draft
}

/// The inputs that a prompty declares; of one that declares none, those of its sample, or else the variables of its
/// template.
fn inputs_of(prompty: &Prompty, findings: &mut Findings) -> IndexMap<String, Input> {
    if !prompty.inputs.is_empty() {
        return prompty
            .inputs
            .iter()
            .map(|input| (input.name.value.clone(), declared_input(input, findings)))
            .collect();
    }
    if let Some(sample) = &prompty.sample {
        let input = |value: &Json| Input { kind: type_of(value), default: Some(value.clone()), ..Input::default() };
        return sample.iter().map(|(name, value)| (name.clone(), input(value))).collect();
    }
    let variables = template::variables(&prompty.template).unwrap_or_default();
    variables.into_iter().map(|name| (name, Input { needed: Needed::Yes, ..Input::default() })).collect()
}

fn declared_input(input: &manifest::Input, findings: &mut Findings) -> Input {
    let kind = input.kind.as_ref().and_then(|kind| {
        let parsed = type_named(&kind.value);
        if parsed.is_none() {
            let message = format!("input {:?}: unknown type {:?}; any value is taken", input.name.value, kind.value);
            findings.warning("UnknownType", &kind.span, message);
        }
        parsed
    });
    let default = input.default.as_ref().map(|default| default.value.clone()).filter(|value| !value.is_null());
    Input {
        kind,
        needed: if default.is_none() { Needed::Yes } else { Needed::No },
        default,
        description: input.description.as_ref().map(|text| text.value.clone()),
        is_chat_input: input.is_chat_input,
        is_chat_history: input.is_chat_history,
    }
}

/// Types as prompty files write them: prompt flow's, Python's, or those of JSON Schema.
fn type_named(name: &str) -> Option<Type> {
    Type::parse(name).or(match name {
        "str" => Some(Type::String),
        "integer" => Some(Type::Int),
        "number" | "float" => Some(Type::Double),
        "boolean" => Some(Type::Bool),
        "array" => Some(Type::List),
        "dict" => Some(Type::Object),
        _ => None,
    })
}

fn type_of(value: &Json) -> Option<Type> {
    match value.view() {
        View::Text(_) => Some(Type::String),
        View::List(_) => Some(Type::List),
        View::Bool(_) => Some(Type::Bool),
        View::Null | View::Number(_) | View::Object(_) => None,
    }
}

/// An input as the check of names wants it: its name.
fn declared(name: &str, prompty: &Prompty) -> manifest::Input {
    manifest::Input {
        name: At { value: name.to_owned(), span: prompty.head.clone() },
        kind: Some(At { value: Type::Object.name().to_owned(), span: prompty.head.clone() }),
        default: None,
        description: None,
        is_chat_input: false,
        is_chat_history: None,
    }
}

/// The one node of the flow, as a flow file would write it.
fn node(path: &str, prompty: &Prompty, inputs: &IndexMap<String, Input>) -> manifest::Node {
    let at = |value: &str| At { value: value.to_owned(), span: prompty.head.clone() };
    let bound = |name: &String| {
        let reference = Json::string(&Reference::Input(name.clone()).to_string());
        (at(name), At { value: reference, span: prompty.head.clone() })
    };
    let stem = path.rsplit('/').next().unwrap_or(path);
    let stem = stem.get(..stem.len() - ".prompty".len()).filter(|stem| !stem.is_empty()).unwrap_or("prompty");
    manifest::Node {
        name: prompty.name.clone().unwrap_or_else(|| at(stem)),
        kind: Some(at("llm")),
        source: Some(Source {
            kind: None,
            path: Some(at(path)),
            tool: None,
            reference: None,
            span: prompty.head.clone(),
        }),
        inputs: inputs.keys().map(bound).collect(),
        connection: None,
        api: None,
        activate: None,
        aggregation: false,
        grants: Vec::new(),
        limits: Vec::new(),
        reuse: None,
    }
}

impl Checker<'_> {
    /// An llm node whose source is a prompty. What the flow file says of the node comes first.
    pub(super) fn prompty_node(&mut self, node: &manifest::Node) -> Made {
        let path = self.source_path(node).unwrap_or_default();
        let is_flow = self.flow_prompty.is_some();
        let Some(prompty) = self.flow_prompty.take().or_else(|| self.read_prompty(node, &path)) else {
            return NodeKind::Prompt { template: Template { path, text: String::new() } }.into();
        };
        let api = self.api(node.api.as_ref().or(prompty.api.as_ref()), &node.name.value);
        let connection = self.prompty_connection(node, &prompty, &path);
        let mut parameters = prompty.parameters;
        parameters.retain(|(_, value)| !super::is_nothing(&value.value));
        self.findings.within(prompty.file, |findings| check_literals(api, &node.name.value, &parameters, findings));
        let mut answer = prompty.answer;
        // A flow file may say otherwise.
        answer.overridden = !is_flow;
        let parameters = parameters.iter().map(|(name, value)| (name.as_str(), &value.value));
        answer.parameters = Some(Json::object(parameters));
        let defaults = prompty.model.map(|(name, model)| (name.to_owned(), Json::string(&model)));
        let defaults = defaults.into_iter().collect();
        let kind = NodeKind::Llm(Llm {
            template: Template { path, text: prompty.template },
            connection,
            service: None,
            api,
            tool: LlmTool::Node,
            answer: Some(answer),
        });
        Made { kind, defaults, takes_over: &[] }
    }

    fn read_prompty(&mut self, node: &manifest::Node, path: &str) -> Option<Prompty> {
        let text = Some(path).filter(|path| !path.is_empty()).map(|path| self.source_text(node, path))?;
        let file = self.findings.file(path, &text);
        let surroundings = self.surroundings;
        self.findings.within(file, |findings| Prompty::parse(&text, surroundings, findings))
    }

    fn prompty_connection(&mut self, node: &manifest::Node, prompty: &Prompty, path: &str) -> String {
        let own = node.connection.as_ref().filter(|connection| !connection.value.is_empty());
        if let Some(connection) = own.or(prompty.connection.as_ref()) {
            return connection.value.clone();
        }
        // Its own configuration, or what the environment says of a service of its type.
        self.configurations.insert(path.to_owned(), prompty.configuration.clone());
        path.to_owned()
    }
}

/// The parameters of a call that may have another value than the prompty gives them.
fn known(api: Api) -> impl Iterator<Item = &'static Parameter> {
    let known = match api {
        Api::Chat => CHAT,
        Api::Completion => COMPLETION,
    };
    known.iter().filter(|parameter| !NAMED.contains(&parameter.name))
}

/// Those that are known have to be of their types.
fn check_literals(api: Api, node: &str, given: &[(String, At<Json>)], findings: &mut Findings) {
    for (name, value) in given {
        let Some(parameter) = known(api).find(|parameter| parameter.name == name) else { continue };
        if !parameter.takes.accepts(&value.value) {
            let message = format!(
                "parameter {name:?} of prompty {node:?} of value {} is not type {}",
                value.value, parameter.takes
            );
            findings.problem("NodeInputValidationError", &value.span, message);
        }
    }
}
