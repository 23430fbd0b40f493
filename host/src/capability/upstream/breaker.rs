//! A circuit breaker: whether a service that fails is asked at all. Pure: told what time it is, and which chance it is.
//!
//! ```text
//!            failures in a row, or most of the last calls
//!   closed ───────────────────────────────────────────────▶ open
//!      ▲                                                   │   ▲
//!      │ the probe succeeds              its time is over  │   │ the probe fails: twice the time
//!      └────────────────────────── half-open ◀─────────────┘───┘
//! ```
//!
//! Half open, one call goes through and shows whether the service is back; the others are refused as before.

use std::time::{Duration, Instant};

use super::window::Window;
use crate::chance::spread;

/// For how long calls are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Of fewer calls a share says nothing.
const MIN_CALLS: u64 = 20;
/// The time for which it is open is spread by so much, up and down, and only down from the longest: hosts that lost a service together do not come back
/// together.
const JITTER: f64 = 0.2;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// So many failures in a row open it. 0: it never opens.
    pub failures: u32,
    /// Or so many of hundred calls, of at least 20 within ten seconds.
    pub percent: u32,
    /// The first time; it doubles each time that the probe fails.
    pub open: Duration,
    /// The longest.
    pub max_open: Duration,
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    HalfOpen,
    Open,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Its name in traces and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// A breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: Config,
    phase: Phase,
    /// Goes up whenever it opens or closes: what began before says nothing about what is now.
    generation: u64,
    /// How often it has opened since it was closed.
    opened: u32,
    /// Failures in a row.
    failures: u32,
    /// Calls that succeeded, and those that failed.
    window: Window<2>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open {
        until: Instant,
        time: Duration,
    },
    HalfOpen {
        /// The number of the last probe.
        probe: u64,
        /// When there may be a further one: a probe that hangs must not keep a service away that is back.
        overdue: Instant,
        time: Duration,
    },
}

const SUCCEEDED: usize = 0;
const FAILED: usize = 1;

/// A call that may be made. What came of it is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
    /// The number of the probe, if it is one.
    probe: Option<u64>,
}

impl Ticket {
    /// Whether the call shows if the service is back.
    pub fn is_probe(self) -> bool {
        self.probe.is_some()
    }
}

/// What a call has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// No calls for this time.
    Opened(Duration),
    Closed,
}

impl Breaker {
    pub fn new(config: Config, now: Instant) -> Self {
        Self { config, phase: Phase::Closed, generation: 0, opened: 0, failures: 0, window: Window::new(WINDOW, now) }
    }

    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            // Nobody has come since its time was over: the next one will be the probe.
            Phase::Open { until, .. } if until <= now => State::HalfOpen,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Whether a call may be made.
    ///
    /// # Errors
    /// It may not: after how long it may be worth to ask again.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        let (probe, time) = match self.phase {
            Phase::Closed => return Ok(Ticket { generation: self.generation, probe: None }),
            Phase::Open { until: wait, .. } | Phase::HalfOpen { overdue: wait, .. } if wait > now => {
                return Err(wait.duration_since(now));
            }
            Phase::Open { time, .. } => (0, time),
            Phase::HalfOpen { probe, time, .. } => (probe.saturating_add(1), time),
        };
        self.phase = Phase::HalfOpen { probe, overdue: now + time, time };
        Ok(Ticket { generation: self.generation, probe: Some(probe) })
    }

    /// The service has answered.
    pub fn succeeded(&mut self, ticket: Ticket, now: Instant) -> Option<Change> {
        if ticket.generation != self.generation {
            return None;
        }
        if !ticket.is_probe() {
            self.failures = 0;
            self.window.count(SUCCEEDED, now);
            return None;
        }
        self.phase = Phase::Closed;
        self.generation += 1;
        (self.opened, self.failures) = (0, 0);
        self.window.clear();
        Some(Change::Closed)
    }

    /// The service has not. `chance`, from 0 to 1, spreads hosts that lost it together.
    pub fn failed(&mut self, ticket: Ticket, now: Instant, chance: f64) -> Option<Change> {
        if ticket.generation != self.generation {
            return None;
        }
        if !ticket.is_probe() {
            self.failures = self.failures.saturating_add(1);
            self.window.count(FAILED, now);
            if !self.is_enough(now) {
                return None;
            }
        }
        let longest = self.config.max_open;
        let doubled = self.config.open.saturating_mul(2_u32.saturating_pow(self.opened)).min(longest);
        let time = spread(doubled, JITTER, longest, chance);
        self.phase = Phase::Open { until: now + time, time };
        self.generation += 1;
        self.opened = self.opened.saturating_add(1);
        Some(Change::Opened(time))
    }

    /// Nobody knows what came of the call, since whoever made it has gone. If it was the probe, the next call is.
    pub fn abandoned(&mut self, ticket: Ticket, now: Instant) {
        if let Phase::HalfOpen { probe, overdue, .. } = &mut self.phase
            && ticket == (Ticket { generation: self.generation, probe: Some(*probe) })
        {
            *overdue = now;
        }
    }

    fn is_enough(&mut self, now: Instant) -> bool {
        if self.config.failures == 0 {
            return false;
        }
        let [succeeded, failed] = self.window.counts(now);
        let calls = succeeded.saturating_add(failed);
        let most = failed.saturating_mul(100) >= calls.saturating_mul(self.config.percent.into());
        self.failures >= self.config.failures || (calls >= MIN_CALLS && most)
    }
}

#[cfg(test)]
mod tests;
