//! Takes connections from the system, as long as there is a place for them and the system has any to give.

use std::fs::{self, File};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::server::Peer;
use crate::server::listener::budget::{Budget, Place};

/// How long to wait when the system gives no connection: twice as long each time, from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often it may be told that connections were refused.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How long the system may take to hand over connections that were made just before the listener closes.
const LAST_CALL: Duration = Duration::from_millis(20);
/// The most that are taken then, so that a flood does not keep the host from its end.
const LAST: usize = 1024;

/// A listener with its budget.
pub(super) struct Acceptor {
    listener: TcpListener,
    budget: Arc<Budget>,
    pause: Duration,
    /// A descriptor that is kept for when there are no others. None: there was none to keep.
    spare: Option<File>,
    /// Whether it may be used for a connection.
    spends_spare: bool,
    refused: Rarely,
    failed: Rarely,
    last: usize,
}

type Accepted = (TcpStream, Peer, Place);

impl Acceptor {
    pub(super) fn new(listener: TcpListener, budget: Arc<Budget>, spends_spare: bool) -> Self {
        let (refused, failed) = Default::default();
        let mut acceptor =
            Self { listener, budget, pause: PAUSES.0, spare: None, spends_spare, refused, failed, last: LAST };
        acceptor.keep_spare();
        acceptor
    }

    /// The next connection. May be dropped while it waits.
    pub(super) async fn accept(&mut self) -> Accepted {
        loop {
            let next = poll_fn(|cx| match self.leave_one() {
                Ok(()) => self.listener.poll_accept(cx),
                Err(error) => Poll::Ready(Err(error)),
            });
            let (socket, peer) = match next.await {
                Ok(accepted) => accepted,
                Err(error) if concerns_the_other_end(&error) => continue,
                Err(error) => {
                    self.wait(&error).await;
                    continue;
                }
            };
            self.keep_spare();
            self.pause = PAUSES.0;
            if let Some(place) = self.budget.take(peer.ip()) {
                return (socket, Peer(peer), place);
            }
            // Closed at once: to read and answer would be the work that the limit is there to save.
            if let Some(count) = self.refused.count() {
                tracing::warn!(count, "connections beyond the limit were closed");
            }
        }
    }

    /// One more of those that are there already, if there is one. For the end.
    pub(super) async fn last(&mut self) -> Option<Accepted> {
        self.last = self.last.checked_sub(1)?;
        timeout(LAST_CALL, self.accept()).await.ok()
    }

    /// Out of descriptors or memory, most likely: others will be closed soon.
    async fn wait(&mut self, error: &io::Error) {
        if let Some(count) = self.failed.count() {
            tracing::warn!(count, %error, "connections could not be accepted");
        }
        if self.spends_spare && self.spare.take().is_some() {
            return;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        sleep(pause).await;
    }

    fn keep_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
    }

    /// Whoever may not spend the spare descriptor leaves at least one of the others to those who may: a connection is
    /// taken only if there are two.
    fn leave_one(&self) -> io::Result<()> {
        if let Some(spare) = self.spare.as_ref().filter(|_| !self.spends_spare) {
            let _both = (spare.try_clone()?, spare.try_clone()?);
        }
        Ok(())
    }
}

fn concerns_the_other_end(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Half of the descriptors that the process may have open, where the system tells it.
pub(super) fn half_of_descriptors() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    descriptors(&limits).map_or(usize::MAX, |all| (all / 2).max(1))
}

fn descriptors(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // `unlimited` is no number, and no limit.
    line.split_whitespace().next()?.parse().ok()
}

/// Counts what happens often, to be told rarely.
#[derive(Default)]
struct Rarely {
    count: u64,
    told: Option<Instant>,
}

impl Rarely {
    /// It happened again. How often since it was told last, if it is time to tell it.
    fn count(&mut self) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_descriptors_is_read_from_what_the_system_tells() {
        let limits = |files: &str| {
            format!(
                "Limit    Soft Limit   Hard Limit  Units\nMax processes  7  7  processes\nMax open files   {files}  4096   files\n"
            )
        };
        assert_eq!(descriptors(&limits("1024")), Some(1024));
        assert_eq!(descriptors(&limits("unlimited")), None);
        assert_eq!(descriptors(""), None);
    }

    #[tokio::test]
    async fn what_happens_often_is_told_once_in_a_while() {
        let mut rarely = Rarely::default();
        assert_eq!((rarely.count(), rarely.count(), rarely.count()), (Some(1), None, None));
        rarely.told = Instant::now().checked_sub(TELL_EVERY);
        assert_eq!(rarely.count(), Some(3));
    }
}
