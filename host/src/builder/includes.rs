//! `additional_includes` of a flow: files and folders from outside of it, copied to where the flow finds them as its own.
//! The one place that reads outside of a flow folder, because its owner asks for it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::folder::{Folder, INCLUDES};

/// Most files of all includes: a folder of sources has hundreds; more is a mistake such as including a home folder.
const MAX_FILES: usize = 10_000;

/// Why what a flow includes cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum IncludeError {
    #[error("unable to find additional include {0}; paths are relative to the flow folder")]
    Missing(String),
    #[error("additional include {0}: zipped copies of folders are not made; include the folder itself")]
    Zipped(String),
    #[error("additional include {0}: a path must end in the name of a file or folder")]
    NoName(String),
    #[error("additional include {0}: its name is that of another include; rename one")]
    Twice(String),
    #[error("additional include {0}: more than {MAX_FILES} files in all")]
    TooMany(String),
    #[error("additional include {path}: {source}")]
    Io { path: String, source: io::Error },
}

/// Copies what a flow includes, in place of what was copied before. Gives a warning for each that hides a file of the
/// flow folder.
///
/// # Errors
/// Of the first that cannot be had; then what was copied before stays.
pub fn copy(folder: &Folder, includes: &[String]) -> Result<Vec<String>, IncludeError> {
    let target = folder.root().join(INCLUDES);
    let fresh = target.with_extension("new");
    let at = |path: &str| {
        let path = path.to_owned();
        move |source| IncludeError::Io { path, source }
    };
    remove(&fresh).map_err(at(INCLUDES))?;
    let (mut warnings, mut files) = (Vec::new(), 0);
    for include in includes {
        let source = find(folder, include)?;
        let name = source.file_name().ok_or_else(|| IncludeError::NoName(include.clone()))?;
        if fresh.join(name).exists() {
            return Err(IncludeError::Twice(include.clone()));
        }
        if folder.root().join(name).exists() {
            warnings.push(format!("additional include {include} hides {} of the flow folder", name.to_string_lossy()));
        }
        fs::create_dir_all(&fresh).map_err(at(include))?;
        copy_all(&source, &fresh.join(name), &mut files).map_err(at(include))?;
        if files > MAX_FILES {
            return Err(IncludeError::TooMany(include.clone()));
        }
    }
    remove(&target).map_err(at(INCLUDES))?;
    if fresh.exists() {
        fs::rename(&fresh, &target).map_err(at(INCLUDES))?;
    }
    Ok(warnings)
}

fn find(folder: &Folder, include: &str) -> Result<PathBuf, IncludeError> {
    let path = folder.root().join(include);
    match path.canonicalize() {
        Ok(found) => Ok(found),
        Err(_) if path.extension().is_some_and(|ending| ending == "zip") && path.with_extension("").is_dir() => {
            Err(IncludeError::Zipped(include.to_owned()))
        }
        Err(_) => Err(IncludeError::Missing(include.to_owned())),
    }
}

/// Copies files and folders; links within are not followed, and what `weir build` made is left out.
fn copy_all(source: &Path, target: &Path, files: &mut usize) -> io::Result<()> {
    if *files > MAX_FILES {
        return Ok(());
    }
    if source.is_file() {
        *files += 1;
        return fs::copy(source, target).map(drop);
    }
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() || entry.file_name() == ".weir" {
            continue;
        }
        copy_all(&entry.path(), &target.join(entry.file_name()), files)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flow folder beside a folder `shared` and a file `note.txt`.
    fn place() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in [
            ("flow/flow.dag.yaml", ""),
            ("flow/note.txt", "mine"),
            ("shared/deep/a.txt", "a"),
            ("shared/.weir/x", "x"),
            ("note.txt", "theirs"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let folder = Folder::open(&dir.path().join("flow")).expect("one flow");
        (dir, folder)
    }

    fn includes(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn what_is_included_is_found_by_its_last_name() {
        let (_dir, folder) = place();
        let warnings = copy(&folder, &includes(&["../shared", "../note.txt"])).expect("both are there");
        assert_eq!(warnings, ["additional include ../note.txt hides note.txt of the flow folder"]);
        assert_eq!(folder.read_text("shared/deep/a.txt").expect("included"), "a");
        assert_eq!(folder.read_text("note.txt").expect("included"), "theirs");
        assert!(folder.read_text("shared/.weir/x").is_err());
        // What is no longer included is gone.
        copy(&folder, &[]).expect("nothing to do");
        assert_eq!(folder.read_text("note.txt").expect("its own"), "mine");
    }

    #[test]
    fn what_cannot_be_included_is_named_and_changes_nothing() {
        let (_dir, folder) = place();
        copy(&folder, &includes(&["../note.txt"])).expect("it is there");
        for (path, expected) in [
            ("../gone", "unable to find additional include ../gone; paths are relative to the flow folder"),
            (
                "../shared.zip",
                "additional include ../shared.zip: zipped copies of folders are not made; include the folder itself",
            ),
        ] {
            assert_eq!(copy(&folder, &includes(&[path])).expect_err(path).to_string(), expected);
            assert_eq!(folder.read_text("note.txt").expect("as before"), "theirs");
        }
        let twice = copy(&folder, &includes(&["../note.txt", "note.txt"])).expect_err("one name");
        assert_eq!(twice.to_string(), "additional include note.txt: its name is that of another include; rename one");
    }
}
