//! The thread that takes feedback from the journal to where it is told, and tries for as long as it takes.
//!
//! Batches go out as long as that works. When they fail again and again, their records are tried one by one: if some go
//! through, those that do not are set apart, each to be tried alone now and then, so that what a collector cannot take keeps
//! back nothing else. If none goes through, it is the collector.
//!
//! Each destination has a thread of its own: one that is away keeps nothing from the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;
use tracing::subscriber::NoSubscriber;

use super::keys::Keys;
use super::record::Record;
use super::told::Told;
use crate::clock::now;
use crate::journal::{Journal, Sequence};
use crate::telemetry::content::{MESSAGE_BYTES, cut};
use crate::telemetry::exporters::Sink;
use crate::telemetry::outbox::parcel::Log;
use crate::telemetry::pause::pause;

/// Records in a batch, and their bytes: within gRPC's usual message of 4 MiB.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 1024 * 1024;

/// Failures of batches after which records are tried one by one.
const FAILURES: u32 = 3;

/// Records that are tried one by one before it is called the collector's fault. Each may take until a timeout.
const SINGLES: usize = 8;

/// The thread as others see it.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    stopping: AtomicBool,
    delivered: AtomicU64,
    error: Mutex<Option<String>>,
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Delivery {
    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Why nothing is delivered; none if all is well.
    pub(super) fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the thread try once more what is left, and end; see [`Journal::wake`].
    pub(super) fn ask_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Returns when the thread has ended, or at `deadline`.
    pub(super) fn wait_for_end(&self, deadline: Instant) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            ended = self.changed.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Deliverer {
    delivery: Arc<Delivery>,
    journal: Arc<Journal>,
    keys: Arc<Keys>,
    sink: Box<dyn Sink>,
    told: Arc<Told>,
    longest_pause: Duration,
    /// Failures since something was delivered.
    failures: u32,
    /// Nothing is tried before.
    not_before: Instant,
    /// Where the next round of records one by one begins.
    turn: usize,
    /// Records that are tried alone, and when next.
    apart: BTreeMap<Sequence, Instant>,
    /// Records that have been told here, and are still to be told elsewhere; those up to `through` are not listed.
    done: BTreeSet<Sequence>,
    /// Up to here all has been told or set apart.
    through: Option<Sequence>,
}

/// A record that can be told.
struct Ready {
    sequence: Sequence,
    record: Record,
}

impl Deliverer {
    pub(super) fn new(
        journal: Arc<Journal>,
        keys: Arc<Keys>,
        sink: Box<dyn Sink>,
        told: Arc<Told>,
        longest_pause: Duration,
    ) -> Self {
        Self {
            delivery: Arc::default(),
            journal,
            keys,
            sink,
            told,
            longest_pause,
            failures: 0,
            not_before: now(),
            turn: 0,
            apart: BTreeMap::new(),
            done: BTreeSet::new(),
            through: None,
        }
    }

    pub(super) fn start(self) -> io::Result<Arc<Delivery>> {
        let delivery = Arc::clone(&self.delivery);
        thread::Builder::new().name("weir-feedback".to_owned()).spawn(move || self.run())?;
        Ok(delivery)
    }

    fn run(self) {
        let _ended = Ended(Arc::clone(&self.delivery));
        let mut deliverer = self;
        let mut seen = 0;
        loop {
            // Asked before the work, so that whatever was there when somebody asked is tried once more.
            let stopping = deliverer.delivery.is_stopping();
            let next = deliverer.work(stopping);
            if stopping {
                return;
            }
            if next.is_none_or(|next| next > now()) {
                seen = deliverer.journal.wait(seen, next);
            }
        }
    }

    /// Delivers what can be delivered; when to look again, if not only when more has come. The last time does not wait for
    /// pauses, and ends with the first failure.
    fn work(&mut self, last: bool) -> Option<Instant> {
        loop {
            if !last && self.not_before > now() {
                return Some(self.not_before);
            }
            let batch = self.batch();
            if batch.is_empty() {
                return if last { None } else { self.try_apart() };
            }
            match self.tell(&batch) {
                Ok(()) => self.succeeded(&batch),
                Err(error) if last => {
                    self.pause(&error);
                    return None;
                }
                Err(error) if self.failures + 1 < FAILURES || batch.len() == 1 => return self.pause(&error),
                Err(error) => {
                    if !self.one_by_one(&batch) {
                        return self.pause(&error);
                    }
                }
            }
        }
    }

    /// The oldest records that have neither been told here nor set apart. Those that cannot be read are set apart.
    fn batch(&mut self) -> Vec<Ready> {
        let mut batch = Vec::new();
        let mut unread = 0;
        let mut after = self.through;
        while batch.is_empty() {
            let records = self.journal.pending(after, BATCH, BATCH_BYTES);
            let Some(last) = records.last() else { break };
            after = Some(last.sequence);
            for it in records {
                if !self.apart.contains_key(&it.sequence) && !self.done.contains(&it.sequence) {
                    unread += usize::from(it.payload.is_none());
                    match it.payload.as_deref().and_then(Record::decode) {
                        Some(record) => batch.push(Ready { sequence: it.sequence, record }),
                        // Of a newer version, which may come back; or unread, which may be readable later.
                        None => self.set_apart(it.sequence),
                    }
                }
                if batch.is_empty() {
                    self.through = Some(it.sequence);
                    self.done.remove(&it.sequence);
                }
            }
        }
        if unread > 0 {
            tracing::warn!(count = unread, "feedback that the disk cannot read is tried again later");
        }
        batch
    }

    /// Whether any of them could be delivered. Then the others are set apart.
    fn one_by_one(&mut self, batch: &[Ready]) -> bool {
        let turn = self.turn % batch.len();
        let mut failed = Vec::new();
        let mut worked = false;
        for it in batch[turn..].iter().chain(&batch[..turn]) {
            if self.delivery.is_stopping() || !worked && failed.len() == SINGLES {
                break;
            }
            let alone = std::slice::from_ref(it);
            match self.tell(alone) {
                Ok(()) => {
                    worked = true;
                    self.succeeded(alone);
                }
                Err(_) => failed.push(it.sequence),
            }
        }
        if worked {
            tracing::warn!(count = failed.len(), "feedback that is refused while other is taken is tried alone");
            failed.into_iter().for_each(|sequence| self.set_apart(sequence));
            self.turn = 0;
        } else {
            self.turn = turn + failed.len();
        }
        worked
    }

    fn set_apart(&mut self, sequence: Sequence) {
        self.apart.insert(sequence, now() + self.longest_pause);
    }

    /// Tries those set apart whose time has come; when the next one's will.
    fn try_apart(&mut self) -> Option<Instant> {
        let now = now();
        let due = self.apart.iter().filter(|(_, time)| **time <= now).map(|(sequence, _)| *sequence);
        let due: Vec<Sequence> = due.take(SINGLES).collect();
        for sequence in due {
            if self.delivery.is_stopping() {
                break;
            }
            match self.journal.payload(sequence) {
                Ok(None) => drop(self.apart.remove(&sequence)),
                Ok(Some(payload)) => {
                    let ready = Record::decode(&payload).map(|record| [Ready { sequence, record }]);
                    match ready.filter(|ready| self.tell(ready).is_ok()) {
                        Some(ready) => {
                            self.apart.remove(&sequence);
                            self.succeeded(&ready);
                        }
                        None => self.set_apart(sequence),
                    }
                }
                Err(_) => self.set_apart(sequence),
            }
        }
        self.apart.values().min().copied()
    }

    fn tell(&self, batch: &[Ready]) -> Result<(), String> {
        let spans = batch.iter().filter_map(|it| it.record.span()).collect();
        let evaluations: Vec<Log> = batch.iter().filter_map(|it| it.record.evaluation()).collect();
        // The exporter logs that what it could not send is lost, which does not hold here.
        let told = tracing::subscriber::with_default(NoSubscriber::default(), || {
            catch_unwind(AssertUnwindSafe(|| -> OTelSdkResult { self.sink.tell(spans, &evaluations) }))
        });
        match told {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(cut(&error.to_string(), MESSAGE_BYTES).to_owned()),
            Err(_) => Err("the exporter panicked".to_owned()),
        }
    }

    fn succeeded(&mut self, batch: &[Ready]) {
        *self.delivery.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (all, some): (Vec<&Ready>, Vec<&Ready>) = batch.iter().partition(|it| self.told.is_by_all(it.sequence));
        self.done.extend(some.iter().map(|it| it.sequence));
        self.journal.delivered(&all.iter().map(|it| it.sequence).collect::<Vec<_>>());
        for key in all.iter().filter_map(|it| it.record.key()) {
            self.keys.delivered(Keys::digest(key));
        }
        self.delivery.delivered.fetch_add(all.len() as u64, Ordering::Relaxed);
        if self.failures > 0 {
            tracing::info!("feedback is delivered again");
        }
        self.failures = 0;
    }

    /// Notes a failure; gives when to try again.
    fn pause(&mut self, error: &str) -> Option<Instant> {
        if self.failures == 0 {
            tracing::warn!(error, "feedback cannot be delivered; it is kept and tried again");
        }
        *self.delivery.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
        self.not_before = now() + pause(self.failures, self.longest_pause);
        self.failures = self.failures.saturating_add(1);
        Some(self.not_before)
    }
}

/// Tells when the thread has ended, however it did.
struct Ended(Arc<Delivery>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
pub(super) mod tests;
