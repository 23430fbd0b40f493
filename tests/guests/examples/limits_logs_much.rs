//! Floods its log.

use std::io::Write;

use weir_sdk::{log, node};

/// Writes so many lines by `wasi:logging`, and so many bytes to each of standard output and error.
#[node(uses = ["logging"])]
fn limits_logs_much(lines: usize, bytes: usize) -> &'static str {
    for line in 0..lines {
        log::info(format_args!("line {line}"));
    }
    let text = b"x".repeat(64 << 10);
    for _ in 0..bytes / text.len() {
        let _ = std::io::stdout().write_all(&text);
        let _ = std::io::stderr().write_all(&text);
    }
    "done"
}
