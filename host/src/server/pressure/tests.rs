//! The ladder, up and down.

use std::sync::Arc;

use super::*;

#[test]
fn what_is_given_up_comes_back_some_way_below() {
    let mut level = Level::Ample;
    for (percent, expected) in [
        (0, Level::Ample),
        (79, Level::Ample),
        (80, Level::Short),
        (89, Level::Short),
        (76, Level::Short),
        (90, Level::Scarce),
        (86, Level::Scarce),
        (200, Level::Scarce),
        (84, Level::Short),
        (85, Level::Short),
        (74, Level::Ample),
        (79, Level::Ample),
        (95, Level::Scarce),
        (10, Level::Ample),
    ] {
        level = level.next(percent, 100);
        assert_eq!(level, expected, "at {percent} %");
    }
    assert_eq!(Level::Ample.next(u64::MAX, u64::MAX), Level::Ample, "numbers that are too large harm nothing");
    assert_eq!(Level::Ample.next(1, 0), Level::Scarce);
}

#[tokio::test(start_paused = true)]
async fn scores_are_refused_while_memory_is_scarce_and_no_longer() {
    let used = Arc::new(AtomicU64::new(95));
    let pressure = Arc::new(Pressure::by(Gauge::of_test(100, used.clone())));
    let problem = pressure.check().expect_err("from the beginning");
    assert_eq!(
        (problem.code, problem.retry_after, problem.refused),
        ("Overloaded", Some(5), Some(Refused::MemoryScarce))
    );
    let following = pressure.follow(|_| ());
    let changes = async {
        for (now, level) in [(82, Level::Short), (91, Level::Scarce), (50, Level::Ample)] {
            used.store(now, Ordering::Relaxed);
            sleep(EVERY * 2).await;
            assert_eq!(
                (pressure.level(), pressure.used(), pressure.check().is_ok()),
                (level, now, level != Level::Scarce)
            );
        }
    };
    tokio::select! {
        () = following => {}
        () = changes => {}
    }
}

#[test]
fn without_a_limit_nobody_is_refused() {
    assert_eq!(setting::read_from(&[], Config::read), Ok(Config { limit: None }));
    let set = [("WEIR_MEMORY_LIMIT", "2GiB")];
    assert_eq!(setting::read_from(&set, Config::read), Ok(Config { limit: Some(2 << 30) }));
    let pressure = Pressure::new(&Config { limit: Some(1 << 50) });
    assert_eq!((pressure.level(), pressure.check().is_ok()), (Level::Ample, true));
    assert!(pressure.used() > 0);
}
