//! `.weir/lock.json` and `.weir/components/`: what was built, by digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::folder::INCLUDES;
use crate::sandbox::component::Digest;

const FILE: &str = "lock.json";
const COMPONENTS: &str = "components";
/// Folders that are no source.
const NOT_SOURCE: [&str; 3] = ["target", ".git", ".weir"];
/// Folders of a flow that are no part of its Python and JavaScript: what tools leave there.
const LEFT_BY_TOOLS: [&str; 10] =
    ["target", ".git", ".weir", "__pycache__", ".promptflow", ".venv", "venv", "node_modules", ".runs", ".vscode"];
/// What files end in that a bundle of JavaScript may be made of, and that say what it is made of. Packages are what their
/// lock file says they are.
const JAVASCRIPT: [&str; 9] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "json"];
/// They say which Python there is, and are no part of it.
const FLOW_FILES: [&str; 2] = ["flow.dag.yaml", "flow.flex.yaml"];

/// What was built of a flow's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// By the path of the flow file.
    pub components: BTreeMap<String, Locked>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Of the component.
    pub digest: String,
    /// Of the source it was made of; of what a registry had, the digest of its manifest, with its algorithm.
    pub source: String,
    /// Of what has made it; empty where that is the machine's own compiler.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub made_by: String,
}

/// Why the lock or a component cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}: not a lock file: {reason}; `weir build` writes it anew")]
    NotALock { path: String, reason: String },
    #[error("{component}: the built component is not the one that was locked; `weir build` builds it anew")]
    Changed { component: String },
}

impl Lock {
    /// The lock of a `.weir` folder; empty if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(out: &Path) -> Result<Self, LockError> {
        let path = out.join(FILE);
        let shown = format!(".weir/{FILE}");
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| LockError::NotALock { path: shown, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(LockError::Io { path: shown, source }),
        }
    }

    /// Writes the lock as a whole.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn write(&self, out: &Path) -> Result<(), LockError> {
        let text = serde_json::to_string_pretty(self).expect("maps of strings are JSON");
        replace(&out.join(FILE), text.as_bytes())
    }
}

/// Keeps a component under its digest, and gives what the lock says of it.
///
/// # Errors
/// If the folder cannot be written to.
pub fn keep(out: &Path, component: &[u8], source: String, made_by: String) -> Result<Locked, LockError> {
    let digest = Digest::of(component);
    write_component(out, &digest, component)?;
    Ok(Locked { digest: digest.to_string(), source, made_by })
}

fn write_component(out: &Path, digest: &Digest, bytes: &[u8]) -> Result<(), LockError> {
    replace(&out.join(COMPONENTS).join(format!("{digest}.wasm")), bytes)
}

/// What was kept by this name. None: nothing, or it is not there any more.
pub fn kept(out: &Path, name: &str) -> Option<Locked> {
    let locked = Lock::read(out).ok()?.components.remove(name)?;
    read_component(out, name, &locked, usize::MAX).is_ok().then_some(locked)
}

/// The bytes of a locked component, of at most `max`. They are read once: those that are checked are those that are compiled.
///
/// # Errors
/// If it is absent or larger, or its bytes are not those that were locked.
pub fn read_component(out: &Path, component: &str, locked: &Locked, max: usize) -> Result<Vec<u8>, LockError> {
    let path = out.join(COMPONENTS).join(format!("{}.wasm", locked.digest));
    let failed = |source| LockError::Io { path: component.to_owned(), source };
    let found = fs::metadata(&path).map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::Error::other("not a file")));
    }
    if found.len() > max as u64 {
        return Err(failed(io::Error::other(format!("larger than {max} bytes"))));
    }
    let bytes = fs::read(&path).map_err(failed)?;
    if Digest::of(&bytes).as_str() == locked.digest {
        Ok(bytes)
    } else {
        Err(LockError::Changed { component: component.to_owned() })
    }
}

/// The digest of all files of a source folder, by name and content.
///
/// # Errors
/// If a file cannot be read.
pub fn digest_of_source(dir: &Path) -> io::Result<Digest> {
    let mut files = Vec::new();
    collect(dir, &NOT_SOURCE, &mut files)?;
    digest_of(dir, files)
}

/// The digest of a flow folder, as far as its Python is made of it: all files but the flow file, and what is included.
///
/// # Errors
/// If a file cannot be read.
pub fn digest_of_python(dir: &Path) -> io::Result<Digest> {
    let mut files = of_flow(dir)?;
    files.retain(|file| !FLOW_FILES.iter().any(|flow| *file == dir.join(flow)));
    digest_of(dir, files)
}

/// The digest of a flow folder, as far as nodes in JavaScript are made of it, with what is included.
///
/// # Errors
/// If a file cannot be read.
pub fn digest_of_javascript(dir: &Path) -> io::Result<Digest> {
    let mut files = of_flow(dir)?;
    files.retain(|file| file.extension().is_some_and(|ending| JAVASCRIPT.iter().any(|known| ending == *known)));
    digest_of(dir, files)
}

/// The files of a flow folder, and what is included.
fn of_flow(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(dir, &LEFT_BY_TOOLS, &mut files)?;
    let included = dir.join(INCLUDES);
    if included.is_dir() {
        collect(&included, &LEFT_BY_TOOLS, &mut files)?;
    }
    Ok(files)
}

fn digest_of(dir: &Path, mut files: Vec<PathBuf>) -> io::Result<Digest> {
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend_from_slice(file.strip_prefix(dir).unwrap_or(&file).as_os_str().as_encoded_bytes());
        all.push(0);
        all.extend_from_slice(Digest::of(&fs::read(&file)?).as_str().as_bytes());
    }
    Ok(Digest::of(&all))
}

fn collect(dir: &Path, but: &[&str], files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && !but.iter().any(|name| entry.file_name() == *name) {
            collect(&entry.path(), but, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Writes a file so that it is either the old one or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), LockError> {
    let failed = |source| LockError::Io { path: path.display().to_string(), source };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// Swapping the file while it is read gains nothing: what is checked is what is returned.
    #[test]
    fn bytes_that_are_swapped_while_they_are_read_are_the_locked_ones_or_refused() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let (good, evil) = (vec![b'g'; 256 << 10], vec![b'e'; 256 << 10]);
        let digest = Digest::of(&good);
        let locked = Locked { digest: digest.to_string(), source: String::new(), made_by: String::new() };
        write_component(out.path(), &digest, &good).expect("the test's own folder");
        let over = AtomicBool::new(false);
        let mut read = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    write_component(out.path(), &digest, &evil).expect("the test's own folder");
                    write_component(out.path(), &digest, &good).expect("the test's own folder");
                }
            });
            for _ in 0..1000 {
                match read_component(out.path(), "a", &locked, 1 << 20) {
                    Ok(bytes) => {
                        assert!(bytes == good, "what was not locked was given");
                        read += 1;
                    }
                    Err(LockError::Changed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(read > 0, "it was never seen whole");
    }

    #[test]
    fn a_component_that_is_too_large_is_not_read() {
        let out = tempfile::tempdir().expect("a temporary folder");
        let digest = Digest::of(b"too large");
        let locked = Locked { digest: digest.to_string(), source: String::new(), made_by: String::new() };
        write_component(out.path(), &digest, b"too large").expect("the test's own folder");
        let error = read_component(out.path(), "a", &locked, 8).expect_err("one byte more");
        assert_eq!(error.to_string(), "a: larger than 8 bytes");
        assert!(read_component(out.path(), "a", &locked, 9).is_ok());
    }
}
