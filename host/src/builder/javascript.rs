//! A node in JavaScript or TypeScript as a component: its file with all that it imports, and the runtime of sdk/javascript,
//! which this binary carries with it. The work is done by esbuild and jco's QuickJS back end, in an environment of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::builder::BuildError;
use crate::builder::lock::{self, Locked};
use crate::builder::tool::{self, Files, Unpacked};
use crate::folder::Folder;

/// The runtime, the types and the contract.
pub(super) const FILES: &Files = include!(concat!(env!("OUT_DIR"), "/javascript_files.rs"));

/// The program that makes a component of a file.
const PROGRAM: &str = "sdk/javascript/build.mjs";

/// Where it is put, and what it makes: in the `.weir` folder.
const WORK: &str = "javascript";
const COMPONENT: &str = "node.wasm";

/// What a file in JavaScript or TypeScript ends in.
const ENDINGS: [&str; 4] = ["js", "mjs", "ts", "mts"];

/// The file that says which module of a folder is the node.
const PACKAGE: &str = "package.json";

/// What to build with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Which Node: a name on `PATH`, or a file. npm is the one beside it.
    pub node: PathBuf,
    /// The folder where jco's back end and esbuild are installed, once for all flows.
    pub environment: PathBuf,
    /// A cache of npm to install from, in place of the registry.
    pub npm_cache: Option<PathBuf>,
}

/// The least that builds nodes.
const OLDEST: u32 = 20;

/// What the program tells, one object in a line.
#[derive(Debug, Deserialize)]
struct Told {
    /// What is wrong, with `file:line:column` in front where it has a place.
    weir_failed: String,
}

/// Whether this file or folder is a node in JavaScript.
pub(super) fn is_source(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    (path.is_file() && ENDINGS.contains(&ending)) || path.join(PACKAGE).is_file()
}

/// Builds the component of one node. `tell` is told how it goes on.
///
/// # Errors
/// Everything that is wrong with its source, at once.
pub(super) fn build(
    folder: &Folder,
    out: &Path,
    path: &str,
    tools: &Tools,
    tell: &mut dyn FnMut(&str),
) -> Result<Locked, BuildError> {
    let io = |source| BuildError::Io { path: path.to_owned(), source };
    let resolved = folder.resolve(path)?;
    let source = lock::digest_of_javascript(folder.root()).map_err(io)?;
    // A later weir makes another one of the same sources.
    let made_by = tool::digest_of(FILES, "").to_string();
    let kept = lock::kept(out, path);
    if let Some(locked) = kept.filter(|kept| kept.source == source.as_str() && kept.made_by == made_by) {
        tell("unchanged since it was built");
        return Ok(locked);
    }
    let unpacked = Unpacked::at(out.join(WORK), FILES)?;
    let made = unpacked.path(COMPONENT);
    let mut node = Command::new(&tools.node);
    node.arg(unpacked.path(PROGRAM)).arg(folder.root()).arg("--entry").arg(&resolved).arg("--output").arg(&made);
    node.arg("--environment").arg(&tools.environment);
    if let Some(cache) = &tools.npm_cache {
        node.arg("--npm-cache").arg(cache);
    }
    let (told, went_well) = tool::run::<Told>(node, tell).map_err(|error| not_run(tools, error))?;
    if !told.is_empty() {
        let told: Vec<_> = told.into_iter().map(|told| told.weir_failed).collect();
        return Err(BuildError::JavaScript(told.join("\n")));
    }
    if !went_well {
        return Err(BuildError::JavaScript(format!("{path}: did not build; the errors are above")));
    }
    let bytes = fs::read(&made).map_err(io)?;
    Ok(lock::keep(out, &bytes, source.to_string(), made_by)?)
}

/// Why there is nothing that Node said.
fn not_run(tools: &Tools, error: io::Error) -> BuildError {
    let node = tools.node.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => BuildError::NoNode { node },
        _ => BuildError::Io { path: node, source: error },
    }
}

/// Which Node and npm build nodes here.
///
/// # Errors
/// What is missing, and how to get it.
pub fn found(node: &Path) -> Result<String, String> {
    let shown = node.display();
    let get = format!("install Node.js {OLDEST} or later with npm (https://nodejs.org), or name it with --node");
    let version = tool::version(node).ok_or_else(|| format!("{shown} is no program; {get}"))?;
    if tool::numbers(&version).0 < OLDEST {
        return Err(format!("{shown} is Node.js {version}; {get}"));
    }
    // As sdk/javascript/build.mjs finds it.
    let beside = node.canonicalize().ok().and_then(|node| Some(node.parent()?.join("../lib/node_modules/npm")));
    if beside.is_some_and(|npm| npm.is_dir()) || tool::version(Path::new("npm")).is_some() {
        Ok(format!("Node.js {version}"))
    } else {
        Err(format!("Node.js {version} is here, but no npm; {get}"))
    }
}
