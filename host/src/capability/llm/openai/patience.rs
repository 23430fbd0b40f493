//! How long to wait for a service, and whether and when to ask it again.
//!
//! What is tried again is what the original tries again: 429 but for `insufficient_quota`, 5xx, 422 three times at most,
//! and connections that fail or say nothing. How often is not: the original makes up to 100 tries with pauses of up to
//! 60 s, so that one stuck service holds a request, and its thread, for more than an hour. Here a call has a deadline,
//! which nothing outlives, and a service that fails three times in a row is told on.

use std::time::Duration;

use crate::chance::spread;
use crate::setting::{self, Reader, Setting};

/// Longest pause between two tries that we choose. The original begins with 3 s and ends with 60 s, which is more than
/// most callers wait.
const MAX_BACK_OFF: Duration = Duration::from_secs(8);

/// Longest pause that a service may ask for. A caller waits meanwhile: whoever asks for more is told on at once.
const MAX_ASKED: Duration = Duration::from_secs(30);

/// As the OpenAI client has it. A service that takes longer to take a connection is not there.
static CONNECT_TIMEOUT: Setting =
    Setting::new("WEIR_LLM_CONNECT_TIMEOUT", "5s", "time to connect to a model's service, TLS included; at most 1h");
/// An answer that is not streamed has its head when it is finished, and models that think take minutes; asking them again
/// would cost twice. The node's own deadline mostly comes first.
static FIRST_BYTE_TIMEOUT: Setting = Setting::new(
    "WEIR_LLM_FIRST_BYTE_TIMEOUT",
    "300s",
    "time from sending a request to the head of its answer, for each try; an answer that is not streamed has its head \
     when it is finished; at most 1h, and the node's own time comes before",
);
/// Tokens come several a second: a service that stands still for so long has mostly lost the answer. One whose models
/// think within a stream, and say nothing meanwhile, needs more.
static IDLE_TIMEOUT: Setting = Setting::new(
    "WEIR_LLM_IDLE_TIMEOUT",
    "30s",
    "time between two pieces of an answer that has begun; models that think in silence within a stream need more; at most 1h",
);
/// As the OpenAI client has it: every try of an overloaded service adds to its load.
static RETRIES: Setting = Setting::new(
    "WEIR_LLM_RETRIES",
    "2",
    "further tries of a call that failed in a way that may pass; none once an answer has begun; at most 5",
);
/// A long answer has some 100 KiB, a batch of vectors some MiB.
static MAX_REPLY: Setting =
    Setting::new("WEIR_LLM_MAX_REPLY", "8MiB", "longest answer of a model's service, whole or streamed; at most 64MiB");

/// The most that may be set, of every time.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
/// Of further tries: more only keep callers waiting.
const MAX_RETRIES: usize = 5;
/// Of an answer: it is held in memory, and once more by whoever asked.
const MOST_REPLY: u64 = 64 << 20;

/// What a service is allowed, for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See `CONNECT_TIMEOUT`.
    pub connect: Duration,
    /// See `FIRST_BYTE_TIMEOUT`.
    pub first_byte: Duration,
    /// See `IDLE_TIMEOUT`.
    pub idle: Duration,
    /// See `RETRIES`.
    pub retries: u32,
    /// The pause before the first further try; it doubles with each, ± 50 %, up to 8 s. A service that asks for a pause
    /// gets that, and up to as much or so much more. 500 ms.
    pub back_off: Duration,
    /// Bytes: see `MAX_REPLY`.
    pub max_reply: usize,
    /// Idle connections that are kept open. 32: enough to serve bursts without new handshakes.
    pub idle_connections: usize,
}

impl Limits {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let time = || setting::time_up_to(MAX_TIMEOUT);
        let retries = setting::count_within(0, MAX_RETRIES);
        Self {
            connect: reader.value(&CONNECT_TIMEOUT, time()),
            first_byte: reader.value(&FIRST_BYTE_TIMEOUT, time()),
            idle: reader.value(&IDLE_TIMEOUT, time()),
            retries: reader.value(&RETRIES, |text| Ok(u32::try_from(retries(text)?).unwrap_or(u32::MAX))),
            max_reply: reader.value(&MAX_REPLY, setting::size_up_to(MOST_REPLY)),
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(30),
            retries: 2,
            back_off: Duration::from_millis(500),
            max_reply: 8 * 1024 * 1024,
            idle_connections: 32,
        }
    }
}

/// Whether a failure may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// After a pause of our choice.
    Soon,
    /// The same, but three tries are enough, however many are allowed.
    Twice,
    /// After the pause that the service asks for.
    After(Duration),
}

/// Why a call is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The failure will not pass.
    Never,
    /// It was tried often enough.
    Tries,
    /// The service asks for too long a pause.
    Asked,
    /// The pause would outlast the deadline.
    Deadline,
    /// All calls of the connection have been made again too often lately.
    Budget,
    /// The circuit breaker of the connection has opened meanwhile.
    Circuit,
}

impl Stop {
    /// Its name in traces; none if there was nothing to hope for.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Never => None,
            Self::Tries => Some("tries"),
            Self::Asked => Some("asked"),
            Self::Deadline => Some("deadline"),
            Self::Budget => Some("budget"),
            Self::Circuit => Some("circuit"),
        }
    }
}

impl Limits {
    /// How long to wait before the next try.
    ///
    /// `tries` have failed before the last one, `left` is the time to the deadline, and `chance`, from 0 to 1, spreads
    /// callers that failed together. A pause that would outlast the deadline is of no use.
    ///
    /// # Errors
    /// There shall be no further try.
    pub(crate) fn pause(&self, tries: u32, again: Again, left: Duration, chance: f64) -> Result<Duration, Stop> {
        let doubled = self.back_off.saturating_mul(2_u32.saturating_pow(tries)).min(MAX_BACK_OFF);
        let pause = match again {
            Again::Never => return Err(Stop::Never),
            _ if tries >= self.retries => return Err(Stop::Tries),
            Again::After(asked) if asked > MAX_ASKED => return Err(Stop::Asked),
            Again::After(asked) => {
                // Many were told the same: all back in the same moment, they would be told so again. No later than may be,
                // and with time for an answer.
                let room = MAX_ASKED.min(left).saturating_sub(asked) / 2;
                asked + room.min(asked).min(doubled).mul_f64(chance)
            }
            Again::Twice if tries >= 2 => return Err(Stop::Tries),
            Again::Soon | Again::Twice => spread(doubled, 0.5, MAX_BACK_OFF, chance),
        };
        if pause < left { Ok(pause) } else { Err(Stop::Deadline) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        assert_eq!(setting::read_from(&[], Limits::read), Ok(Limits::default()));
        let wrong = [("WEIR_LLM_RETRIES", "6"), ("WEIR_LLM_IDLE_TIMEOUT", "0s"), ("WEIR_LLM_MAX_REPLY", "65MiB")];
        assert_eq!(setting::read_from(&wrong, Limits::read).map_err(|problems| problems.len()), Err(3));
    }

    const LONG: Duration = Duration::from_secs(600);

    #[track_caller]
    fn check_pause(tries: u32, again: Again, left: Duration, chance: f64, expected: Result<u64, Stop>) {
        let limits = Limits { retries: 9, ..Limits::default() };
        assert_eq!(limits.pause(tries, again, left, chance), expected.map(Duration::from_millis));
    }

    #[test]
    fn the_pause_doubles_up_to_eight_seconds() {
        // Of the last ones, 8 s is the end of the spread, and this the middle.
        for (tries, expected) in [500, 1000, 2000, 4000, 6000, 6000].into_iter().enumerate() {
            check_pause(u32::try_from(tries).unwrap(), Again::Soon, LONG, 0.5, Ok(expected));
        }
    }

    #[test]
    fn the_pause_is_spread_by_half() {
        check_pause(0, Again::Soon, LONG, 0.0, Ok(250));
        check_pause(0, Again::Soon, LONG, 1.0, Ok(750));
        check_pause(8, Again::Soon, LONG, 0.0, Ok(4000));
        check_pause(8, Again::Soon, LONG, 1.0, Ok(8000));
    }

    #[test]
    fn who_was_told_when_to_come_does_not_come_in_the_same_moment() {
        let second = Again::After(Duration::from_secs(1));
        for (chance, expected) in [(0.0, 1000), (0.5, 1250), (1.0, 1500)] {
            check_pause(0, second, LONG, chance, Ok(expected));
        }
        check_pause(0, Again::After(Duration::from_millis(10)), LONG, 1.0, Ok(20));
        // As far as there is time.
        check_pause(0, second, Duration::from_millis(1200), 1.0, Ok(1100));
        check_pause(0, Again::After(Duration::from_millis(29_800)), LONG, 1.0, Ok(29_900));
    }

    #[test]
    fn a_pause_that_the_service_asks_for_is_kept_up_to_thirty_seconds() {
        check_pause(0, Again::After(Duration::from_secs(30)), LONG, 0.5, Ok(30_000));
        check_pause(0, Again::After(Duration::from_secs(31)), LONG, 0.5, Err(Stop::Asked));
    }

    #[test]
    fn an_answer_that_did_not_come_out_right_is_tried_three_times() {
        check_pause(0, Again::Twice, LONG, 0.5, Ok(500));
        check_pause(1, Again::Twice, LONG, 0.5, Ok(1000));
        check_pause(2, Again::Twice, LONG, 0.5, Err(Stop::Tries));
    }

    #[test]
    fn a_pause_ends_before_the_deadline_or_is_not_made() {
        check_pause(0, Again::Soon, Duration::from_millis(500), 0.5, Err(Stop::Deadline));
        check_pause(0, Again::Soon, Duration::from_millis(501), 0.5, Ok(500));
        check_pause(0, Again::After(Duration::from_secs(2)), Duration::from_secs(1), 0.5, Err(Stop::Deadline));
    }

    #[test]
    fn a_failure_that_does_not_pass_is_not_tried_again() {
        check_pause(0, Again::Never, LONG, 0.5, Err(Stop::Never));
        assert_eq!(Limits::default().pause(2, Again::Soon, LONG, 0.5), Err(Stop::Tries));
    }

    fn again() -> impl Strategy<Value = Again> {
        let asked = (0_u64..40_000).prop_map(|millis| Again::After(Duration::from_millis(millis)));
        prop_oneof![1 => Just(Again::Never), 6 => Just(Again::Soon), 2 => Just(Again::Twice), 3 => asked]
    }

    proptest! {
        /// Whatever a service answers, one failure after the other.
        #[test]
        fn no_call_is_tried_too_often_too_early_or_past_its_deadline(
            failures in prop::collection::vec((again(), 0.0..1.0, 0_u64..2000), 0..10),
            retries in 0_u32..=5,
            deadline in 1_u64..120_000,
        ) {
            let limits = Limits { retries, ..Limits::default() };
            let mut left = Duration::from_millis(deadline);
            let mut tries = 0;
            for (again, chance, took) in failures {
                left = left.saturating_sub(Duration::from_millis(took));
                let Ok(pause) = limits.pause(tries, again, left, chance) else { break };
                match again {
                    Again::Never => prop_assert!(false, "it will not pass"),
                    Again::After(asked) => {
                        let middle = limits.back_off.mul_f64(2_f64.powi(tries.cast_signed())).min(MAX_BACK_OFF);
                        prop_assert!(pause >= asked && pause <= asked + middle.min(asked) && pause <= MAX_ASKED);
                    }
                    Again::Soon | Again::Twice => {
                        let middle = limits.back_off.mul_f64(2_f64.powi(tries.cast_signed())).min(MAX_BACK_OFF);
                        prop_assert!(pause >= middle.mul_f64(0.5) && pause <= middle.mul_f64(1.5).min(MAX_BACK_OFF));
                    }
                }
                prop_assert!(pause < left);
                prop_assert!(!(again == Again::Twice && tries >= 2));
                left -= pause;
                tries += 1;
            }
            prop_assert!(tries <= retries);
        }
    }
}
