//! A person's judgement of an answer: accepted into a journal, and then told as a span of the trace it is about.
//!
//! Whoever gives one is answered when it is safe, which is long before a collector has it: see journal.rs. A thread takes
//! it there (deliver.rs) and tries for as long as it takes. Reading a judgement: see server/feedback.rs.

mod deliver;
mod keys;
mod limits;
mod record;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue};

use super::exporters::Sink;
use crate::journal::{AppendError, Journal, Limits, OpenError, Sequence};
use crate::setting::{self, Reader, Setting};

use super::Telemetry;
use deliver::{Deliverer, Delivery};
use keys::Keys;
use record::Record;

pub use limits::{VALUE_BYTES, attribute_key, attribute_value, cut_value};

pub static DATA_DIR: Setting = Setting::optional(
    "WEIR_DATA_DIR",
    "feedback is kept in memory until it is delivered",
    "folder of this host alone, in which feedback is safe until it is delivered",
);

pub static MAX_BYTES: Setting = Setting::new(
    "WEIR_FEEDBACK_MAX_BYTES",
    "256MiB",
    "how much feedback may wait for delivery; beyond it feedback is refused",
);

pub static RETRY_MAX: Setting = Setting::new(
    "WEIR_FEEDBACK_RETRY_MAX",
    "30s",
    "longest pause before feedback that could not be delivered is tried again",
);

/// Folder below the data directory.
const FOLDER: &str = "feedback";

/// A journal that no feedback of usual size fits in serves nobody.
const LEAST_BYTES: u64 = 64 * 1024;

/// A journal whose index would no longer fit into memory: an entry of it has some hundred bytes for each feedback.
const MOST_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Without a disk all that waits is in memory, and a collector that is away must not use up that of flows.
const MEMORY_BYTES: u64 = 32 * 1024 * 1024;

const MAX_RETRY: Duration = Duration::from_secs(3600);

/// What is left to write down when the process stops is little.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// How feedback is kept and delivered.
#[derive(Clone, Debug)]
pub struct Config {
    pub max_bytes: u64,
    pub retry_max: Duration,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let max_bytes = reader.value(&MAX_BYTES, |text| {
            let bytes = setting::size_up_to(MOST_BYTES)(text)? as u64;
            let least = crate::units::Bytes(LEAST_BYTES);
            if bytes < LEAST_BYTES {
                Err(format!("{text:?} is less than {least}, the least it may be"))
            } else {
                Ok(bytes)
            }
        });
        Self { max_bytes, retry_max: reader.value(&RETRY_MAX, setting::time_up_to(MAX_RETRY)) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { max_bytes: 256 * 1024 * 1024, retry_max: Duration::from_secs(30) }
    }
}

/// A judgement as it is told.
#[derive(Clone, Debug, Default)]
pub struct Feedback {
    /// Their keys and values as [`attribute_key`] and [`attribute_value`] make them.
    pub attributes: Vec<KeyValue>,
    /// If it can be read as a score.
    pub evaluation: Option<Evaluation>,
    /// By which the same feedback is known again when it is sent twice.
    pub idempotency_key: Option<String>,
}

/// What the standard event says: `gen_ai.evaluation.result`.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What was judged.
    pub name: String,
    pub value: Option<f64>,
    pub label: Option<String>,
    pub explanation: Option<String>,
}

/// What an accepted feedback survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, however it ends.
    Disk,
    /// A collector that is away.
    Memory,
}

impl Durability {
    /// As replies have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
        }
    }
}

/// Why a feedback was not accepted. The same feedback may be accepted later.
#[derive(Clone, Debug, thiserror::Error)]
#[error("feedback cannot be stored: {0}")]
pub struct StoreError(#[from] AppendError);

/// How feedback is doing, for people and programs that watch.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FeedbackStatus {
    /// `disk` or `memory`.
    pub durability: &'static str,
    /// Accepted and not yet delivered.
    pub pending: usize,
    /// What the journal takes, on disk or in memory.
    pub bytes: u64,
    /// How long the oldest of them has been waiting.
    pub oldest_age_seconds: Option<u64>,
    /// Since the start of the process, like all that follow.
    pub delivered: u64,
    /// Not accepted, since the journal was full or could not write.
    pub refused: u64,
    /// Ends of files that a crash tore, and places that cannot be read.
    pub torn: usize,
    pub corrupt: usize,
    /// Files of a newer version, which were left alone.
    pub foreign: usize,
    /// What last kept feedback from being stored, and from being delivered; none if that is over.
    pub store_error: Option<String>,
    pub delivery_error: Option<String>,
}

impl Telemetry {
    /// Accepts a feedback about the span of `parent`, and tells it sooner or later, whether or not tracing is on. Ready
    /// when it is safe: see [`Durability`].
    ///
    /// The caller's baggage is added, as prompt flow does. A parent that its caller did not sample loses its feedback in
    /// prompt flow; here it is told all the same, since somebody chose to give it.
    ///
    /// # Errors
    /// If it is not accepted. After a failure of the disk it may turn out to be there nevertheless.
    pub async fn feedback(&self, parent: &Context, feedback: Feedback) -> Result<Durability, StoreError> {
        self.0.exporters.feedback.accept(parent, feedback).await
    }

    pub fn feedback_status(&self) -> FeedbackStatus {
        self.0.exporters.feedback.status()
    }
}

/// Feedback on its way.
#[derive(Debug)]
pub(super) struct Store {
    journal: Arc<Journal>,
    keys: Arc<Keys>,
    /// None: there is nowhere to deliver to.
    delivery: Option<Arc<Delivery>>,
    refused: AtomicU64,
    /// Whether the last feedback was refused.
    refusing: AtomicBool,
}

impl Store {
    /// Opens the journal, and starts to deliver what is in it. Without a `sink` everything is accepted and forgotten.
    pub(super) fn start(
        data_dir: Option<&Path>,
        config: &Config,
        sink: Option<Box<dyn Sink>>,
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
        let delivery = match sink {
            Some(sink) => {
                let deliverer = Deliverer::new(Arc::clone(&journal), Arc::clone(&keys), sink, config.retry_max);
                Some(deliverer.start().map_err(StartError::Thread)?)
            }
            None => None,
        };
        Ok(Self { journal, keys, delivery, refused: AtomicU64::new(0), refusing: AtomicBool::new(false) })
    }

    async fn accept(&self, parent: &Context, feedback: Feedback) -> Result<Durability, StoreError> {
        let durability = if self.journal.is_durable() { Durability::Disk } else { Durability::Memory };
        if self.delivery.is_none() && !self.journal.is_durable() {
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

    fn status(&self) -> FeedbackStatus {
        let status = self.journal.status();
        let delivery = self.delivery.as_deref();
        FeedbackStatus {
            durability: if self.journal.is_durable() { Durability::Disk } else { Durability::Memory }.as_str(),
            pending: status.pending,
            bytes: status.bytes,
            oldest_age_seconds: status.oldest.map(|age| age.as_secs()),
            delivered: delivery.map_or(0, Delivery::delivered),
            refused: self.refused.load(Ordering::Relaxed),
            torn: status.damage.torn,
            corrupt: status.damage.corrupt,
            foreign: status.damage.foreign,
            store_error: status.last_error,
            delivery_error: delivery.and_then(Delivery::error),
        }
    }

    /// What becomes of feedback, for the message at start.
    pub(super) fn describe(data_dir: Option<&Path>) -> String {
        let variable = DATA_DIR.variable;
        match data_dir {
            Some(folder) => {
                format!("feedback: kept in {} until delivered ({variable})", folder.join(FOLDER).display())
            }
            None => format!("feedback: kept in memory until delivered ({variable} is not set)"),
        }
    }

    /// Delivers what can be delivered until `deadline`, and says how much stays. Blocks.
    pub(super) fn stop(&self, deadline: Instant) {
        if let Some(delivery) = &self.delivery {
            delivery.stop(&self.journal, deadline);
        }
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

    /// Waits until nothing is pending.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        while self.journal.status().pending > 0 {
            std::thread::yield_now();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The thread holds the journal, and with it the folder.
        if let Some(delivery) = &self.delivery {
            delivery.stop(&self.journal, Instant::now() + CLOSE_PATIENCE);
        }
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
            "files of feedback are of a newer version, or damaged, and are left alone"
        );
    }
}

/// Why feedback cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data directory of {} cannot be used", DATA_DIR.variable)]
    Journal(#[from] OpenError),
    #[error("cannot start a thread for feedback")]
    Thread(#[source] io::Error),
}
