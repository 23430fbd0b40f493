//! `weir new`: a node that builds and runs as it is, from templates of sdk/templates, which this binary carries with it.

use std::io;
use std::path::{Path, PathBuf};

use crate::builder::javascript;
use crate::builder::tool::{self, Files};
use crate::folder::{Folder, FolderError};

const TEMPLATES: &Files = include!(concat!(env!("OUT_DIR"), "/template_files.rs"));
const HOME: &str = "sdk/templates";

/// What a node in JavaScript is typed by.
const TYPES: &str = "sdk/javascript/types";

/// What a node is called in the templates, in names of files too.
const PLACEHOLDER: &str = "my_node";

/// Longest name of a node: it is a file's too.
const MAX_NAME: usize = 64;

/// The language of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    Python,
    Js,
    Ts,
}

/// Why no node was written.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    #[error(
        "{0:?} is no name for a node: expected a lower-case letter, then lower-case letters, digits and `_`, at most {MAX_NAME} in all"
    )]
    Name(String),
    #[error(transparent)]
    Folder(FolderError),
    #[error("{0}: is there already; choose another name, or take it away first")]
    Exists(String),
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The flow folder.
    pub flow: PathBuf,
    pub files: Vec<PathBuf>,
    /// What the flow file still needs, as YAML; nothing if it was written too.
    pub to_add: Option<String>,
}

/// Writes a node into a flow folder; in any other folder, a flow with that node alone.
///
/// # Errors
/// If the name is none, something of that name is there, or the folder cannot be written to.
pub fn write(name: &str, language: Language, folder: &Path) -> Result<Written, ScaffoldError> {
    let fits = |(at, letter): (usize, char)| {
        letter.is_ascii_lowercase() || (at > 0 && (letter.is_ascii_digit() || letter == '_'))
    };
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().enumerate().all(fits) {
        return Err(ScaffoldError::Name(name.to_owned()));
    }
    let alone = match Folder::open(folder) {
        Ok(_) => false,
        Err(FolderError::NoFlow(_)) => true,
        Err(error) => return Err(ScaffoldError::Folder(error)),
    };
    let flow = if alone { folder.join(name) } else { folder.to_owned() };
    let mut files = files(name, language);
    let node = node(name, language);
    if alone {
        files.push((PathBuf::from("flow.dag.yaml"), flow_file(name, &node)));
    }
    // Each place that is a node's own: what is there is somebody's work.
    let first = files.first().map(|(path, _)| language.root(path)).unwrap_or_default();
    let taken = if alone { flow.clone() } else { flow.join(first) };
    if taken.exists() {
        return Err(ScaffoldError::Exists(taken.display().to_string()));
    }
    for (path, text) in &files {
        let path = flow.join(path);
        let failed = |source| ScaffoldError::Io { path: path.display().to_string(), source };
        tool::write(&path, text.as_bytes()).map_err(failed)?;
    }
    let files = files.into_iter().map(|(path, _)| flow.join(path)).collect();
    Ok(Written { flow, files, to_add: (!alone).then_some(node) })
}

impl Language {
    /// Name of its templates' folder.
    fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Ts => "ts",
        }
    }

    /// Where its source is in the flow folder.
    fn path(self, name: &str) -> String {
        match self {
            Self::Python => format!("{name}.py"),
            Self::Rust | Self::Js | Self::Ts => format!("nodes/{name}"),
        }
    }

    /// What of a file's path nobody else may have.
    fn root(self, path: &Path) -> PathBuf {
        match self {
            Self::Python => path.to_owned(),
            Self::Rust | Self::Js | Self::Ts => path.components().take(2).collect(),
        }
    }
}

/// The node's files, by their paths in the flow folder.
fn files(name: &str, language: Language) -> Vec<(PathBuf, String)> {
    let place = match language {
        Language::Python => PathBuf::new(),
        Language::Rust | Language::Js | Language::Ts => PathBuf::from(language.path(name)),
    };
    let named = |text: &str| text.replace(PLACEHOLDER, name);
    let of = |files: &'static Files, home: String| {
        let place = place.clone();
        files.iter().filter_map(move |(path, bytes)| {
            let path = Path::new(path).strip_prefix(&home).ok()?;
            let path = place.join(named(&path.to_string_lossy()));
            Some((path, named(&String::from_utf8_lossy(bytes))))
        })
    };
    let mut files: Vec<_> = of(TEMPLATES, format!("{HOME}/{}", language.name())).collect();
    if let Language::Js | Language::Ts = language {
        let types = of(javascript::FILES, TYPES.to_owned());
        files.extend(
            types.map(|(path, text)| (place.join("types").join(path.strip_prefix(&place).unwrap_or(&path)), text)),
        );
    }
    files
}

/// The node as a flow file has it.
fn node(name: &str, language: Language) -> String {
    let kind = if language == Language::Python { "python" } else { "wasm" };
    let path = language.path(name);
    format!(
        "- name: {name}\n  type: {kind}\n  source:\n    type: code\n    path: {path}\n  inputs:\n    name: ${{inputs.name}}\n"
    )
}

fn flow_file(name: &str, node: &str) -> String {
    format!(
        "inputs:\n  name:\n    type: string\n    default: world\noutputs:\n  answer:\n    type: string\n    \
         reference: ${{{name}.output}}\nnodes:\n{node}"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_is_not_written_over_and_a_name_must_be_one() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let written = write("greet", Language::Ts, home.path()).expect("an empty folder");
        assert_eq!(written.flow, home.path().join("greet"));
        assert!(written.to_add.is_none() && written.files.iter().all(|file| file.is_file()), "{written:?}");
        let source = fs::read_to_string(written.flow.join("nodes/greet/greet.ts")).expect("the node's file");
        assert!(!source.contains(PLACEHOLDER), "{source}");

        let again = write("greet", Language::Js, home.path()).expect_err("a folder of that name is there");
        assert!(
            again.to_string().ends_with("greet: is there already; choose another name, or take it away first"),
            "{again}"
        );
        let beside = write("greet", Language::Rust, &written.flow).expect_err("a node of that name is there");
        assert!(matches!(beside, ScaffoldError::Exists(_)), "{beside}");
        let added = write("greet", Language::Python, &written.flow).expect("a file of its own");
        assert_eq!(added.files, [written.flow.join("greet.py")]);
        assert!(added.to_add.is_some_and(|yaml| yaml.contains("path: greet.py")));

        for name in ["", "Greet", "my-node", "1st", "a/b", "ä"] {
            assert!(matches!(write(name, Language::Js, home.path()), Err(ScaffoldError::Name(_))), "{name}");
        }
    }
}
