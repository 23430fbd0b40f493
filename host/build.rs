//! Builds the components of plugins/ for wasm32-wasip2, so that the host can carry them inside.
//!
//! They are built by a cargo of their own, in a target folder of their own: the outer cargo holds the lock of its.

#[path = "src/guest.rs"]
mod guest;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

const PLUGINS: [&str; 2] = ["weir-plugin-prompt", "weir-plugin-llm"];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    for watched in ["plugins", "sdk", "wit", "Cargo.toml", "Cargo.lock", "host/src/guest.rs"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    if let Err(problem) = build(&root, &out) {
        println!("cargo:warning={}", problem.replace('\n', " "));
        process::exit(1);
    }
}

fn build(root: &Path, out: &Path) -> Result<(), String> {
    let toolchain = guest::Toolchain::find().map_err(|missing| missing.to_string())?;
    let target_dir = target_dir(out).join("plugins");
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).args(["build", "--quiet", "--profile", "guest", "--target", guest::TARGET]);
    cargo.arg("--target-dir").arg(&target_dir);
    for plugin in PLUGINS {
        cargo.args(["--package", plugin]);
    }
    let status = cargo.status().map_err(|error| format!("cargo could not be started for the plugins: {error}"))?;
    if !status.success() {
        return Err("the plugins did not build; their errors are above".into());
    }
    for plugin in PLUGINS {
        let file = format!("{}.wasm", plugin.replace('-', "_"));
        let built = target_dir.join(guest::TARGET).join("guest").join(&file);
        fs::copy(&built, out.join(&file)).map_err(|error| format!("{}: {error}", built.display()))?;
    }
    Ok(())
}

/// The target folder that `OUT_DIR` is in: shared by all profiles, so that the plugins are built once.
fn target_dir(out: &Path) -> PathBuf {
    // OUT_DIR is TARGET/PROFILE/build/weir-HASH/out.
    out.ancestors().nth(4).unwrap_or(out).to_path_buf()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for a build script"))
}
