//! Chance that can be repeated: a seed, and what falls from it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Clones throw the same dice; [`Dice::more`] gives others, which also come of the seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Arc<Mutex<u64>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    /// Dice of their own: how often they are thrown changes nothing for others.
    pub(crate) fn more(&self) -> Self {
        Self::new(self.next())
    }

    /// SplitMix64: any seed is good, also 0 and 1.
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, the latter excluded.
    pub(crate) fn chance(&self) -> f64 {
        crate::chance::of(self.next())
    }

    /// Below this number.
    pub(crate) fn below(&self, number: u64) -> u64 {
        self.next() % number
    }

    /// Once in so many times.
    pub(crate) fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Milliseconds from the one to the other.
    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    /// In another order.
    pub(crate) fn shuffle<T>(&self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).expect("it is an index");
            all.swap(last, other);
        }
    }
}
