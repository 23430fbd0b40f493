//! Where a node's chunks go: live to the reader of the reply, or kept and joined in the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::flow::value::{Json, NotJson};

/// How many chunks may wait between a node and a slow reader. Small: back-pressure is the point, and one chunk of
/// slack on each side already lets both work at the same time.
const LIVE_CAPACITY: usize = 8;

/// Longest stream of one run, in bytes of JSON text. The host may have to keep all of it to join it.
pub const MAX_STREAM: usize = 4 * 1024 * 1024;

/// How many chunks one run may stream: each costs the host more than its text, and every reader a frame. The longest
/// answers of models have 128 Ki tokens, which is one chunk each.
pub const MAX_CHUNKS: usize = 200_000;

/// Where the chunks of one run go. Clones share it.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    live: Option<mpsc::Sender<Json>>,
    kept: Mutex<Kept>,
    /// Whether a chunk was not taken since nobody reads any more.
    gone: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Json>,
    bytes: usize,
}

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody reads any more.
    Gone,
    /// More than [`MAX_STREAM`], or [`MAX_CHUNKS`].
    Limit,
}

impl Outlet {
    /// Chunks go to the receiver as they come.
    pub fn live() -> (Self, mpsc::Receiver<Json>) {
        let (sender, receiver) = mpsc::channel(LIVE_CAPACITY);
        (Self(Arc::new(Shared { live: Some(sender), kept: Mutex::default(), gone: AtomicBool::default() })), receiver)
    }

    /// Chunks are joined to one value when the run has ended.
    pub fn kept() -> Self {
        Self(Arc::new(Shared { live: None, kept: Mutex::default(), gone: AtomicBool::default() }))
    }

    pub fn is_live(&self) -> bool {
        self.0.live.is_some()
    }

    /// Takes a chunk, and waits while a live reader is slower.
    ///
    /// # Errors
    /// Outer: the chunk is not JSON. Inner: it was not taken.
    pub async fn emit(&self, chunk: &str) -> Result<Result<(), Closed>, NotJson> {
        let chunk = Json::parse(chunk)?;
        {
            let mut kept = self.lock();
            kept.bytes += chunk.as_str().len();
            if kept.bytes > MAX_STREAM || kept.chunks.len() >= MAX_CHUNKS {
                return Ok(Err(Closed::Limit));
            }
            kept.chunks.push(chunk.clone());
        }
        let Some(live) = &self.0.live else { return Ok(Ok(())) };
        Ok(live.send(chunk).await.map_err(|_| {
            self.0.gone.store(true, Ordering::Relaxed);
            Closed::Gone
        }))
    }

    /// Whether the node was told that nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }

    pub fn has_emitted(&self) -> bool {
        !self.lock().chunks.is_empty()
    }

    /// All chunks as one text: texts as they are, other values as their JSON.
    pub fn joined(&self) -> Json {
        let chunks = &self.lock().chunks;
        let parts = chunks.iter().map(|chunk| chunk.as_text().unwrap_or_else(|| chunk.as_str().to_owned()));
        Json::string(&parts.collect::<String>())
    }

    /// All chunks as a JSON array: what the span of a streamed run shows as its output.
    pub fn listed(&self) -> Json {
        Json::list(&self.lock().chunks)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while the lock is held; if it did, what was kept would still be whole.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_at_its_limits() {
        let many = Outlet::kept();
        for _ in 0..MAX_CHUNKS {
            assert_eq!(many.emit("1").await, Ok(Ok(())));
        }
        assert_eq!(many.emit("1").await, Ok(Err(Closed::Limit)));

        let long = Outlet::kept();
        let chunk = Json::string(&"x".repeat(MAX_STREAM / 2 - 2));
        assert_eq!(long.emit(chunk.as_str()).await, Ok(Ok(())));
        assert_eq!(long.emit(chunk.as_str()).await, Ok(Ok(())));
        assert_eq!(long.emit("1").await, Ok(Err(Closed::Limit)));
    }
}
