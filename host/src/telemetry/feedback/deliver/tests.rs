//! Does everything arrive in the end, whatever the other side does?

pub(crate) mod simulated;

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanData;

use super::*;
use crate::journal::Limits;
use crate::journal::tests::medium::Medium;
use crate::telemetry::feedback::Feedback;

/// Longest time a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The other side. Clones are the same.
#[derive(Clone, Debug, Default)]
struct Collector(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// It is away.
    away: bool,
    panics: bool,
    /// A batch with one of these is refused.
    refuses: BTreeSet<String>,
    attempts: usize,
    took: Vec<SpanData>,
}

impl Collector {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
    }

    fn refusing(names: impl IntoIterator<Item = usize>) -> Self {
        let collector = Self::default();
        collector.set(|state| state.refuses = names.into_iter().map(|n| n.to_string()).collect());
        collector
    }

    /// What it took, in order; twice is once.
    fn took(&self) -> BTreeSet<usize> {
        self.lock().took.iter().map(|span| said(span).parse().unwrap()).collect()
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.lock()) {
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.took());
            thread::yield_now();
        }
    }
}

fn said(span: &SpanData) -> String {
    span.attributes[0].value.to_string()
}

impl Sink for Collector {
    fn tell(&self, spans: Vec<SpanData>, _: &[Log]) -> OTelSdkResult {
        let mut state = self.lock();
        state.attempts += 1;
        assert!(!state.panics, "a panic of the exporter");
        if state.away || spans.iter().any(|span| state.refuses.contains(&said(span))) {
            return Err(OTelSdkError::InternalFailure("refused".to_owned()));
        }
        state.took.extend(spans);
        Ok(())
    }
}

struct Host {
    journal: Arc<Journal>,
    delivery: Arc<Delivery>,
    collector: Collector,
}

impl Host {
    fn start(collector: Collector, journal: Journal) -> Self {
        Self::retrying(collector, journal, Duration::from_millis(1))
    }

    fn retrying(collector: Collector, journal: Journal, longest_pause: Duration) -> Self {
        Self::beside(collector, Arc::new(journal), Arc::new(Told::by(1)), longest_pause)
    }

    /// One destination of perhaps several.
    fn beside(collector: Collector, journal: Arc<Journal>, told: Arc<Told>, longest_pause: Duration) -> Self {
        let sink = Box::new(collector.clone());
        let deliverer = Deliverer::new(Arc::clone(&journal), Arc::default(), sink, told, longest_pause);
        Self { journal, delivery: deliverer.start().unwrap(), collector }
    }

    fn stop(&self) {
        self.delivery.ask_to_stop();
        self.journal.wake();
        self.delivery.wait_for_end(Instant::now() + PATIENCE);
    }

    fn wait_for(&self, numbers: impl IntoIterator<Item = usize>) {
        let numbers: Vec<usize> = numbers.into_iter().collect();
        self.collector.until("all have arrived", |state| {
            numbers.iter().all(|n| state.took.iter().any(|span| said(span) == n.to_string()))
        });
    }

    fn wait_until_pending(&self, pending: usize) {
        self.collector.until("the journal knows", |_| self.journal.status().pending == pending);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn journal(count: usize) -> Journal {
    let journal = Journal::in_memory(Limits { bytes: 1 << 24 });
    add(&journal, 0..count);
    journal
}

fn add(journal: &Journal, numbers: impl IntoIterator<Item = usize>) {
    for n in numbers {
        let attributes = vec![KeyValue::new("feedback", n.to_string())];
        let record = Record::new(&Context::new(), Feedback { attributes, ..Feedback::default() });
        futures_executor::block_on(journal.append(record.encode())).unwrap();
    }
}

#[test]
fn all_that_waits_and_all_that_comes_is_told() {
    let host = Host::start(Collector::default(), journal(300));
    host.wait_for(0..300);
    add(&host.journal, 300..310);
    host.wait_for(0..310);
    host.wait_until_pending(0);
    assert_eq!((host.delivery.delivered(), host.delivery.error()), (310, None));
    assert!(host.collector.lock().took.len() == 310, "none is told twice");
}

#[test]
fn a_collector_that_was_away_gets_everything_and_the_same_spans() {
    let collector = Collector::default();
    collector.set(|state| state.away = true);
    let host = Host::start(collector, journal(20));
    host.collector.until("some attempts were made", |state| state.attempts > 20);
    assert_eq!(host.delivery.error().as_deref(), Some("Operation failed: refused"));
    host.collector.set(|state| state.away = false);
    host.wait_for(0..20);
    host.wait_until_pending(0);
    assert_eq!(host.delivery.error(), None);
}

#[test]
fn a_batch_is_told_as_the_same_spans_each_time() {
    let (first, second) = (Collector::default(), Collector::default());
    let journal = journal(1);
    let record = journal.pending(None, 1, 1).remove(0);
    for collector in [&first, &second] {
        collector.tell(vec![Record::decode(record.payload.as_ref().unwrap()).unwrap().span().unwrap()], &[]).unwrap();
    }
    assert_eq!(first.lock().took, second.lock().took);
}

#[test]
fn what_a_collector_cannot_take_keeps_back_nothing_else() {
    for poison in [vec![0], vec![7], vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], vec![199]] {
        let host = Host::start(Collector::refusing(poison.clone()), journal(200));
        host.wait_for((0..200).filter(|n| !poison.contains(n)));
        host.wait_until_pending(poison.len());
        // Nor what comes later.
        add(&host.journal, 200..205);
        host.wait_for(200..205);
        // And it is not given up.
        host.collector.set(|state| state.refuses.clear());
        host.wait_for(0..205);
        host.wait_until_pending(0);
    }
}

#[test]
fn a_panic_of_the_exporter_is_a_failure_like_any_other() {
    let collector = Collector::default();
    collector.set(|state| state.panics = true);
    let host = Host::start(collector, journal(3));
    host.collector.until("it panicked", |state| state.attempts > 1);
    host.collector.set(|state| state.panics = false);
    host.wait_for(0..3);
}

#[test]
fn a_record_of_another_version_stays_and_keeps_back_nothing_else() {
    let journal = journal(0);
    futures_executor::block_on(journal.append(b"of another version".to_vec())).unwrap();
    add(&journal, 0..3);
    let host = Host::start(Collector::default(), journal);
    host.wait_for(0..3);
    host.wait_until_pending(1);
}

#[test]
fn what_the_disk_cannot_read_keeps_back_nothing_else_and_is_told_when_it_can() {
    let medium = Medium::default();
    let journal = Journal::on_medium(&medium, Limits { bytes: 1 << 24 }, &mut |_, _| {}).unwrap();
    add(&journal, 0..1);
    let (name, first) = (medium.names().remove(0), medium.length(0));
    // The second record, and the first byte of the third.
    add(&journal, 1..2);
    medium.spoil(&name, first..medium.length(0) + 1);
    add(&journal, 2..200);
    let host = Host::start(Collector::default(), journal);
    host.wait_for((0..200).filter(|n| ![1, 2].contains(n)));
    host.wait_until_pending(2);
    add(&host.journal, 200..205);
    host.wait_for(200..205);
    assert_eq!(host.delivery.error(), None);
    assert!(host.journal.status().last_error.unwrap().ends_with("a record cannot be read: a sector cannot be read"));
    medium.spoil_no_more();
    host.wait_for(0..205);
    host.wait_until_pending(0);
}

#[test]
fn a_stop_tries_once_more_whatever_the_pause() {
    let collector = Collector::default();
    collector.set(|state| state.away = true);
    let host = Host::retrying(collector, journal(300), Duration::from_secs(3600));
    host.collector.until("an attempt was made", |state| state.attempts > 0);
    host.collector.set(|state| state.away = false);
    host.stop();
    assert_eq!((host.collector.took().len(), host.journal.status().pending), (300, 0));
}

#[test]
fn a_stop_gives_up_at_the_first_failure_and_loses_nothing() {
    let collector = Collector::default();
    collector.set(|state| state.away = true);
    let host = Host::retrying(collector, journal(300), Duration::from_secs(3600));
    let started = Instant::now();
    host.stop();
    assert!(started.elapsed() < PATIENCE / 2);
    assert_eq!(host.journal.status().pending, 300);
}

#[test]
fn a_destination_that_is_away_keeps_nothing_from_another_and_is_told_later() {
    let (there, away) = (Collector::default(), Collector::refusing([3]));
    away.set(|state| state.away = true);
    let (journal, told) = (Arc::new(journal(300)), Arc::new(Told::by(2)));
    let start = |collector| Host::beside(collector, Arc::clone(&journal), Arc::clone(&told), Duration::from_millis(1));
    let (there, away) = (start(there), start(away));
    there.wait_for(0..300);
    assert_eq!(journal.status().pending, 300);
    add(&journal, 300..310);
    there.wait_for(300..310);
    away.collector.set(|state| state.away = false);
    away.wait_until_pending(1);
    away.collector.set(|state| state.refuses.clear());
    away.wait_until_pending(0);
    assert_eq!(there.collector.lock().took.len(), 310, "none was told twice");
    assert_eq!(away.collector.took(), there.collector.took());
}
