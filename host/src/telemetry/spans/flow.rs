//! The span of one run of a flow. Its metrics belong to the request: see request.rs.

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};

use crate::id::FlowId;

use super::{End, Open, RequestFacts, Start, common, gen_ai};
use crate::telemetry::content::Content;
use crate::telemetry::names::{attribute, event, gen_ai_content, semconv, value};
use crate::telemetry::{Telemetry, Usage};

/// What is known of a run of a flow before it begins.
#[derive(Debug)]
pub struct FlowStart<'a> {
    /// The request's span, or that of whatever else started the flow.
    pub parent: &'a Context,
    pub flow: &'a FlowId,
    /// Name of the span: the flow's `name`, else its folder's.
    pub name: &'a str,
    pub request: RequestFacts<'a>,
    /// JSON object of the flow's inputs.
    pub inputs: &'a str,
    /// What the flow's file says of content.
    pub content: Option<Content>,
    /// The conversation that the run belongs to, if the flow knows such a thing.
    pub conversation: Option<&'a str>,
    /// What the request costs. Its sum is written when the span ends.
    pub usage: Usage,
}

/// The span of a flow. Dropped without an end: cancelled.
#[derive(Debug)]
pub struct FlowSpan {
    open: Open,
}

impl Telemetry {
    /// Opens the span of a flow.
    pub fn flow(&self, start: FlowStart<'_>) -> FlowSpan {
        let mut attributes = common(self.redactor(), "Flow", start.request);
        attributes.push(KeyValue::new(semconv::OPERATION, "invoke_workflow"));
        attributes.push(KeyValue::new(semconv::WORKFLOW, start.flow.shared()));
        self.dialects().place(&mut attributes, start.flow.as_str(), None);
        let open = Open::start(
            self,
            Start {
                name: start.name.to_owned().into(),
                kind: SpanKind::Internal,
                parent: start.parent,
                attributes,
                usage: Some(start.usage),
                told: true,
                flow: Some((start.content, start.conversation)),
            },
        );
        open.tell(attribute::INPUTS, event::INPUTS, start.inputs);
        open.tell_gen_ai(gen_ai_content::INPUT, || Some(gen_ai::said("user", start.inputs)));
        FlowSpan { open }
    }
}

impl FlowSpan {
    /// The parent for the spans of the flow's nodes.
    pub fn context(&self) -> Context {
        self.open.context().clone()
    }

    /// Ends the span with the flow's outputs, a JSON object.
    pub fn finish(mut self, output: &str) {
        self.open.tell(attribute::OUTPUT, event::OUTPUT, output);
        self.open.tell_gen_ai(gen_ai_content::OUTPUT, || Some(gen_ai::said("assistant", output)));
        self.end(End::Completed);
    }

    /// Ends the span after the last chunk of a stream, with what the outputs came to.
    pub fn finish_streamed(self, output: &str) {
        self.open.set(attribute::OUTPUT_TYPE, value::ITERATED);
        self.finish(output);
    }

    /// Ends the span as failed. The code `Cancelled` ends it as cancelled.
    pub fn fail(mut self, code: &str, message: &str) {
        self.end(End::failed(code, message, None));
    }

    /// Ends the span as failed since a node did, in prompt flow's words: the node's own span has what it said itself.
    pub fn fail_in(mut self, node: &str, code: &str, message: &str) {
        let message = format!("Execution failure in '{node}': ({code}) {message}");
        self.end(match End::failed(code, &message, None) {
            End::Failed { code, message, detail, .. } => {
                End::Failed { kind: Some(value::NODE_FAILED), code, message, detail }
            }
            end => end,
        });
    }

    fn end(&mut self, end: End<'_>) {
        if self.open.is_open() {
            self.open.end(end);
        }
    }
}

impl Drop for FlowSpan {
    fn drop(&mut self) {
        self.end(End::CANCELLED);
    }
}
