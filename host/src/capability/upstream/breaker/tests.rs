//! The ways between the states as tables, and the whole machine against a slow one that keeps lists.

use proptest::prelude::*;

use super::*;

const CONFIG: Config =
    Config { failures: 5, percent: 50, open: Duration::from_secs(5), max_open: Duration::from_secs(60) };
/// No jitter.
const MIDDLE: f64 = 0.5;

/// A breaker, and the time.
struct Clock {
    breaker: Breaker,
    now: Instant,
}

impl Clock {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        Self { breaker: Breaker::new(config, now), now }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn state(&self) -> State {
        self.breaker.state(self.now)
    }

    fn admit(&mut self) -> Result<Ticket, Duration> {
        self.breaker.admit(self.now)
    }

    /// One call after the other, which end so.
    #[track_caller]
    fn calls(&mut self, count: usize, succeed: bool) -> Option<Change> {
        let call = |_| {
            let ticket = self.breaker.admit(self.now).expect("a call is let through");
            if succeed {
                self.breaker.succeeded(ticket, self.now)
            } else {
                self.breaker.failed(ticket, self.now, MIDDLE)
            }
        };
        (0..count).map(call).last().flatten()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn five_failures_in_a_row_open_it_and_no_fewer() {
    let mut clock = Clock::new(CONFIG);
    assert_eq!(clock.calls(4, false), None);
    assert_eq!(clock.calls(1, true), None);
    assert_eq!(clock.calls(4, false), None);
    assert_eq!((clock.state(), clock.calls(1, false)), (State::Closed, Some(Change::Opened(seconds(5)))));
    assert_eq!((clock.state(), clock.admit()), (State::Open, Err(seconds(5))));
    clock.pass(2.0);
    assert_eq!(clock.admit(), Err(seconds(3)));
}

#[test]
fn half_of_twenty_calls_within_ten_seconds_open_it() {
    let alternating = |count: usize, pause: f64| {
        let mut clock = Clock::new(CONFIG);
        let mut change = None;
        for call in 0..count {
            change = clock.calls(1, call % 2 == 0);
            clock.pass(pause);
        }
        change
    };
    assert_eq!(alternating(19, 0.1), None);
    assert_eq!(alternating(20, 0.1), Some(Change::Opened(seconds(5))));
    // Spread over more than ten seconds they are not twenty at any time.
    assert_eq!(alternating(60, 0.6), None);
}

#[test]
fn few_failures_among_many_calls_do_not_open_it() {
    let mut clock = Clock::new(CONFIG);
    for _ in 0..200 {
        assert_eq!(clock.calls(2, true), None);
        assert_eq!(clock.calls(1, false), None);
    }
    assert_eq!(clock.state(), State::Closed);
}

#[test]
fn one_probe_closes_it() {
    let mut clock = Clock::new(CONFIG);
    clock.calls(5, false);
    clock.pass(5.0);
    assert_eq!(clock.state(), State::HalfOpen);
    let probe = clock.admit().expect("the probe");
    assert!(probe.is_probe());
    assert_eq!(clock.admit(), Err(seconds(5)), "one probe and no second");
    assert_eq!(clock.breaker.succeeded(probe, clock.now), Some(Change::Closed));
    assert_eq!(clock.state(), State::Closed);
    // It starts anew: the failures before are forgotten.
    assert_eq!(clock.calls(4, false), None);
    assert_eq!(clock.calls(1, false), Some(Change::Opened(seconds(5))));
}

#[test]
fn each_probe_that_fails_doubles_the_time_up_to_a_minute() {
    let mut clock = Clock::new(CONFIG);
    clock.calls(5, false);
    // The longest is the end of a spread, of which this is the middle.
    for (open, next) in [(5, 10), (10, 20), (20, 40), (40, 54), (54, 54)] {
        clock.pass(open as f64 - 0.001);
        assert!(clock.admit().is_err(), "not before {open} s");
        clock.pass(0.001);
        assert_eq!(clock.calls(1, false), Some(Change::Opened(seconds(next))));
    }
}

#[test]
fn the_time_is_spread_and_never_longer_than_the_longest() {
    for (chance, expected) in [(0.0, 4000), (0.25, 4500), (1.0, 6000), (7.0, 6000), (-1.0, 4000)] {
        let mut clock = Clock::new(Config { failures: 1, ..CONFIG });
        let ticket = clock.admit().expect("closed");
        let opened = clock.breaker.failed(ticket, clock.now, chance);
        assert_eq!(opened, Some(Change::Opened(Duration::from_millis(expected))));
    }
    for (chance, expected) in [(0.0, 48), (0.5, 54), (1.0, 60)] {
        let mut clock = Clock::new(Config { failures: 1, open: seconds(60), ..CONFIG });
        let ticket = clock.admit().expect("closed");
        assert_eq!(clock.breaker.failed(ticket, clock.now, chance), Some(Change::Opened(seconds(expected))));
    }
}

#[test]
fn a_probe_that_hangs_is_followed_by_another_and_may_still_close_it() {
    let mut clock = Clock::new(CONFIG);
    clock.calls(5, false);
    clock.pass(5.0);
    let first = clock.admit().expect("the probe");
    clock.pass(4.9);
    assert!(clock.admit().is_err());
    clock.pass(0.1);
    let second = clock.admit().expect("a probe after the one that hangs");
    assert!(clock.admit().is_err());
    // The one that hung is given up: the second is under way all the same.
    clock.breaker.abandoned(first, clock.now);
    assert!(clock.admit().is_err());
    assert_eq!(clock.breaker.succeeded(first, clock.now), Some(Change::Closed));
    // What the other one says later is of the past.
    assert_eq!(clock.breaker.failed(second, clock.now, MIDDLE), None);
    assert_eq!(clock.state(), State::Closed);
}

#[test]
fn a_probe_that_is_given_up_leaves_its_place_to_the_next() {
    let mut clock = Clock::new(CONFIG);
    clock.calls(5, false);
    clock.pass(5.0);
    let probe = clock.admit().expect("the probe");
    clock.breaker.abandoned(probe, clock.now);
    assert!(clock.admit().expect("the next").is_probe());
}

#[test]
fn calls_that_began_before_it_opened_say_nothing() {
    let mut clock = Clock::new(CONFIG);
    let early: Vec<_> = (0..3).map(|_| clock.admit().expect("closed")).collect();
    clock.calls(5, false);
    assert_eq!(clock.breaker.succeeded(early[0], clock.now), None);
    assert_eq!(clock.breaker.failed(early[1], clock.now, MIDDLE), None);
    clock.breaker.abandoned(early[2], clock.now);
    assert_eq!((clock.state(), clock.admit()), (State::Open, Err(seconds(5))));
    clock.pass(5.0);
    assert_eq!(clock.calls(1, true), Some(Change::Closed));
    assert_eq!(clock.breaker.failed(early[1], clock.now, MIDDLE), None);
    assert_eq!(clock.calls(4, false), None);
}

#[test]
fn one_that_is_switched_off_never_opens() {
    let mut clock = Clock::new(Config { failures: 0, ..CONFIG });
    assert_eq!(clock.calls(1000, false), None);
    assert_eq!(clock.state(), State::Closed);
}

/// What a test does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Admit,
    /// Of the calls that are under way, the one at this place.
    End(usize, End),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Succeeded,
    Failed,
    Abandoned,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![4 => Just(End::Failed), 2 => Just(End::Succeeded), 1 => Just(End::Abandoned)];
    prop_oneof![
        2 => (0_u64..3000).prop_map(Step::Pass),
        4 => Just(Step::Admit),
        4 => (any::<usize>(), end).prop_map(|(at, end)| Step::End(at, end)),
    ]
}

/// The same machine with lists in place of counts, in milliseconds.
#[derive(Default)]
struct Model {
    now: u64,
    /// When each call of this closed time ended, and whether well.
    ended: Vec<(u64, bool)>,
    /// How long it is open, each time since it was closed; the last one is the present one.
    open: Vec<u64>,
    since: u64,
    /// When each probe since then began, unless it was given up while it was the last.
    probes: Vec<Option<u64>>,
    /// How often it has changed.
    changes: usize,
}

/// A call under way: how often the model had changed, and which probe it is.
type Call = (usize, Option<usize>);

impl Model {
    fn admit(&mut self) -> Option<Call> {
        let Some(time) = self.open.last() else { return Some((self.changes, None)) };
        let is_over = self.now >= self.since + time;
        let is_free = self.probes.last().is_none_or(|last| last.is_none_or(|began| self.now >= began + time));
        (is_over && is_free).then(|| {
            self.probes.push(Some(self.now));
            (self.changes, Some(self.probes.len() - 1))
        })
    }

    fn end(&mut self, (changes, probe): Call, end: End) {
        if changes != self.changes {
            return;
        }
        match (end, probe) {
            (End::Abandoned, Some(probe)) if probe == self.probes.len() - 1 => self.probes[probe] = None,
            (End::Abandoned, _) => {}
            (End::Succeeded, None) => self.ended.push((self.now, true)),
            (End::Succeeded, Some(_)) => *self = Self { now: self.now, changes: self.changes + 1, ..Self::default() },
            (End::Failed, probe) => {
                self.ended.push((self.now, false));
                let in_a_row = self.ended.iter().rev().take_while(|(_, well)| !well).count();
                let lately: Vec<_> = self.ended.iter().filter(|(at, _)| at / 1000 + 10 > self.now / 1000).collect();
                let failed = lately.iter().filter(|(_, well)| !well).count();
                if probe.is_some() || in_a_row >= 5 || (lately.len() >= 20 && failed * 2 >= lately.len()) {
                    self.open.push(self.open.last().map_or(5000, |last| (last * 2).min(54_000)));
                    (self.since, self.changes) = (self.now, self.changes + 1);
                    self.probes.clear();
                }
            }
        }
    }

    fn state(&self) -> State {
        match self.open.last() {
            None => State::Closed,
            Some(time) if self.probes.is_empty() && self.now < self.since + time => State::Open,
            Some(_) => State::HalfOpen,
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_slow_one_does(steps in prop::collection::vec(step(), 0..400)) {
        let mut clock = Clock::new(CONFIG);
        let mut model = Model::default();
        let mut calls = Vec::new();
        for step in steps {
            match step {
                Step::Pass(millis) => {
                    clock.now += Duration::from_millis(millis);
                    model.now += millis;
                }
                Step::Admit => match (clock.admit(), model.admit()) {
                    (Ok(ticket), Some(call)) => calls.push((ticket, call)),
                    (ticket, call) => prop_assert!(ticket.is_err() && call.is_none(), "{ticket:?}, the model {call:?}"),
                },
                Step::End(_, _) if calls.is_empty() => {}
                Step::End(at, end) => {
                    let (ticket, call) = calls.swap_remove(at % calls.len());
                    match end {
                        End::Succeeded => _ = clock.breaker.succeeded(ticket, clock.now),
                        End::Failed => _ = clock.breaker.failed(ticket, clock.now, MIDDLE),
                        End::Abandoned => clock.breaker.abandoned(ticket, clock.now),
                    }
                    model.end(call, end);
                }
            }
            prop_assert_eq!(clock.state(), model.state());
        }
    }

    /// Whatever has happened: when the service is back, the first probe that ends closes it, and one comes in time.
    #[test]
    fn it_always_comes_back(steps in prop::collection::vec(step(), 0..200)) {
        let mut clock = Clock::new(CONFIG);
        let mut calls = Vec::new();
        for step in steps {
            match step {
                Step::Pass(millis) => clock.now += Duration::from_millis(millis),
                Step::Admit => calls.extend(clock.admit()),
                Step::End(_, _) if calls.is_empty() => {}
                Step::End(at, End::Abandoned) => {
                    let ticket = calls.swap_remove(at % calls.len());
                    clock.breaker.abandoned(ticket, clock.now);
                }
                Step::End(at, _) => {
                    let ticket = calls.swap_remove(at % calls.len());
                    clock.breaker.failed(ticket, clock.now, MIDDLE);
                }
            }
        }
        clock.pass(60.0);
        let ticket = clock.admit().expect("after its longest time it lets one call through");
        clock.breaker.succeeded(ticket, clock.now);
        prop_assert_eq!(clock.state(), State::Closed);
    }
}
