//! Which feedback how many destinations have been told of. What all of them have been told of is delivered.
//!
//! It is forgotten with the process, as what one destination of several has been told of may be told again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::journal::Sequence;

#[derive(Debug)]
pub(super) struct Told {
    destinations: usize,
    /// Of what some have been told of, and not all: how many have.
    some: Mutex<BTreeMap<Sequence, usize>>,
}

impl Told {
    pub(super) fn by(destinations: usize) -> Self {
        Self { destinations, some: Mutex::default() }
    }

    /// One more destination has been told of this. Whether all have been now.
    pub(super) fn is_by_all(&self, sequence: Sequence) -> bool {
        let mut some = self.some.lock().unwrap_or_else(PoisonError::into_inner);
        let count = some.remove(&sequence).unwrap_or_default() + 1;
        if count < self.destinations {
            some.insert(sequence, count);
        }
        count >= self.destinations
    }
}
