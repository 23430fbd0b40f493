//! `wasi:filesystem`: folders. Granted by name: a folder of the flow folder, to read; or, where the operator lets nodes
//! write, an empty one of the run's own.
//!
//! How a path stays within its folder is cap-std's affair, by wasmtime-wasi. What more is held of each call is in
//! files/wit.rs, and where runs write in files/scratch.rs. Calls of it have no spans: they are many and cost little. How
//! many there were, and how much they wrote, is on the span of the node.

mod scratch;
mod wit;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use wasmtime::component::Linker;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::quota::Quota;
use crate::boundary::{Capability, Lend};
use crate::capability::Glob;
use crate::folder::Folder;
use crate::units::Bytes;

pub use scratch::{Run, Scratch};

/// Files and folders that one run may make. Each costs an entry of the disk's table, whatever is in it; unpacking a package
/// of code makes some hundreds.
pub const MAX_FILES: u64 = 1000;

/// Folders that one node may be granted: each run opens all of them.
const MAX_FOLDERS: usize = 16;

/// What folders there are.
#[derive(Debug, Default)]
pub struct Config {
    /// The flow's.
    pub folder: Option<Folder>,
    /// Where runs may write; none: nowhere.
    pub scratch: Option<Arc<Scratch>>,
}

/// Serves `wasi:filesystem/types`.
#[derive(Debug)]
pub struct Files(Config);

/// The folders of one node.
#[derive(Debug)]
pub struct Grant {
    /// Where each is, and what the guest calls it.
    read: Vec<(PathBuf, String)>,
    /// What the guest calls those that are its run's own.
    written: Vec<String>,
    scratch: Option<Arc<Scratch>>,
}

/// A folder that a node asks for, or that a policy lets nodes ask for: there its path may be a pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    path: String,
    write: bool,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Path(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    path: String,
    #[serde(default)]
    write: bool,
}

impl Capability for Files {
    const NAME: &'static str = "files";
    const INTERFACE: &'static str = "wasi:filesystem/types";
    type Config = Config;
    type Grant = Grant;
    type Rule = Asked;

    fn build(config: Config) -> Self {
        Self(config)
    }

    fn grant(&self, ask: Ask<'_>, rules: &Rules<Asked>) -> Result<Option<Grant>, Vec<AskError>> {
        let asks = read(ask).map_err(|error| vec![error])?;
        let mut grant = Grant { read: Vec::new(), written: Vec::new(), scratch: self.0.scratch.clone() };
        let mut errors = Vec::new();
        if asks.len() > MAX_FOLDERS {
            errors.push(unusable(&format!("{} folders; a node may have {MAX_FOLDERS}", asks.len())));
        }
        for (index, asked) in asks.iter().enumerate() {
            let path = &asked.path;
            errors.extend(rules.check(Self::NAME, &asked.shown(), |rule| rule.covers(asked)).err());
            if asks[..index].iter().any(|other| other.path == *path) {
                errors.push(unusable(&format!("{path:?} is named twice")));
                continue;
            }
            match self.find(asked) {
                Ok(Some(found)) => grant.read.push((found, path.clone())),
                Ok(None) => grant.written.push(path.clone()),
                Err(problem) => errors.push(unusable(&problem)),
            }
        }
        if errors.is_empty() { Ok((!asks.is_empty()).then_some(grant)) } else { Err(errors) }
    }

    fn rule(entry: &str) -> Result<Asked, String> {
        let read: Option<Entry> = serde_json::from_str(entry).ok();
        let expected = "a folder such as data or docs/*, or {path: FOLDER, write: true}";
        read.map(Asked::from).ok_or_else(|| format!("expected {expected}, found {entry}"))
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::link(linker)
    }
}

impl Files {
    /// Where a folder is; none: it is made for each run.
    fn find(&self, asked: &Asked) -> Result<Option<PathBuf>, String> {
        let path = &asked.path;
        // `.` would show the flow's own files, and what `weir build` keeps beside them.
        let mut parts = Path::new(path).components();
        let plain = parts.clone().all(|part| matches!(part, Component::Normal(_)));
        let hidden = parts.next().is_some_and(|first| first.as_os_str().as_encoded_bytes().starts_with(b"."));
        if path.is_empty() || !plain || hidden || path.contains('\0') {
            return Err(format!("{path:?}: expected a folder inside the flow folder, such as data or docs/en"));
        }
        let Some(folder) = &self.0.folder else { return Err(format!("{path:?}: there is no flow folder")) };
        let found = folder.resolve(path);
        if asked.write {
            return match (&self.0.scratch, found) {
                (None, _) => Err(format!(
                    "{path:?}: nodes may write nothing on this host; the operator allows it by WEIR_SCRATCH_DIR"
                )),
                (Some(_), Ok(_)) => Err(format!(
                    "{path:?} is in the flow folder, which is never written; choose another name for the empty folder \
                     that each run gets"
                )),
                (Some(_), Err(_)) => Ok(None),
            };
        }
        let found = found.map_err(|error| error.to_string())?;
        if found.is_dir() { Ok(Some(found)) } else { Err(format!("{path:?} is no folder; grant the one it is in")) }
    }
}

impl Grant {
    /// Opens the folders for one run, which holds what is given as long as it lasts.
    ///
    /// # Errors
    /// If one is gone, or none can be made.
    pub fn open(&self, wasi: &mut WasiCtxBuilder) -> io::Result<Vec<Run>> {
        for (found, path) in &self.read {
            wasi.preopened_dir(found, path, FsPerms::ReadOnly).map_err(io::Error::other)?;
        }
        let mut runs = Vec::new();
        for (scratch, path) in
            self.scratch.iter().flat_map(|scratch| self.written.iter().map(move |path| (scratch, path)))
        {
            let run = Scratch::run(scratch)?;
            wasi.preopened_dir(run.path(), path, FsPerms::ReadWrite).map_err(io::Error::other)?;
            runs.push(run);
        }
        Ok(runs)
    }

    /// How much one run may write, all its folders together.
    pub fn quota(&self) -> Quota {
        let bytes = self.scratch.as_ref().map_or(Bytes(0), |scratch| scratch.max_bytes());
        Quota::of(bytes.0, MAX_FILES)
    }
}

impl Asked {
    fn covers(&self, asked: &Self) -> bool {
        Glob::new(self.path.as_str()).covers(&asked.path) && (self.write || !asked.write)
    }

    fn shown(&self) -> String {
        if self.write { format!("{:?} to write", self.path) } else { format!("{:?}", self.path) }
    }
}

impl From<Entry> for Asked {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Path(path) => Self { path: trimmed(path), write: false },
            Entry::Whole(Whole { path, write }) => Self { path: trimmed(path), write },
        }
    }
}

/// `data/` is `data`.
fn trimmed(path: String) -> String {
    path.strip_suffix('/').map(str::to_owned).unwrap_or(path)
}

fn read(ask: Ask<'_>) -> Result<Vec<Asked>, AskError> {
    let expected = "a list of folders such as data, and of {path: FOLDER, write: true}";
    let entries: Vec<Entry> = ask.entries(Files::NAME, expected)?;
    Ok(entries.into_iter().map(Asked::from).collect())
}

fn unusable(problem: &str) -> AskError {
    AskError::Unusable(format!("grants.{}: {problem}", Files::NAME))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files(writable: bool) -> (Files, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let flow = dir.path().join("flow");
        fs::create_dir_all(flow.join("data/en")).expect("a folder");
        fs::create_dir_all(flow.join(".weir")).expect("a folder");
        fs::write(flow.join("flow.dag.yaml"), "").expect("a file");
        fs::write(flow.join("data/a.txt"), "a").expect("a file");
        std::os::unix::fs::symlink("/etc", flow.join("out")).expect("a link");
        std::os::unix::fs::symlink("data", flow.join("alias")).expect("a link");
        let scratch = writable.then(|| Scratch::open(&dir.path().join("scratch"), Bytes(1 << 20)).expect("a folder"));
        let folder = Some(Folder::open(&flow).expect("a flow"));
        (Files::build(Config { folder, scratch }), dir)
    }

    #[track_caller]
    fn check(grant: &str, expected: Result<(usize, usize), &str>) {
        let (files, _dir) = files(true);
        let granted = files.grant(Ask { grant: Some(grant), ..Ask::default() }, &Rules::default());
        let counts = granted.map(|grant| grant.map_or((0, 0), |grant| (grant.read.len(), grant.written.len())));
        let told = counts.map_err(|errors| errors.iter().map(AskError::to_string).collect::<Vec<_>>());
        assert_eq!(told, expected.map_err(|error| vec![format!("grants.files: {error}")]), "{grant}");
    }

    #[test]
    fn folders_of_the_flow_are_read_and_a_new_one_is_written() {
        check("[]", Ok((0, 0)));
        check(r#"["data"]"#, Ok((1, 0)));
        check(r#"["data/", "data/en", "alias"]"#, Ok((3, 0)));
        check(r#"["data", {"path": "scratch", "write": true}, {"path": "data/en"}]"#, Ok((2, 1)));
    }

    #[test]
    fn what_is_no_folder_of_the_flow_is_refused_with_the_reason() {
        for path in ["", ".", "..", "../x", "/etc", "/", "data/../../x", "./data", ".weir", ".git/x"] {
            check(
                &format!("[{path:?}]"),
                Err(&format!(
                    "{:?}: expected a folder inside the flow folder, such as data or docs/en",
                    path.strip_suffix('/').unwrap_or(path)
                )),
            );
        }
        check(r#"["out"]"#, Err("out: the path leads out of the flow folder"));
        check(r#"["data/a.txt"]"#, Err(r#""data/a.txt" is no folder; grant the one it is in"#));
        check(r#"["missing"]"#, Err("missing: No such file or directory (os error 2)"));
        check(r#"["data", "data/"]"#, Err(r#""data" is named twice"#));
        check(
            r#"[{"path": "data", "write": true}]"#,
            Err(
                r#""data" is in the flow folder, which is never written; choose another name for the empty folder that each run gets"#,
            ),
        );
        for wrong in [r#""data""#, "[1]", r#"[{"path": "a", "mode": "w"}]"#, r#"[{"write": true}]"#] {
            check(
                wrong,
                Err(&format!(
                    "expected a list of folders such as data, and of {{path: FOLDER, write: true}}, found {wrong}"
                )),
            );
        }
    }

    #[test]
    fn nothing_is_written_where_the_operator_does_not_say_where() {
        let (files, _dir) = files(false);
        let ask = Ask { grant: Some(r#"[{"path": "out_here", "write": true}]"#), ..Ask::default() };
        let refused = files.grant(ask, &Rules::default()).expect_err("a refusal");
        assert_eq!(
            refused.iter().map(AskError::to_string).collect::<Vec<_>>(),
            [
                r#"grants.files: "out_here": nodes may write nothing on this host; the operator allows it by WEIR_SCRATCH_DIR"#
            ]
        );
    }

    #[test]
    fn a_policy_bounds_folders_and_whether_they_are_written() {
        let rule = |entry: &str| Files::rule(entry).expect("an entry");
        let asked = |path: &str, write| Asked { path: path.to_owned(), write };
        assert!(rule(r#""data*""#).covers(&asked("data/en", false)));
        assert!(!rule(r#""data*""#).covers(&asked("data/en", true)));
        assert!(!rule(r#""data""#).covers(&asked("data/en", false)));
        assert!(rule(r#"{"path": "*", "write": true}"#).covers(&asked("x", true)));
        assert!(rule(r#"{"path": "*", "write": true}"#).covers(&asked("x", false)));
        assert!(Files::rule("1").is_err());
    }
}
