//! `weir build`: turns what a flow has as source into components, and locks them by digest in `.weir/`.
//!
//! Serving only reads: [`lock`] says what was built, and [`component_of`] gives the bytes of a component.

pub mod includes;
pub mod javascript;
pub mod lock;
pub mod python;
mod rust;
pub mod scaffold;
pub mod survey;
mod tool;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use serde::Deserialize;

use crate::flow::ComponentSource;
use crate::folder::{Folder, FolderError};
use crate::guest::{self, Toolchain};
use crate::sandbox::accept::MAX_SIZE;
use crate::units::Bytes;

use crate::registry::{Reference, Registry, RegistryError};

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
    #[error("there is no Python here: {python} is no program; install Python 3.11 or later, or name it with --python")]
    NoPython { python: String },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the flow's Python: {0}")]
    Python(String),
    #[error(
        "there is no Node here: {node} is no program; install Node.js 20 or later (https://nodejs.org), or name it with --node"
    )]
    NoNode { node: String },
    #[error("{0}")]
    JavaScript(String),
    #[error(
        "{0}: expected a .wasm file, a .js or .ts file, or a folder with a Cargo.toml (Rust) or a package.json (JavaScript)"
    )]
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
    JavaScript,
}

/// What to build with.
#[derive(Clone, Debug)]
pub struct Tools {
    pub python: python::Tools,
    pub javascript: javascript::Tools,
    /// The folder where the SDK of Rust is laid that this binary carries with it.
    pub rust: PathBuf,
}

/// What a flow has that may have to be built.
#[derive(Clone, Debug, Default)]
pub struct Sources<'f> {
    /// Files and folders of components, each once.
    pub components: Vec<&'f str>,
    /// Artifacts in registries, each once.
    pub artifacts: Vec<&'f str>,
    /// Entries in Python, each once.
    pub python: Vec<&'f str>,
    /// How the flow writes images: `basic` or `openai-vision`.
    pub message_format: &'static str,
}

/// Builds all of a flow that is source, pulls what is in registries, and writes the lock. `tell` is told how it goes on.
///
/// # Errors
/// Of the first that cannot be had.
pub fn build(
    folder: &Folder,
    sources: &Sources<'_>,
    tools: &Tools,
    registry: &Registry,
    mut tell: impl FnMut(&str),
) -> Result<Lock, BuildError> {
    let (mut lock, out) = (Lock::default(), folder.root().join(OUT));
    let mut faults = Vec::new();
    for path in &sources.components {
        let source = source_of(folder, path)?;
        if source == Source::Wasm || lock.components.contains_key(*path) {
            continue;
        }
        tell(&format!("building {path}"));
        let built = match source {
            Source::JavaScript => javascript::build(folder, &out, path, &tools.javascript, &mut tell),
            Source::Wasm | Source::Crate => build_crate(folder, path, &tools.rust),
        };
        match built {
            Ok(locked) => _ = lock.components.insert((*path).to_owned(), locked),
            // Others may have faults of their own, and a person mends them all at once.
            Err(BuildError::JavaScript(fault)) => faults.push(fault),
            Err(error) => return Err(error),
        }
    }
    if !faults.is_empty() {
        return Err(BuildError::JavaScript(faults.join("\n")));
    }
    for reference in &sources.artifacts {
        let locked = artifact(&out, reference, registry, &mut tell)?;
        lock.components.insert((*reference).to_owned(), locked);
    }
    if !sources.python.is_empty() {
        tell(&format!("building {}: one component of all Python", sources.python.join(", ")));
        let locked = python::build(folder, &out, &sources.python, sources.message_format, &tools.python, &mut tell)?;
        lock.components.extend(sources.python.iter().map(|entry| ((*entry).to_owned(), locked.clone())));
    }
    lock.write(&out)?;
    Ok(lock)
}

/// The bytes of the component that a flow's Python was built into, of at most `max`. The second value is a warning if its
/// sources have changed since.
///
/// # Errors
/// If it was not built with this entry, is too large, or is not what was locked.
pub fn python_component(folder: &Folder, entry: &str, max: usize) -> Result<(Vec<u8>, Option<String>), BuildError> {
    let source = lock::digest_of_python(folder.root());
    locked(folder, entry, max, |locked| source.is_ok_and(|source| source.as_str() != locked.source))
}

/// The bytes of a node's component, of at most `max`. The second value is a warning if it is not of what the source is now.
///
/// # Errors
/// If it is not there, too large, or not what was locked.
pub fn component_of(
    folder: &Folder,
    source: &ComponentSource,
    max: usize,
) -> Result<(Vec<u8>, Option<String>), BuildError> {
    match source {
        ComponentSource::Folder(path) => component(folder, path, max),
        ComponentSource::Registry(reference) => locked(folder, reference, max, |_| false),
    }
}

/// The bytes of a component that a flow names, of at most `max`. Source must have been built; the second value is a warning if
/// it has changed since.
///
/// # Errors
/// If it is not there, too large, or not what was locked.
fn component(folder: &Folder, path: &str, max: usize) -> Result<(Vec<u8>, Option<String>), BuildError> {
    let resolved = folder.resolve(path)?;
    let source = source_of(folder, path)?;
    if source == Source::Wasm {
        let bytes = folder.read_bytes(path, max).map_err(|error| match error {
            FolderError::TooLarge { path, limit } => BuildError::TooLarge { path, max: Bytes(limit as u64) },
            other => other.into(),
        })?;
        return Ok((bytes, None));
    }
    let digest = match source {
        Source::JavaScript => lock::digest_of_javascript(folder.root()),
        Source::Wasm | Source::Crate => lock::digest_of_source(&resolved),
    };
    locked(folder, path, max, |locked| digest.is_ok_and(|digest| digest.as_str() != locked.source))
}

/// Whether something was built of this name.
///
/// # Errors
/// If it was not, or nobody can tell.
pub fn is_built(folder: &Folder, name: &str) -> Result<(), BuildError> {
    let lock = Lock::read(&folder.root().join(OUT))?;
    lock.components.get(name).map(drop).ok_or_else(|| BuildError::NotBuilt(name.to_owned()))
}

/// What was built of this name, and a warning if it has changed since.
fn locked(
    folder: &Folder,
    name: &str,
    max: usize,
    changed: impl FnOnce(&Locked) -> bool,
) -> Result<(Vec<u8>, Option<String>), BuildError> {
    let out = folder.root().join(OUT);
    let lock = Lock::read(&out)?;
    let locked = lock.components.get(name).ok_or_else(|| BuildError::NotBuilt(name.to_owned()))?;
    let bytes = lock::read_component(&out, name, locked, max)?;
    let warning = || format!("{name}: changed since it was built; `weir build` builds it anew");
    Ok((bytes, changed(locked).then(warning)))
}

fn source_of(folder: &Folder, path: &str) -> Result<Source, BuildError> {
    let resolved = folder.resolve(path)?;
    if resolved.is_file() && resolved.extension().is_some_and(|extension| extension == "wasm") {
        return Ok(Source::Wasm);
    }
    if resolved.join("Cargo.toml").is_file() {
        return Ok(Source::Crate);
    }
    if javascript::is_source(&resolved) {
        return Ok(Source::JavaScript);
    }
    Err(BuildError::UnknownSource(path.to_owned()))
}

/// What a registry has by this name. What was locked stays, also where a tag has moved since, unless it is asked anew.
fn artifact(
    out: &Path,
    reference: &str,
    registry: &Registry,
    tell: &mut dyn FnMut(&str),
) -> Result<Locked, BuildError> {
    let name: Reference = reference.parse()?;
    if let Some(locked) = registry.stays(&name).then(|| lock::kept(out, reference)).flatten() {
        tell(&format!("locked   {reference}  {}", locked.source));
        return Ok(locked);
    }
    tell(&format!("pulling {reference}"));
    let artifact = registry.pull(&name)?;
    if !name.is_pinned() {
        tell(&format!("a tag may move; to hold it to what was pulled, write ref: {}", name.pinned(&artifact.digest)));
    }
    Ok(lock::keep(out, &artifact.component, artifact.digest, String::new())?)
}

fn build_crate(folder: &Folder, path: &str, sdk: &Path) -> Result<Locked, BuildError> {
    let resolved = folder.resolve(path)?;
    let io = |source| BuildError::Io { path: path.to_owned(), source };
    let source = lock::digest_of_source(&resolved).map_err(io)?;
    let out = folder.root().join(OUT);
    let wasm = cargo(&resolved, &out.join("target"), path, sdk)?;
    let bytes = fs::read(&wasm).map_err(io)?;
    Ok(lock::keep(&out, &bytes, source.to_string(), String::new())?)
}

/// Runs cargo, and gives the component it made. One target folder for all crates of a flow: they share the SDK.
fn cargo(crate_dir: &Path, target_dir: &Path, path: &str, sdk: &Path) -> Result<PathBuf, BuildError> {
    let io = |source| BuildError::Io { path: path.to_owned(), source };
    let toolchain = Toolchain::find()?;
    let mut cargo = toolchain.cargo();
    if rust::names_sdk_by_version(&toolchain, crate_dir) {
        cargo.arg("--config").arg(rust::patch(sdk)?);
    }
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
