//! How short memory is, and what is given up for it: first that connections stay open and that instances wait for runs, then new
//! requests to /score.
//!
//! Whatever the host holds has a bound where it is held. This is for when those bounds are together too wide for the machine:
//! to refuse in order is better than to be killed with all requests that run. Feedback is taken all the same, since it is
//! small and goes to disk; and the host stays ready, as it does whenever it refuses: see `Overloaded`.

mod gauge;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::server::problem::Problem;
use crate::setting::{self, Setting};
use crate::telemetry::Refused;
use crate::units::Bytes;

use gauge::Gauge;

/// Without a limit there is nothing to run short of: the machine's memory is not the host's alone.
pub static LIMIT: Setting = Setting::optional(
    "WEIR_MEMORY_LIMIT",
    "that of its cgroup, if it has one",
    "how much memory the host may have; from 80 % of it on connections close with each answer, from 90 % on /score is refused",
);

/// The most that may be set: no machine has more.
const MOST: u64 = 1 << 50;

/// As often as Envoy looks. In less time, the requests that the host lets in fill no tenth of a limit.
const EVERY: Duration = Duration::from_millis(250);

/// After how many seconds a client that was refused may come again: requests that run then have mostly ended.
const RETRY_AFTER: u64 = 5;

/// How much there is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ample,
    /// From 80 % on. Idle connections hold some memory each, and balancers send the next request to a host that has more.
    Short,
    /// From 90 % on. What is left is for the requests that run.
    Scarce,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub limit: Option<u64>,
}

impl Config {
    pub fn read(reader: &mut setting::Reader<'_>) -> Self {
        Self { limit: reader.optional(&LIMIT, |text| Ok(setting::size_up_to(MOST)(text)? as u64)) }
    }
}

/// What is known of memory now.
#[derive(Debug)]
pub struct Pressure {
    gauge: Gauge,
    level: AtomicU8,
    used: AtomicU64,
}

impl Pressure {
    /// Looks once, so that the first request is judged as any other.
    pub fn new(config: &Config) -> Self {
        Self::by(Gauge::new(config.limit))
    }

    fn by(gauge: Gauge) -> Self {
        let pressure = Self { gauge, level: AtomicU8::new(Level::Ample as u8), used: AtomicU64::new(0) };
        pressure.look();
        pressure
    }

    /// Looks again and again, and tells each time how short memory is. Never ready.
    pub async fn follow(&self, told: impl Fn(Level)) {
        loop {
            sleep(EVERY).await;
            self.look();
            told(self.level());
        }
    }

    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::Ample,
            1 => Level::Short,
            _ => Level::Scarce,
        }
    }

    /// What the host takes, in bytes, as it was seen last.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// What it may take, in bytes; none: there is no limit.
    pub fn limit(&self) -> Option<u64> {
        self.gauge.limit()
    }

    /// Whether a request to /score may be let in.
    ///
    /// # Errors
    /// `Overloaded` if memory is scarce.
    pub fn check(&self) -> Result<(), Problem> {
        if self.level() < Level::Scarce {
            return Ok(());
        }
        Err(Problem::overloaded(Refused::MemoryScarce, "the host is short of memory; try again", RETRY_AFTER))
    }

    fn look(&self) {
        // A gauge that cannot be read says nothing, and refuses nobody.
        let used = self.gauge.used().unwrap_or_default();
        self.used.store(used, Ordering::Relaxed);
        let Some(limit) = self.limit() else { return };
        let before = self.level();
        let level = before.next(used, limit);
        self.level.store(level as u8, Ordering::Relaxed);
        if level == before {
            return;
        }
        let (used, limit) = (Bytes(used), Bytes(limit));
        match level {
            Level::Ample => tracing::info!(%used, %limit, "memory is ample again"),
            Level::Short => tracing::warn!(%used, %limit, "memory is short: connections close with each answer"),
            Level::Scarce => tracing::warn!(%used, %limit, "memory is scarce: requests to /score are refused"),
        }
    }
}

impl Level {
    /// What follows if so much of the limit is used. It is left only some way below where it began, so that it does not
    /// change with each request.
    fn next(self, used: u64, limit: u64) -> Self {
        let percent = used.saturating_mul(100) / limit.max(1);
        match percent {
            90.. => Self::Scarce,
            85.. if self == Self::Scarce => Self::Scarce,
            80.. => Self::Short,
            75.. if self != Self::Ample => Self::Short,
            _ => Self::Ample,
        }
    }
}

#[cfg(test)]
mod tests;
