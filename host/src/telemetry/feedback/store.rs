//! Feedback from its acceptance to its end: the journal that keeps it, the keys that know it again, the thread that delivers
//! it. What is accepted, and how it is told: see ../feedback.rs and deliver.rs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::Context;

use super::deliver::{Deliverer, Delivery};
use super::keys::{self, Keys};
use super::record::{self, Record};
use super::told::Told;
use super::{Config, DATA_DIR, Durability, Feedback, FeedbackStatus, StartError, StoreError};
use crate::journal::{AppendError, Journal, Limits, Sequence};
use crate::telemetry::exporters::Sink;

/// Folder below the data directory.
const FOLDER: &str = "feedback";

/// Without a disk all that waits is in memory, and a collector that is away must not use up that of flows.
const MEMORY_BYTES: u64 = 32 * 1024 * 1024;

/// What is left to write down when the process stops is little.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Feedback on its way.
#[derive(Debug)]
pub(in crate::telemetry) struct Store {
    journal: Arc<Journal>,
    keys: Arc<Keys>,
    /// One for each destination.
    deliveries: Vec<Arc<Delivery>>,
    refused: AtomicU64,
    /// Whether the last feedback was refused.
    refusing: AtomicBool,
}

impl Store {
    /// Opens the journal, and starts to deliver what is in it to each of the sinks. Without any, everything is accepted and
    /// forgotten.
    pub(in crate::telemetry) fn start(
        data_dir: Option<&Path>,
        config: &Config,
        sinks: Vec<Box<dyn Sink>>,
    ) -> Result<Self, StartError> {
        let keys = Keys::default();
        let journal = match data_dir {
            Some(folder) => {
                let mut seen: Vec<(Sequence, keys::Digest)> = Vec::new();
                let limits = Limits { bytes: config.max_bytes };
                let journal = Journal::open(&folder.join(FOLDER), limits, &mut |sequence, payload| {
                    seen.extend(record::key_of(payload).map(|key| (sequence, Keys::digest(&key))));
                })?;
                for (sequence, key) in seen {
                    keys.remember(key, journal.is_pending(sequence));
                }
                journal
            }
            None => Journal::in_memory(Limits { bytes: config.max_bytes.min(MEMORY_BYTES) }),
        };
        let (journal, keys) = (Arc::new(journal), Arc::new(keys));
        tell_of_start(&journal);
        let told = Arc::new(Told::by(sinks.len()));
        let start = |sink| {
            let (journal, keys, told) = (Arc::clone(&journal), Arc::clone(&keys), Arc::clone(&told));
            Deliverer::new(journal, keys, sink, told, config.retry_max).start()
        };
        let deliveries = sinks.into_iter().map(start).collect::<Result<_, _>>().map_err(StartError::Thread)?;
        Ok(Self { journal, keys, deliveries, refused: AtomicU64::new(0), refusing: AtomicBool::new(false) })
    }

    pub(super) async fn accept(&self, parent: &Context, feedback: Feedback) -> Result<Durability, StoreError> {
        let durability = if self.journal.is_durable() { Durability::Disk } else { Durability::Memory };
        if self.deliveries.is_empty() && !self.journal.is_durable() {
            return Ok(durability);
        }
        let key = feedback.idempotency_key.as_deref().map(Keys::digest);
        let record = Record::new(parent, feedback);
        let append = || self.journal.append(record.encode());
        let accepted = match key {
            Some(key) => self.keys.once(key, append).await,
            None => append().await.map(drop),
        };
        self.note(accepted.as_ref().err());
        accepted.map(|()| durability).map_err(StoreError)
    }

    /// Counts what is refused, and logs when that begins and ends: a full journal must not fill the log.
    fn note(&self, refused: Option<&AppendError>) {
        let Some(error) = refused else {
            if self.refusing.swap(false, Ordering::Relaxed) {
                tracing::info!("feedback is accepted again");
            }
            return;
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        if !self.refusing.swap(true, Ordering::Relaxed) {
            tracing::error!(error = error as &dyn std::error::Error, "feedback is refused: it cannot be stored");
        }
    }

    /// How many are accepted and not yet delivered, for whoever asks again and again. Does not keep the journal open.
    pub(in crate::telemetry) fn pending(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let journal = Arc::downgrade(&self.journal);
        move || journal.upgrade().map_or(0, |journal| journal.status().pending as u64)
    }

    pub(super) fn status(&self) -> FeedbackStatus {
        let status = self.journal.status();
        FeedbackStatus {
            durability: if self.journal.is_durable() { Durability::Disk } else { Durability::Memory }.as_str(),
            pending: status.pending,
            bytes: status.bytes,
            oldest_age_seconds: status.oldest.map(|age| age.as_secs()),
            delivered: self.deliveries.iter().map(|it| it.delivered()).sum(),
            refused: self.refused.load(Ordering::Relaxed),
            torn: status.damage.torn,
            corrupt: status.damage.corrupt,
            foreign: status.damage.foreign,
            store_error: status.last_error,
            delivery_error: self.deliveries.iter().find_map(|it| it.error()),
        }
    }

    /// What becomes of feedback, for the message at start.
    pub(in crate::telemetry) fn describe(data_dir: Option<&Path>) -> String {
        let variable = DATA_DIR.variable;
        match data_dir {
            Some(folder) => {
                format!("feedback: kept in {} until delivered ({variable})", folder.join(FOLDER).display())
            }
            None => format!("feedback: kept in memory until delivered ({variable} is not set)"),
        }
    }

    /// Delivers what can be delivered until `deadline`, and says how much stays. Blocks.
    pub(in crate::telemetry) fn stop(&self, deadline: Instant) {
        self.end(deadline);
        let pending = self.journal.status().pending;
        // The last marks of delivery; there may be no time left for them.
        self.journal.close(CLOSE_PATIENCE);
        match pending {
            0 => {}
            _ if self.journal.is_durable() => {
                tracing::warn!(
                    pending,
                    "feedback that could not be delivered stays in the data directory for the next start"
                );
            }
            _ => tracing::warn!(pending, "feedback that could not be delivered is lost: WEIR_DATA_DIR is not set"),
        }
    }

    /// Lets the threads try once more what is left, and end.
    fn end(&self, deadline: Instant) {
        self.deliveries.iter().for_each(|it| it.ask_to_stop());
        self.journal.wake();
        self.deliveries.iter().for_each(|it| it.wait_for_end(deadline));
    }

    /// Waits until nothing is pending.
    #[cfg(test)]
    pub(in crate::telemetry) fn settle(&self) {
        while self.journal.status().pending > 0 {
            std::thread::yield_now();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The threads hold the journal, and with it the folder.
        self.end(Instant::now() + CLOSE_PATIENCE);
    }
}

fn tell_of_start(journal: &Journal) {
    let status = journal.status();
    let damage = status.damage;
    if status.pending > 0 {
        tracing::info!(pending = status.pending, "feedback of an earlier process waits for delivery");
    }
    if damage.torn > 0 {
        tracing::info!(
            files = damage.torn,
            "the end of a file of feedback was torn, as a crash leaves it, and was cut"
        );
    }
    if damage.corrupt > 0 {
        tracing::error!(places = damage.corrupt, "feedback cannot be read: its file is damaged");
    }
    if damage.foreign > 0 {
        tracing::error!(
            files = damage.foreign,
            "files of feedback are of a newer version, or cannot be read, and are left alone"
        );
    }
}
