//! Whether a node has shown that it hardly holds up the thread that it runs on.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// Longest turn of a node that may run on the threads of sockets: some times what a change of threads costs, and far less than
/// anybody notices of a probe or a stream.
const QUICK: Duration = Duration::from_micros(500);

/// How many quick runs make a node a quick one. Few, since most nodes are always quick.
const RUNS: i32 = 8;

/// How many quick runs a turn that was not takes away. One among many says nothing: the thread may have had to wait for a processor.
/// A node that takes turns at being quick has fewer between two of them, and so is no burden.
const LOST: i32 = 2 * RUNS;

/// How many quick runs count, at most.
const MOST: i32 = 2 * LOST;

/// What the runs of a node have shown.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Quick runs, less what others have taken away.
    quick: AtomicI32,
}

impl Pace {
    /// A run had a turn of so long.
    pub(super) fn turn(&self, took: Duration) {
        if took > QUICK {
            self.change(|quick| (quick - LOST).max(-LOST));
        }
    }

    /// A run has ended by itself.
    pub(super) fn ended(&self) {
        // Once it is known it is only read: all requests share it.
        if self.quick.load(Ordering::Relaxed) < MOST {
            self.change(|quick| MOST.min(quick + 1));
        }
    }

    /// Whether it may be expected of the next run.
    pub(super) fn is_quick(&self) -> bool {
        self.quick.load(Ordering::Relaxed) >= RUNS
    }

    fn change(&self, change: impl Fn(i32) -> i32) {
        _ = self.quick.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |quick| Some(change(quick)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pace: &Pace, turns: &[Duration]) {
        turns.iter().for_each(|took| pace.turn(*took));
        pace.ended();
    }

    const SLOW: Duration = Duration::from_micros(501);

    #[test]
    fn a_node_is_quick_once_some_runs_were() {
        let pace = Pace::default();
        (1..RUNS).for_each(|_| run(&pace, &[QUICK, QUICK]));
        assert!(!pace.is_quick(), "one is missing");
        run(&pace, &[]);
        assert!(pace.is_quick());
        pace.turn(SLOW);
        assert!(!pace.is_quick(), "it is known before the run has ended");
        (1..LOST).for_each(|_| run(&pace, &[QUICK]));
        assert!(!pace.is_quick());
        run(&pace, &[QUICK]);
        assert!(pace.is_quick());
    }

    #[test]
    fn a_node_that_was_always_slow_is_quick_after_some_more_runs() {
        let pace = Pace::default();
        (0..1000).for_each(|_| run(&pace, &[SLOW, SLOW]));
        (0..LOST).for_each(|_| run(&pace, &[QUICK]));
        assert!(!pace.is_quick());
        (0..RUNS).for_each(|_| run(&pace, &[QUICK]));
        assert!(pace.is_quick());
    }

    #[test]
    fn one_run_among_many_that_had_to_wait_for_a_processor_says_nothing_and_two_do() {
        let pace = Pace::default();
        (0..1000).for_each(|_| run(&pace, &[QUICK]));
        pace.turn(SLOW);
        assert!(pace.is_quick());
        pace.turn(SLOW);
        assert!(!pace.is_quick());
    }

    #[test]
    fn a_node_that_takes_turns_at_being_quick_is_not_quick_for_long() {
        let pace = Pace::default();
        (0..1000).for_each(|_| run(&pace, &[QUICK]));
        let mut held_up = 0;
        for _ in 0..100 {
            held_up += usize::from(pace.is_quick());
            run(&pace, &[SLOW]);
            (0..RUNS).for_each(|_| run(&pace, &[QUICK]));
        }
        assert!(held_up < 5, "{held_up}");
    }
}
