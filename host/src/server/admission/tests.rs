use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;

use super::*;

fn admission(concurrency: usize, queue: usize, queue_wait: Duration) -> Admission {
    Admission::new(Config { concurrency, queue, queue_wait })
}

#[tokio::test]
async fn what_finds_no_place_and_no_queue_is_refused_at_once() {
    let admission = admission(1, 1, Duration::from_secs(2));
    assert!(admission.check().is_ok());
    let first = admission.enter().await.expect("a free place");
    assert!(admission.check().is_ok(), "the queue is empty");

    let mut second = Box::pin(admission.enter());
    assert!(second.as_mut().now_or_never().is_none(), "it waits");
    assert_eq!((admission.running(), admission.waiting()), (1, 1));
    let refused = admission.check().expect_err("the queue is full");
    assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after), (503, "Overloaded", Some(1)));
    let refused = admission.enter().now_or_never().expect("at once").expect_err("the queue is full");
    assert_eq!(refused.code, "Overloaded");

    drop(first);
    let second = second.await.expect("the place of the first");
    assert_eq!((admission.running(), admission.waiting()), (1, 0));
    drop(second);
    assert_eq!(admission.running(), 0);
}

#[tokio::test]
async fn whoever_waits_too_long_or_leaves_the_queue_leaves_nothing_behind() {
    let admission = admission(1, 8, Duration::from_millis(1));
    let held = admission.enter().await.expect("a free place");
    assert_eq!(admission.enter().await.expect_err("no place in time").code, "Overloaded");
    for _ in 0..100 {
        let mut waits = Box::pin(admission.enter());
        assert!(waits.as_mut().now_or_never().is_none());
    }
    assert_eq!(admission.waiting(), 0);
    drop(held);
    assert!(admission.enter().await.is_ok());
}

#[tokio::test]
async fn without_a_queue_nobody_waits() {
    for (queue, wait) in [(0, Duration::from_secs(1)), (8, Duration::ZERO)] {
        let admission = admission(1, queue, wait);
        let _held = admission.enter().await.expect("a free place");
        assert!(admission.check().is_err());
        assert!(admission.enter().now_or_never().expect("at once").is_err());
    }
}

#[tokio::test]
async fn a_place_is_held_until_the_last_byte_of_the_reply_has_left() {
    let admission = admission(1, 0, Duration::ZERO);
    let permit = admission.enter().await.expect("a free place");
    let response = permit.hold(Response::new(Body::from("answer")));
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!((body.as_ref(), admission.running()), (&b"answer"[..], 1));
    drop(body);
    assert_eq!(admission.running(), 0);

    let permit = admission.enter().await.expect("a free place");
    drop(permit.hold(Response::new(Body::from("a client that leaves"))));
    assert_eq!(admission.running(), 0);
}

#[test]
fn clients_are_told_to_come_again_when_a_place_may_be_free() {
    let admission = admission(4, 8, Duration::ZERO);
    for (mean, waiting, expected) in [(0, 0, 1), (4000, 0, 1), (4000, 3, 4), (4001, 3, 5), (300_000, 8, 30)] {
        admission.0.mean.store(mean, Ordering::Relaxed);
        admission.0.waiting.store(waiting, Ordering::Relaxed);
        assert_eq!(admission.0.refuse(Refused::QueueFull).retry_after, Some(expected), "{mean} ms, {waiting} waiting");
    }
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let mut reader = setting::Reader::new(&setting::Variables(|_: &str| None));
    assert_eq!(Config::read(&mut reader), Config::default());
}
