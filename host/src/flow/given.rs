//! What a node is given: one JSON object made of its kind's own keys and its inputs. The one place that knows these
//! keys; the plugins `prompt` and `llm` are written against them.
//!
//! | kind | object |
//! | --- | --- |
//! | prompt | `template`, the inputs, `_inputs_to_escape`, `_message_format` |
//! | llm | `prompt`, `connection`, `api`, the inputs, those of `prompt`, `_quoted_prompts`, `_service`, `_tool`, `_answer` |
//! | package tools | the inputs, `_service` |
//! | wasm | the inputs |
//!
//! `_inputs_to_escape` lists the inputs whose text was not written by the flow's author: those bound to flow inputs.
//! Role words in them must not open a message of their own. The output of a prompt node is both: roles that its
//! template wrote are meant, roles that came in by a flow input are not. So `_quoted_prompts` gives, for each input that
//! holds such an output, what it was rendered from; prompt flow carries the same knowledge on the string.
//!
//! What a node in Python has streamed, another in Python is handed item by item, as prompt flow hands the generator on:
//! `{"x-weir-chunks": [...]}`, of which its runtime makes an iterator.
//!
//! `_message_format` is `openai-vision` in a flow of that form, whose texts may be objects; absent in others.
//!
//! `_tool` says which of prompt flow's package tools an llm node stands for: `llm`, or `vision` for those that take
//! images; absent of a plain one. `_answer` is there if the node is a prompty: `response` is `first` or `all`, `outputs`
//! lists the keys that count of an answer that is an object (absent for all of them), `parameters` are those of the
//! call, and `overridden` is there if inputs of such names come before those. `_service` is the type of the connection, such as `azure_open_ai`.

mod quoting;

use indexmap::IndexMap;

use super::value::Json;
use super::{Answer, Binding, Llm, LlmTool, MessageFormat, Node, NodeKind, Package};

pub(super) use quoting::Quoting;

const ESCAPE: &str = "_inputs_to_escape";
const QUOTED: &str = "_quoted_prompts";
const FORMAT: &str = "_message_format";
const TOOL: &str = "_tool";
const ANSWER: &str = "_answer";
const SERVICE: &str = "_service";
const CHUNKS: &str = "x-weir-chunks";

/// Why another node's call of a node is refused before it runs. The caller of the flow never sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallRefused {
    #[error("inputs of node {node:?} must be one JSON object")]
    NotAnObject { node: String },
    #[error("input {input:?} of node {node:?} is set by the flow and cannot be given")]
    Reserved { node: String, input: String },
}

impl Node {
    /// What the node is given of a stream that another node has answered with. None: its text.
    pub fn chunks_of(&self, source: &Self, chunks: &[Json]) -> Option<Json> {
        let takes_them = matches!((&source.kind, &self.kind), (NodeKind::Python(_), NodeKind::Python(_)));
        takes_them.then(|| Json::object([(CHUNKS, &Json::list(chunks))]))
    }

    /// The object for a run in the flow's own order. `value` gives what an input is bound to; none if that is a node that
    /// was bypassed.
    ///
    /// Of a bypassed node a template sees null, which it prints as Python does, `None`; a component does not see the
    /// input at all, so that its own default applies.
    ///
    /// # Errors
    /// The first that `value` gives.
    pub fn assemble<E>(&self, value: impl Fn(&Binding) -> Result<Option<Json>, E>) -> Result<Json, E> {
        let mut inputs = IndexMap::with_capacity(self.inputs.len());
        for (name, binding) in &self.inputs {
            match value(binding)? {
                Some(value) => inputs.insert(name.as_str(), value),
                None if self.is_template() => inputs.insert(name.as_str(), Json::null()),
                None => None,
            };
        }
        let quoted = self.quoting.given(&value)?;
        Ok(self.object(&inputs, self.untrusted.iter().map(String::as_str), quoted))
    }

    /// The object for a call by another node of the flow, which gives inputs by name: literals of the flow file are kept
    /// where it does not. All that it gives is escaped, since nobody knows where it is from.
    ///
    /// # Errors
    /// If `given` is not an object of inputs the node may be given.
    pub fn assemble_call(&self, given: &Json) -> Result<Json, CallRefused> {
        let node = || self.id.as_str().to_owned();
        let given = given.members().ok_or_else(|| CallRefused::NotAnObject { node: node() })?;
        if let Some(input) = given.keys().find(|name| self.kind.reserved().contains(&name.as_str())) {
            return Err(CallRefused::Reserved { node: node(), input: input.clone() });
        }
        let mut inputs = IndexMap::with_capacity(given.len());
        for (name, binding) in &self.inputs {
            if let Binding::Literal(value) = binding {
                inputs.insert(name.as_str(), value.clone());
            }
        }
        inputs.extend(given.iter().map(|(name, value)| (name.as_str(), value.clone())));
        Ok(self.object(&inputs, given.keys().map(String::as_str), None))
    }

    fn object<'a>(
        &self,
        inputs: &IndexMap<&str, Json>,
        untrusted: impl Iterator<Item = &'a str>,
        quoted: Option<Json>,
    ) -> Json {
        let mut own = self.kind.own_inputs();
        let untrusted: Vec<_> = untrusted.map(Json::string).collect();
        let escape = if self.is_template() { vec![(ESCAPE, Json::list(&untrusted))] } else { Vec::new() };
        own.extend(inputs.iter().map(|(name, value)| (*name, value.clone())));
        own.extend(escape);
        own.extend(quoted.map(|quoted| (QUOTED, quoted)));
        if self.is_template() && self.message_format == MessageFormat::OpenaiVision {
            own.push((FORMAT, Json::string("openai-vision")));
        }
        Json::object(own.iter().map(|(name, value)| (*name, value)))
    }

    /// The inputs that are flow inputs.
    pub(super) fn flow_inputs(&self) -> impl Iterator<Item = &str> {
        let is_input = |binding: &Binding| matches!(binding, Binding::Input(_));
        self.inputs.iter().filter(move |(_, binding)| is_input(binding)).map(|(name, _)| name.as_str())
    }

    fn is_template(&self) -> bool {
        self.kind.template().is_some()
    }
}

impl NodeKind {
    /// Names that the host sets itself, so that no input may have them.
    pub(super) fn reserved(&self) -> &'static [&'static str] {
        match self {
            Self::Prompt { .. } => &["template", ESCAPE, FORMAT],
            Self::Llm(_) => &["prompt", "connection", "api", ESCAPE, FORMAT, QUOTED, SERVICE, TOOL, ANSWER],
            Self::Package(_) => &[SERVICE],
            Self::Component { .. } | Self::Python(_) => &[],
        }
    }

    fn own_inputs(&self) -> Vec<(&str, Json)> {
        match self {
            Self::Prompt { template } => vec![("template", Json::string(&template.text))],
            Self::Llm(llm) => llm.own_inputs(),
            Self::Package(Package { service, .. }) => of_service(*service).into_iter().collect(),
            Self::Component { .. } | Self::Python(_) => Vec::new(),
        }
    }
}

fn of_service(service: Option<&'static str>) -> Option<(&'static str, Json)> {
    service.map(|service| (SERVICE, Json::string(service)))
}

impl Llm {
    fn own_inputs(&self) -> Vec<(&str, Json)> {
        let mut own = vec![
            ("prompt", Json::string(&self.template.text)),
            ("connection", Json::string(&self.connection)),
            ("api", Json::string(&self.api.to_string())),
        ];
        own.extend(of_service(self.service));
        match self.tool {
            LlmTool::Node => {}
            LlmTool::Package => own.push((TOOL, Json::string("llm"))),
            LlmTool::Vision => own.push((TOOL, Json::string("vision"))),
        }
        own.extend(self.answer.as_ref().map(|answer| (ANSWER, answer.to_json())));
        own
    }
}

impl Answer {
    fn to_json(&self) -> Json {
        let response = Json::string(if self.all { "all" } else { "first" });
        let outputs: Vec<_> = self.outputs.iter().map(|name| Json::string(name)).collect();
        let outputs = (!outputs.is_empty()).then(|| Json::list(&outputs));
        let outputs = outputs.as_ref().map(|outputs| ("outputs", outputs));
        let parameters = self.parameters.as_ref().map(|parameters| ("parameters", parameters));
        let yes = Json::from(true);
        let overridden = self.overridden.then_some(("overridden", &yes));
        Json::object([("response", &response)].into_iter().chain(outputs).chain(parameters).chain(overridden))
    }
}
