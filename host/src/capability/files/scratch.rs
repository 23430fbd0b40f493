//! Where runs write: an empty folder for each, below the one that the operator names, gone with the run.
//!
//! Each flow that is loaded has a folder there, held by a lock, so that what a process left behind that was killed is
//! found by the next one, and nobody takes away what another still uses. How folders are removed: see scratch/remove.rs.

mod remove;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::units::Bytes;

use remove::remove;

/// What the folders of flows are called, before a name of their own; and what their locks are.
const PREFIX: &str = "weir-scratch-";
const LOCK: &str = "lock";

/// The folder of one flow.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    max_bytes: Bytes,
    /// Held as long as the folder is in use. It stands beside the folder, as a run may take long to clear away.
    _lock: File,
}

/// The folder of one run. Dropped: gone, with all that is in it.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    _scratch: Arc<Scratch>,
}

impl Scratch {
    /// Makes a folder for a flow, and clears away those that nobody holds any more.
    ///
    /// # Errors
    /// If none can be made there.
    pub fn open(below: &Path, max_bytes: Bytes) -> io::Result<Arc<Self>> {
        make(below).or_else(|error| if below.is_dir() { Ok(()) } else { Err(error) })?;
        clear(below);
        let (path, lock) = claim(below).or_else(|_| claim(below))?;
        make(&path)?;
        Ok(Arc::new(Self { path, max_bytes, _lock: lock }))
    }

    pub fn max_bytes(&self) -> Bytes {
        self.max_bytes
    }

    /// A new folder for one run.
    ///
    /// # Errors
    /// If none can be made.
    pub fn run(scratch: &Arc<Self>) -> io::Result<Run> {
        let path = scratch.path.join(Uuid::new_v4().to_string());
        make(&path)?;
        Ok(Run { path, _scratch: Arc::clone(scratch) })
    }
}

impl Run {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What cannot be removed now goes with the flow's folder, or by the next process.
        _ = remove(&self.path);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        release(&self.path);
    }
}

/// Removes a folder of a flow, then its lock. By that the next process finds what could not be removed.
fn release(path: &Path) {
    if remove(path).is_ok() {
        _ = fs::remove_file(path.with_extension(LOCK));
    }
}

/// A name that nobody has, with its lock. It fails if another process that starts at the same moment takes the lock for
/// one that was left.
fn claim(below: &Path) -> io::Result<(PathBuf, File)> {
    let path = below.join(format!("{PREFIX}{}", Uuid::new_v4()));
    let lock = File::create_new(path.with_extension(LOCK))?;
    lock.try_lock().map_err(io::Error::from)?;
    Ok((path, lock))
}

/// A folder that nobody else may look into.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes the folders of processes that have ended without doing so.
fn clear(below: &Path) {
    let entries = fs::read_dir(below).into_iter().flatten().flatten().map(|entry| entry.path());
    for lock in entries.filter(|path| path.extension().is_some_and(|end| end == LOCK)) {
        let ours = lock.file_stem().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        let left = ours.then(|| File::open(&lock).ok()).flatten().filter(|file| file.try_lock().is_ok());
        if let Some(_held) = left {
            release(&lock.with_extension(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> usize {
        fs::read_dir(path).expect("a folder").count()
    }

    #[test]
    fn a_run_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::open(&dir.path().join("new"), Bytes(1)).expect("a folder");
        let run = Scratch::run(&scratch).expect("a folder");
        fs::create_dir_all(run.path().join("a/b/c")).expect("folders in it");
        fs::write(run.path().join("a/b/c/d"), "text").expect("a file in it");
        let path = run.path().to_owned();
        drop(run);
        assert!(!path.exists());
        drop(scratch);
        assert_eq!(names(&dir.path().join("new")), 0);
    }

    #[test]
    fn what_cannot_be_removed_keeps_its_lock_and_the_next_process_finds_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        // In the place of a folder: a file, which cannot be emptied.
        let left = dir.path().join(format!("{PREFIX}left"));
        fs::write(&left, "").expect("a file");
        File::create(left.with_extension(LOCK)).expect("a lock that nobody holds");
        drop(Scratch::open(dir.path(), Bytes(1)).expect("a folder"));
        assert!(left.exists() && left.with_extension(LOCK).exists());
        fs::remove_file(&left).expect("it can be removed");
        fs::create_dir(&left).expect("a folder");
        drop(Scratch::open(dir.path(), Bytes(1)).expect("a folder"));
        assert_eq!(names(dir.path()), 0);
    }

    #[test]
    fn what_a_process_left_that_was_killed_is_cleared_and_what_is_held_is_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let held = Scratch::open(dir.path(), Bytes(1)).expect("a folder");
        let run = Scratch::run(&held).expect("a folder");
        let left = dir.path().join(format!("{PREFIX}left"));
        fs::create_dir_all(left.join("run")).expect("a folder");
        File::create(left.with_extension(LOCK)).expect("a lock that nobody holds");
        let others = dir.path().join("of-somebody-else.lock");
        File::create(&others).expect("a file");

        let second = Scratch::open(dir.path(), Bytes(1)).expect("a folder");
        assert!(!left.exists() && run.path().exists() && second.path.exists() && others.exists());
    }
}
