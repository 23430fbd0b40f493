//! An exporter for the simulation of the whole host: its spool is on a simulated disk, its destination a collector that is
//! now there and now not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use tokio::time::sleep;

use super::*;
use crate::clock;
use crate::journal::Journal;
use crate::journal::tests::Hand;
use crate::journal::tests::medium::Medium;
use crate::simulation::dice::Dice;
use crate::simulation::link::{Link, Way};

/// How long it takes to give up a collector that does not answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More spans than that it takes in parts only.
const MOST: usize = 5;

/// Spans that an encoder puts together.
const PARCEL: usize = 7;

/// Where spans are told, by their numbers. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    link: Link,
    dice: Dice,
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    /// How often each was taken.
    took: BTreeMap<u32, u32>,
    /// Refused for good, or broke the exporter.
    gone: BTreeSet<u32>,
    /// Answers that did not reach the host, which does not know what was taken.
    unheard: u32,
}

impl Collector {
    pub(crate) fn new(link: Link, dice: Dice) -> Self {
        Self { link, dice, received: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of these it has never seen, or seen and refused.
    pub(crate) fn misses(&self, spans: &BTreeSet<u32>) -> Vec<u32> {
        let received = self.lock();
        let missing = spans.iter().filter(|it| !received.took.contains_key(it) && !received.gone.contains(it));
        missing.copied().collect()
    }

    /// Spans that it took more than once, though it answered each time.
    pub(crate) fn twice(&self) -> usize {
        let received = self.lock();
        if received.unheard > 0 { 0 } else { received.took.values().filter(|times| **times > 1).count() }
    }

    fn answer(&self, spans: &[u32]) -> Outcome {
        let mut received = self.lock();
        let why = || "as the dice fell".to_owned();
        let mut took = |spans: &[u32]| spans.iter().for_each(|it| *received.took.entry(*it).or_default() += 1);
        match self.dice.below(40) {
            0 => Outcome::Later { after: Some(self.dice.millis(0, 5000)), why: why() },
            1 if spans.len() > 1 => {
                let (first, rest) = spans.split_at(spans.len() / 2);
                took(first);
                Outcome::Partly { again: vec![parcel_of_numbers(rest)], rejected: 0, after: None, why: why() }
            }
            2 => {
                received.gone.extend(spans);
                Outcome::Refused { why: why() }
            }
            3 => {
                took(spans);
                received.unheard += 1;
                Outcome::Later { after: None, why: "the connection broke".to_owned() }
            }
            4 => {
                if let [alone] = spans {
                    received.gone.insert(*alone);
                }
                drop(received);
                // As a panic, but that nothing is printed.
                std::panic::resume_unwind(Box::new("a panic of the exporter"));
            }
            _ if spans.len() > MOST => Outcome::TooLarge { why: why() },
            _ => {
                took(spans);
                Outcome::Taken { rejected: 0, why: String::new() }
            }
        }
    }
}

impl Encode for Collector {
    fn spans(&self, _: &[SpanData]) -> Vec<Parcel> {
        Vec::new()
    }

    fn metrics(&self, _: &ResourceMetrics) -> Vec<Parcel> {
        Vec::new()
    }

    fn logs(&self, _: &[Log]) -> Vec<Parcel> {
        Vec::new()
    }
}

impl Transmit for Collector {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            sleep(self.dice.millis(5, 300)).await;
            match self.link.way() {
                Way::Open => self.answer(&numbers(&parcel.body)),
                Way::Shut => Outcome::Later { after: None, why: "no connection".to_owned() },
                Way::Silent => {
                    sleep(TIMEOUT).await;
                    Outcome::Later { after: None, why: "no answer".to_owned() }
                }
            }
        })
    }

    fn halve(&self, parcel: &Parcel) -> Option<[Parcel; 2]> {
        let all = numbers(&parcel.body);
        let (first, second) = all.split_at(all.len() / 2);
        (!first.is_empty()).then(|| [parcel_of_numbers(first), parcel_of_numbers(second)])
    }
}

fn parcel_of_numbers(spans: &[u32]) -> Parcel {
    let body: Vec<u8> = spans.iter().flat_map(|it| it.to_le_bytes()).collect();
    Parcel { signal: Signal::Traces, items: u32::try_from(spans.len()).unwrap(), body: body.into() }
}

fn numbers(body: &[u8]) -> Vec<u32> {
    let (numbers, rest) = body.as_chunks();
    assert!(rest.is_empty(), "no parcel is a half");
    numbers.iter().map(|it| u32::from_le_bytes(*it)).collect()
}

/// The way to one collector.
#[derive(Debug)]
pub(crate) struct Exporter {
    outbox: Outbox,
    /// Spans that an earlier process left.
    found: u64,
}

impl Exporter {
    /// Its tasks run on the runtime that this is called on; its spool is written by what it gives.
    pub(crate) fn start(collector: &Collector, medium: &Medium, spool_bytes: u64) -> io::Result<(Self, Hand)> {
        let config = Config { spool_bytes, ..Config::default() };
        let mut hand = None;
        let spool = Spool::on(Signal::Traces, config.spool_bytes, config.spool_age, |limits, visit| {
            let (journal, its) = Journal::by_hand(medium, limits, visit)?;
            hand = Some(its);
            Ok::<_, io::Error>(journal)
        })?;
        let found = spool.fill().items;
        let to: Arc<dyn Destination> = Arc::new(collector.clone());
        let outbox = Outbox::with("simulated", Signal::Traces, to, Some(spool), &config, &Handle::current());
        Ok((Self { outbox, found }, hand.expect("a journal was opened")))
    }

    /// Whether the spool has files that could not be read when it was opened.
    pub(crate) fn leaves_files_alone(&self) -> bool {
        self.outbox.0.spool.as_ref().expect("it was given one").leaves_files_alone()
    }

    pub(crate) async fn put(&self, spans: &[u32]) {
        self.outbox.put(spans, |_, spans| spans.chunks(PARCEL).map(parcel_of_numbers).collect()).await;
    }

    pub(crate) fn status(&self) -> OutboxStatus {
        self.outbox.status()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let status = self.status();
        status.in_memory + status.spooled == 0
    }

    /// What the spool has taken and still has. The disk must not fail.
    pub(crate) fn spooled(&self) -> BTreeSet<u32> {
        let spool = self.outbox.0.spool.as_ref().expect("it was given one");
        spool.bodies().iter().flat_map(|body| numbers(body)).collect()
    }

    /// Spans of which nobody knows what became of them, once all is quiet: a number below zero is told twice.
    pub(crate) fn unaccounted(&self, ended: u64) -> i64 {
        let status = self.status();
        let known = status.sent + status.lost.values().sum::<u64>() + status.in_memory + status.spooled;
        i64::try_from(self.found + ended).unwrap() - i64::try_from(known).unwrap()
    }

    pub(crate) fn lost(&self, loss: Loss) -> u64 {
        self.status().lost.get(loss.as_str()).copied().unwrap_or_default()
    }

    /// As at the end of the process: what can be sent until then is sent.
    pub(crate) fn ask_to_stop(&self, within: Duration) {
        self.outbox.0.lock().stop_at = Some(clock::now() + within);
        self.outbox.0.changed.notify_one();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.outbox.0.lock().ended
    }

    /// What is left is written down. Blocks: somebody else must write.
    pub(crate) fn finish(&self) {
        self.outbox.0.finish();
    }
}
