//! How much may wait to be sent, where, and how long.

use std::time::Duration;

use super::batch::Limits;
use crate::setting::{self, Reader, Setting};
use crate::units::Bytes;

pub(crate) static SPOOL_MAX_BYTES: Setting = Setting::new(
    "WEIR_SPOOL_MAX_BYTES",
    "256MiB",
    "for each exporter and signal, how much may wait in the data directory while its destination is away; beyond it the \
     oldest are given up, and counted",
);

pub(crate) static SPOOL_MAX_AGE: Setting = Setting::new(
    "WEIR_SPOOL_MAX_AGE",
    "48h",
    "how old it may become there; Application Insights takes nothing that is older",
);

pub(crate) static RETRY_MAX: Setting = Setting::new(
    "WEIR_EXPORT_RETRY_MAX",
    "30s",
    "longest pause before telemetry that could not be sent is tried again",
);

static QUEUE: Setting = Setting::new(
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "16384",
    "spans that may have ended and not yet be encoded; beyond it they are given up, and counted",
);
static BATCH: Setting = Setting::new("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", "spans that are encoded at once");
static DELAY: Setting =
    Setting::new("OTEL_BSP_SCHEDULE_DELAY", "1000", "the same after so long, if fewer have ended, in milliseconds");
static LOG_QUEUE: Setting = Setting::new("OTEL_BLRP_MAX_QUEUE_SIZE", "16384", "the same for log records");
static LOG_BATCH: Setting = Setting::new("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512", "the same for log records");
static LOG_DELAY: Setting = Setting::new("OTEL_BLRP_SCHEDULE_DELAY", "1000", "the same for log records");

const LEAST_SPOOL: u64 = 1024 * 1024;
const MOST_SPOOL: u64 = 64 * 1024 * 1024 * 1024;
const MOST_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
const MOST_RETRY: Duration = Duration::from_secs(3600);
const MOST_QUEUE: usize = 1_000_000;
const MOST_DELAY: usize = 60_000;

/// What may wait to be encoded, in bytes: spans with all their content are large.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) spool_bytes: u64,
    pub(crate) spool_age: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) spans: Limits,
    pub(crate) logs: Limits,
}

impl Config {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let spool_bytes = reader.value(&SPOOL_MAX_BYTES, |text| {
            let bytes = setting::size_up_to(MOST_SPOOL)(text)? as u64;
            let least = Bytes(LEAST_SPOOL);
            if bytes < LEAST_SPOOL {
                Err(format!("{text:?} is less than {least}, the least it may be"))
            } else {
                Ok(bytes)
            }
        });
        Self {
            spool_bytes,
            spool_age: reader.value(&SPOOL_MAX_AGE, setting::time_up_to(MOST_AGE)),
            retry_max: reader.value(&RETRY_MAX, setting::time_up_to(MOST_RETRY)),
            spans: limits(reader, &QUEUE, &BATCH, &DELAY),
            logs: limits(reader, &LOG_QUEUE, &LOG_BATCH, &LOG_DELAY),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits { items: 16384, bytes: QUEUE_BYTES, batch: 512, delay: Duration::from_secs(1) };
        Self {
            spool_bytes: 256 * 1024 * 1024,
            spool_age: Duration::from_secs(48 * 3600),
            retry_max: Duration::from_secs(30),
            spans: limits,
            logs: limits,
        }
    }
}

fn limits(
    reader: &mut Reader<'_>,
    queue: &'static Setting,
    batch: &'static Setting,
    delay: &'static Setting,
) -> Limits {
    let items = reader.value(queue, setting::count_within(1, MOST_QUEUE));
    // By the standard it must not be more than the queue.
    let batch = reader.value(batch, setting::count_within(1, MOST_QUEUE)).min(items);
    let delay = reader.value(delay, setting::count_within(1, MOST_DELAY));
    Limits { items, bytes: QUEUE_BYTES, batch, delay: Duration::from_millis(delay as u64) }
}
