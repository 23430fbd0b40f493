//! Logs in the three ways that a node can: with a level, to stdout and to stderr.

use weir_sdk::{log, node};

/// Writes a record of each level and a line to each of stdout and stderr.
#[node(uses = ["logging"])]
fn log_writes(message: String) {
    log::trace(format_args!("trace {message}"));
    log::debug(format_args!("debug {message}"));
    log::info(format_args!("info {message}"));
    log::warn(format_args!("warn {message}"));
    log::error(format_args!("error {message}"));
    log::record(log::Level::Critical, "guest", format_args!("critical {message}"));
    println!("stdout {message}");
    eprintln!("stderr {message}");
}
