//! A thread that takes what many others have finished, some at a time. Whoever gives it something never waits.

use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much may wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Beyond it, what comes is lost, and counted.
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    /// Taken at once, when so many are there.
    pub(crate) batch: usize,
    /// Else after so long.
    pub(crate) delay: Duration,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    /// It came after the end.
    Ended,
}

/// The way to the thread. Clones are the same.
pub(crate) struct Batcher<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    limits: Limits,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For who waits: something has been done.
    done: Condvar,
}

struct State<T> {
    queue: Vec<T>,
    bytes: usize,
    /// When the oldest of the queue came.
    since: Option<Instant>,
    /// How often all was asked for at once, and how often that is done.
    asked: u64,
    answered: u64,
    stopping: bool,
    ended: bool,
}

impl<T: Send + 'static> Batcher<T> {
    /// Starts the thread. `work` gets what has come, in its order; nothing, when nothing has come for the delay.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(name: &str, limits: Limits, work: impl FnMut(Vec<T>) + Send + 'static) -> io::Result<Self> {
        let state =
            State { queue: Vec::new(), bytes: 0, since: None, asked: 0, answered: 0, stopping: false, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), limits, work: Condvar::new(), done: Condvar::new() });
        let run = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || run.run(work))?;
        Ok(Self(shared))
    }

    /// Gives it something of so many bytes.
    ///
    /// # Errors
    /// It is lost, since there was no place or nobody takes it any more.
    pub(crate) fn put(&self, item: T, bytes: usize) -> Result<(), NotTaken> {
        let shared = &self.0;
        let mut state = shared.lock();
        if state.ended {
            return Err(NotTaken::Ended);
        }
        let full = state.queue.len() >= shared.limits.items || state.bytes + bytes > shared.limits.bytes;
        if full && !state.queue.is_empty() {
            return Err(NotTaken::Full);
        }
        state.queue.push(item);
        state.bytes += bytes;
        let first = state.since.is_none();
        if first {
            state.since = Some(Instant::now());
        }
        if first || state.queue.len() == shared.limits.batch {
            shared.work.notify_one();
        }
        Ok(())
    }

    /// Has all that is there taken now, without waiting for it.
    pub(crate) fn hurry(&self) {
        self.0.lock().asked += 1;
        self.0.work.notify_one();
    }

    /// Returns when all that is there now has been taken, or after `within`; whether it was.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let mut state = self.0.lock();
        state.asked += 1;
        let asked = state.asked;
        self.0.work.notify_one();
        self.0.wait(state, within, |state| state.answered >= asked || state.ended)
    }

    /// The same, and nothing more is taken afterwards.
    pub(crate) fn stop(&self, within: Duration) -> bool {
        let mut state = self.0.lock();
        state.stopping = true;
        self.0.work.notify_one();
        self.0.wait(state, within, |state| state.ended)
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, mut state: MutexGuard<'_, State<T>>, within: Duration, done: impl Fn(&State<T>) -> bool) -> bool {
        let deadline = Instant::now() + within;
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn run(&self, mut work: impl FnMut(Vec<T>)) {
        loop {
            let (batch, asked, stopping) = self.next();
            // What breaks on one batch must not end the thread: all that comes later would be lost.
            if catch_unwind(AssertUnwindSafe(|| work(batch))).is_err() {
                tracing::error!(thread = thread::current().name(), "a batch of telemetry could not be worked on");
            }
            let mut state = self.lock();
            state.answered = state.answered.max(asked);
            state.ended = stopping && state.queue.is_empty();
            let ended = state.ended;
            drop(state);
            self.done.notify_all();
            if ended {
                return;
            }
        }
    }

    /// Waits until there is something to do. Gives all that is there, the asking that it answers, and whether it is the end.
    fn next(&self) -> (Vec<T>, u64, bool) {
        let mut state = self.lock();
        let idle = Instant::now() + self.limits.delay;
        loop {
            let due = state.since.map_or(idle, |since| since + self.limits.delay);
            let left = due.saturating_duration_since(Instant::now());
            let now = state.queue.len() >= self.limits.batch
                || state.asked > state.answered
                || state.stopping
                || left.is_zero();
            if now {
                state.since = None;
                state.bytes = 0;
                // As many are likely to come again, and whoever puts one must not wait for the others to be moved.
                let room = Vec::with_capacity(state.queue.len().min(self.limits.batch));
                return (mem::replace(&mut state.queue, room), state.asked, state.stopping);
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Clone for Batcher<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Batcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const PATIENCE: Duration = Duration::from_secs(60);
    const LIMITS: Limits = Limits { items: 8, bytes: 1000, batch: 4, delay: LONG };

    /// A batcher whose batches are told to the test.
    fn batcher(limits: Limits) -> (Batcher<u32>, mpsc::Receiver<Vec<u32>>) {
        let (sender, batches) = mpsc::channel();
        (Batcher::start("test", limits, move |batch| drop(sender.send(batch))).unwrap(), batches)
    }

    #[test]
    fn a_batch_is_taken_when_it_is_whole() {
        let (batcher, batches) = batcher(LIMITS);
        (1..=4).for_each(|n| assert_eq!(batcher.put(n, 1), Ok(())));
        let mut got = Vec::new();
        while got.len() < 4 {
            got.extend(batches.recv_timeout(PATIENCE).unwrap());
        }
        assert_eq!(got, [1, 2, 3, 4]);
    }

    #[test]
    fn a_batch_that_does_not_fill_is_taken_after_a_while() {
        let (batcher, batches) = batcher(Limits { delay: Duration::from_millis(1), ..LIMITS });
        assert_eq!(batcher.put(1, 1), Ok(()));
        assert_eq!(batches.iter().find(|it| !it.is_empty()), Some(vec![1]));
    }

    #[test]
    fn who_flushes_waits_for_what_is_there() {
        let (batcher, batches) = batcher(LIMITS);
        assert_eq!(batcher.put(1, 1), Ok(()));
        assert!(batcher.flush(PATIENCE));
        assert_eq!(batches.try_recv().unwrap(), [1]);
        assert_eq!(batcher.put(2, 1), Ok(()));
        assert!(batcher.stop(PATIENCE));
        assert_eq!(batches.try_recv().unwrap(), [2]);
        assert_eq!(batcher.put(3, 1), Err(NotTaken::Ended));
    }

    /// A batcher whose thread is held in its first batch, until the sender is dropped.
    fn held(limits: Limits) -> (Batcher<u32>, mpsc::Sender<()>) {
        let (hold, held) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let batcher = Batcher::start("test", limits, move |_| {
            let _ = begun.send(());
            let _ = held.recv();
        });
        let batcher = batcher.unwrap();
        assert_eq!(batcher.put(0, 1), Ok(()));
        batcher.hurry();
        has_begun.recv_timeout(PATIENCE).unwrap();
        (batcher, hold)
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nobody_waits() {
        let (batcher, hold) = held(LIMITS);
        let taken = (1..=20).filter(|n| batcher.put(*n, 1).is_ok()).count();
        assert_eq!(taken, LIMITS.items);
        drop(hold);
        let (batcher, _hold) = held(LIMITS);
        assert_eq!(batcher.put(1, 5000), Ok(()), "one that is larger than all may be, if nothing else is there");
        assert_eq!(batcher.put(2, 1), Err(NotTaken::Full));
    }

    #[test]
    fn a_batch_that_breaks_the_work_does_not_end_it() {
        let (sender, batches) = mpsc::channel();
        let batcher = Batcher::start("test", LIMITS, move |batch: Vec<u32>| {
            assert_ne!(batch, [1]);
            let _ = sender.send(batch);
        });
        let batcher = batcher.unwrap();
        for n in [1, 2] {
            assert_eq!(batcher.put(n, 1), Ok(()));
            assert!(batcher.flush(PATIENCE));
        }
        assert_eq!(batches.try_recv().unwrap(), [2]);
    }
}
