//! Removes a folder whatever a guest has made in it: folders within folders, a thousand deep.
//!
//! The standard library holds a descriptor for each level, and a host has few of them. Here what lies deeper is moved up
//! first, so that two are enough, no path is long, and nothing recurses.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use tokio::runtime::{Handle, RuntimeFlavor};
use uuid::Uuid;

/// Removes the folder and all that is in it. Done when it is not there, whoever removed it. Blocks, and has a thread of a
/// runtime give its other tasks to another one first: a run may have left a thousand files.
///
/// # Errors
/// If something in it cannot be removed. Then some of it is left.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let is_shared = Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread);
    let removed = if is_shared { tokio::task::block_in_place(|| empty(folder)) } else { empty(folder) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound || folder.exists() => Err(error),
        _ => Ok(()),
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    loop {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { flatten(&entry.path(), folder)? } else { fs::remove_file(entry.path())? }
        }
        match fs::remove_dir(folder) {
            // What has been moved up.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            removed => return removed,
        }
    }
}

/// Removes a folder; those that are in it are moved to the one above, under names that none has there.
fn flatten(folder: &Path, above: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::rename(entry.path(), above.join(Uuid::new_v4().to_string()))?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves folders into each other, so that none has a long path while it is made.
    fn deep(folder: &Path, levels: usize) {
        for level in 0..levels {
            let (inner, outer) = (folder.join("inner"), folder.join("outer"));
            fs::create_dir(&outer).expect("a folder");
            fs::write(outer.join("file"), level.to_string()).expect("a file");
            if level > 0 {
                fs::rename(&inner, outer.join("x".repeat(200))).expect("a move");
            }
            fs::rename(&outer, &inner).expect("a move");
        }
    }

    #[test]
    fn a_folder_goes_however_deep_it_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("run");
        fs::create_dir(&folder).expect("a folder");
        deep(&folder, 1500);
        fs::create_dir_all(folder.join("a/b/c")).expect("folders");
        remove(&folder).expect("it can be removed");
        assert!(!folder.exists());
        remove(&folder).expect("it is gone");
    }
}
