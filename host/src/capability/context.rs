//! `weir:flow/context`: where a node runs, what it was initialised with, and notes on its span. Always granted, and
//! bounded where the notes are kept.

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
