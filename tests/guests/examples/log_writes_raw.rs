//! Writes to its standard output what breaks a terminal, a line or a buffer.

use std::io::Write;

use weir_sdk::node;

/// Colours, a line that poses as the host's, and so many bytes without an end.
#[node]
fn log_writes_raw(bytes: usize) -> &'static str {
    let mut out = std::io::stdout();
    let _ = out.write_all(b"\x1b[31mred\x1b]0;title\x07\r2026-01-01 ERROR weir: posing\x00\n\xff\xfe\n");
    let _ = out.write_all(&b"x".repeat(bytes));
    "done"
}
