//! The span of one run of a flow. Its metrics belong to the request: see request.rs.

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};

use crate::id::FlowId;

use super::{End, Open, RequestFacts, common};
use crate::telemetry::names::{attribute, event, semconv, value};
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
    /// What the request costs. Its sum is written when the span ends.
    pub usage: Usage,
}

/// The span of a flow. Dropped without an end: cancelled.
#[derive(Debug)]
pub struct FlowSpan {
    open: Open,
    usage: Usage,
}

impl Telemetry {
    /// Opens the span of a flow.
    pub fn flow(&self, start: FlowStart<'_>) -> FlowSpan {
        let mut attributes = common("Flow", start.request);
        attributes.push(KeyValue::new(semconv::OPERATION, "invoke_workflow"));
        attributes.push(KeyValue::new(semconv::WORKFLOW, start.flow.to_string()));
        let open = Open::start(self, start.name.to_owned(), SpanKind::Internal, start.parent, attributes);
        open.tell(attribute::INPUTS, event::INPUTS, start.inputs);
        FlowSpan { open, usage: start.usage }
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

    fn end(&mut self, end: End<'_>) {
        if self.open.is_open() {
            self.open.set_all(self.usage.tokens().cumulative().into_iter().flatten());
            self.open.end(end);
        }
    }
}

impl Drop for FlowSpan {
    fn drop(&mut self) {
        self.end(End::CANCELLED);
    }
}
