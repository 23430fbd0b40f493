//! `wasi:logging/logging`: log records on the node's span. Always granted, and bounded where the records are kept.
//!
//! What a guest writes to stdout and stderr ends in the same place, by way of sandbox/stdio.rs.

use wasmtime::component::Linker;

use crate::bindings::logging as wit;
use crate::boundary::facts::LogLevel;
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::{Capability, GuestCalls, Lent};

/// Serves `wasi:logging/logging`.
#[derive(Debug)]
pub struct Log;

impl Capability for Log {
    const NAME: &'static str = "log";
    const INTERFACE: &'static str = "wasi:logging/logging";
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
    fn log(&mut self, level: wit::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.run.notes.log(level.into(), &context, &message);
        Ok(())
    }
}

impl From<wit::Level> for LogLevel {
    fn from(level: wit::Level) -> Self {
        match level {
            wit::Level::Trace => Self::Trace,
            wit::Level::Debug => Self::Debug,
            wit::Level::Info => Self::Info,
            wit::Level::Warn => Self::Warn,
            wit::Level::Error => Self::Error,
            wit::Level::Critical => Self::Critical,
        }
    }
}
