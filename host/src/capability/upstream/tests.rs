//! What callers of a service see of breaker and budget, in time that does not pass by itself.

use std::time::Duration;

use tokio::time::advance;

use super::*;

fn upstream() -> Arc<Upstream> {
    Upstream::new("c", Config::default())
}

/// Opens it.
fn fail(upstream: &Arc<Upstream>) {
    for _ in 0..5 {
        upstream.begin().expect("not open yet").failed();
    }
    assert_eq!(upstream.state(), State::Open);
}

/// The longest that it can be open at first.
const OPEN: Duration = Duration::from_secs(6);

#[tokio::test(start_paused = true)]
async fn a_probe_that_begins_to_answer_opens_the_way_for_all() {
    let upstream = upstream();
    fail(&upstream);
    let Refused { wait, .. } = upstream.begin().expect_err("open");
    assert!((4..=6).contains(&wait.as_secs()), "{wait:?}");
    advance(OPEN).await;
    let mut probe = upstream.begin().expect("the probe");
    assert!(upstream.begin().is_err());
    probe.answered();
    assert_eq!(upstream.state(), State::Closed);
    // What becomes of its answer counts like that of any other.
    probe.failed();
    (0..3).for_each(|_| upstream.begin().expect("closed").failed());
    assert_eq!(upstream.state(), State::Closed);
    upstream.begin().expect("closed").failed();
    assert_eq!(upstream.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_tells_of_a_failure_only_after_a_long_silence() {
    let upstream = upstream();
    for _ in 0..20 {
        drop(upstream.begin().expect("closed"));
    }
    for _ in 0..5 {
        let mut silent = upstream.begin().expect("closed");
        silent.asked();
        advance(SILENCE).await;
        drop(silent);
    }
    assert_eq!(upstream.state(), State::Open);
    advance(OPEN).await;
    drop(upstream.begin().expect("the probe"));
    assert!(upstream.begin().is_ok(), "the next one is the probe");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_not_sent_or_was_given_up_on_purpose_tells_of_nothing() {
    let upstream = upstream();
    for _ in 0..20 {
        let held_up = upstream.begin().expect("closed");
        advance(SILENCE).await;
        drop(held_up);
        let mut late = upstream.begin().expect("closed");
        advance(SILENCE).await;
        late.asked();
        drop(late);
        let mut given_up = upstream.begin().expect("closed");
        given_up.asked();
        advance(SILENCE).await;
        given_up.withdrawn();
    }
    assert_eq!(upstream.state(), State::Closed);
    fail(&upstream);
    advance(OPEN).await;
    upstream.begin().expect("the probe").withdrawn();
    assert!(upstream.begin().is_ok(), "the next one is the probe");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_to_its_end_is_one() {
    let upstream = upstream();
    for _ in 0..4 {
        upstream.begin().expect("closed").failed();
    }
    let mut left = upstream.begin().expect("closed");
    left.asked();
    left.answered();
    advance(SILENCE).await;
    drop(left);
    for _ in 0..4 {
        upstream.begin().expect("closed").failed();
    }
    assert_eq!(upstream.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn only_requests_add_to_the_budget_and_those_refused_do_not() {
    let upstream =
        Upstream::new("c", Config { retries: retry_budget::Config { percent: 100, reserve: 0 }, ..Config::default() });
    assert!(!upstream.may_retry());
    upstream.begin().expect("closed").succeeded();
    upstream.admit().expect("closed").succeeded();
    assert!(upstream.may_retry());
    assert!(!upstream.may_retry());
    fail(&upstream);
    assert_eq!((0..10).filter(|_| upstream.may_retry()).count(), 5);
    assert!(upstream.begin().is_err());
    assert!(!upstream.may_retry());
}

#[test]
fn settings_say_what_may_be() {
    assert_eq!(setting::read_from(&[], Config::read), Ok(Config::default()));
    let wrong = [("WEIR_BREAKER_PERCENT", "0"), ("WEIR_RETRY_PERCENT", "101"), ("WEIR_BREAKER_OPEN", "2h")];
    assert_eq!(setting::read_from(&wrong, Config::read).map_err(|problems| problems.len()), Err(3));
}
