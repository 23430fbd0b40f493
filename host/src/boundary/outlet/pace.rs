//! How fast chunks leave: so many in a second, of which a second's worth may come at once. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// When the next chunk would leave if all so far had kept the pace.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Instant>);

impl Pace {
    /// When a chunk may leave that comes now; none: at once.
    pub(super) fn turn(&mut self, now: Instant, per_second: usize) -> Option<Instant> {
        let each = Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX).max(1);
        let due = self.0.unwrap_or(now).max(now) + each;
        self.0 = Some(due);
        // It may be ahead of its time by a second.
        due.checked_sub(Duration::from_secs(1)).filter(|turn| *turn > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_may_come_at_once_and_no_more() {
        let began = Instant::now() + Duration::from_secs(10);
        let mut pace = Pace::default();
        let mut turns = |at: Duration, count: usize| -> Vec<Option<u128>> {
            let turns = (0..count).map(|_| pace.turn(began + at, 4));
            turns.map(|turn| turn.map(|turn| (turn - began).as_millis())).collect()
        };
        assert_eq!(turns(Duration::ZERO, 6), [None, None, None, None, Some(250), Some(500)]);
        // It has kept the pace for a while, and then it rested.
        assert_eq!(turns(Duration::from_millis(500), 1), [Some(750)]);
        assert_eq!(turns(Duration::from_secs(9), 5), [None, None, None, None, Some(9250)]);
    }
}
