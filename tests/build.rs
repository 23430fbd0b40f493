//! Builds the programs of `tests/guests` to components and tells the harness where they are.
//!
//! Here and not in the harness, because nextest runs each test in a process of its own: there, each test would start
//! a cargo to learn that nothing has changed, and all would wait for its lock. Cargo runs a build script once, and
//! only when what it names has changed. That the script runs a cargo inside a cargo is safe, since the inner one has a
//! target folder of its own.

#[expect(unreachable_pub, dead_code, reason = "the host's file, which offers more than is needed here")]
#[path = "../host/src/guest.rs"]
mod guest;
#[expect(unreachable_pub, reason = "the harness's file")]
#[path = "harness/wat.rs"]
mod wat;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the components are made from, seen from this package.
const SOURCES: [&str; 5] = ["guests", "harness/wat.rs", "../sdk", "../wit", "../host/src/guest.rs"];

/// Those that are written as WebAssembly text.
const TEXTS: &str = "guests/wat";

fn main() -> ExitCode {
    match build().and_then(|programs| Ok((programs, assemble()?))) {
        Ok((programs, texts)) => {
            tell(&format!("rustc-env=WEIR_TEST_GUESTS={}", programs.display()));
            tell(&format!("rustc-env=WEIR_TEST_GUESTS_OF_TEXT={}", texts.display()));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            tell(&format!("error={problem}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder with the components of programs.
fn build() -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for source in SOURCES {
        watch(&package.join(source));
    }
    // Beside the host's own target folder, which the outer cargo has locked. OUT_DIR is target/<profile>/build/<id>/out.
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo did not set OUT_DIR")?;
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not inside a target folder")?.join("components");
    let mut cargo = guest::Toolchain::find().map_err(|missing| missing.to_string())?.cargo();
    cargo.args(["build", "--locked", "--examples", "--profile", "guest", "--target", guest::TARGET]);
    cargo.arg("--manifest-path").arg(package.join("guests/Cargo.toml")).arg("--target-dir").arg(&target);
    run(cargo)?;
    Ok(target.join(guest::TARGET).join("guest/examples"))
}

/// The folder with the components of texts, and nothing that a text of last week has left there.
fn assemble() -> Result<PathBuf, String> {
    let folder = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo did not set OUT_DIR")?.join("wat");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join(TEXTS);
    for entry in texts.read_dir().map_err(|error| format!("{}: {error}", texts.display()))?.flatten() {
        let path = entry.path();
        let explain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| explain(&error))?;
        let component = wat::component(&text).map_err(|error| explain(&error))?;
        let name = path.file_stem().unwrap_or_default();
        fs::write(folder.join(name).with_extension("wasm"), component).map_err(|error| explain(&error))?;
    }
    Ok(folder)
}

/// Watches a folder's files one by one: watched as a whole, a folder that someone builds in would always be new.
fn watch(path: &Path) {
    let built = path.file_name().is_some_and(|name| name == "target");
    if path.is_symlink() || built {
        return;
    }
    match path.read_dir() {
        Ok(entries) => entries.flatten().for_each(|entry| watch(&entry.path())),
        Err(_) => tell(&format!("rerun-if-changed={}", path.display())),
    }
}

fn run(mut cargo: Command) -> Result<(), String> {
    let output = cargo.output().map_err(|error| format!("cargo cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    // Of a build script, cargo shows what it warns of, a line each.
    text.lines().for_each(|line| tell(&format!("warning={line}")));
    Err(format!("the guests of tests/guests do not build: cargo ended with {}", output.status))
}

fn tell(message: &str) {
    println!("cargo::{message}");
}
