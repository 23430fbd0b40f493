//! The way out of the host, for each exporter that pushes and each signal: nothing waits for it, and nothing is lost on it
//! silently.
//!
//! What has ended is made into parcels, requests as they will be sent (parcel.rs). An outbox sends them, and tries again
//! for as long as its destination is away (sender.rs). What waits is in memory while all is well, and in a spool below the
//! data directory when it is not (spool.rs). Both are bounded; what a bound costs is counted by its reason and logged.

pub(super) mod batch;
mod config;
mod ledger;
mod pace;
pub mod parcel;
pub(super) mod pipeline;
mod sender;
mod spool;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::journal::OpenError;

pub(super) use config::Config;
pub(super) use ledger::Ledger;
pub use ledger::Loss;
use parcel::{Destination, Parcel, Signal};
use spool::Spool;

/// What one outbox may have in memory while it has a spool. More is spooled.
const MEMORY_WITH_SPOOL: usize = 4 * 1024 * 1024;

/// The same without a spool, or while its disk fails. More is lost.
const MEMORY_ALONE: usize = 32 * 1024 * 1024;

/// What is kept back of the time at the end, to write down what could not be sent.
const FOR_THE_SPOOL: Duration = Duration::from_millis(500);

/// Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of the exporter, as the standard's variables call it.
    exporter: &'static str,
    signal: Signal,
    destination: Arc<dyn Destination>,
    spool: Option<Spool>,
    longest_pause: Duration,
    ledger: Ledger,
    state: Mutex<State>,
    /// For the task that sends: look around.
    changed: Notify,
    /// For who waits for its end.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Parcel>,
    bytes: usize,
    /// Parcels out of memory that are being sent.
    flying: BTreeMap<u64, Parcel>,
    flights: u64,
    /// Why the destination takes nothing; none if it does, as far as is known.
    away: Option<String>,
    /// Why the spool takes nothing.
    spool_error: Option<String>,
    /// Sends what it can until then, and ends.
    stop_at: Option<Instant>,
    ended: bool,
    restarts: u64,
}

/// How an outbox is doing.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OutboxStatus {
    /// `otlp` or `azuremonitor`.
    pub exporter: &'static str,
    /// `traces`, `metrics` or `logs`.
    pub signal: &'static str,
    /// `ok`, or `away`: its destination takes nothing.
    pub state: &'static str,
    /// Why it is away, or the spool fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Spans, points or records, since the start of the process.
    pub sent: u64,
    /// Likewise, and why they are not there.
    pub lost: BTreeMap<&'static str, u64>,
    /// Attempts that failed and were repeated.
    pub retries: u64,
    /// How often the task that sends had to be started again.
    pub restarts: u64,
    pub in_memory: u64,
    pub spooled: u64,
    pub spool_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_spooled_seconds: Option<u64>,
}

impl Outbox {
    /// Opens the spool, if there is a data directory, and starts to send what is there.
    ///
    /// # Errors
    /// If the spool's folder cannot be used.
    pub(super) fn start(
        exporter: &'static str,
        signal: Signal,
        destination: Arc<dyn Destination>,
        data_dir: Option<&Path>,
        config: &Config,
        runtime: &Handle,
    ) -> Result<Self, OpenError> {
        let folder = data_dir.map(|dir| dir.join("spool").join(format!("{exporter}-{}", signal.as_str())));
        let spool =
            folder.map(|folder| Spool::open(&folder, signal, config.spool_bytes, config.spool_age)).transpose()?;
        if let Some(items) = spool.as_ref().map(|it| it.fill().items).filter(|items| *items > 0) {
            tracing::info!(
                exporter,
                signal = signal.as_str(),
                items,
                "telemetry of an earlier process waits to be sent"
            );
        }
        Ok(Self::with(exporter, signal, destination, spool, config, runtime))
    }

    /// The same with a spool that is open.
    fn with(
        exporter: &'static str,
        signal: Signal,
        destination: Arc<dyn Destination>,
        spool: Option<Spool>,
        config: &Config,
        runtime: &Handle,
    ) -> Self {
        let inner = Arc::new(Inner {
            exporter,
            signal,
            destination,
            spool,
            longest_pause: config.retry_max,
            ledger: Ledger::new(exporter, signal),
            state: Mutex::default(),
            changed: Notify::new(),
            ended: Condvar::new(),
        });
        #[expect(clippy::disallowed_methods, reason = "the task that sends, apart from requests")]
        runtime.spawn(sender::supervise(Arc::clone(&inner)));
        Self(inner)
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// What `encode` makes of items is to be sent. If it panics, each is tried by itself, so that one costs no other.
    /// May wait for the disk, and for nothing else.
    pub(super) async fn put<T>(&self, items: &[T], encode: impl Fn(&dyn Destination, &[T]) -> Vec<Parcel>) {
        let encode = |items: &[T]| catch_unwind(AssertUnwindSafe(|| encode(&*self.0.destination, items)));
        let parcels = match encode(items) {
            Ok(parcels) => parcels,
            Err(_) => items
                .chunks(1)
                .filter_map(|one| encode(one).inspect_err(|_| self.0.ledger.lose(Loss::Panicked, 1)).ok())
                .flatten()
                .collect(),
        };
        for parcel in parcels {
            self.0.keep(parcel).await;
        }
    }

    /// Whether what comes now is written to disk: its destination is away.
    pub(super) fn is_spooling(&self) -> bool {
        self.0.spool.is_some() && self.0.lock().away.is_some()
    }

    /// Sends what can be sent until `deadline`; what is left stays in the spool, or is lost, and counted. Blocks.
    pub(super) fn stop(&self, deadline: Instant) {
        let inner = &self.0;
        let spare = if inner.spool.is_some() { FOR_THE_SPOOL } else { Duration::ZERO };
        let mut state = inner.lock();
        state.stop_at = Some(deadline.checked_sub(spare).unwrap_or(deadline));
        inner.changed.notify_one();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = inner.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        inner.finish();
    }

    pub(super) fn status(&self) -> OutboxStatus {
        let inner = &self.0;
        let (sent, retries, lost) = inner.ledger.read();
        let fill = inner.spool.as_ref().map(Spool::fill).unwrap_or_default();
        let state = inner.lock();
        let waiting = state.memory.iter().chain(state.flying.values());
        OutboxStatus {
            exporter: inner.exporter,
            signal: inner.signal.as_str(),
            state: if state.away.is_some() { "away" } else { "ok" },
            error: state.away.clone().or_else(|| state.spool_error.clone()),
            sent,
            lost,
            retries,
            restarts: state.restarts,
            in_memory: waiting.map(|parcel| u64::from(parcel.items)).sum(),
            spooled: fill.items,
            spool_bytes: fill.bytes,
            oldest_spooled_seconds: fill.oldest.map(|age| age.as_secs()),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a parcel from whoever made it: into memory while all is well, else into the spool.
    async fn keep(&self, parcel: Parcel) {
        let spool = self.spool.as_ref().filter(|spool| {
            let state = self.lock();
            state.away.is_some() || spool.has_parcels() || state.bytes + parcel.body.len() > MEMORY_WITH_SPOOL
        });
        match spool {
            Some(spool) => self.spool(spool, parcel).await,
            None => self.remember(parcel, false),
        }
        self.changed.notify_one();
    }

    /// Into the spool, or, if it takes nothing, into memory.
    async fn spool(&self, spool: &Spool, parcel: Parcel) {
        let kept = spool.keep(&parcel).await;
        match kept {
            Ok(given_up) => {
                self.ledger.lose(Loss::SpoolFull, given_up);
                self.lock().spool_error = None;
            }
            Err(error) => {
                let first = self.lock().spool_error.replace(error.to_string()).is_none();
                if first {
                    let (exporter, signal) = (self.exporter, self.signal.as_str());
                    let error = &error as &dyn std::error::Error;
                    let tell = || {
                        tracing::error!(exporter, signal, error, "telemetry cannot be spooled, and waits in memory");
                    };
                    self.ledger.say(tell);
                }
                self.remember(parcel, false);
            }
        }
    }

    /// Into memory; what makes room for it is lost.
    fn remember(&self, parcel: Parcel, first: bool) {
        let mut lost = 0;
        let mut state = self.lock();
        state.bytes += parcel.body.len();
        if first {
            state.memory.push_front(parcel);
        } else {
            state.memory.push_back(parcel);
        }
        while state.bytes > MEMORY_ALONE && state.memory.len() > 1 {
            let Some(oldest) = state.memory.pop_front() else { break };
            state.bytes -= oldest.body.len();
            lost += u64::from(oldest.items);
        }
        drop(state);
        self.ledger.lose(Loss::MemoryFull, lost);
    }

    /// All that is in memory, and was being sent when sending ended.
    fn take_all(&self) -> Vec<Parcel> {
        let mut state = self.lock();
        let mut all: Vec<Parcel> = std::mem::take(&mut state.flying).into_values().collect();
        all.extend(state.memory.drain(..));
        state.bytes = 0;
        all
    }

    /// The end: what is in memory is written down, or lost.
    fn finish(&self) {
        let left = self.take_all();
        let (exporter, signal) = (self.exporter, self.signal.as_str());
        match &self.spool {
            None => self.ledger.lose(Loss::Unsent, left.iter().map(|parcel| u64::from(parcel.items)).sum()),
            Some(spool) => {
                for parcel in left {
                    match futures_executor::block_on(spool.keep(&parcel)) {
                        Ok(given_up) => self.ledger.lose(Loss::SpoolFull, given_up),
                        Err(_) => self.ledger.lose(Loss::Unsent, u64::from(parcel.items)),
                    }
                }
                let items = spool.fill().items;
                if items > 0 {
                    tracing::warn!(
                        exporter,
                        signal,
                        items,
                        "telemetry that could not be sent stays in the data directory for the next start"
                    );
                }
                spool.close();
            }
        }
        self.ledger.report();
    }
}

#[cfg(test)]
pub(super) mod tests;
