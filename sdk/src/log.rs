//! Log records, attached to the node's span. What a node prints to stdout or stderr becomes a record as well; these
//! functions add a level.
//!
//! ```no_run
//! use weir_sdk::log;
//!
//! log::info("index loaded");
//! log::warn(format_args!("{} documents left out", 3));
//! ```
//!
//! With the feature `log`, records of the [`log`](https://docs.rs/log) crate's macros arrive here too, with their
//! target; there is nothing to set up.

use std::fmt::Display;

use crate::bindings::wasi::logging::logging as wit;

pub use wit::Level;

/// The values of variables, the way through a program.
pub fn trace(message: impl Display) {
    record(Level::Trace, "", message);
}

/// For someone who looks for a fault.
pub fn debug(message: impl Display) {
    record(Level::Debug, "", message);
}

/// For someone who watches the program.
pub fn info(message: impl Display) {
    record(Level::Info, "", message);
}

/// What may become a fault.
pub fn warn(message: impl Display) {
    record(Level::Warn, "", message);
}

/// A fault that a person should look at.
pub fn error(message: impl Display) {
    record(Level::Error, "", message);
}

/// A record of any level. `context` groups records that belong together; it may be empty.
pub fn record(level: Level, context: &str, message: impl Display) {
    wit::log(level, context, &message.to_string());
}

/// Sends the records of the `log` crate here. `#[node]` calls it before each run.
#[cfg(feature = "log")]
pub(crate) fn install() {
    // Fails if the node has set a logger of its own, which then is what it wants.
    if log::set_logger(&Adapter).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

#[cfg(feature = "log")]
struct Adapter;

#[cfg(feature = "log")]
impl log::Log for Adapter {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, entry: &log::Record<'_>) {
        let level = match entry.level() {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
            log::Level::Trace => Level::Trace,
        };
        record(level, entry.target(), entry.args());
    }

    fn flush(&self) {}
}
