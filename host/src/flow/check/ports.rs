//! Inputs and outputs of a flow: their types, defaults and references. Not what a request gives: see ../inputs.rs.

use super::super::fields::At;
use super::super::manifest;
use super::super::problem::{Span, listed, nearest};
use super::super::types::Type;
use super::super::value::Json;
use super::super::{FlowKind, Input, Needed, Output};
use super::names::Bound;
use super::{Checker, is_empty, is_nothing};

impl Checker<'_> {
    pub(super) fn input(&mut self, written: &manifest::Input, flow: FlowKind) -> (String, Input) {
        let owner = format!("input {:?}", written.name.value);
        // Prompt flow writes the default `None` of an entry as empty text, which says nothing then.
        let is_left_to_entry = flow == FlowKind::Flex && written.default.as_ref().is_some_and(|d| is_empty(&d.value));
        // The entry of a flex flow may take any value.
        let kind = match (flow, &written.kind) {
            (FlowKind::Flex, kind) if kind.is_none() || is_left_to_entry => None,
            _ => self.kind_of_value(&owner, &written.name.span, written.kind.as_ref()),
        };
        let default = written.default.as_ref().filter(|default| !default.value.is_null() && !is_left_to_entry);
        let fits = |default: &&At<Json>| kind.is_none_or(|kind| kind.coerce("", &default.value).is_ok());
        if let (Some(default), Some(kind)) = (default.filter(|default| !fits(default)), kind) {
            let name = kind.name();
            let message = format!("{owner}: the default is no {name}, so a request without this input will be refused");
            self.findings.warning("InputTypeError", &default.span, message);
        }
        let input = Input {
            kind,
            default: default.map(|default| default.value.clone()),
            needed: if default.is_none() && !is_left_to_entry { Needed::Yes } else { Needed::No },
            description: written.description.as_ref().map(|text| text.value.clone()),
            is_chat_input: written.is_chat_input,
            is_chat_history: written.is_chat_history,
        };
        (written.name.value.clone(), input)
    }

    pub(super) fn output(&mut self, written: &manifest::Output) -> Option<(String, Output)> {
        let name = &written.name;
        let kind = self.kind_of_value(&format!("output {:?}", name.value), &name.span, written.kind.as_ref());
        let reference = written.reference.as_ref().filter(|reference| !is_nothing(&reference.value));
        let Some(reference) = reference else {
            let message = format!("output {:?}: the reference is not specified", name.value);
            let problem = self.findings.problem("EmptyOutputReference", &name.span, message);
            problem.help("add `reference: ${NODE.output}`");
            return None;
        };
        let source = match self.names.of_output(&name.value, reference, &mut self.findings)? {
            Bound::To(source) => source,
            Bound::ToAggregation(node, _) => {
                let message = format!(
                    "output {:?} references the aggregation node {node:?}, which serving does not run; it is left out",
                    name.value
                );
                self.findings.warning("OutputOfAggregation", &reference.span, message);
                return None;
            }
        };
        let output = Output {
            kind: kind?,
            source,
            description: written.description.as_ref().map(|text| text.value.clone()),
            evaluation_only: written.evaluation_only,
            is_chat_output: written.is_chat_output,
        };
        Some((name.value.clone(), output))
    }

    fn kind_of_value(&mut self, owner: &str, place: &Span, kind: Option<&At<String>>) -> Option<Type> {
        let known = Type::ALL.map(Type::name);
        let Some(kind) = kind else {
            let message = format!("{owner} has no type; types are: {}", listed(known));
            self.findings.problem("InvalidFlow", place, message);
            return None;
        };
        let parsed = Type::parse(&kind.value);
        if parsed.is_none() {
            let message = format!("{owner}: unknown type {:?}; types are: {}", kind.value, listed(known));
            let problem = self.findings.problem("InvalidFlow", &kind.span, message);
            let near = || nearest(&kind.value.to_lowercase(), known);
            problem.help_if(|| near().map(|near| format!("did you mean `{near}`?")));
        }
        parsed
    }
}
