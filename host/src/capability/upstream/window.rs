//! What happened lately: exact counts over a sliding time. Pure: told what time it is, by a clock that is never set back.
//!
//! Counts and not averages, so that what is made of them depends on neither how often nor how evenly things happen.

use std::time::{Duration, Instant};

/// Into how many slices the time is cut: the oldest of them is forgotten as a whole, so the counts are those of the last
/// nine to ten tenths of it.
const SLICES: usize = 10;

/// Counts of `N` kinds.
#[derive(Clone, Debug)]
pub(super) struct Window<const N: usize> {
    slice: Duration,
    began: Instant,
    /// The number of the latest slice since the beginning.
    latest: u64,
    slices: [[u64; N]; SLICES],
}

impl<const N: usize> Window<N> {
    /// One that forgets after `time`.
    pub(super) fn new(time: Duration, now: Instant) -> Self {
        let slice = (time / u32::try_from(SLICES).unwrap_or(1)).max(Duration::from_nanos(1));
        Self { slice, began: now, latest: 0, slices: [[0; N]; SLICES] }
    }

    /// One of a kind has happened.
    pub(super) fn count(&mut self, kind: usize, now: Instant) {
        self.forget(now);
        let slice = &mut self.slices[at(self.latest)];
        slice[kind] = slice[kind].saturating_add(1);
    }

    /// How many of each kind there were.
    pub(super) fn counts(&mut self, now: Instant) -> [u64; N] {
        self.forget(now);
        let mut sums = [0_u64; N];
        for slice in &self.slices {
            for (sum, count) in sums.iter_mut().zip(slice) {
                *sum = sum.saturating_add(*count);
            }
        }
        sums
    }

    /// As if nothing had happened.
    pub(super) fn clear(&mut self) {
        self.slices = [[0; N]; SLICES];
    }

    /// Empties the slices that are over. Threads may come a moment late: then it is the latest slice that they mean.
    fn forget(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_nanos() / self.slice.as_nanos();
        let number = u64::try_from(since).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.latest).min(SLICES as u64);
        for over in 1..=passed {
            self.slices[at(self.latest.saturating_add(over))] = [0; N];
        }
        if passed == SLICES as u64 {
            self.clear();
        }
        self.latest = self.latest.max(number);
    }
}

/// Where the slice of this number is kept.
fn at(number: u64) -> usize {
    usize::try_from(number % SLICES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as a list of all that ever happened, whatever the pauses.
        #[test]
        fn the_counts_are_those_of_the_last_ten_slices(
            steps in prop::collection::vec((0_u64..4000, 0_usize..2, any::<bool>()), 0..200),
        ) {
            let began = Instant::now();
            let mut window = Window::<2>::new(Duration::from_secs(10), began);
            let (mut happened, mut passed) = (Vec::new(), 0);
            for (pause, kind, counted) in steps {
                // Mostly short, and now and then long enough for all to be forgotten.
                passed += if pause > 3900 { 15_000 } else { pause / 4 };
                let now = began + Duration::from_millis(passed);
                if counted {
                    window.count(kind, now);
                    happened.push((passed / 1000, kind));
                }
                let of = |kind| {
                    let lately = happened.iter().filter(|(second, other)| *other == kind && second + 10 > passed / 1000);
                    lately.count() as u64
                };
                prop_assert_eq!(window.counts(now), [of(0), of(1)]);
            }
        }
    }

    #[test]
    fn whoever_comes_late_counts_now() {
        let began = Instant::now();
        let mut window = Window::<1>::new(Duration::from_secs(10), began);
        let now = began + Duration::from_secs(30);
        window.count(0, now);
        window.count(0, began);
        assert_eq!(window.counts(now), [2]);
        assert_eq!(window.counts(now + Duration::from_secs(9)), [2]);
        assert_eq!(window.counts(now + Duration::from_secs(10)), [0]);
    }
}
