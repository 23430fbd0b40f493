//! The prompts that an llm node quotes: prompt nodes whose text it is given, with all that the text was rendered from.
//! Not what becomes of it: the plugin `llm` renders it again, with marks in place of roles in texts of callers.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::super::reference::Path;
use super::super::value::Json;
use super::super::{Binding, Node, NodeIndex, NodeKind};
use super::ESCAPE;

/// What an llm node quotes. Empty if no text of a caller comes in by it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::flow) struct Quoting {
    /// Inputs of the node that are the text of a prompt node, and its name.
    inputs: Vec<(String, String)>,
    /// The prompt nodes that went into these, each once.
    prompts: Vec<Prompt>,
}

#[derive(Clone, Debug, PartialEq)]
struct Prompt {
    name: String,
    /// Its text.
    output: Binding,
    template: String,
    inputs: IndexMap<String, Binding>,
    untrusted: Vec<String>,
    /// As of the llm node.
    quoting: Vec<(String, String)>,
}

impl Quoting {
    pub(in crate::flow) fn of(node: &Node, nodes: &[Node]) -> Self {
        if !matches!(node.kind, NodeKind::Llm(_)) {
            return Self::default();
        }
        let mut prompts = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<NodeIndex> = quoted(node, nodes).map(|(_, index)| index).collect();
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let prompt = &nodes[index.0];
            open.extend(quoted(prompt, nodes).map(|(_, index)| index));
            prompts.extend(Prompt::of(index, prompt, nodes));
        }
        if prompts.iter().all(|prompt| prompt.untrusted.is_empty()) {
            return Self::default();
        }
        Self { inputs: names(node, nodes), prompts }
    }

    /// The object for the plugin; none if nothing is quoted.
    pub(super) fn given<E>(&self, value: impl Fn(&Binding) -> Result<Option<Json>, E>) -> Result<Option<Json>, E> {
        let mut prompts = Vec::with_capacity(self.prompts.len());
        for prompt in &self.prompts {
            // One that was bypassed has no text, and those of all lines of a batch are not one.
            if value(&prompt.output)?.and_then(|text| text.as_text()).is_some() {
                prompts.push((prompt.name.as_str(), prompt.given(&value)?));
            }
        }
        let quoted = Json::object(prompts.iter().map(|(name, prompt)| (*name, prompt)));
        Ok((!prompts.is_empty()).then(|| Json::object([("inputs", &by_name(&self.inputs)), ("prompts", &quoted)])))
    }
}

impl Prompt {
    fn of(index: NodeIndex, node: &Node, nodes: &[Node]) -> Option<Self> {
        let NodeKind::Prompt { template } = &node.kind else { return None };
        Some(Self {
            name: node.id.as_str().to_owned(),
            output: Binding::Node { node: index, path: Path::default() },
            template: template.text.clone(),
            inputs: node.inputs.clone(),
            untrusted: node.flow_inputs().map(str::to_owned).collect(),
            quoting: names(node, nodes),
        })
    }

    fn given<E>(&self, value: impl Fn(&Binding) -> Result<Option<Json>, E>) -> Result<Json, E> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for (name, binding) in &self.inputs {
            inputs.push((name.as_str(), value(binding)?.unwrap_or_else(Json::null)));
        }
        let untrusted: Vec<_> = self.untrusted.iter().map(|name| Json::string(name)).collect();
        Ok(Json::object([
            ("template", &Json::string(&self.template)),
            ("inputs", &Json::object(inputs.iter().map(|(name, value)| (*name, value)))),
            (ESCAPE, &Json::list(&untrusted)),
            ("quoted", &by_name(&self.quoting)),
        ]))
    }
}

/// The inputs of a node that are the text of a prompt node.
fn quoted<'a>(node: &'a Node, nodes: &'a [Node]) -> impl Iterator<Item = (&'a String, NodeIndex)> {
    node.inputs.iter().filter_map(|(name, binding)| match binding {
        Binding::Node { node, path } if *path == Path::default() => {
            matches!(nodes[node.0].kind, NodeKind::Prompt { .. }).then_some((name, *node))
        }
        _ => None,
    })
}

fn names(node: &Node, nodes: &[Node]) -> Vec<(String, String)> {
    quoted(node, nodes).map(|(input, index)| (input.clone(), nodes[index.0].id.as_str().to_owned())).collect()
}

fn by_name(names: &[(String, String)]) -> Json {
    let names: Vec<_> = names.iter().map(|(input, name)| (input.as_str(), Json::string(name))).collect();
    Json::object(names.iter().map(|(input, name)| (*input, name)))
}
