//! `wasi:logging/logging`: log records on the node's span. Always granted, and bounded where the records are kept.
//!
//! What a guest writes to stdout and stderr ends in the same place, by way of sandbox/stdio.rs.

use crate::bindings::logging as wit;
use crate::boundary::GuestCalls;
use crate::boundary::facts::LogLevel;

always_granted!(Log, "log", "wasi:logging/logging", wit);

impl wit::Host for GuestCalls<'_> {
    fn log(&mut self, level: wit::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.run.notes.log(level.into(), &context, &message);
        // Lines have limits of their own.
        self.run.calls.free();
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
