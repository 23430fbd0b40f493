//! Builds the programs of `tests/guests` to components and tells the harness where they are.
//!
//! Here and not in the harness, because nextest runs each test in a process of its own: there, each test would start
//! a cargo to learn that nothing has changed, and all would wait for its lock. Cargo runs a build script once, and
//! only when what it names has changed. That the script runs a cargo inside a cargo is safe, since the inner one has a
//! target folder of its own.

#[expect(unreachable_pub, dead_code, reason = "the host's file, which offers more than is needed here")]
#[path = "../host/src/guest.rs"]
mod guest;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the components are made from, seen from this package.
const SOURCES: [&str; 4] = ["guests", "../sdk", "../wit", "../host/src/guest.rs"];

fn main() -> ExitCode {
    match build() {
        Ok(folder) => {
            tell(&format!("rustc-env=WEIR_TEST_GUESTS={}", folder.display()));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            tell(&format!("error={problem}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder with the components.
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
