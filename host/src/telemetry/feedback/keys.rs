//! Which feedback has come before: idempotency keys. The same key twice is one feedback.
//!
//! Keys of what is still in the journal are known for as long as it is; of what has been delivered, the last ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use sha2::{Digest as _, Sha256};

use crate::journal::{AppendError, Appended};

/// Half of the SHA-256 of a key: of bounded size, and nobody finds two keys that share one.
pub(super) type Digest = [u8; 16];

/// Keys that are known after their feedback was delivered. Whoever repeats a request does so within minutes.
const RECENT: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Digest, Slot>,
    /// Keys of what has been delivered, the oldest first.
    recent: VecDeque<Digest>,
}

#[derive(Clone, Debug)]
enum Slot {
    /// Somebody is storing it.
    Storing(Shared<Appended>),
    Stored,
}

impl Keys {
    pub(super) fn digest(key: &str) -> Digest {
        let hash: [u8; 32] = Sha256::digest(key).into();
        *hash.first_chunk().unwrap_or(&[0; 16])
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Knows a key of an earlier process, whose feedback is still pending or not.
    pub(super) fn remember(&self, key: Digest, pending: bool) {
        let mut state = self.lock();
        state.slots.insert(key, Slot::Stored);
        if !pending {
            state.retire(key);
        }
    }

    /// Appends what has this key, unless that has been done. Several that come at the same time are one as well; if it
    /// fails, the next one tries.
    pub(super) async fn once(&self, key: Digest, append: impl Fn() -> Appended) -> Result<(), AppendError> {
        loop {
            let (storing, own) = {
                let mut state = self.lock();
                match state.slots.get(&key) {
                    Some(Slot::Stored) => return Ok(()),
                    Some(Slot::Storing(other)) => (other.clone(), false),
                    None => {
                        let storing = append().shared();
                        state.slots.insert(key, Slot::Storing(storing.clone()));
                        (storing, true)
                    }
                }
            };
            let stored = storing.clone().await;
            let mut state = self.lock();
            // By now it may have been delivered, or others may have begun anew.
            if matches!(state.slots.get(&key), Some(Slot::Storing(it)) if it.ptr_eq(&storing)) {
                match &stored {
                    Ok(_) => state.slots.insert(key, Slot::Stored),
                    Err(_) => state.slots.remove(&key),
                };
            }
            match stored {
                Ok(_) => return Ok(()),
                Err(error) if own => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// What has this key has been delivered.
    pub(super) fn delivered(&self, key: Digest) {
        let mut state = self.lock();
        state.slots.insert(key, Slot::Stored);
        state.retire(key);
    }
}

impl State {
    fn retire(&mut self, key: Digest) {
        self.recent.push_back(key);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.slots.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_executor::block_on;

    use super::*;
    use crate::journal::{Journal, Limits};

    fn journal(bytes: u64) -> Journal {
        Journal::in_memory(Limits { bytes })
    }

    #[test]
    fn the_same_key_is_stored_once() {
        let (keys, journal) = (Keys::default(), journal(10_000));
        for key in ["a", "b", "a", "a"] {
            block_on(keys.once(Keys::digest(key), || journal.append(vec![1]))).unwrap();
        }
        assert_eq!(journal.status().pending, 2);
    }

    #[test]
    fn those_who_come_at_the_same_time_are_one() {
        let (keys, journal) = (Keys::default(), journal(10_000));
        let append = || journal.append(vec![1]);
        let both = futures_util::future::join(keys.once([0; 16], append), keys.once([0; 16], append));
        let (one, other) = block_on(both);
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(journal.status().pending, 1);
    }

    #[test]
    fn a_key_that_was_not_stored_may_be_tried_again() {
        let (keys, full, journal) = (Keys::default(), journal(0), journal(10_000));
        assert!(block_on(keys.once([0; 16], || full.append(vec![1]))).is_err());
        block_on(keys.once([0; 16], || journal.append(vec![1]))).unwrap();
        assert_eq!(journal.status().pending, 1);
    }

    #[test]
    fn keys_of_what_is_pending_are_never_forgotten_and_others_in_turn() {
        let (keys, journal) = (Keys::default(), journal(10_000_000));
        let stored = Cell::new(0);
        let store = |key: u32| {
            let append = || {
                stored.set(stored.get() + 1);
                journal.append(vec![1])
            };
            block_on(keys.once(Keys::digest(&key.to_string()), append)).unwrap();
        };
        let count = u32::try_from(RECENT).unwrap() + 1;
        keys.remember(Keys::digest("pending"), true);
        for key in 0..count {
            store(key);
            keys.delivered(Keys::digest(&key.to_string()));
        }
        assert_eq!((stored.get(), keys.lock().slots.len()), (count, RECENT + 1));
        store(count - 1);
        block_on(keys.once(Keys::digest("pending"), || journal.append(vec![1]))).unwrap();
        assert_eq!(stored.get(), count, "these are known");
        store(0);
        assert_eq!(stored.get(), count + 1, "this one was forgotten");
    }
}
