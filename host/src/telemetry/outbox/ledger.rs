//! What became of everything that was to be sent: counted by its reason, and logged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;

use super::parcel::Signal;

/// Losses are logged at most so often: the first at once.
const REPORT: Duration = Duration::from_secs(10);

/// Why something is not there, and will never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It ended faster than it could be encoded.
    QueueFull,
    /// The destination was away, and there is no spool, or its disk fails.
    MemoryFull,
    /// The destination was away for so long that the spool was full.
    SpoolFull,
    /// It was too old, or could not be read any more.
    Expired,
    /// Alone it is more than the destination takes.
    TooLarge,
    /// The destination said that it will never take it.
    Refused,
    /// It broke the exporter.
    Panicked,
    /// The process ended, and there is no spool.
    Unsent,
}

impl Loss {
    pub(crate) const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::MemoryFull,
        Self::SpoolFull,
        Self::Expired,
        Self::TooLarge,
        Self::Refused,
        Self::Panicked,
        Self::Unsent,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::MemoryFull => "memory_full",
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
            Self::Unsent => "unsent",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    exporter: &'static str,
    signal: Signal,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    sent: u64,
    retries: u64,
    lost: BTreeMap<Loss, u64>,
    /// Lost, and not yet logged.
    untold: BTreeMap<Loss, Untold>,
    told: Option<Instant>,
}

#[derive(Debug, Default)]
struct Untold {
    items: u64,
    /// What the destination said last.
    why: String,
}

impl Ledger {
    pub(super) fn new(exporter: &'static str, signal: Signal) -> Self {
        Self { exporter, signal, entries: Mutex::default() }
    }

    pub(super) fn sent(&self, items: u64) {
        self.lock().sent += items;
    }

    pub(super) fn retried(&self) {
        self.lock().retries += 1;
    }

    /// So many items are lost.
    pub(crate) fn lose(&self, loss: Loss, items: u64) {
        self.lose_because(loss, items, "");
    }

    /// The same, with what the destination said of it.
    pub(super) fn lose_because(&self, loss: Loss, items: u64, why: &str) {
        if items == 0 {
            return;
        }
        let mut entries = self.lock();
        *entries.lost.entry(loss).or_default() += items;
        let untold = entries.untold.entry(loss).or_default();
        untold.items += items;
        why.clone_into(&mut untold.why);
        if entries.told.is_none_or(|told| told.elapsed() >= REPORT) {
            self.tell(entries);
        }
    }

    /// Logs what has not been.
    pub(super) fn report(&self) {
        self.tell(self.lock());
    }

    fn tell(&self, mut entries: MutexGuard<'_, Entries>) {
        let untold = std::mem::take(&mut entries.untold);
        if untold.is_empty() {
            return;
        }
        entries.told = Some(Instant::now());
        // The log may be exported, and come back here.
        drop(entries);
        let (exporter, signal) = (self.exporter, self.signal.as_str());
        for (loss, Untold { items, why }) in untold {
            let why = Some(why.as_str()).filter(|why| !why.is_empty());
            let reason = loss.as_str();
            self.say(|| tracing::error!(exporter, signal, reason, items, why, "telemetry is lost"));
        }
    }

    /// Logs. What concerns log records is not to become one: it would be lost as they are, and told of again, for ever.
    pub(super) fn say(&self, log: impl FnOnce()) {
        let _suppressed = (self.signal == Signal::Logs).then(Context::enter_telemetry_suppressed_scope);
        log();
    }

    /// What was sent, how often something was tried again, what was lost.
    pub(super) fn read(&self) -> (u64, u64, BTreeMap<&'static str, u64>) {
        let entries = self.lock();
        let lost = entries.lost.iter().map(|(loss, items)| (loss.as_str(), *items)).collect();
        (entries.sent, entries.retries, lost)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::layer::{Context as Layered, Layer, SubscriberExt as _};

    use super::*;

    /// Of each line, whether it may become a log record.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<bool>>>);

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, _: &tracing::Event<'_>, _: Layered<'_, S>) {
            self.0.lock().unwrap().push(!Context::is_current_telemetry_suppressed());
        }
    }

    #[test]
    fn that_log_records_are_lost_is_no_log_record() {
        for (signal, expected) in [(Signal::Logs, false), (Signal::Traces, true)] {
            let lines = Lines::default();
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || {
                Ledger::new("test", signal).lose(Loss::Refused, 1);
            });
            assert_eq!(*lines.0.lock().unwrap(), [expected], "{signal:?}");
        }
    }
}
