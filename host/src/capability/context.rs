//! `weir:flow/context`: where a node runs, what it was initialised with, notes on its span, and spans below it. Always
//! granted, and bounded where the notes are kept.

use wasmtime::component::Resource;

use crate::bindings::{Span, context as wit};
use crate::boundary::GuestCalls;
use crate::boundary::facts::{GuestEnd, GuestKind, NoteValue};

always_granted!(Notes, "context", "weir:flow/context", wit);

impl wit::Host for GuestCalls<'_> {
    fn current(&mut self) -> wasmtime::Result<wit::Invocation> {
        let current = GuestCalls::current(self);
        Ok(wit::Invocation {
            flow: current.flow,
            node: current.node,
            request_id: current.request_id,
            traceparent: current.traceparent,
            streaming: current.streaming,
            remaining_ms: current.remaining_ms,
        })
    }

    fn init(&mut self) -> wasmtime::Result<String> {
        Ok(self.run.init.as_str().to_owned())
    }

    fn set_attribute(&mut self, key: String, value: wit::AttributeValue) -> wasmtime::Result<()> {
        self.run.notes.set_attribute(&key, value.into());
        Ok(())
    }

    fn add_event(&mut self, name: String, attributes: Vec<(String, wit::AttributeValue)>) -> wasmtime::Result<()> {
        let attributes = attributes.into_iter().map(|(key, value)| (key, value.into())).collect();
        self.run.notes.add_event(&name, attributes);
        Ok(())
    }

    fn log_metric(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        GuestCalls::log_metric(self, &name, value);
        Ok(())
    }

    fn start_span(
        &mut self,
        name: String,
        kind: wit::SpanKind,
        inputs: String,
    ) -> wasmtime::Result<Option<Resource<Span>>> {
        Ok(GuestCalls::start_span(self, &name, kind.into(), &inputs).map(Resource::new_own))
    }

    fn set_current_span(&mut self, span: Option<Resource<Span>>) -> wasmtime::Result<()> {
        GuestCalls::set_current_span(self, span.map(|span| span.rep()));
        Ok(())
    }
}

// Spans are not in the table of what a run holds open: how many there are has a bound of its own.
impl wit::HostSpan for GuestCalls<'_> {
    fn set_attribute(&mut self, span: Resource<Span>, key: String, value: wit::AttributeValue) -> wasmtime::Result<()> {
        self.set_span_attribute(span.rep(), &key, value.into());
        Ok(())
    }

    fn end(&mut self, span: Resource<Span>, how: wit::SpanEnd) -> wasmtime::Result<()> {
        let end = match &how {
            wit::SpanEnd::Output(output) => GuestEnd::Output(output),
            wit::SpanEnd::Iterated(output) => GuestEnd::Iterated(output),
            wit::SpanEnd::Error(wit::SpanError { kind, message }) => GuestEnd::Error { kind, message },
        };
        self.end_span(span.rep(), end);
        Ok(())
    }

    fn drop(&mut self, span: Resource<Span>) -> wasmtime::Result<()> {
        self.drop_span(span.rep());
        Ok(())
    }
}

impl From<wit::SpanKind> for GuestKind {
    fn from(kind: wit::SpanKind) -> Self {
        match kind {
            wit::SpanKind::Function => Self::Function,
            wit::SpanKind::Tool => Self::Tool,
            wit::SpanKind::Llm => Self::Llm,
            wit::SpanKind::Embedding => Self::Embedding,
            wit::SpanKind::Retrieval => Self::Retrieval,
            wit::SpanKind::Flow => Self::Flow,
            wit::SpanKind::LangChain => Self::LangChain,
        }
    }
}

impl From<wit::AttributeValue> for NoteValue {
    fn from(value: wit::AttributeValue) -> Self {
        match value {
            wit::AttributeValue::Text(text) => Self::Text(text),
            wit::AttributeValue::Boolean(boolean) => Self::Boolean(boolean),
            wit::AttributeValue::Integer(integer) => Self::Integer(integer),
            wit::AttributeValue::Double(double) => Self::Double(double),
        }
    }
}
