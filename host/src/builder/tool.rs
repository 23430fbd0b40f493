//! Programs of ours that this binary carries with it, and that Python or Node run: unpacked, started, listened to.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::builder::BuildError;
use crate::sandbox::component::Digest;

/// Files by their paths in this repository: see build.rs.
pub(super) type Files = [(&'static str, &'static [u8])];

/// The digest of files, by path and content, and of what else matters.
pub(super) fn digest_of(files: &Files, more: &str) -> Digest {
    let mut all = more.as_bytes().to_vec();
    for (path, bytes) in files {
        all.extend_from_slice(path.as_bytes());
        all.extend_from_slice(Digest::of(bytes).as_str().as_bytes());
    }
    Digest::of(&all)
}

/// Runs a program to its end. What it prints are objects for us, one a line, which are given, and lines for people, which
/// are told. The second value is whether it ended well.
///
/// # Errors
/// If it cannot be started, or breaks off.
pub(super) fn run<T: DeserializeOwned>(mut program: Command, tell: &mut dyn FnMut(&str)) -> io::Result<(Vec<T>, bool)> {
    let mut running = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut told = Vec::new();
    if let Some(stdout) = running.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match serde_json::from_str(&line) {
                Ok(object) => told.push(object),
                Err(_) => tell(&line),
            }
        }
    }
    Ok((told, running.wait()?.success()))
}

/// Files in a folder, which goes with this, and all that was made there.
pub(super) struct Unpacked(PathBuf);

impl Unpacked {
    /// Takes away what a build that was broken off has left in the folder.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub(super) fn at(folder: PathBuf, files: &Files) -> Result<Self, BuildError> {
        let unpacked = Self(folder);
        let failed = |source| BuildError::Io { path: unpacked.0.display().to_string(), source };
        if unpacked.0.exists() {
            fs::remove_dir_all(&unpacked.0).map_err(failed)?;
        }
        for (path, bytes) in files {
            write(&unpacked.path(path), bytes).map_err(failed)?;
        }
        Ok(unpacked)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

/// Writes a file and the folders it is in.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes))
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // What is left is taken away by the next, or lies among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program says of its version, such as `v20.20.2`; none if there is no such program.
pub(super) fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first two numbers of a version.
pub(super) fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}
