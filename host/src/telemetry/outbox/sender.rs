//! The task that sends the parcels of an outbox.
//!
//! While its destination takes them, a few are on their way at once. When it does not, one is tried, after pauses that
//! become longer, until it does: what it asks for is the least pause.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{sleep, sleep_until};

use super::pace::Pace;
use super::parcel::{Outcome, Parcel};
use super::spool::{Look, Spool};
use super::{Inner, Loss, State};
use crate::clock;
use crate::journal::Sequence;

/// Pause before the task is started again after it broke.
const RESTART: Duration = Duration::from_millis(200);

/// Sends until the outbox stops, however often the task breaks.
pub(super) async fn supervise(inner: Arc<Inner>) {
    loop {
        let run = Sender { inner: &inner, pace: Pace::new(inner.longest_pause) }.run();
        let ended = AssertUnwindSafe(run).catch_unwind().await.is_ok();
        inner.land();
        if ended {
            inner.lock().ended = true;
            inner.ended.notify_all();
            return;
        }
        inner.lock().restarts += 1;
        let (exporter, signal) = (inner.exporter, inner.signal.as_str());
        inner.ledger.say(|| tracing::error!(exporter, signal, "an exporter broke, and is started again"));
        sleep(RESTART).await;
    }
}

struct Sender<'a> {
    inner: &'a Inner,
    pace: Pace,
}

/// Where a parcel that is being sent is kept meanwhile.
#[derive(Clone, Copy, Debug)]
enum Home {
    Memory(u64),
    Spool(Sequence),
}

impl Sender<'_> {
    async fn run(mut self) {
        let inner = self.inner;
        let mut flights = FuturesUnordered::new();
        loop {
            let stop_at = inner.lock().stop_at;
            let now = clock::now();
            let pause = self.pace.pause_at(now);
            // The last attempts are not worth a pause: what fails now stays.
            if stop_at.is_some() && pause.is_some() {
                return;
            }
            let mut reread = None;
            while flights.len() < self.pace.flights(now) {
                let Some((home, parcel)) = inner.take() else {
                    reread = inner.spool.as_ref().and_then(Spool::reread_at);
                    break;
                };
                flights.push(async move { (home, send(inner, &parcel).await, parcel) });
            }
            if flights.is_empty() && stop_at.is_some() {
                return;
            }
            tokio::select! {
                // The end first: a destination that always has an answer ready must not put it off.
                biased;
                () = until(stop_at) => return,
                Some((home, outcome, parcel)) = flights.next() => self.settle(home, parcel, outcome).await,
                () = inner.changed.notified() => {}
                () = until(pause) => {}
                () = until(reread) => {}
            }
        }
    }

    async fn settle(&mut self, home: Home, parcel: Parcel, outcome: Outcome) {
        let inner = self.inner;
        let items = u64::from(parcel.items);
        match outcome {
            Outcome::Taken { rejected, why } => {
                inner.forget(home);
                self.took(items, rejected, &why);
            }
            Outcome::Later { after, why } => {
                inner.put_back(home, parcel).await;
                self.pause(after, &why);
            }
            Outcome::Partly { again, rejected, after, why } => {
                let left: u64 = again.iter().map(|parcel| u64::from(parcel.items)).sum();
                inner.replace(home, again).await;
                self.took(items.saturating_sub(left), rejected, &why);
                self.pause(after, &why);
            }
            Outcome::TooLarge { why } => match inner.destination.halve(&parcel) {
                Some(halves) => inner.replace(home, halves.into()).await,
                None => {
                    inner.forget(home);
                    self.lost(Loss::TooLarge, items, &why);
                }
            },
            Outcome::Refused { why } => {
                inner.forget(home);
                self.lost(Loss::Refused, items, &why);
                self.is_there();
            }
        }
    }

    fn took(&mut self, items: u64, rejected: u32, why: &str) {
        let rejected = u64::from(rejected).min(items);
        self.inner.ledger.sent(items - rejected);
        self.lost(Loss::Refused, rejected, why);
        self.is_there();
    }

    fn lost(&self, loss: Loss, items: u64, why: &str) {
        self.inner.ledger.lose_because(loss, items, why);
    }

    fn is_there(&mut self) {
        self.pace.succeeded();
        let was_away = self.inner.lock().away.take().is_some();
        if was_away {
            let (exporter, signal) = (self.inner.exporter, self.inner.signal.as_str());
            self.inner.ledger.say(|| tracing::info!(exporter, signal, "telemetry is taken again"));
        }
    }

    fn pause(&mut self, after: Option<Duration>, why: &str) {
        let inner = self.inner;
        inner.ledger.retried();
        let first = inner.lock().away.replace(why.to_owned()).is_none();
        if first {
            let (exporter, signal) = (inner.exporter, inner.signal.as_str());
            let kept = if inner.spool.is_some() { "the data directory" } else { "memory" };
            let warn = || {
                tracing::warn!(exporter, signal, why, kept, "telemetry cannot be sent; it is kept and tried again");
            };
            inner.ledger.say(warn);
        }
        self.pace.failed(clock::now(), after);
    }
}

/// Sends one parcel once. What breaks the exporter is made smaller, so that in the end only what breaks it is lost.
async fn send(inner: &Inner, parcel: &Parcel) -> Outcome {
    let sent = AssertUnwindSafe(async { inner.destination.send(parcel).await }).catch_unwind().await;
    sent.unwrap_or_else(|_| Outcome::TooLarge { why: "the exporter panicked".to_owned() })
}

/// Waits until then; without a time, for ever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl State {
    /// Takes the oldest out of memory; it counts as being sent until somebody says what became of it.
    fn lift(&mut self) -> Option<(Home, Parcel)> {
        let parcel = self.memory.pop_front()?;
        self.bytes -= parcel.body.len();
        let flight = self.flights;
        self.flights += 1;
        self.flying.insert(flight, parcel.clone());
        Some((Home::Memory(flight), parcel))
    }

    fn lift_unless_spool_fails(&mut self) -> Option<(Home, Parcel)> {
        if self.spool_error.is_some() { None } else { self.lift() }
    }
}

impl Inner {
    /// The next parcel: the oldest of the spool, else of memory.
    fn take(&self) -> Option<(Home, Parcel)> {
        if let Some(spool) = &self.spool {
            let Look { taken, lost, unread } = spool.take();
            self.ledger.lose(Loss::Expired, lost);
            if let Some(error) = unread {
                let (exporter, signal) = (self.exporter, self.signal.as_str());
                let error = &error as &dyn std::error::Error;
                self.ledger.say(|| {
                    tracing::warn!(
                        exporter,
                        signal,
                        error,
                        "spooled telemetry cannot be read, and is tried again later"
                    );
                });
            }
            if let Some(taken) = taken {
                return Some((Home::Spool(taken.sequence), taken.parcel));
            }
        }
        self.lock().lift()
    }

    /// It need not be kept any longer.
    fn forget(&self, home: Home) {
        match (home, &self.spool) {
            (Home::Memory(flight), _) => drop(self.lock().flying.remove(&flight)),
            (Home::Spool(sequence), Some(spool)) => spool.sent(sequence),
            (Home::Spool(_), None) => {}
        }
    }

    /// It is to be sent later. All that is in memory goes to the spool: its destination is away.
    async fn put_back(&self, home: Home, parcel: Parcel) {
        match (home, &self.spool) {
            (Home::Spool(sequence), Some(spool)) => spool.landed(sequence),
            (Home::Memory(_), Some(spool)) => self.spill(spool, home, parcel).await,
            (_, None) => {
                self.forget(home);
                self.remember(parcel, true);
            }
        }
    }

    /// First into the spool, then out of memory: if the end comes in between, some is sent twice, and nothing is lost.
    async fn spill(&self, spool: &Spool, home: Home, first: Parcel) {
        let mut next = Some((home, first));
        while let Some((home, parcel)) = next {
            self.spool(spool, parcel).await;
            self.forget(home);
            // What the spool does not take is in memory again.
            next = self.lock().lift_unless_spool_fails();
        }
    }

    /// In its place these are to be sent.
    async fn replace(&self, home: Home, parcels: Vec<Parcel>) {
        match (home, &self.spool) {
            // First the new ones: a crash in between sends some twice, and loses none.
            (Home::Spool(_), Some(spool)) => {
                for parcel in parcels {
                    self.spool(spool, parcel).await;
                }
            }
            _ => parcels.into_iter().rev().for_each(|parcel| self.remember(parcel, true)),
        }
        self.forget(home);
    }

    /// Nothing is being sent any more.
    fn land(&self) {
        let mut state = self.lock();
        for (_, parcel) in std::mem::take(&mut state.flying).into_iter().rev() {
            state.bytes += parcel.body.len();
            state.memory.push_front(parcel);
        }
        drop(state);
        if let Some(spool) = &self.spool {
            spool.all_landed();
        }
    }
}
