//! How much more one run may write into files, and what it has asked of HTTP. Not what it may reach: that is its grant's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::boundary::bounds::HttpBounds;

/// How much more a run may write. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Quota(Arc<Mutex<Left>>);

#[derive(Debug, Default)]
struct Left {
    bytes: u64,
    files: u64,
    /// Longest file.
    longest: u64,
}

/// Nothing more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

impl Quota {
    pub fn of(bytes: u64, files: u64) -> Self {
        Self(Arc::new(Mutex::new(Left { bytes, files, longest: bytes })))
    }

    /// Takes so many bytes. What is written over counts again, so that what is counted is never less than what is there.
    ///
    /// # Errors
    /// If there are not so many left; then none are taken.
    pub fn take(&self, bytes: u64) -> Result<(), Spent> {
        let mut left = self.left();
        left.bytes = left.bytes.checked_sub(bytes).ok_or(Spent)?;
        Ok(())
    }

    /// Takes a file, or a folder.
    ///
    /// # Errors
    /// If none is left.
    pub fn take_file(&self) -> Result<(), Spent> {
        let mut left = self.left();
        left.files = left.files.checked_sub(1).ok_or(Spent)?;
        Ok(())
    }

    /// Whether a file may be so long: one with holes is longer than what was written to it.
    ///
    /// # Errors
    /// If it may not.
    pub fn hold(&self, length: u64) -> Result<(), Spent> {
        if length <= self.left().longest { Ok(()) } else { Err(Spent) }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        // Nothing panics while it holds the lock; if something did, counts would still be counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of one run over HTTP.
#[derive(Debug)]
pub struct Requests {
    made: usize,
    at_once: Arc<Semaphore>,
    bounds: HttpBounds,
}

/// Whether and when one of them is sent, and how much it may carry.
#[derive(Debug)]
pub struct Turn {
    /// Places for those that are on their way.
    pub at_once: Arc<Semaphore>,
    /// The run has made all that it may.
    pub beyond: bool,
    pub bounds: HttpBounds,
}

impl Requests {
    pub fn within(bounds: HttpBounds) -> Self {
        Self { made: 0, at_once: Arc::new(Semaphore::new(bounds.at_once)), bounds }
    }

    /// Counts one more.
    pub fn turn(&mut self) -> Turn {
        let beyond = self.made >= self.bounds.requests;
        self.made += usize::from(!beyond);
        Turn { at_once: Arc::clone(&self.at_once), beyond, bounds: self.bounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_spent() {
        let quota = Quota::of(10, 1);
        let same = quota.clone();
        assert_eq!(
            [quota.take(6), same.take(5), quota.take(4), same.take(1)],
            [Ok(()), Err(Spent), Ok(()), Err(Spent)]
        );
        assert_eq!([quota.take_file(), same.take_file()], [Ok(()), Err(Spent)]);
        assert_eq!([quota.hold(10), quota.hold(11)], [Ok(()), Err(Spent)]);
    }
}
