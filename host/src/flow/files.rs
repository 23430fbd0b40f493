//! The files that a flow refers to, read within bounds: a flow file of a few bytes can name one large file many times, and
//! prompties can have files that name files. Not which files there are: see [`Surroundings`].

use std::cell::Cell;

use super::{FileError, Surroundings};

/// What reading a file counts beside its length: the smallest file takes work as well.
const OF_A_FILE: usize = 1024;

/// So much of the files of a flow folder.
pub(super) struct Files<'a> {
    surroundings: &'a dyn Surroundings,
    mebibytes: usize,
    /// In bytes.
    left: Cell<usize>,
}

impl<'a> Files<'a> {
    pub(super) fn within(mebibytes: usize, surroundings: &'a dyn Surroundings) -> Self {
        Self { surroundings, mebibytes, left: Cell::new(mebibytes * 1024 * 1024) }
    }
}

impl Surroundings for Files<'_> {
    fn text(&self, path: &str) -> Result<String, FileError> {
        let too_much =
            || FileError::Unreadable(format!("files of more than {} MiB in all are named here", self.mebibytes));
        if self.left.get() == 0 {
            return Err(too_much());
        }
        let text = self.surroundings.text(path)?;
        let left = self.left.get().checked_sub(text.len() + OF_A_FILE);
        self.left.set(left.unwrap_or(0));
        left.map(|_| text).ok_or_else(too_much)
    }

    fn exists(&self, path: &str) -> bool {
        self.surroundings.exists(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.surroundings.variable(name)
    }
}
