//! `weir doctor`: what is missing on this machine to build nodes, and how to get it.

use crate::cli::{Done, Error, say};
use crate::guest::Toolchain;

pub fn run() -> Done {
    match Toolchain::find() {
        Ok(toolchain) => {
            say(format_args!("rust nodes: ready; {toolchain}"));
            Ok(())
        }
        Err(missing) => Err(Error::Failed(anyhow::Error::new(missing).context("rust nodes cannot be built"))),
    }
}
