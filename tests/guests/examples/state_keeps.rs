//! Keeps in its memory what its runs have said, as no node should that serves more than one caller.

use std::cell::OnceCell;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};

use wasip2::cli::stdout::get_stdout;
use wasip2::io::streams::OutputStream;
use weir_sdk::{NodeError, context, node};

static RUNS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Opened once, as the toolchains of Python and C do.
    static STDOUT: OnceCell<OutputStream> = const { OnceCell::new() };
}

/// Writes text whose last line does not end.
fn tell(text: &str) {
    STDOUT.with(|stdout| {
        let stdout = stdout.get_or_init(get_stdout);
        stdout.blocking_write_and_flush(text.as_bytes()).expect("somebody reads it");
    });
}

/// How many runs this instance has had. `then` is what it does in the end.
#[node(uses = ["context"])]
fn state_keeps(then: Option<String>) -> Result<u32, NodeError> {
    let runs = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    match then.unwrap_or_default().as_str() {
        "tell" => tell(&format!("run {runs}\nand no more of {}", context::current().request_id)),
        "fail" => return Err(NodeError::user("Refused", "as it was asked")),
        "trap" => std::process::abort(),
        "wait" => loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        },
        "hold" => mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(1)),
        "grow" => mem::forget(vec![1_u8; 40 << 20]),
        "swell" => mem::forget(vec![1_u8; 320 << 20]),
        _ => {}
    }
    Ok(runs)
}
