//! How many tries may be made again: a share of the requests, and some more for hosts with few of them. Pure: told what
//! time it is.
//!
//! Each request alone decides well when it tries again twice; all of them together make three requests of one, at the
//! moment when the service has the least room for it. What is spent is shared by all requests of a connection.

use std::time::{Duration, Instant};

use super::window::Window;

/// For how long requests and further tries are counted: as long as a burst that a service recovers from by itself.
const WINDOW: Duration = Duration::from_secs(10);

/// What further tries may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Of the requests of the last ten seconds.
    pub percent: u32,
    /// And beside them so many a second, also over the last ten seconds.
    pub reserve: u32,
}

/// The further tries of one connection.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    config: Config,
    /// Requests, and tries that were made again.
    window: Window<2>,
}

const REQUESTS: usize = 0;
const RETRIES: usize = 1;

impl RetryBudget {
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, window: Window::new(WINDOW, now) }
    }

    /// A request is made, which adds to what there is.
    pub fn request(&mut self, now: Instant) {
        self.window.count(REQUESTS, now);
    }

    /// Whether one more try may be made. It is spent then.
    pub fn spend(&mut self, now: Instant) -> bool {
        let [requests, retries] = self.window.counts(now);
        let reserve = u64::from(self.config.reserve).saturating_mul(WINDOW.as_secs());
        let allowed = requests.saturating_mul(self.config.percent.into()) / 100;
        let may = retries < allowed.saturating_add(reserve);
        if may {
            self.window.count(RETRIES, now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many tries of many are allowed at once after so many requests.
    #[track_caller]
    fn check(percent: u32, reserve: u32, requests: usize, expected: usize) {
        let now = Instant::now();
        let mut budget = RetryBudget::new(Config { percent, reserve }, now);
        (0..requests).for_each(|_| budget.request(now));
        assert_eq!((0..1000).filter(|_| budget.spend(now)).count(), expected);
    }

    #[test]
    fn a_share_of_the_requests_may_be_tried_again_and_some_more() {
        check(20, 10, 0, 100);
        check(20, 10, 100, 120);
        check(20, 0, 100, 20);
        check(20, 0, 4, 0);
        check(20, 0, 5, 1);
        check(0, 0, 1000, 0);
        check(0, 1, 1000, 10);
    }

    #[test]
    fn what_was_spent_is_there_again_after_ten_seconds() {
        let began = Instant::now();
        let mut budget = RetryBudget::new(Config { percent: 0, reserve: 1 }, began);
        assert_eq!((0..20).filter(|_| budget.spend(began)).count(), 10);
        assert!(!budget.spend(began + Duration::from_millis(9999)));
        assert!(budget.spend(began + Duration::from_secs(10)));
    }

    proptest! {
        /// Within any ten seconds, however requests and failures come.
        #[test]
        fn further_tries_never_exceed_the_budget(
            steps in prop::collection::vec((0_u64..700, 0_u32..6), 1..300),
            percent in 0_u32..=100,
            reserve in 0_u32..4,
        ) {
            let began = Instant::now();
            let mut budget = RetryBudget::new(Config { percent, reserve }, began);
            let (mut requests, mut retries, mut passed) = (Vec::new(), Vec::new(), 0);
            for (pause, tries) in steps {
                passed += pause;
                let now = began + Duration::from_millis(passed);
                budget.request(now);
                requests.push(passed / 1000);
                for _ in 0..tries {
                    let since = |all: &[u64]| all.iter().filter(|second| **second + 10 > passed / 1000).count() as u64;
                    let allowed = since(&requests) * u64::from(percent) / 100 + u64::from(reserve) * 10;
                    let spent = budget.spend(now);
                    prop_assert_eq!(spent, since(&retries) < allowed);
                    if spent {
                        retries.push(passed / 1000);
                    }
                }
            }
        }
    }
}
