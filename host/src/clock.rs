//! What time it is. A leaf: uses nothing, used by all.
//!
//! There are two clocks. [`now`] never jumps: whatever lasts, waits or runs out is measured by it. The wall clock may be set
//! by an hour at any moment: it says when something was, to people and to the next process, and nothing is timed by it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time by which the runtime's timers go, so that a deadline and the timer that keeps it never disagree. Where a test
/// moves the timers, it moves this.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Milliseconds since 1970 by the wall clock; one that stands before that was never set.
pub fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_test_that_moves_the_timers_moves_the_time() {
        let before = now();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let passed = now() - before;
        assert!(passed >= Duration::from_hours(1) && passed < Duration::from_hours(2), "{passed:?}");
    }
}
