//! DOOR 2: the span of one run of a node, and the `node_*` metrics.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use serde_json::value::RawValue;

use crate::id::{FlowId, NodeId};

use super::bound::LogBounds;
use super::guest::GuestSpans;
use super::notes::NodeNotes;
use super::{End, Open, RequestFacts, Start, common};
use crate::telemetry::metrics::{NodePoints, NodeRun, NodeUse, RunStatus};
use crate::telemetry::names::{attribute, event, gen_ai_content, semconv, value};
use crate::telemetry::{Telemetry, Usage};

/// What a flow says of a node, the same for every run.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Attribute `function`: what the node runs, such as `OpenAI.chat`, `render_template_jinja2` or a component's name.
    pub function: String,
    pub kind: NodeKind,
    /// If the node renders a prompt.
    pub prompt: Option<PromptFacts>,
    /// The first node whose output it is given, for pictures of the flow.
    pub after: Option<String>,
    /// What its runs add to.
    pub points: NodePoints,
}

/// What kind of node it is, in the words of the GenAI conventions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeKind {
    /// Runs code: an `execute_tool` operation.
    #[default]
    Tool,
    /// Renders a prompt or asks a model; the model's own span is below.
    Prompt,
}

/// The prompt of a node.
#[derive(Clone, Debug, Default)]
pub struct PromptFacts {
    pub template: String,
    /// The inputs that the template uses; their values are taken from the inputs of the run.
    pub variables: Vec<String>,
}

/// What is known of a run of a node before it begins.
#[derive(Debug)]
pub struct NodeStart<'a> {
    pub flow: &'a FlowId,
    pub node: &'a NodeId,
    pub request: RequestFacts<'a>,
    /// The flow's span, or the span of the call by which another node called this one.
    pub parent: &'a Context,
    /// JSON object of the node's inputs.
    pub inputs: &'a str,
    pub facts: &'a NodeFacts,
    /// The node that called this one, if one did.
    pub caller: Option<&'a str>,
    /// What this run costs: [`Usage::below`] that of the caller. Its sum is written when the span ends.
    pub usage: Usage,
    /// How much of its log is told.
    pub log: LogBounds,
}

/// The span of a node. Dropped without an end: cancelled.
#[derive(Debug)]
pub struct NodeSpan {
    telemetry: Telemetry,
    flow: FlowId,
    node: NodeId,
    kind: NodeKind,
    points: NodePoints,
    used: NodeUse,
    notes: NodeNotes,
    /// Those that the guest has started below this one.
    spans: GuestSpans,
    open: Open,
}

impl Telemetry {
    /// Opens the span of a run of a node. DOOR 2.
    pub fn node(&self, start: NodeStart<'_>) -> NodeSpan {
        let NodeStart { flow, node, facts, .. } = start;
        let mut attributes = common(self.redactor(), "Function", start.request);
        attributes.push(KeyValue::new(attribute::FUNCTION, facts.function.clone()));
        attributes.push(KeyValue::new(attribute::NODE_NAME, node.shared()));
        if facts.kind == NodeKind::Tool {
            attributes.push(KeyValue::new(semconv::OPERATION, "execute_tool"));
            attributes.push(KeyValue::new(semconv::TOOL_NAME, node.shared()));
            attributes.push(KeyValue::new(semconv::TOOL_TYPE, "function"));
        }
        let after = start.caller.or(facts.after.as_deref()).unwrap_or(flow.as_str());
        self.dialects().place(&mut attributes, node.as_str(), Some(after));
        let open = Open::start(
            self,
            Start {
                name: node.to_string().into(),
                kind: SpanKind::Internal,
                parent: start.parent,
                attributes,
                usage: Some(start.usage.clone()),
                told: true,
                flow: None,
            },
        );
        if let Some(prompt) = &facts.prompt {
            tell_prompt(&open, prompt, start.inputs);
        }
        open.tell(attribute::INPUTS, event::INPUTS, start.inputs);
        if facts.kind == NodeKind::Tool {
            open.tell_gen_ai(gen_ai_content::TOOL_ARGUMENTS, || Some(start.inputs.to_owned()));
        }
        let notes = NodeNotes::on(&open, self, node, start.log);
        let spans = GuestSpans::below(&open, self, node, start.usage, &notes);
        let (telemetry, used) = (self.clone(), NodeUse::default());
        let (flow, node, kind, points) = (flow.clone(), node.clone(), facts.kind, facts.points.clone());
        NodeSpan { telemetry, flow, node, kind, points, used, notes, spans, open }
    }

    /// Counts what a node asked for and does not hold. The mark on its span: [`NodeNotes::denied`].
    pub fn denied(&self, flow: &FlowId, node: &NodeId, capability: &'static str) {
        self.metrics().denied(flow, node, capability);
    }

    /// Counts a node that its flow decided not to run. It has no span.
    pub fn node_bypassed(&self, flow: &FlowId, node: &NodeId) {
        let points = &NodePoints::default();
        self.metrics().node_run(NodeRun { flow, node, run_status: RunStatus::Bypassed, exception: "", points }, None);
    }
}

impl NodeSpan {
    /// What runs behind the door of the node belongs to.
    pub fn context(&self) -> Context {
        self.open.context().clone()
    }

    /// What the guest may use to say something on this span.
    pub fn notes(&self) -> NodeNotes {
        self.notes.clone()
    }

    /// What the guest may use to start spans below this one, and the parents for the spans of its calls.
    pub fn spans(&self) -> GuestSpans {
        self.spans.clone()
    }

    /// What whoever runs the node may use to say what the run takes.
    pub fn used(&self) -> NodeUse {
        self.used.clone()
    }

    /// The sandbox ended the run; `kind` says why, out of a small set.
    pub fn trapped(&self, kind: &'static str) {
        self.telemetry.metrics().node_trapped(&self.flow, &self.node, kind);
    }

    /// Ends the span with the node's output, as JSON text.
    pub fn finish(mut self, output: &str) {
        self.open.tell(attribute::OUTPUT, event::OUTPUT, output);
        if self.kind == NodeKind::Tool {
            self.open.tell_gen_ai(gen_ai_content::TOOL_RESULT, || Some(output.to_owned()));
        }
        self.end(End::Completed);
    }

    /// Ends the span after the last chunk of a stream, with the JSON array of all chunks, which is made if anybody sees it.
    pub fn finish_streamed(self, chunks: impl FnOnce() -> Arc<str>) {
        self.open.set(attribute::OUTPUT_TYPE, value::ITERATED);
        if self.open.tells_content() { self.finish(&chunks()) } else { self.finish("") }
    }

    /// Ends the span as failed; `detail` is for the operator, such as the frames of a trap. The code `Cancelled` ends
    /// it as cancelled.
    pub fn fail(mut self, code: &str, message: &str, detail: Option<&str>) {
        self.end(End::failed(code, message, detail));
    }

    fn end(&mut self, end: End<'_>) {
        if !self.open.is_open() {
            return;
        }
        self.spans.end(end);
        self.notes.write();
        let (calls, written) = self.used.files();
        for (key, count) in [(attribute::FILES_CALLS, calls), (attribute::FILES_WRITTEN, written)] {
            if count > 0 {
                self.open.set(key, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        if let Some(origin) = self.used.origin() {
            self.open.set(attribute::INSTANCE, origin);
        }
        let took = self.open.end(end);
        let run = NodeRun {
            flow: &self.flow,
            node: &self.node,
            run_status: end.run_status(),
            exception: end.code().unwrap_or_default(),
            points: &self.points,
        };
        let metrics = self.telemetry.metrics();
        metrics.node_run(run, Some(took));
        metrics.node_used(&self.flow, &self.node, &self.points, &self.used);
    }
}

impl Drop for NodeSpan {
    fn drop(&mut self) {
        self.end(End::CANCELLED);
    }
}

/// Tells the template and the values of its variables: two attributes, and one event with both.
fn tell_prompt(open: &Open, prompt: &PromptFacts, inputs: &str) {
    let (Some(template), Some(variables)) =
        (open.told(&prompt.template), open.told(&selected(inputs, &prompt.variables)))
    else {
        return;
    };
    let payload = serde_json::json!({
        attribute::PROMPT_TEMPLATE: &*template,
        attribute::PROMPT_VARIABLES: &*variables,
    });
    if open.recording().places.attributes {
        open.set(attribute::PROMPT_TEMPLATE, template);
        open.set(attribute::PROMPT_VARIABLES, variables);
    }
    open.tell_event(event::PROMPT_TEMPLATE, payload.to_string());
}

/// The members of a JSON object that are named, in the order of the names, with their texts as they are.
fn selected(object: &str, names: &[String]) -> String {
    let members: HashMap<String, &RawValue> = serde_json::from_str(object).unwrap_or_default();
    let member = |name: &String| {
        let value = members.get(name)?;
        Some(format!("{}:{}", serde_json::Value::from(name.as_str()), value.get()))
    };
    format!("{{{}}}", names.iter().filter_map(member).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_taken_from_the_inputs_without_loss() {
        let names = ["big", "a\"b", "absent"].map(str::to_owned);
        let inputs = r#"{"template": "…", "a\"b": [1.0], "big": 12345678901234567890123}"#;
        assert_eq!(selected(inputs, &names), r#"{"big":12345678901234567890123,"a\"b":[1.0]}"#);
        assert_eq!(selected("no JSON", &names), "{}");
    }
}
