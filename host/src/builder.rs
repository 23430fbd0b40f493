//! `weir build`: turns what a flow has as source into components, and locks them by digest in `.weir/`.
//!
//! Serving only reads: [`lock`] says what was built, and [`component`] gives its bytes.

pub mod includes;
pub mod lock;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use serde::Deserialize;

use crate::folder::{Folder, FolderError};
use crate::guest::{self, Toolchain};
use crate::sandbox::accept::MAX_SIZE;
use crate::sandbox::component::Digest;
use crate::units::Bytes;

use lock::{Lock, LockError, Locked};

/// What `weir build` writes to, in the flow folder.
const OUT: &str = ".weir";

/// Why a node's component cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Toolchain(#[from] guest::Missing),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{0}: not built yet; run `weir build` on the flow folder")]
    NotBuilt(String),
    #[error("{0}: expected a .wasm file, or the folder of a Rust crate (with a Cargo.toml)")]
    UnknownSource(String),
    #[error("{path}: larger than {max}, the most that a component may have; {} can be raised", MAX_SIZE.variable)]
    TooLarge { path: String, max: Bytes },
    #[error("{0}: the crate did not build; the compiler's errors are above")]
    Failed(String),
    #[error("{0}: the crate makes no component; its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`")]
    NoComponent(String),
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

/// What a component comes from, by the path of the flow file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Wasm,
    Crate,
}

/// Builds every path of a flow that is source, and writes the lock. `tell` is told before each build.
///
/// # Errors
/// Of the first that cannot be built.
pub fn build(folder: &Folder, paths: &[&str], mut tell: impl FnMut(&str)) -> Result<Lock, BuildError> {
    let mut lock = Lock::default();
    for path in paths {
        if source_of(folder, path)? == Source::Crate && !lock.components.contains_key(*path) {
            tell(path);
            let locked = build_crate(folder, path)?;
            lock.components.insert((*path).to_owned(), locked);
        }
    }
    lock.write(&folder.root().join(OUT))?;
    Ok(lock)
}

/// The bytes of a component that a flow names, of at most `max`. Source must have been built; the second value is a warning if
/// it has changed since.
///
/// # Errors
/// If it is not there, too large, or not what was locked.
pub fn component(folder: &Folder, path: &str, max: usize) -> Result<(Vec<u8>, Option<String>), BuildError> {
    let resolved = folder.resolve(path)?;
    if source_of(folder, path)? == Source::Wasm {
        let bytes = folder.read_bytes(path, max).map_err(|error| match error {
            FolderError::TooLarge { path, limit } => BuildError::TooLarge { path, max: Bytes(limit as u64) },
            other => other.into(),
        })?;
        return Ok((bytes, None));
    }
    let out = folder.root().join(OUT);
    let lock = Lock::read(&out)?;
    let locked = lock.components.get(path).ok_or_else(|| BuildError::NotBuilt(path.to_owned()))?;
    let bytes = lock::read_component(&out, path, locked, max)?;
    let changed = lock::digest_of_source(&resolved).is_ok_and(|source| source.as_str() != locked.source);
    Ok((bytes, changed.then(|| format!("{path}: changed since it was built; `weir build` builds it anew"))))
}

fn source_of(folder: &Folder, path: &str) -> Result<Source, BuildError> {
    let resolved = folder.resolve(path)?;
    if resolved.is_file() && resolved.extension().is_some_and(|extension| extension == "wasm") {
        return Ok(Source::Wasm);
    }
    if resolved.join("Cargo.toml").is_file() {
        return Ok(Source::Crate);
    }
    Err(BuildError::UnknownSource(path.to_owned()))
}

fn build_crate(folder: &Folder, path: &str) -> Result<Locked, BuildError> {
    let resolved = folder.resolve(path)?;
    let io = |source| BuildError::Io { path: path.to_owned(), source };
    let source = lock::digest_of_source(&resolved).map_err(io)?;
    let out = folder.root().join(OUT);
    let wasm = cargo(&resolved, &out.join("target"), path)?;
    let bytes = fs::read(&wasm).map_err(io)?;
    let digest = Digest::of(&bytes);
    lock::write_component(&out, &digest, &bytes)?;
    Ok(Locked { digest: digest.to_string(), source: source.to_string() })
}

/// Runs cargo, and gives the component it made. One target folder for all crates of a flow: they share the SDK.
fn cargo(crate_dir: &Path, target_dir: &Path, path: &str) -> Result<PathBuf, BuildError> {
    let io = |source| BuildError::Io { path: path.to_owned(), source };
    let mut cargo = Toolchain::find()?.cargo();
    cargo.current_dir(crate_dir).args(["build", "--release", "--target", guest::TARGET]);
    cargo.arg("--target-dir").arg(target_dir).arg("--message-format=json-render-diagnostics");
    let mut running = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(io)?;
    let manifest = crate_dir.join("Cargo.toml");
    let mut made = None;
    if let Some(stdout) = running.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            made = component_in(&line.map_err(io)?, &manifest).or(made);
        }
    }
    if !running.wait().map_err(io)?.success() {
        return Err(BuildError::Failed(path.to_owned()));
    }
    made.ok_or_else(|| BuildError::NoComponent(path.to_owned()))
}

/// What cargo says of one artifact, as far as it matters here.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn component_in(message: &str, manifest: &Path) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    if artifact.reason != "compiler-artifact" || artifact.manifest_path != manifest {
        return None;
    }
    artifact.filenames.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}
