//! Feedback comes in from many sides while the host is killed again and again: every one that was answered arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use harness::{Collector, attempt};
use http::Request;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::durable::host;
use super::feedbacks;

/// How often the host is killed, if nobody says otherwise.
const KILLS: usize = 12;

/// Clients that send at the same time.
const CLIENTS: usize = 24;

/// A host is killed when so many, or fewer, of its feedbacks were answered.
const ANSWERS: u64 = 60;

#[derive(Debug, Default)]
struct Tally {
    /// Numbers of feedbacks that were sent, and of those that were answered with 200.
    sent: usize,
    answered: BTreeSet<usize>,
}

/// Sends feedback after feedback until the host is gone.
async fn client(address: SocketAddr, tally: Arc<watch::Sender<Tally>>) {
    loop {
        let mut number = 0;
        tally.send_modify(|tally| {
            number = tally.sent;
            tally.sent += 1;
        });
        // Of some length, so that a kill may come in the middle of it.
        let body = format!("{{\"number\": {number}, \"text\": \"{}\"}}", "x".repeat(number % 5000));
        let request = Request::post("/feedback?flatten=true").body(Bytes::from(body));
        let request = request.expect("a request");
        match attempt(address, request).await {
            Some(reply) if reply.status == 200 => tally.send_modify(|tally| tally.answered.extend([number])),
            Some(reply) => panic!("{}: {}", reply.status, reply.text()),
            None => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feedback_that_was_answered_arrives_however_often_the_host_is_killed() {
    let kills = harness::kills(KILLS);
    let data = tempfile::tempdir().unwrap();
    let mut collector = Collector::start();
    let tally = Arc::new(watch::Sender::new(Tally::default()));
    for round in 0..kills {
        // Now and then the collector is away as well.
        match round % 4 {
            1 => collector.kill(),
            3 => collector.revive(),
            _ => {}
        }
        let host = host(data.path(), &collector);
        // More than anyone may send otherwise.
        let host = host.env("WEIR_FEEDBACK_RATE", "none").env("WEIR_FEEDBACK_RATE_TOTAL", "none").start().await;
        let goal =
            tally.borrow().answered.len() + 1 + usize::try_from(RandomState::new().hash_one(round) % ANSWERS).unwrap();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            #[expect(clippy::disallowed_methods, reason = "clients of a test, which waits for their end")]
            clients.spawn(client(host.address(), Arc::clone(&tally)));
        }
        let mut seen = tally.subscribe();
        tokio::select! {
            reached = seen.wait_for(|tally| tally.answered.len() >= goal) => drop(reached.unwrap()),
            Some(ended) = clients.join_next() => panic!("a client ended before the host did: {ended:?}"),
        }
        host.kill().await;
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    }
    if kills % 4 == 2 || kills % 4 == 3 {
        collector.revive();
    }
    let host = host(data.path(), &collector).start().await;
    let (sent, answered) = (tally.borrow().sent, tally.borrow().answered.clone());
    let numbers = |spans: &[harness::Span]| {
        let mut numbers = BTreeMap::<usize, usize>::new();
        for span in feedbacks(spans) {
            let number = span.attributes["number"].as_u64().and_then(|it| usize::try_from(it).ok());
            *numbers.entry(number.expect("a number was sent")).or_default() += 1;
        }
        numbers
    };
    let spans = collector
        .spans_when("all that was answered to arrive", |spans| {
            let numbers = numbers(spans);
            answered.iter().all(|number| numbers.contains_key(number))
        })
        .await;
    let numbers = numbers(&spans);
    let half = feedbacks(&spans).into_iter().find(|span| {
        let length = span.attributes["text"].as_str().map(str::len);
        length != span.attributes["number"].as_u64().map(|it| usize::try_from(it % 5000).unwrap())
    });
    assert_eq!(half, None, "a feedback is whole or not there");
    host.stop().await;
    let twice = numbers.values().filter(|count| **count > 1).count();
    eprintln!(
        "{kills} kills: {sent} sent, {} answered, {} of these arrived; {} arrived in all, {twice} more than once",
        answered.len(),
        answered.iter().filter(|number| numbers.contains_key(number)).count(),
        numbers.len(),
    );
}
