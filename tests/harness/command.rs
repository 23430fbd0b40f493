//! The true binary for what ends by itself: every verb but `serve`.

use tempfile::TempDir;

use crate::host::Exit;
use crate::host::process::{Process, weir};
use crate::node::node;

/// A verb that is running. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    pub(crate) process: Process,
    /// The folders live as long as the process.
    pub(crate) _home: TempDir,
}

/// Runs `weir` with these arguments to its end, however long it takes: `weir build` compiles.
///
/// # Panics
///
/// If it cannot be started, or writes what is no text.
pub async fn run(arguments: &[&str]) -> Exit {
    let mut command = weir();
    command.args(arguments);
    // What a Rust toolchain and package indexes are found by.
    let builds = |name: &str| {
        ["HOME", "CARGO_HOME", "RUSTUP_HOME"].contains(&name)
            || ["PIP_", "npm_config_"].iter().any(|it| name.starts_with(it))
    };
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(builds)));
    match arguments {
        ["build" | "doctor", ..] => _ = command.env("WEIR_NODE", node()),
        // An interpreter of 30 MB, on a machine that compiles other things as well.
        ["check", ..] => _ = command.env("WEIR_COMPILE_TIMEOUT", "10m"),
        _ => {}
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("nothing panics there");
    let output = output.expect("the program under test can be started");
    let text = |bytes| String::from_utf8(bytes).expect("weir writes text");
    Exit { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Running {
    /// Waits until it has written this text to one of its outputs.
    pub async fn wrote(&self, text: &str) {
        self.process.wrote(text).await;
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Sends SIGKILL and waits for the end: what a crash leaves behind.
    pub async fn kill(self) -> Exit {
        self.process.kill();
        self.process.exit().await
    }

    /// Waits for the end.
    pub async fn exit(self) -> Exit {
        self.process.exit().await
    }
}
