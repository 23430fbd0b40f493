//! Where a node's chunks go: live to the reader of the reply, or kept and joined in the end.

mod pace;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::boundary::bounds::StreamBounds;
use crate::flow::value::{Json, NotJson};
use pace::Pace;

/// How many chunks may wait between a node and a slow reader. Small: back-pressure is the point, and one chunk of
/// slack on each side already lets both work at the same time.
const LIVE_CAPACITY: usize = 8;

/// Where the chunks of one run go. Clones share it.
#[derive(Clone, Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
    bounds: StreamBounds,
}

/// Where they go before it is known whose they are.
#[derive(Debug)]
pub struct Unbounded(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    live: Option<mpsc::Sender<Json>>,
    kept: Arc<Mutex<Kept>>,
    /// Whether a chunk was not taken since nobody reads any more.
    gone: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Json>,
    bytes: usize,
    pace: Pace,
    /// Since when the node lets its reader wait. None: it has not begun to stream, or it waits itself.
    silent: Option<Instant>,
    /// Whether the node has ended and said that these are its answer.
    is_whole: bool,
}

impl Kept {
    /// Whether no more chunks are taken.
    fn is_over(&self, bounds: &StreamBounds) -> bool {
        self.bytes > bounds.bytes || self.chunks.len() >= bounds.chunks
    }
}

/// What one run streams, for who asks once it is over. A live reader does not wait for it: it knows the end by the last
/// outlet.
#[derive(Debug)]
pub struct Streamed(Arc<Mutex<Kept>>);

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody reads any more.
    Gone,
    /// More bytes or chunks than the node may stream.
    Limit,
}

impl Unbounded {
    /// Chunks go to the receiver as they come.
    pub fn live() -> (Self, mpsc::Receiver<Json>) {
        let (sender, receiver) = mpsc::channel(LIVE_CAPACITY);
        (Self::to(Some(sender)), receiver)
    }

    /// Chunks are joined to one value when the run has ended.
    pub fn kept() -> Self {
        Self::to(None)
    }

    fn to(live: Option<mpsc::Sender<Json>>) -> Self {
        Self(Arc::new(Shared { live, kept: Arc::default(), gone: AtomicBool::default() }))
    }

    pub fn streamed(&self) -> Streamed {
        Streamed(self.0.kept.clone())
    }

    /// The outlet of a node that is held to these bounds.
    pub fn within(self, bounds: StreamBounds) -> Outlet {
        Outlet { shared: self.0, bounds }
    }
}

impl Streamed {
    /// All chunks, of a run that has ended with a stream. None: with a value, or not at all.
    pub fn chunks(&self) -> Option<Vec<Json>> {
        let kept = lock(&self.0);
        kept.is_whole.then(|| kept.chunks.clone())
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // Nothing panics while the lock is held; if it did, what was kept would still be whole.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outlet {
    pub fn is_live(&self) -> bool {
        self.shared.live.is_some()
    }

    /// Takes a chunk, and waits while a live reader is slower, or the node too fast.
    ///
    /// # Errors
    /// Outer: the chunk is not JSON. Inner: it was not taken.
    pub async fn emit(&self, chunk: &str) -> Result<Result<(), Closed>, NotJson> {
        // What is not taken is not looked at.
        if self.lock().is_over(&self.bounds) {
            return Ok(Err(Closed::Limit));
        }
        let chunk = Json::parse(chunk)?;
        let turn = {
            let mut kept = self.lock();
            kept.bytes += chunk.as_str().len();
            if kept.is_over(&self.bounds) {
                return Ok(Err(Closed::Limit));
            }
            kept.chunks.push(chunk.clone());
            kept.silent = None;
            kept.pace.turn(Instant::now(), self.bounds.per_second)
        };
        let taken = match &self.shared.live {
            None => Ok(()),
            Some(live) => {
                if let Some(turn) = turn {
                    sleep_until(turn).await;
                }
                live.send(chunk).await.map_err(|_| {
                    self.shared.gone.store(true, Ordering::Relaxed);
                    Closed::Gone
                })
            }
        };
        self.lock().silent = Some(Instant::now());
        Ok(taken)
    }

    /// Ends when the node, once it streams, has let its reader wait for too long.
    pub async fn fallen_silent(&self) {
        loop {
            // While it is not silent it cannot be so for long enough before this much time has passed.
            let now = Instant::now();
            let until = self.lock().silent.unwrap_or(now) + self.bounds.idle;
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Whether the node was told that nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Relaxed)
    }

    pub fn has_emitted(&self) -> bool {
        !self.lock().chunks.is_empty()
    }

    /// The stream is whole. Gives all chunks as one text: texts as they are, other values as their JSON.
    pub fn end(&self) -> Json {
        let mut kept = self.lock();
        kept.is_whole = true;
        let chunks = &kept.chunks;
        let parts = chunks.iter().map(|chunk| chunk.as_text().unwrap_or_else(|| chunk.as_str().to_owned()));
        Json::string(&parts.collect::<String>())
    }

    /// All chunks as a JSON array: what the span of a streamed run shows as its output.
    pub fn listed(&self) -> Json {
        Json::list(&self.lock().chunks)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.shared.kept)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: StreamBounds =
        StreamBounds { bytes: 1000, chunks: 100, per_second: 10, idle: Duration::from_secs(30) };

    #[tokio::test]
    async fn a_stream_ends_at_its_limits() {
        let many = Unbounded::kept().within(BOUNDS);
        for _ in 0..BOUNDS.chunks {
            assert_eq!(many.emit("1").await, Ok(Ok(())));
        }
        assert_eq!(many.emit("1").await, Ok(Err(Closed::Limit)));

        let long = Unbounded::kept().within(BOUNDS);
        let chunk = Json::string(&"x".repeat(BOUNDS.bytes / 2 - 2));
        assert_eq!(long.emit(chunk.as_str()).await, Ok(Ok(())));
        assert_eq!(long.emit(chunk.as_str()).await, Ok(Ok(())));
        assert_eq!(long.emit("1").await, Ok(Err(Closed::Limit)));
    }

    #[tokio::test]
    async fn what_was_streamed_is_there_once_it_is_whole_and_holds_up_no_reader() {
        let (outlet, mut reader) = Unbounded::live();
        let streamed = outlet.streamed();
        let outlet = outlet.within(BOUNDS);
        assert_eq!(outlet.emit("1").await, Ok(Ok(())));
        assert_eq!(streamed.chunks(), None);
        assert_eq!(outlet.end().as_str(), r#""1""#);
        drop(outlet);
        assert_eq!(reader.recv().await.expect("a chunk").as_str(), "1");
        assert_eq!(reader.recv().await, None, "the reader's end is that of the last outlet");
        assert_eq!(streamed.chunks().expect("a stream").len(), 1);

        let none = Unbounded::kept();
        let streamed = none.streamed();
        drop(none.within(BOUNDS));
        assert_eq!(streamed.chunks(), None, "of a run that gave a value");
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_that_come_too_fast_wait_and_all_arrive() {
        let (outlet, mut reader) = Unbounded::live();
        let outlet = outlet.within(BOUNDS);
        let began = Instant::now();
        let emitting = async {
            for n in 0..50 {
                assert_eq!(outlet.emit(&n.to_string()).await, Ok(Ok(())));
            }
            began.elapsed()
        };
        let reading = async {
            for n in 0..50 {
                assert_eq!(reader.recv().await, Some(Json::parse(&n.to_string()).expect("JSON")));
            }
        };
        let (took, ()) = tokio::join!(emitting, reading);
        // A second's worth leaves at once, the other forty at ten a second.
        assert!((Duration::from_millis(3900)..Duration::from_millis(4100)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_has_begun_may_not_be_silent_for_long() {
        let (outlet, mut reader) = Unbounded::live();
        let outlet = outlet.within(BOUNDS);
        let silent = async |outlet: &Outlet, wait: u64| {
            tokio::time::timeout(Duration::from_secs(wait), outlet.fallen_silent()).await.is_ok()
        };
        assert!(!silent(&outlet, 1000).await, "before it has begun it takes its time");
        assert_eq!(outlet.emit("1").await, Ok(Ok(())));
        assert!(!silent(&outlet, 29).await);
        assert!(silent(&outlet, 2).await);
        assert_eq!(outlet.emit("2").await, Ok(Ok(())));
        assert!(!silent(&outlet, 29).await, "each chunk counts");

        // A reader that does not read makes the node wait, and not the other way round.
        let flood = async { while outlet.emit("3").await == Ok(Ok(())) {} };
        assert!(
            tokio::time::timeout(Duration::from_secs(1000), async { tokio::join!(flood, outlet.fallen_silent()) })
                .await
                .is_err()
        );
        reader.close();
    }
}
