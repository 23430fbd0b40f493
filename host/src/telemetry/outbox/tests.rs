//! Does everything arrive, or is counted, whatever the destination and the disk do?

pub(crate) mod simulated;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::future::BoxFuture;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::parcel::{Encode, Log, Outcome, Transmit};
use super::*;

/// Longest time a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A destination that is told by the test what to answer. A parcel's body has one byte for each item. Clones are the same.
#[derive(Clone, Debug, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    away: bool,
    /// Never answers.
    hangs: bool,
    /// Takes at most so many items at once.
    most: Option<usize>,
    /// Breaks on this item, when it is sent or encoded.
    poison: Option<u8>,
    /// Breaks when it is to make a parcel smaller, so often.
    cannot_halve: usize,
    /// Refuses whatever has this item.
    refuses: Option<u8>,
    /// Takes all but these the first time.
    later: BTreeSet<u8>,
    attempts: usize,
    took: Vec<u8>,
}

impl Scripted {
    fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&self, parcel: &Parcel) -> Outcome {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.attempts += 1;
        let items = parcel.body.to_vec();
        if script.away {
            return Outcome::Later { after: None, why: "away".to_owned() };
        }
        assert!(!script.poison.is_some_and(|item| items.contains(&item)), "poison");
        if script.most.is_some_and(|most| items.len() > most) {
            return Outcome::TooLarge { why: "too much".to_owned() };
        }
        if script.refuses.is_some_and(|item| items.contains(&item)) {
            return Outcome::Refused { why: "never".to_owned() };
        }
        let (again, taken): (Vec<u8>, Vec<u8>) = items.into_iter().partition(|item| script.later.remove(item));
        script.took.extend(taken);
        if again.is_empty() {
            return Outcome::Taken { rejected: 0, why: String::new() };
        }
        Outcome::Partly { again: vec![parcel_of(&again)], rejected: 0, after: None, why: "not yet".to_owned() }
    }

    /// All that it took; twice is twice.
    fn took(&self) -> Vec<u8> {
        let mut took = self.0.lock().unwrap_or_else(PoisonError::into_inner).took.clone();
        took.sort_unstable();
        took
    }

    fn attempts(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).attempts
    }
}

impl Encode for Scripted {
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

impl Transmit for Scripted {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let hangs = self.0.lock().unwrap_or_else(PoisonError::into_inner).hangs;
            if hangs {
                std::future::pending::<()>().await;
            }
            self.answer(parcel)
        })
    }

    fn halve(&self, parcel: &Parcel) -> Option<[Parcel; 2]> {
        let breaks = {
            let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            script.cannot_halve = script.cannot_halve.saturating_sub(1);
            script.cannot_halve > 0
        };
        assert!(!breaks, "cannot halve");
        let (first, second) = parcel.body.split_at(parcel.body.len() / 2);
        (!first.is_empty()).then(|| [parcel_of(first), parcel_of(second)])
    }
}

fn parcel_of(items: &[u8]) -> Parcel {
    Parcel { signal: Signal::Traces, items: u32::try_from(items.len()).unwrap(), body: Bytes::copy_from_slice(items) }
}

/// An outbox and what is around it.
struct Bench {
    destination: Scripted,
    outbox: Outbox,
    folder: TempDir,
    runtime: Runtime,
}

fn config() -> Config {
    Config { retry_max: Duration::from_millis(5), ..Config::default() }
}

impl Bench {
    fn start(destination: Scripted, spooled: bool, config: &Config) -> Self {
        Self::start_in(TempDir::new().unwrap(), destination, spooled, config)
    }

    fn start_in(folder: TempDir, destination: Scripted, spooled: bool, config: &Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let to: Arc<dyn Destination> = Arc::new(destination.clone());
        let data_dir = spooled.then(|| folder.path());
        let outbox = Outbox::start("test", Signal::Traces, to, data_dir, config, runtime.handle()).unwrap();
        Self { destination, outbox, folder, runtime }
    }

    /// Each of these is a parcel.
    fn put(&self, parcels: &[&[u8]]) {
        block_on(self.outbox.put(parcels, |_, parcels| parcels.iter().map(|items| parcel_of(items)).collect()));
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&OutboxStatus) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.outbox.status()) {
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.outbox.status());
            std::thread::yield_now();
        }
    }

    /// Stops with so much time, as the end of the process does; gives the folder for the next one.
    fn stop(self, within: Duration) -> (OutboxStatus, TempDir) {
        self.outbox.stop(Instant::now() + within);
        let status = self.outbox.status();
        // With it goes the task that sends, and the lock of the folder.
        drop(self.outbox);
        self.runtime.shutdown_timeout(PATIENCE);
        (status, self.folder)
    }
}

fn lost(status: &OutboxStatus) -> Vec<(&'static str, u64)> {
    status.lost.iter().map(|(reason, items)| (*reason, *items)).collect()
}

#[test]
fn what_a_destination_takes_is_sent_once() {
    for spooled in [false, true] {
        let bench = Bench::start(Scripted::default(), spooled, &config());
        bench.put(&[&[1, 2], &[3]]);
        bench.until("all is sent", |status| status.sent == 3);
        assert_eq!(bench.destination.took(), [1, 2, 3]);
        let (status, _) = bench.stop(PATIENCE);
        assert_eq!((lost(&status), status.spooled, status.retries), (vec![], 0, 0));
    }
}

#[test]
fn what_it_does_not_take_now_it_takes_later() {
    for spooled in [false, true] {
        let destination = Scripted::default();
        destination.set(|script| script.away = true);
        let bench = Bench::start(destination, spooled, &config());
        bench.put(&[&[1, 2], &[3]]);
        bench.until("it is away", |status| status.state == "away" && status.retries > 1);
        bench.put(&[&[4]]);
        let status = bench.outbox.status();
        assert_eq!((status.spooled + status.in_memory, status.spooled > 0), (4, spooled));
        bench.destination.set(|script| script.away = false);
        bench.until("all is sent", |status| status.sent == 4 && status.state == "ok");
        assert_eq!(bench.destination.took(), [1, 2, 3, 4]);
    }
}

#[test]
fn what_could_not_be_sent_is_sent_by_the_next_process() {
    let destination = Scripted::default();
    destination.set(|script| script.away = true);
    let bench = Bench::start(destination.clone(), true, &config());
    bench.put(&[&[1], &[2, 3]]);
    let (status, folder) = bench.stop(PATIENCE);
    assert_eq!((status.spooled, lost(&status)), (3, vec![]));
    destination.set(|script| script.away = false);
    let bench = Bench::start_in(folder, destination, true, &config());
    bench.until("all is sent", |status| status.sent == 3);
    assert_eq!(bench.destination.took(), [1, 2, 3]);
}

#[test]
fn without_a_spool_the_end_says_what_is_lost() {
    let destination = Scripted::default();
    destination.set(|script| script.away = true);
    let bench = Bench::start(destination, false, &config());
    bench.put(&[&[1], &[2, 3]]);
    let (status, _) = bench.stop(PATIENCE);
    assert_eq!(lost(&status), [("unsent", 3)]);
}

#[test]
fn a_destination_that_never_answers_does_not_keep_the_process() {
    let destination = Scripted::default();
    destination.set(|script| script.hangs = true);
    let bench = Bench::start(destination, true, &config());
    bench.put(&[&[1], &[2]]);
    bench.until("it is on its way", |status| status.in_memory == 2);
    let (status, _) = bench.stop(FOR_THE_SPOOL + Duration::from_millis(50));
    assert_eq!((status.spooled, status.in_memory, lost(&status)), (2, 0, vec![]));
}

#[test]
fn what_is_too_large_is_sent_in_parts() {
    for spooled in [false, true] {
        let destination = Scripted::default();
        destination.set(|script| script.most = Some(1));
        let bench = Bench::start(destination, spooled, &config());
        bench.put(&[&[1, 2, 3, 4, 5]]);
        bench.until("all is sent", |status| status.sent == 5);
        assert_eq!(bench.destination.took(), [1, 2, 3, 4, 5]);
        bench.destination.set(|script| script.most = Some(0));
        bench.put(&[&[6, 7]]);
        bench.until("it is given up", |status| lost(status) == [("too_large", 2)]);
    }
}

#[test]
fn only_what_breaks_the_exporter_is_lost() {
    let destination = Scripted::default();
    destination.set(|script| script.poison = Some(3));
    let bench = Bench::start(destination, true, &config());
    bench.put(&[&[1, 2, 3, 4], &[5]]);
    bench.until("the rest is sent", |status| status.sent == 4 && !status.lost.is_empty());
    assert_eq!((bench.destination.took(), lost(&bench.outbox.status())), (vec![1, 2, 4, 5], vec![("too_large", 1)]));
}

#[test]
fn a_task_that_breaks_is_started_again_and_loses_nothing() {
    for spooled in [false, true] {
        let destination = Scripted::default();
        destination.set(|script| (script.most, script.cannot_halve) = (Some(1), 3));
        let bench = Bench::start(destination, spooled, &config());
        bench.put(&[&[1], &[2, 3], &[4]]);
        bench.until("all is sent", |status| status.sent == 4);
        let status = bench.outbox.status();
        assert_eq!((bench.destination.took(), status.restarts, lost(&status)), (vec![1, 2, 3, 4], 2, vec![]));
    }
}

#[test]
fn only_what_breaks_the_encoder_is_lost() {
    let bench = Bench::start(Scripted::default(), false, &config());
    block_on(bench.outbox.put(&[1_u8, 2, 3], |_, items| {
        assert!(!items.contains(&2), "poison");
        vec![parcel_of(items)]
    }));
    bench.until("the rest is sent", |status| status.sent == 2);
    assert_eq!((bench.destination.took(), lost(&bench.outbox.status())), (vec![1, 3], vec![("panicked", 1)]));
}

#[test]
fn what_is_refused_is_counted_and_keeps_back_nothing() {
    let destination = Scripted::default();
    destination.set(|script| script.refuses = Some(2));
    let bench = Bench::start(destination, false, &config());
    bench.put(&[&[1], &[2, 3], &[4]]);
    bench.until("the rest is sent", |status| status.sent == 2 && !status.lost.is_empty());
    assert_eq!((bench.destination.took(), lost(&bench.outbox.status())), (vec![1, 4], vec![("refused", 2)]));
}

#[test]
fn of_what_is_taken_in_part_only_the_rest_is_sent_again() {
    for spooled in [false, true] {
        let destination = Scripted::default();
        destination.set(|script| script.later = [2, 4].into());
        let bench = Bench::start(destination, spooled, &config());
        bench.put(&[&[1, 2, 3, 4, 5]]);
        bench.until("all is sent", |status| status.sent == 5);
        assert_eq!(bench.destination.took(), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_full_spool_gives_up_the_oldest_and_counts_them() {
    let destination = Scripted::default();
    destination.set(|script| script.away = true);
    let bench = Bench::start(destination, true, &Config { spool_bytes: 1000, ..config() });
    bench.put(&[&[0]]);
    bench.until("it is away", |status| status.spooled == 1);
    let parcels: Vec<Vec<u8>> = (1..=4).map(|n| vec![n; 300]).collect();
    bench.put(&parcels.iter().map(Vec::as_slice).collect::<Vec<_>>());
    bench.until("the spool is full", |status| status.spooled == 900);
    assert_eq!(lost(&bench.outbox.status()), [("spool_full", 301)]);
    bench.destination.set(|script| script.away = false);
    bench.until("the rest is sent", |status| status.sent == 900);
    assert!(!bench.destination.took().contains(&1));
}

#[test]
fn while_a_destination_is_away_one_at_a_time_is_tried() {
    let destination = Scripted::default();
    destination.set(|script| script.away = true);
    let bench = Bench::start(destination, false, &Config { retry_max: Duration::from_secs(600), ..config() });
    bench.put(&[&[1]]);
    bench.until("it is away", |status| status.state == "away");
    (2..50).for_each(|n| bench.put(&[&[n]]));
    assert_eq!(bench.destination.attempts(), 1);
}
