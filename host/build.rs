//! Builds the components of plugins/ for wasm32-wasip2, so that the host can carry them inside; and lists the files that
//! `weir build` makes components of Python with, which it carries as they are.
//!
//! They are built by a cargo of their own, in a target folder of their own: the outer cargo holds the lock of its.

#[expect(unreachable_pub, dead_code, reason = "the host's file, which offers more than is needed here")]
#[path = "src/guest.rs"]
mod guest;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const PLUGINS: [&str; 5] = [
    "weir-plugin-prompt",
    "weir-plugin-llm",
    "weir-plugin-embedding",
    "weir-plugin-content-safety",
    "weir-plugin-serp",
];

/// What `weir build` makes components of Python with, beside the contract in wit/.
const PYTHON: [&str; 4] =
    ["sdk/python/build.py", "sdk/python/requirements.txt", "sdk/python/runtime", "sdk/python/wit"];

/// What it makes components of JavaScript with, and what `weir new` writes.
const JAVASCRIPT: [&str; 7] = [
    "sdk/javascript/build.mjs",
    "sdk/javascript/package.json",
    "sdk/javascript/package-lock.json",
    "sdk/javascript/runtime",
    "sdk/javascript/types",
    "sdk/javascript/wit",
    "sdk/python/wit/deps",
];
const TEMPLATES: [&str; 1] = ["sdk/templates"];

/// The SDK of Rust, for crates that name it by its version alone.
const RUST: [&str; 4] = ["Cargo.toml", "sdk/Cargo.toml", "sdk/src", "sdk/macros"];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in ["plugins", "wit", "Cargo.lock", "host/src/guest.rs"]
        .iter()
        .chain(&RUST)
        .chain(&PYTHON)
        .chain(&JAVASCRIPT)
        .chain(&TEMPLATES)
    {
        tell(&format!("rerun-if-changed={}", root.join(watched).display()));
    }
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| "cargo did not set OUT_DIR".to_owned());
    match out.and_then(|out| build(&root, &out).and_then(|()| carried(&root, &out))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tell(&format!("error={}", problem.replace('\n', " ")));
            ExitCode::FAILURE
        }
    }
}

fn build(root: &Path, out: &Path) -> Result<(), String> {
    let toolchain = guest::Toolchain::find().map_err(|missing| missing.to_string())?;
    let target_dir = target_dir(out).join("components");
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).args(["build", "--quiet", "--locked", "--profile", "guest", "--target", guest::TARGET]);
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

/// Writes what modules in src/builder include: the paths of files, and their bytes.
fn carried(root: &Path, out: &Path) -> Result<(), String> {
    list(root, &PYTHON, &["wit"], &out.join("python_files.rs"))?;
    list(root, &JAVASCRIPT, &["wit"], &out.join("javascript_files.rs"))?;
    list(root, &RUST, &[], &out.join("rust_files.rs"))?;
    list(root, &TEMPLATES, &[], &out.join("template_files.rs"))
}

fn list(root: &Path, paths: &[&str], more: &[&str], file: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    for path in paths.iter().chain(more) {
        collect(root, Path::new(path), &mut files).map_err(|error| format!("{path}: {error}"))?;
    }
    files.sort();
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let mut text = "&[\n".to_owned();
    for file in files {
        text += &format!("    ({:?}, include_bytes!({:?})),\n", file.display(), root.join(&file).display());
    }
    fs::write(file, text + "]\n").map_err(|error| error.to_string())
}

/// The file, or all files of the folder, but for what tools have left there.
fn collect(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if ["__pycache__", "node_modules", "target"].iter().any(|left| path.ends_with(left)) {
        return Ok(());
    }
    if !root.join(path).is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root.join(path))? {
        collect(root, &path.join(entry?.file_name()), files)?;
    }
    Ok(())
}

/// The target folder that `OUT_DIR` is in: shared by all profiles, so that the plugins are built once.
fn target_dir(out: &Path) -> PathBuf {
    // OUT_DIR is TARGET/PROFILE/build/weir-HASH/out.
    out.ancestors().nth(4).unwrap_or(out).to_path_buf()
}

fn tell(message: &str) {
    println!("cargo::{message}");
}
