//! When to try: at once while a destination takes things, else after pauses that become longer. Pure.

use std::time::{Duration, Instant};

use super::parcel::FLIGHTS;
use crate::telemetry::pause::pause;

/// Longest pause that a destination may ask for.
const MOST_ASKED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Pace {
    longest: Duration,
    /// Since the destination last took something. Attempts that fail together count once.
    failures: u32,
    /// Nothing is tried before.
    not_before: Option<Instant>,
}

impl Pace {
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, failures: 0, not_before: None }
    }

    /// The end of the pause, if there is one.
    pub(super) fn pause_at(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|time| *time > now)
    }

    /// How many parcels may be on their way: one, to see whether the destination is there again.
    pub(super) fn flights(&self, now: Instant) -> usize {
        match (self.pause_at(now), self.failures) {
            (Some(_), _) => 0,
            (None, 0) => FLIGHTS,
            (None, _) => 1,
        }
    }

    /// It takes things.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    /// It does not, and perhaps asks for a pause.
    pub(super) fn failed(&mut self, now: Instant, asked: Option<Duration>) {
        let asked = now + asked.unwrap_or_default().min(MOST_ASKED);
        let own = self.pause_at(now).unwrap_or_else(|| {
            let pause = pause(self.failures, self.longest);
            self.failures = self.failures.saturating_add(1);
            now + pause
        });
        self.not_before = Some(own.max(asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn after_failures_one_is_tried_and_after_a_success_several() {
        let (mut pace, now) = (Pace::new(LONGEST), Instant::now());
        assert_eq!(pace.flights(now), FLIGHTS);
        pace.failed(now, None);
        assert_eq!((pace.flights(now), pace.flights(now + LONGEST)), (0, 1));
        pace.succeeded();
        assert_eq!(pace.flights(now), FLIGHTS);
    }

    #[test]
    fn what_fails_together_counts_once() {
        let (mut pace, now) = (Pace::new(LONGEST), Instant::now());
        (0..FLIGHTS).for_each(|_| pace.failed(now, None));
        assert!(pace.pause_at(now).unwrap() <= now + Duration::from_secs(1));
        let later = now + Duration::from_secs(1);
        pace.failed(later, None);
        let pause = pace.pause_at(later).unwrap() - later;
        assert!(pause > Duration::from_millis(900) && pause <= Duration::from_secs(2), "{pause:?}");
    }

    #[test]
    fn a_destination_may_ask_for_more_and_not_for_less() {
        let (mut pace, now) = (Pace::new(LONGEST), Instant::now());
        pace.failed(now, Some(Duration::from_secs(5)));
        assert_eq!(pace.pause_at(now), Some(now + Duration::from_secs(5)));
        pace.failed(now, Some(Duration::ZERO));
        assert_eq!(pace.pause_at(now), Some(now + Duration::from_secs(5)));
        pace.failed(now, Some(Duration::MAX));
        assert_eq!(pace.pause_at(now), Some(now + MOST_ASKED));
    }
}
