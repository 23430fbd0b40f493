//! `weir:flow/context`: where a node runs, and notes on its span. Always granted, and bounded where the notes are kept.

use wasmtime::component::Linker;

use crate::bindings::context as wit;
use crate::boundary::facts::NoteValue;
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::{Capability, GuestCalls, Lent};

/// Serves `weir:flow/context`.
#[derive(Debug)]
pub struct Notes;

impl Capability for Notes {
    const NAME: &'static str = "context";
    const INTERFACE: &'static str = "weir:flow/context";
    type Config = ();
    type Grant = ();

    fn build((): ()) -> Self {
        Self
    }

    fn grant(&self, _: Ask<'_>) -> Result<Option<()>, AskError> {
        Ok(Some(()))
    }

    fn link<T: Send + 'static>(linker: &mut Linker<T>, lend: fn(&mut T) -> GuestCalls<'_>) -> wasmtime::Result<()> {
        wit::add_to_linker::<T, Lent>(linker, lend)
    }
}

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
