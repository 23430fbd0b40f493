//! A service behind a connection, as far as its failures concern all who call it: whether it is asked, and whether it is
//! asked again.
//!
//! When a single call is tried again, and after which pause, is its backend's affair. What is here is shared by all calls
//! of a connection: a circuit breaker (upstream/breaker.rs) and a retry budget (upstream/retry_budget.rs). Both are pure;
//! their settings, their clock and their lines in the log are here.

pub mod breaker;
pub mod retry_budget;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::breaker::{Breaker, Change, State, Ticket};
use self::retry_budget::RetryBudget;
use crate::chance::chance;
use crate::clock::now;
use crate::setting::{self, Reader, Setting};

/// Five in a row are no accident any more, and are reached within a second by any service that is asked often.
pub static BREAKER_FAILURES: Setting = Setting::new(
    "WEIR_BREAKER_FAILURES",
    "5",
    "failures in a row of a connection's service after which it is not asked for a while; 0: it is always asked",
);
/// A service that fails half of its calls costs as much as it gives: most calls are then made twice.
pub static BREAKER_PERCENT: Setting = Setting::new(
    "WEIR_BREAKER_PERCENT",
    "50",
    "likewise, failures in percent of its calls, if these were at least 20 within ten seconds",
);
/// As long as a person waits before they try again.
pub static BREAKER_OPEN: Setting = Setting::new(
    "WEIR_BREAKER_OPEN",
    "5s",
    "for how long it is not asked, give or take a fifth; then one call shows whether it is back, and the time doubles if not; at \
     most 1h",
);
/// A service that was away for long is noticed a minute after it is back.
pub static BREAKER_MAX_OPEN: Setting =
    Setting::new("WEIR_BREAKER_MAX_OPEN", "60s", "the longest of these times; at most 1h");
/// The default of tower and Envoy: a service that fails gets 1.2 requests in place of one, and not three.
pub static RETRY_PERCENT: Setting = Setting::new(
    "WEIR_RETRY_PERCENT",
    "20",
    "tries that all calls of a connection together may make again within ten seconds, in percent of the calls",
);
/// The default of tower: where requests are few, each may be tried again.
pub static RETRY_RESERVE: Setting = Setting::new("WEIR_RETRY_RESERVE", "10", "and beside them so many a second");

/// The most that may be set: beyond it nobody would notice in a day that a service is back.
const MAX_OPEN: Duration = Duration::from_secs(3600);

/// For how long a service that has been asked has to be silent so that a caller who goes away tells of a failure. Whoever
/// goes earlier was perhaps only impatient; a service that takes connections and never answers must be noticed all the same, although most
/// callers give up before we do.
const SILENCE: Duration = Duration::from_secs(30);

/// What an operator says about services that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub breaker: breaker::Config,
    pub retries: retry_budget::Config,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let breaker = breaker::Config {
            failures: reader.value(&BREAKER_FAILURES, count(0, 1000)),
            percent: reader.value(&BREAKER_PERCENT, count(1, 100)),
            open: reader.value(&BREAKER_OPEN, setting::time_up_to(MAX_OPEN)),
            max_open: reader.value(&BREAKER_MAX_OPEN, setting::time_up_to(MAX_OPEN)),
        };
        let retries = retry_budget::Config {
            percent: reader.value(&RETRY_PERCENT, count(0, 100)),
            reserve: reader.value(&RETRY_RESERVE, count(0, 1000)),
        };
        Self { breaker, retries }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            breaker: breaker::Config {
                failures: 5,
                percent: 50,
                open: Duration::from_secs(5),
                max_open: Duration::from_secs(60),
            },
            retries: retry_budget::Config { percent: 20, reserve: 10 },
        }
    }
}

fn count(min: u32, max: u32) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        let count = setting::count_within(min as usize, max as usize)(text)?;
        u32::try_from(count).map_err(|_| format!("{text:?} is too large"))
    }
}

/// The service of one connection. All who call it share one.
pub struct Upstream {
    /// Name of the connection.
    connection: String,
    /// Whether some node may ask it: of the others there is nothing to tell.
    granted: AtomicBool,
    machines: Mutex<Machines>,
}

struct Machines {
    breaker: Breaker,
    retries: RetryBudget,
}

/// The services that the nodes of a flow may ask, by the names of their connections. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Upstreams {
    config: Config,
    by_connection: Arc<Mutex<BTreeMap<String, Arc<Upstream>>>>,
}

/// The service is not asked: too many calls have failed lately.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "connection {connection:?} is not asked, as its last calls have failed; it is tried again in {:.1} s",
    wait.as_secs_f64()
)]
pub struct Refused {
    /// Name of the connection.
    pub connection: String,
    /// After how long it may be asked again.
    pub wait: Duration,
}

/// One try of a call. How it ends is to be told; if nobody does, whoever made it has gone.
#[derive(Debug)]
pub struct Try {
    upstream: Arc<Upstream>,
    ticket: Ticket,
    /// Since when the service has the request; none: it has not.
    asked: Option<Instant>,
    /// The service has begun to answer.
    answered: bool,
    /// Taken when the breaker has been told.
    untold: bool,
}

impl Upstreams {
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// The service of a connection, which is the same each time.
    pub fn of(&self, connection: &str) -> Arc<Upstream> {
        let mut all = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(connection.to_owned()).or_insert_with(|| Upstream::new(connection, self.config)).clone()
    }

    /// Of each connection that a node holds, the state of its circuit breaker.
    pub fn circuits(&self) -> Vec<(String, State)> {
        let all = self.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = all.values().filter(|upstream| upstream.granted.load(Ordering::Relaxed));
        granted.map(|upstream| (upstream.connection.clone(), upstream.state())).collect()
    }
}

impl Upstream {
    pub fn new(connection: &str, config: Config) -> Arc<Self> {
        let now = now();
        let machines =
            Machines { breaker: Breaker::new(config.breaker, now), retries: RetryBudget::new(config.retries, now) };
        Arc::new(Self {
            connection: connection.to_owned(),
            granted: AtomicBool::new(false),
            machines: Mutex::new(machines),
        })
    }

    /// A node may ask it.
    pub fn grant(&self) {
        self.granted.store(true, Ordering::Relaxed);
    }

    pub fn state(&self) -> State {
        self.machines().breaker.state(now())
    }

    /// The first try of a call.
    ///
    /// # Errors
    /// It may not be made.
    pub fn begin(self: &Arc<Self>) -> Result<Try, Refused> {
        let begun = self.admit()?;
        self.machines().retries.request(now());
        Ok(begun)
    }

    /// A further try of a call, for which [`Upstream::may_retry`] was asked.
    ///
    /// # Errors
    /// It may not be made.
    pub fn admit(self: &Arc<Self>) -> Result<Try, Refused> {
        let ticket = self
            .machines()
            .breaker
            .admit(now())
            .map_err(|wait| Refused { connection: self.connection.clone(), wait })?;
        Ok(Try { upstream: self.clone(), ticket, asked: None, answered: false, untold: true })
    }

    /// Whether there is budget for one more try. It is spent then.
    pub fn may_retry(&self) -> bool {
        self.machines().retries.spend(now())
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        // Nothing that holds the lock can panic half-way.
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Option<Change>) {
        let connection = &self.connection;
        match change {
            None => {}
            Some(Change::Opened(open)) => {
                tracing::warn!(%connection, ?open, "circuit breaker opened: the service of the connection fails");
            }
            Some(Change::Closed) => {
                tracing::info!(%connection, "circuit breaker closed: the service of the connection is back");
            }
        }
    }
}

impl Try {
    /// The request is sent now. What it waited for before, a place or a token, says nothing about the service.
    pub fn asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// The service has begun to answer. That is enough to know that it is back; whether the answer comes to its end is
    /// still open, and then counts as that of any other call.
    pub fn answered(&mut self) {
        self.answered = true;
        if self.ticket.is_probe() {
            self.end(true);
            if let Ok(ticket) = self.upstream.machines().breaker.admit(now()) {
                (self.ticket, self.untold) = (ticket, true);
            }
        }
    }

    /// The answer is whole, or a refusal of just this request.
    pub fn succeeded(mut self) {
        self.end(true);
    }

    /// There is none, or it broke off, or it is no answer.
    pub fn failed(mut self) {
        self.end(false);
    }

    /// Whoever made it gives it up for a reason of their own, which says nothing about the service however long that was
    /// silent.
    pub fn withdrawn(mut self) {
        self.asked = None;
    }

    fn end(&mut self, well: bool) {
        if !std::mem::take(&mut self.untold) {
            return;
        }
        let upstream = &self.upstream;
        let mut machines = upstream.machines();
        let breaker = &mut machines.breaker;
        let change =
            if well { breaker.succeeded(self.ticket, now()) } else { breaker.failed(self.ticket, now(), chance()) };
        drop(machines);
        upstream.tell(change);
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if !self.untold {
            return;
        }
        if self.answered {
            // Whoever read it wanted no more of it.
            self.end(true);
        } else if self.asked.is_some_and(|asked| asked.elapsed() >= SILENCE) {
            self.end(false);
        } else {
            self.upstream.machines().breaker.abandoned(self.ticket, now());
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("connection", &self.connection).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
