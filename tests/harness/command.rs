//! The true binary for what ends by itself: every verb but `serve`.

use crate::host::Exit;
use crate::host::process::weir;

/// Runs `weir` with these arguments to its end, however long it takes: `weir build` compiles.
///
/// # Panics
///
/// If it cannot be started, or writes what is no text.
pub async fn run(arguments: &[&str]) -> Exit {
    let mut command = weir();
    command.args(arguments);
    // What a Rust toolchain is found by.
    let toolchain = ["HOME", "CARGO_HOME", "RUSTUP_HOME"];
    command.envs(toolchain.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("nothing panics there");
    let output = output.expect("the program under test can be started");
    let text = |bytes| String::from_utf8(bytes).expect("weir writes text");
    Exit { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}
