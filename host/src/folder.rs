//! A flow folder on disk. Reads only inside it, whatever a flow file says. A leaf: knows names of files, not their sense.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The names a flow file may have, in the order people are told them.
const FLOW_FILES: [&str; 4] = ["flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml"];

/// What the name of a prompty ends in: a flow of one call of a model.
const PROMPTY: &str = ".prompty";

/// Where `weir build` keeps what a flow includes from outside of its folder, by the names it has in the flow.
pub const INCLUDES: &str = ".weir/includes";

/// Longest text file that is read from a flow folder: flow files and templates are written by people.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A folder that holds one flow.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Resolved: no links, no `..`.
    root: PathBuf,
    /// Name of the flow file.
    file: String,
}

/// Why a folder cannot be served, or a file in it not read. Messages name the path as the user wrote it.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{0}: no such folder")]
    NoFolder(String),
    #[error("{0}: found neither flow.dag.yaml nor flow.flex.yaml, nor a .prompty file")]
    NoFlow(String),
    #[error("{folder}: multiple flow files: {found}; name one, or remove the others")]
    ManyFlows { folder: String, found: String },
    #[error("{0}: the path leads out of the flow folder")]
    Outside(String),
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}: larger than {limit} bytes")]
    TooLarge { path: String, limit: usize },
}

impl Folder {
    /// Opens a folder, or the folder of a flow file.
    ///
    /// # Errors
    /// If there is not exactly one flow.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let shown = path.display().to_string();
        let resolved = path.canonicalize().map_err(|_| FolderError::NoFolder(shown.clone()))?;
        if resolved.is_file() {
            let file = resolved.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let root = resolved.parent().map(Path::to_path_buf).unwrap_or_default();
            return Ok(Self { root, file });
        }
        let found: Vec<_> = FLOW_FILES.into_iter().filter(|name| resolved.join(name).is_file()).collect();
        let found =
            if found.is_empty() { prompties(&resolved) } else { found.into_iter().map(str::to_owned).collect() };
        match found.as_slice() {
            [] => Err(FolderError::NoFlow(shown)),
            [file] => Ok(Self { root: resolved, file: file.clone() }),
            many => Err(FolderError::ManyFlows { folder: shown, found: many.join(", ") }),
        }
    }

    /// Whether a file is a flow by its name, whatever is in it.
    pub fn is_flow_file(path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        FLOW_FILES.contains(&name.as_str()) || name.ends_with(PROMPTY)
    }

    /// Where the folder is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Name of the flow file.
    pub fn flow_file(&self) -> &str {
        &self.file
    }

    /// Name of the folder: the flow's name if its file gives none.
    pub fn name(&self) -> String {
        self.root.file_name().map_or_else(|| "flow".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Where a path of the flow file leads. What the flow includes from elsewhere comes before its own files.
    ///
    /// # Errors
    /// If it leads out of the folder, also by a link, or to nothing.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, FolderError> {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(FolderError::Outside(path.to_owned()));
        }
        let included = self.root.join(INCLUDES).join(path).canonicalize();
        let resolved = included
            .or_else(|_| self.root.join(path).canonicalize())
            .map_err(|source| FolderError::Io { path: path.to_owned(), source })?;
        if resolved.starts_with(&self.root) { Ok(resolved) } else { Err(FolderError::Outside(path.to_owned())) }
    }

    /// A text file of the folder.
    ///
    /// # Errors
    /// If it is not in the folder, too large, or no UTF-8 text.
    pub fn read_text(&self, path: &str) -> Result<String, FolderError> {
        let no_text = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        String::from_utf8(self.read_bytes(path, MAX_TEXT)?)
            .map_err(|error| FolderError::Io { path: path.to_owned(), source: no_text(error) })
    }

    /// A file of the folder, of at most so many bytes.
    ///
    /// # Errors
    /// If it is not in the folder, larger, or no regular file: a pipe would keep its reader for ever.
    pub fn read_bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, FolderError> {
        let resolved = self.resolve(path)?;
        let io = |source| FolderError::Io { path: path.to_owned(), source };
        let metadata = fs::metadata(&resolved).map_err(io)?;
        if !metadata.is_file() {
            return Err(io(io::Error::other("not a file")));
        }
        if usize::try_from(metadata.len()).is_ok_and(|size| size <= limit) {
            fs::read(&resolved).map_err(io)
        } else {
            Err(FolderError::TooLarge { path: path.to_owned(), limit })
        }
    }
}

/// The prompty files of a folder, by name.
fn prompties(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.to_lowercase().ends_with(PROMPTY)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            fs::write(dir.path().join(file), "").expect("a file in it");
        }
        dir
    }

    #[test]
    fn a_folder_holds_exactly_one_flow() {
        assert_eq!(Folder::open(folder(&["flow.dag.yml"]).path()).expect("one flow").flow_file(), "flow.dag.yml");
        let many = Folder::open(folder(&["flow.dag.yaml", "flow.flex.yaml"]).path()).expect_err("two flows");
        assert!(
            many.to_string()
                .ends_with("multiple flow files: flow.dag.yaml, flow.flex.yaml; name one, or remove the others")
        );
        let none = Folder::open(folder(&["readme"]).path()).expect_err("no flow");
        assert!(none.to_string().ends_with("found neither flow.dag.yaml nor flow.flex.yaml, nor a .prompty file"));
    }

    #[test]
    fn a_prompty_is_a_flow_where_there_is_no_other() {
        let open = |files: &[&str]| Folder::open(folder(files).path()).map(|folder| folder.flow_file().to_owned());
        assert_eq!(open(&["chat.prompty", "notes.md"]).expect("one flow"), "chat.prompty");
        assert_eq!(open(&["chat.prompty", "flow.flex.yaml"]).expect("one flow"), "flow.flex.yaml");
        let many = open(&["b.prompty", "a.prompty"]).expect_err("two flows");
        assert!(many.to_string().contains("a.prompty, b.prompty"), "{many}");
    }

    #[test]
    fn what_is_included_comes_first() {
        let dir = folder(&["flow.dag.yaml"]);
        fs::create_dir_all(dir.path().join(INCLUDES).join("shared")).expect("a folder");
        fs::write(dir.path().join(INCLUDES).join("shared/a.txt"), "included").expect("a file in it");
        let folder = Folder::open(dir.path()).expect("one flow");
        assert_eq!(folder.read_text("shared/a.txt").expect("an included file"), "included");
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let dir = folder(&["flow.dag.yaml"]);
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).expect("a link");
        let folder = Folder::open(dir.path()).expect("one flow");
        for path in ["../x", "/etc/hostname", "a/../../x", "link"] {
            let error = folder.read_text(path).expect_err(path);
            assert_eq!(error.to_string(), format!("{path}: the path leads out of the flow folder"));
        }
    }
}
