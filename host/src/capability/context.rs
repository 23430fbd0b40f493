//! `weir:flow/context`: where a node runs, and notes on its span. Always granted, and bounded where the notes are kept.

use crate::bindings::context as wit;
use crate::boundary::GuestCalls;
use crate::boundary::facts::NoteValue;

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

    fn set_attribute(&mut self, key: String, value: wit::AttributeValue) -> wasmtime::Result<()> {
        self.run.notes.set_attribute(&key, value.into());
        Ok(())
    }

    fn add_event(&mut self, name: String, attributes: Vec<(String, wit::AttributeValue)>) -> wasmtime::Result<()> {
        let attributes = attributes.into_iter().map(|(key, value)| (key, value.into())).collect();
        self.run.notes.add_event(&name, attributes);
        Ok(())
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
