//! The Python of a flow as one component: its files as they are, the packages of its requirements.txt, and the runtime of
//! sdk/python, which this binary carries with it. The work is done by componentize-py, in an environment of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::builder::BuildError;
use crate::builder::lock::{self, Lock, Locked};
use crate::builder::tool::{self, Files, Unpacked};
use crate::folder::Folder;

/// The runtime and the contract.
pub(super) const FILES: &Files = include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

/// The program that makes a component of a folder.
const PROGRAM: &str = "sdk/python/build.py";

/// Where it is put, and what it makes: in the `.weir` folder.
const WORK: &str = "python";
const COMPONENT: &str = "flow.wasm";

/// What to build with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Which Python: a name on `PATH`, or a file.
    pub python: PathBuf,
    /// The folder where componentize-py is installed, once for all flows.
    pub environment: PathBuf,
    /// A folder of wheels to install from, in place of a package index.
    pub wheels: Option<PathBuf>,
}

/// What the program tells, one object in a line.
#[derive(Debug, Deserialize)]
struct Told {
    weir: String,
    #[serde(flatten)]
    failure: Failure,
}

/// A module that cannot be imported, or has no tool.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    entry: String,
    /// Prompt flow's name of what is wrong.
    code: String,
    /// Python's name of it.
    #[serde(rename = "type")]
    kind: String,
    message: String,
    file: Option<String>,
    line: Option<u64>,
    hint: Option<String>,
}

/// Builds the component of these entries. `tell` is told how it goes on.
///
/// # Errors
/// Everything that is wrong with the flow's Python, at once.
pub(super) fn build(
    folder: &Folder,
    out: &Path,
    entries: &[&str],
    message_format: &str,
    tools: &Tools,
    tell: &mut dyn FnMut(&str),
) -> Result<Locked, BuildError> {
    let io = |source| BuildError::Io { path: "the flow's Python".to_owned(), source };
    let source = lock::digest_of_python(folder.root()).map_err(io)?;
    // A later weir makes another one of the same sources.
    let made_by = tool::digest_of(FILES, message_format).to_string();
    if let Some(locked) = unchanged(out, entries, source.as_str(), &made_by) {
        tell("unchanged since it was built");
        return Ok(locked);
    }
    let unpacked = Unpacked::at(out.join(WORK), FILES)?;
    let made = unpacked.path(COMPONENT);
    let mut python = Command::new(&tools.python);
    python.arg(unpacked.path(PROGRAM)).arg(folder.root()).arg("--output").arg(&made);
    python.arg("--work").arg(&tools.environment).args(["--message-format", message_format]);
    if let Some(wheels) = &tools.wheels {
        python.arg("--wheels").arg(wheels);
    }
    for entry in entries {
        python.args(["--entry", entry]);
    }
    run(python, tools, tell)?;
    let bytes = fs::read(&made).map_err(io)?;
    Ok(lock::keep(out, &bytes, source.to_string(), made_by)?)
}

/// The component that was built of the same sources, by the same runtime, with all of these entries, if it is still there.
fn unchanged(out: &Path, entries: &[&str], source: &str, made_by: &str) -> Option<Locked> {
    let first = lock::kept(out, entries.first()?)?;
    let lock = Lock::read(out).ok()?;
    let is_all = entries.iter().all(|entry| lock.components.get(*entry) == Some(&first));
    (is_all && first.source == source && first.made_by == made_by).then_some(first)
}

fn run(python: Command, tools: &Tools, tell: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
    let (told, went_well) = tool::run::<Told>(python, tell).map_err(|error| not_run(tools, error))?;
    let failures: Vec<_> =
        told.into_iter().filter(|told| told.weir == "failed").map(|told| told.failure.text()).collect();
    match (failures.is_empty(), went_well) {
        (true, true) => Ok(()),
        (true, false) => Err(BuildError::Python("it did not build; the errors are above".to_owned())),
        (false, _) => Err(BuildError::Python(failures.join("\n"))),
    }
}

impl Failure {
    /// `classify.py:3: ModuleNotFoundError: No module named 'numpy'; …`
    fn text(&self) -> String {
        let Self { entry, code, kind, message, file, line, hint } = self;
        // The runtime's own, for what is wrong with no line of the file.
        let kind = if kind == "EntryError" { code } else { kind };
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            _ => entry.clone(),
        };
        let hint = hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{place}: {kind}: {message}{hint}")
    }
}

/// Why there is nothing that Python said.
pub(super) fn not_run(tools: &Tools, error: io::Error) -> BuildError {
    let python = tools.python.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => BuildError::NoPython { python },
        _ => BuildError::Io { path: python, source: error },
    }
}

/// Which Python builds nodes here.
///
/// # Errors
/// What is missing, and how to get it.
pub fn found(python: &Path) -> Result<String, String> {
    let shown = python.display();
    let get = "install Python 3.11 or later, or name it with --python";
    let version = tool::version(python).ok_or_else(|| format!("{shown} is no program; {get}"))?;
    if tool::numbers(&version) < (3, 11) {
        return Err(format!("{shown} is {version}; {get}"));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_place_what_it_is_and_what_to_do() {
        let text = |line: &str| serde_json::from_str::<Told>(line).expect("what the program tells").failure.text();
        assert_eq!(
            text(
                r#"{"weir": "failed", "entry": "classify.py", "code": "PythonLoadError", "type": "ModuleNotFoundError",
                    "message": "No module named 'numpy'", "file": "lib.py", "line": 3, "module": "numpy", "hint": "use lists"}"#
            ),
            "lib.py:3: ModuleNotFoundError: No module named 'numpy'; use lists"
        );
        assert_eq!(
            text(
                r#"{"weir": "failed", "entry": "a.py", "type": "EntryError", "code": "NoToolDefined", "message": "no tool", "file": null}"#
            ),
            "a.py: NoToolDefined: no tool"
        );
    }
}
