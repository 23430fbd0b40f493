//! What the boundary holds a run to, and the count of its calls. The numbers are the sandbox's: see sandbox/limits.rs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::telemetry::LogBounds;

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

/// How many calls a guest has made to the host. Clones are the same.
///
/// Whoever lends the host to the guest counts each time; what has a limit of its own is taken back.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<AtomicU64>);

impl Calls {
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The last `calls` had a limit of their own.
    pub fn free(&self, calls: u64) {
        // One run is polled by one thread at a time, so nothing comes in between that matters.
        let made = self.made();
        self.0.store(made.saturating_sub(calls), Ordering::Relaxed);
    }

    pub fn made(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
