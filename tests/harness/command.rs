//! The true binary for what ends by itself: every verb but `serve`.

use crate::host::Exit;
use crate::host::process::{Process, weir};

/// Runs `weir` with these arguments to its end.
pub async fn run(arguments: &[&str]) -> Exit {
    let mut command = weir();
    command.args(arguments);
    // What a Rust toolchain is found by.
    command.envs(
        ["HOME", "CARGO_HOME", "RUSTUP_HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    Process::spawn(command).exit().await
}
