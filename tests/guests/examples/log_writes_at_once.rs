//! Writes in one call of the host, whatever the stream says it takes. The standard library would write in pieces.

use wasip2::cli::{stderr, stdout};
use weir_sdk::node;

/// So many bytes to standard output, or to standard error.
#[node]
fn log_writes_at_once(bytes: usize, to_stderr: bool) -> &'static str {
    let stream = if to_stderr { stderr::get_stderr() } else { stdout::get_stdout() };
    let _ = stream.write(&b"x".repeat(bytes));
    "done"
}
