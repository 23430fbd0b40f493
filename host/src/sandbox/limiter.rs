//! Watches the memory of one store: what it may grow to, and what it has been.

use wasmtime::ResourceLimiter;

use crate::boundary::facts::NodeUse;
use crate::sandbox::limits::{Limits, fixed};
use crate::units::Bytes;

/// Of one store. Remembers that it refused memory, because the guest then ends in a trap that does not say so.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Bytes that all memories of the store may have together.
    memory: usize,
    /// Bytes that they have.
    taken: usize,
    used: NodeUse,
    pub(super) refused_memory: bool,
}

impl Limiter {
    pub(super) fn new(limits: &Limits, used: NodeUse) -> Self {
        Self { memory: limits.memory.to_usize(), taken: 0, used, refused_memory: false }
    }

    /// From here on another run uses the store, with what it has.
    pub(super) fn turn_to(&mut self, used: NodeUse) {
        used.memory(self.taken as u64);
        (self.used, self.refused_memory) = (used, false);
    }

    /// Whether more than half is gone of what a run may take beside what its component begins with: the next run would have
    /// that much less.
    pub(super) fn is_half_gone(&self, begins_with: Bytes) -> bool {
        let begins_with = begins_with.to_usize();
        self.taken.saturating_sub(begins_with) > self.memory.saturating_sub(begins_with) / 2
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        // wasmtime refuses it after this, and nothing has been taken.
        if most.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let taken = self.taken.saturating_add(desired.saturating_sub(current));
        let allowed = taken <= self.memory;
        self.refused_memory |= !allowed;
        if allowed {
            self.taken = taken;
            self.used.memory(taken as u64);
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= fixed::TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        fixed::INSTANCES as usize
    }

    fn tables(&self) -> usize {
        fixed::TABLES as usize
    }

    fn memories(&self) -> usize {
        fixed::MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::limits::Caps;

    #[test]
    fn all_memories_of_a_run_share_one_limit() {
        let limits = Limits { memory: Bytes(100), ..Limits::defaults(&Caps::default()) };
        let mut limiter = Limiter::new(&limits, NodeUse::default());
        let mut grows = |current, desired| limiter.memory_growing(current, desired, None).expect("it never fails");
        assert!(grows(0, 40), "the first");
        assert!(grows(0, 40), "the second");
        assert!(!grows(40, 61));
        assert!(grows(40, 60));
        assert!(!grows(0, 1), "a third");
        assert!(limiter.refused_memory);
    }

    #[test]
    fn what_a_run_leaves_counts_beside_what_its_component_begins_with() {
        let limits = Limits { memory: Bytes(100), ..Limits::defaults(&Caps::default()) };
        let mut limiter = Limiter::new(&limits, NodeUse::default());
        assert!(limiter.memory_growing(0, 40, None).expect("it never fails"));
        assert!(!limiter.is_half_gone(Bytes(40)));
        assert!(limiter.memory_growing(40, 70, None).expect("it never fails"));
        assert!(!limiter.is_half_gone(Bytes(40)), "30 of 60");
        assert!(limiter.memory_growing(70, 71, None).expect("it never fails"));
        assert!(limiter.is_half_gone(Bytes(40)), "31 of 60");
        assert!(!limiter.is_half_gone(Bytes(60)), "11 of 40");
    }

    #[test]
    fn what_a_memory_says_itself_that_it_never_has_is_not_counted() {
        let limits = Limits { memory: Bytes(100), ..Limits::defaults(&Caps::default()) };
        let mut limiter = Limiter::new(&limits, NodeUse::default());
        for _ in 0..3 {
            assert!(!limiter.memory_growing(10, 50, Some(20)).expect("it never fails"));
        }
        assert!(!limiter.refused_memory);
        assert!(limiter.memory_growing(0, 100, Some(100)).expect("it never fails"));
    }
}
