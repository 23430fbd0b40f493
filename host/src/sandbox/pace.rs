//! Whether a node has shown that it hardly holds up the thread that it runs on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest turn of a node that may run on the threads of sockets: some times what a change of threads costs, and far less than
/// anybody notices of a probe or a stream.
const QUICK: Duration = Duration::from_micros(500);

/// How many runs in a row must have had no longer one. Few, since most nodes are always quick; and enough that one which takes
/// turns at being quick is no burden.
const RUNS: u32 = 8;

/// What the runs of a node have shown.
#[derive(Debug, Default)]
pub(super) struct Pace {
    quick_in_a_row: AtomicU32,
}

impl Pace {
    /// A run had a turn of so long.
    pub(super) fn turn(&self, took: Duration) {
        if took > QUICK {
            self.quick_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// A run has ended by itself.
    pub(super) fn ended(&self) {
        // Once it is known it is only read: all requests share it.
        if !self.is_quick() {
            self.quick_in_a_row.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it may be expected of the next run.
    pub(super) fn is_quick(&self) -> bool {
        self.quick_in_a_row.load(Ordering::Relaxed) >= RUNS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_quick_once_some_runs_in_a_row_were() {
        let pace = Pace::default();
        let run = |turns: &[Duration]| {
            turns.iter().for_each(|took| pace.turn(*took));
            pace.ended();
        };
        (1..RUNS).for_each(|_| run(&[QUICK, QUICK]));
        assert!(!pace.is_quick(), "one is missing");
        run(&[]);
        assert!(pace.is_quick());
        run(&[QUICK]);
        pace.turn(QUICK + Duration::from_micros(1));
        assert!(!pace.is_quick(), "it is known before the run has ended");
        (1..RUNS).for_each(|_| run(&[QUICK]));
        assert!(!pace.is_quick());
        run(&[QUICK]);
        assert!(pace.is_quick());
    }
}
