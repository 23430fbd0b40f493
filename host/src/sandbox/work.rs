//! Whether guests are at work in this process, and since when none is: what nobody waits for is done then.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// Between two nodes of a request, and between two requests of one client, no guest is on a thread for a moment. That is not idle
/// time: what began in it would hold up the next.
const QUIET: Duration = Duration::from_millis(10);

/// The guests of a process.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// How many are on a thread.
    running: AtomicUsize,
    /// How often one has been.
    turns: AtomicU64,
}

/// One on its thread, for as long as this lives.
pub(super) struct Turn<'a>(&'a Work);

impl Work {
    pub(super) fn begin(&self) -> Turn<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        Turn(self)
    }

    /// Waits until no guest has been on a thread for a while. It looks again and again: to be told would cost each turn a lock.
    pub(super) async fn rest(&self) {
        loop {
            let before = self.turns.load(Ordering::Relaxed);
            sleep(QUIET).await;
            if self.running.load(Ordering::Relaxed) == 0 && self.turns.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn guests_rest_when_none_has_been_at_work_for_a_while() {
        let work = Work::default();
        let rests = async || timeout(QUIET * 5, work.rest()).await.is_ok();
        assert!(rests().await, "none has begun");
        let (one, other) = (work.begin(), work.begin());
        drop(one);
        assert!(!rests().await, "the other goes on");
        drop(other);
        assert!(rests().await);
        let short = async {
            for _ in 0..10 {
                drop(work.begin());
                sleep(QUIET / 2).await;
            }
        };
        tokio::select! {
            biased;
            () = work.rest() => panic!("there was a turn in each while"),
            () = short => {}
        }
    }
}
