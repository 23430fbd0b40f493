//! What the boundary holds a run to, and the count of its calls. The numbers are the sandbox's: see sandbox/limits.rs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::telemetry::LogBounds;

/// Calls of one run that are still to be made (`NodeRun::defer`): a run can end with one answer, and until then the host holds
/// all that they ask.
pub const DEFERRED: usize = 1;

/// Of one run of a node.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Wall time for the whole run, host calls and streaming included.
    pub timeout: Duration,
    /// Bytes of its inputs as JSON text.
    pub input: usize,
    /// Bytes of its output as JSON text.
    pub output: usize,
    pub stream: StreamBounds,
    pub http: HttpBounds,
    pub log: LogBounds,
    /// Of the time that it is told it has left.
    pub clock: Resolution,
}

/// Of what one run streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamBounds {
    /// Bytes of all chunks as JSON text.
    pub bytes: usize,
    pub chunks: usize,
    /// Chunks that leave in a second; what comes faster waits.
    pub per_second: usize,
    /// Time between two chunks, but for what a slow reader takes.
    pub idle: Duration,
}

/// Of what one run asks for by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpBounds {
    /// Requests, whatever becomes of them.
    pub requests: usize,
    /// Requests that wait for an answer; further ones wait for one of them.
    pub at_once: usize,
    /// Bytes of the body of a request, and of an answer.
    pub body: usize,
}

/// How far apart two readings of a clock are, if they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution(pub Duration);

impl Default for Resolution {
    fn default() -> Self {
        Self(Duration::from_millis(1))
    }
}

impl Resolution {
    /// The last moment that can be read at this one.
    pub fn coarse(self, time: Duration) -> Duration {
        let (time, step) = (time.as_nanos(), self.0.as_nanos().max(1));
        let nanos = time - time % step;
        let nanos_of_second = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
        Duration::new(u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX), nanos_of_second)
    }
}

/// How many calls a guest has made to the host. Clones are the same.
///
/// Whoever lends the host to the guest counts each time; what has a limit of its own is taken back.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    counted: AtomicU64,
    freed: AtomicU64,
    /// The last that was freed, by its number.
    last_freed: AtomicU64,
}

impl Calls {
    pub fn count(&self) {
        self.0.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// The call that is being made has a limit of its own. Said more than once of one call, it is one.
    pub fn free(&self) {
        // One run is polled by one thread at a time, so nothing comes in between that matters.
        let number = self.0.counted.load(Ordering::Relaxed);
        if self.0.last_freed.swap(number, Ordering::Relaxed) != number {
            self.0.freed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there was any, also one that has a limit of its own.
    pub fn any(&self) -> bool {
        self.0.counted.load(Ordering::Relaxed) > 0
    }

    pub fn made(&self) -> u64 {
        let Counts { counted, freed, .. } = &*self.0;
        counted.load(Ordering::Relaxed).saturating_sub(freed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_freed_twice() {
        let calls = Calls::default();
        for _ in 0..3 {
            calls.count();
            calls.free();
            calls.free();
        }
        assert_eq!(calls.made(), 0);
        calls.count();
        assert_eq!(calls.made(), 1);
    }

    #[test]
    fn what_is_read_of_a_clock_is_a_multiple_of_its_resolution() {
        let coarse = |step: u64, time: u64| {
            Resolution(Duration::from_millis(step)).coarse(Duration::from_micros(time)).as_micros()
        };
        assert_eq!([coarse(1, 999), coarse(1, 1_000), coarse(1, 1_999)], [0, 1_000, 1_000]);
        assert_eq!(coarse(20, 12_345_678), 12_340_000);
        assert_eq!(coarse(3_600_000, 1_999_999), 0);
    }
}
