//! The inputs of a node against what its kind takes: parameters of a model or a tool, variables of a template. Not what a
//! component takes: that only the component can say, see draft.rs.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::super::manifest;
use super::super::problem::{FileIndex, Span, listed, nearest};
use super::super::template;
use super::super::tools::{CHAT, COMPLETION, PackageTool, Parameter, VISION};
use super::super::{Answer, Api, Binding, FlowKind, Llm, LlmTool, NodeKind, Template};
use super::Checker;
use super::kind::source_span;

/// Variables without an input that are told one by one, for each template.
const MAX_UNFILLED: usize = 10;

impl Checker<'_> {
    pub(super) fn parameters(&mut self, node: &manifest::Node, kind: &NodeKind, inputs: &IndexMap<String, Binding>) {
        let parameters = parameters_of(kind);
        self.literals(node, parameters, inputs);
        match kind {
            NodeKind::Prompt { template } | NodeKind::Llm(Llm { template, .. }) => {
                self.reserved_inputs(node, kind);
                self.variables(node, kind, template, parameters, inputs);
            }
            NodeKind::Package(package) => self.arguments(node, package.tool, parameters, inputs),
            NodeKind::Component { .. } | NodeKind::Python(_) => {}
        }
    }

    /// Literals are read as the type of the parameter they are given for.
    fn literals(&mut self, node: &manifest::Node, parameters: &[Parameter], inputs: &IndexMap<String, Binding>) {
        for parameter in parameters {
            let Some(Binding::Literal(value)) = inputs.get(parameter.name) else { continue };
            if parameter.takes.accepts(value) {
                continue;
            }
            let message = format!(
                "input {:?} for node {:?} of value {value} is not type {}",
                parameter.name, node.name.value, parameter.takes
            );
            let span = value_span(node, parameter.name);
            self.findings.problem("NodeInputValidationError", &span, message);
        }
    }

    /// Names that an input cannot have, because the host sets them itself.
    fn reserved_inputs(&mut self, node: &manifest::Node, kind: &NodeKind) {
        let package = matches!(kind, NodeKind::Llm(llm) if llm.tool != LlmTool::Node);
        for (input, _) in &node.inputs {
            let name = input.value.as_str();
            let taken_over = package && matches!(name, "connection" | "api");
            if kind.reserved().contains(&name) && !taken_over {
                let message = duplicated(&node.name.value, name, kind);
                self.findings.problem("NodeInputValidationError", &input.span, message).help("rename the input");
            }
        }
    }

    /// The variables of a template against the inputs that fill them.
    fn variables(
        &mut self,
        node: &manifest::Node,
        kind: &NodeKind,
        template: &Template,
        parameters: &[Parameter],
        inputs: &IndexMap<String, Binding>,
    ) {
        if template.path.is_empty() || !self.surroundings.exists(&template.path) {
            // It could not be read, which was found.
            return;
        }
        let variables = match template::variables(&template.text) {
            Ok(variables) => variables,
            Err(fault) => {
                let (file, text, offset) = self.template_file(template);
                let span = line(&text, text[..offset].matches('\n').count() + fault.line);
                let message = format!("node {:?}: not a Jinja template: {}", node.name.value, fault.message);
                self.findings.problem_in(file, "JinjaTemplateError", &span, message);
                return;
            }
        };
        let reserved = |name: &&String| {
            let name = name.as_str();
            parameters.iter().any(|parameter| parameter.name == name) || kind.reserved().contains(&name)
        };
        if let Some(name) = variables.iter().find(reserved) {
            let message = format!("{}: template {:?} uses it", duplicated(&node.name.value, name, kind), template.path);
            let problem = self.findings.problem("NodeInputValidationError", &source_span(node), message);
            problem.help("rename the variable");
            return;
        }
        self.unfilled(node, template, &variables, inputs);
        self.unused(node, kind, template, parameters, &variables);
    }

    /// Variables without an input print nothing. That is legal, and hardly ever meant.
    fn unfilled(
        &mut self,
        node: &manifest::Node,
        template: &Template,
        variables: &BTreeSet<String>,
        inputs: &IndexMap<String, Binding>,
    ) {
        let is_given =
            |name: &String| inputs.contains_key(name) || node.inputs.iter().any(|(input, _)| input.value == *name);
        if self.kind == FlowKind::Flex {
            // Whoever calls the node gives it what it needs.
            return;
        }
        let unfilled: Vec<_> = variables.iter().filter(|name| !is_given(name)).collect();
        if unfilled.is_empty() {
            return;
        }
        let (file, text, offset) = self.template_file(template);
        for name in unfilled.iter().copied().take(MAX_UNFILLED) {
            let message = format!("node {:?}: variable {name:?} has no input, so it prints nothing", node.name.value);
            let span = word(&text[offset..], name);
            let span = span.start + offset..span.end + offset;
            let warning = self.findings.warning_in(file, "VariableWithoutInput", &span, message);
            warning.help_with(|| match nearest(name, inputs.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("add `{name}: …` to the inputs of the node"),
            });
        }
        if let Some(more @ [_, ..]) = unfilled.get(MAX_UNFILLED..) {
            let names = listed(more.iter().map(|name| name.as_str()));
            let message = format!("node {:?}: {} more variables have no input: {names}", node.name.value, more.len());
            self.findings.warning_in(file, "VariableWithoutInput", &(offset..offset), message);
        }
    }

    /// The file of a template, and where in it the template begins: it is the last part of a prompty.
    fn template_file(&mut self, template: &Template) -> (FileIndex, String, usize) {
        let whole = self.surroundings.text(&template.path).ok().filter(|whole| whole.ends_with(&template.text));
        let whole = whole.unwrap_or_else(|| template.text.clone());
        let offset = whole.len() - template.text.len();
        (self.findings.file(&template.path, &whole), whole, offset)
    }

    fn unused(
        &mut self,
        node: &manifest::Node,
        kind: &NodeKind,
        template: &Template,
        parameters: &[Parameter],
        variables: &BTreeSet<String>,
    ) {
        for (input, value) in &node.inputs {
            let name = input.value.as_str();
            let known = parameters.iter().any(|parameter| parameter.name == name)
                || variables.contains(name)
                || overrides(kind, name)
                || matches!(name, "connection" | "api")
                || super::is_nothing(&value.value);
            if known {
                continue;
            }
            let message = format!(
                "node {:?}: input {name:?} is neither a parameter nor a variable of {:?}; it has no effect",
                node.name.value, template.path
            );
            let warning = self.findings.warning("UnusedInput", &input.span, message);
            let near = || nearest(name, variables.iter().map(String::as_str));
            warning.help_if(|| near().map(|near| format!("did you mean {near:?}?")));
        }
    }

    /// The inputs of a package tool: no others, and those it needs.
    fn arguments(
        &mut self,
        node: &manifest::Node,
        tool: &str,
        parameters: &[Parameter],
        inputs: &IndexMap<String, Binding>,
    ) {
        let known = || parameters.iter().map(|parameter| parameter.name);
        for (input, _) in node.inputs.iter().filter(|(input, _)| !known().any(|name| name == input.value)) {
            let message = format!("node {:?}: tool {tool:?} takes no input {:?}", node.name.value, input.value);
            let problem = self.findings.problem("NodeInputValidationError", &input.span, message);
            problem.help_with(|| match nearest(&input.value, known()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("inputs are: {}", listed(known())),
            });
        }
        let missing = parameters.iter().filter(|parameter| parameter.required && !inputs.contains_key(parameter.name));
        for parameter in missing.filter(|parameter| parameter.name != "connection") {
            let message = format!("node {:?}: tool {tool:?} needs the input {:?}", node.name.value, parameter.name);
            self.findings.problem("NodeInputValidationError", &node.name.span, message);
        }
    }
}

/// The inputs that are parameters. A prompty that is a flow of its own has them apart.
fn parameters_of(kind: &NodeKind) -> &'static [Parameter] {
    match kind {
        NodeKind::Prompt { .. }
        | NodeKind::Component { .. }
        | NodeKind::Python(_)
        // The inputs of a prompty that is the flow may have any names.
        | NodeKind::Llm(Llm { answer: Some(Answer { overridden: false, .. }), .. }) => &[],
        NodeKind::Llm(Llm { tool: LlmTool::Vision, .. }) => VISION,
        NodeKind::Llm(Llm { api: Api::Chat, .. }) => CHAT,
        NodeKind::Llm(Llm { api: Api::Completion, .. }) => COMPLETION,
        NodeKind::Package(package) => PackageTool::find(package.tool).map_or(&[], |tool| tool.parameters),
    }
}

/// Whether an input comes before a parameter that a prompty has.
fn overrides(kind: &NodeKind, input: &str) -> bool {
    let NodeKind::Llm(Llm { answer: Some(Answer { overridden: true, parameters: Some(parameters), .. }), .. }) = kind
    else {
        return false;
    };
    parameters.members().is_some_and(|parameters| parameters.contains_key(input))
}

fn duplicated(node: &str, name: &str, kind: &NodeKind) -> String {
    let of = match kind {
        NodeKind::Llm(llm) => format!("the parameters of llm ({})", llm.api),
        _ => "the reserved parameters of prompt tool".to_owned(),
    };
    format!("invalid input {name:?} in prompt template of node {node:?}, duplicated with {of}")
}

fn value_span(node: &manifest::Node, input: &str) -> Span {
    let value = node.inputs.iter().find(|(name, _)| name.value == input).map(|(_, value)| value.span.clone());
    value.unwrap_or_else(|| source_span(node))
}

/// A line of a text, counted from one.
fn line(text: &str, number: usize) -> Span {
    let start: usize = text.split_inclusive('\n').take(number.saturating_sub(1)).map(str::len).sum();
    let length = text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    start..start + length
}

/// The first place of a name in a template: after the first `{` of a tag, as a word of its own.
fn word(text: &str, name: &str) -> Span {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tags = text.match_indices('{').map(|(at, _)| at);
    let tag = tags.find(|at| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%'))).unwrap_or(0);
    let whole = |at: &usize| !text[..*at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word);
    let at = text.match_indices(name).map(|(at, _)| at).filter(|at| *at > tag).find(whole);
    at.map_or(0..0, |at| at..at + name.len())
}
