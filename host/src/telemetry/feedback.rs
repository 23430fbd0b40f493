//! A person's judgement of an answer: accepted into a journal, and then told as a span of the trace it is about.
//!
//! Whoever gives one is answered when it is safe, which is long before a collector has it: see journal.rs. A thread takes
//! it there (deliver.rs) and tries for as long as it takes. Reading a judgement: see server/feedback.rs.

mod deliver;
mod keys;
mod limits;
mod record;
mod store;
mod told;

use std::io;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};

use super::{Telemetry, propagation};
use crate::journal::{AppendError, OpenError};
use crate::setting::{self, Reader, Setting};

pub use record::Record;
pub(super) use store::Store;

#[cfg(test)]
pub(super) use deliver::tests::simulated;

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

/// A journal that no feedback of usual size fits in serves nobody.
const LEAST_BYTES: u64 = 64 * 1024;

/// A journal whose index would no longer fit into memory: an entry of it has some hundred bytes for each feedback.
const MOST_BYTES: u64 = 64 * 1024 * 1024 * 1024;

const MAX_RETRY: Duration = Duration::from_secs(3600);

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
    pub async fn feedback(&self, parent: &Context, mut feedback: Feedback) -> Result<Durability, StoreError> {
        self.dialects().of_feedback(&mut feedback.attributes);
        let parent = &propagation::with_masked_baggage(parent, self.redactor());
        let durability = self.0.exporters.feedback.accept(parent, feedback).await?;
        self.0.exporters.judged(parent.span().span_context().trace_id());
        Ok(durability)
    }

    pub fn feedback_status(&self) -> FeedbackStatus {
        self.0.exporters.feedback.status()
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
