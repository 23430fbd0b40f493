//! Tables with times that are made up, and what holds for all of them.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What becomes of events of one caller at these milliseconds: none, or how many milliseconds it has to wait.
#[track_caller]
fn check(rate: Rate, expected: &[(u64, Option<u64>)]) {
    let quota = Quota::new(Some(rate), None);
    let start = Instant::now();
    for (at, wait) in expected {
        assert_eq!(quota.take((), start + ms(*at)).err(), wait.map(ms), "at {at} ms");
    }
}

#[test]
fn a_burst_passes_and_then_what_the_rate_allows() {
    let twice_a_second = Rate::new(2, SECOND).burst(3);
    check(
        twice_a_second,
        &[
            (0, None),
            (0, None),
            (0, None),
            (0, Some(500)),
            (400, Some(100)),
            (500, None),
            (500, Some(500)),
            (1500, None),
            (1500, None),
            (1500, Some(500)),
            // After a long pause the bucket is full, and no fuller.
            (60_000, None),
            (60_000, None),
            (60_000, None),
            (60_000, Some(500)),
        ],
    );
}

#[test]
fn who_is_refused_is_not_set_back() {
    check(Rate::new(1, SECOND), &[(0, None), (100, Some(900)), (900, Some(100)), (999, Some(1)), (1000, None)]);
}

#[test]
fn callers_have_buckets_of_their_own_and_one_in_common() {
    let quota = Quota::new(Some(Rate::new(2, SECOND)), Some(Rate::new(3, SECOND)));
    let now = Instant::now();
    for (caller, refused) in [("a", false), ("a", false), ("a", true), ("b", false), ("b", true), ("c", true)] {
        assert_eq!(quota.take(caller, now).is_err(), refused, "{caller}");
    }
    // What the quota of all refused was not counted for the caller.
    let later = now + ms(334);
    assert_eq!(quota.take("b", later), Ok(()));
}

#[test]
fn without_rates_everything_passes() {
    let quota = Quota::new(None, None);
    let now = Instant::now();
    assert!((0..100_000).all(|_| quota.take((), now).is_ok()));
}

#[test]
fn a_flood_of_callers_takes_bounded_memory_and_forgets_the_oldest() {
    let mut recent = Recent::new(100);
    for key in 0..100_000 {
        recent.put(key, key);
        assert!(recent.young.len() + recent.old.len() <= 100);
        let oldest_kept = (key - 49).max(0);
        assert_eq!(recent.get(&oldest_kept), Some(oldest_kept), "the latest half is known");
    }
    assert_eq!(recent.get(&0), None);
}

#[test]
fn a_caller_that_keeps_coming_is_not_forgotten_in_a_flood() {
    let quota = Quota::new(Some(Rate::new(1, SECOND)), None);
    let now = Instant::now();
    assert_eq!(quota.take(0, now), Ok(()));
    for other in 1..MAX_CALLERS / 2 {
        assert_eq!(quota.take(other, now), Ok(()));
    }
    assert!(quota.take(0, now).is_err());
}

#[test]
fn rates_are_written_as_people_say_them() {
    let once = |count, time| Ok(Some(Rate::new(count, time).burst(count * 2)));
    assert_eq!(rate("50/s"), once(50, SECOND));
    assert_eq!(rate("600/m"), once(600, SECOND * 60));
    assert_eq!(rate("1 / s"), once(1, SECOND));
    assert_eq!(rate("None"), Ok(None));
    for wrong in ["", "50", "50/h", "x/s", "-1/s", "1.5/s", "50/"] {
        let expected = format!("{wrong:?} is no rate; write 50/s (a second), 600/m (a minute), or none");
        assert_eq!(rate(wrong), Err(expected));
    }
    assert_eq!(rate("0/s"), Err("\"0/s\" must allow from 1 to 1000000; write none for no limit".into()));
    assert!(rate("1000001/s").is_err());
}

proptest! {
    /// Whenever callers come: never more pass than a burst and what the rate allows in the time; and a caller that waits
    /// as long as it was told passes.
    #[test]
    fn never_more_than_a_burst_and_the_rate(
        count in 1_u32..50,
        burst in 1_u32..50,
        pauses in prop::collection::vec(0_u64..300, 1..300),
    ) {
        let rate = Rate::new(count, SECOND).burst(burst);
        let quota = Quota::new(Some(rate), None);
        let start = Instant::now();
        let mut now = start;
        let mut passed = 0_u32;
        let mut wait = None;
        for pause in pauses {
            // Half of the callers do as they are told.
            let told = wait.filter(|_| pause % 2 == 0);
            now += told.unwrap_or_else(|| ms(pause));
            wait = match quota.take((), now) {
                Ok(()) => {
                    passed += 1;
                    None
                }
                Err(wait) => {
                    prop_assert!(told.is_none(), "refused after it had waited");
                    Some(wait)
                }
            };
            let allowed = f64::from(burst) + now.duration_since(start).as_secs_f64() * f64::from(count);
            prop_assert!(f64::from(passed) <= allowed + 1e-6, "{passed} passed, {allowed} are allowed");
        }
    }
}
