//! Writes to standard output between its calls of the host, as if these belonged to the writing.

use wasip2::cli::stdout::get_stdout;
use weir_sdk::{context, node};

/// Asks `times` where it runs, and before each time writes so many bytes. Says how often it did.
#[node(uses = ["context"])]
fn limits_writes_between(times: u64, bytes: usize) -> u64 {
    let stdout = get_stdout();
    let text = vec![b'x'; bytes];
    for _ in 0..times {
        _ = stdout.write(&text);
        context::current();
    }
    times
}
