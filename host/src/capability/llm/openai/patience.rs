//! How long to wait for a service, and whether and when to ask it again.
//!
//! What is tried again is what the original tries again: 429 but for `insufficient_quota`, 5xx, 422 three times at most,
//! and connections that fail or say nothing. How often is not: the original makes up to 100 tries with pauses of up to
//! 60 s, so that one stuck service holds a request, and its thread, for more than an hour. Here a call has a deadline,
//! which nothing outlives, and a service that fails three times in a row is told on.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Longest pause between two tries that we choose. The original begins with 3 s and ends with 60 s, which is more than
/// most callers wait.
const MAX_BACK_OFF: Duration = Duration::from_secs(8);

/// Longest pause that a service may ask for. A caller waits meanwhile: whoever asks for more is told on at once.
const MAX_ASKED: Duration = Duration::from_secs(30);

/// What a service is allowed, for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to connect, TLS included. 5 s, as the OpenAI client has it.
    pub connect: Duration,
    /// Time from sending a request to the head of its answer, for each try. 300 s: an answer that is not streamed has
    /// its head when it is finished, and models that think take minutes; asking them again would cost twice. The
    /// node's own deadline mostly comes first.
    pub first_byte: Duration,
    /// Time between two pieces of an answer. 30 s.
    pub idle: Duration,
    /// Further tries after a failure that may pass. 2, as the OpenAI client has it: every try of an overloaded service
    /// adds to its load.
    pub retries: u32,
    /// The pause before the first further try; it doubles with each, ± 50 %, up to 8 s. 500 ms.
    pub back_off: Duration,
    /// Bytes of an answer, whole or streamed. 8 MiB: a long answer has some 100 KiB, a batch of vectors some MiB.
    pub max_reply: usize,
    /// Idle connections that are kept open. 32: enough to serve bursts without new handshakes.
    pub idle_connections: usize,
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
pub(super) enum Again {
    Never,
    /// After a pause of our choice.
    Soon,
    /// The same, but three tries are enough, however many are allowed.
    Twice,
    /// After the pause that the service asks for.
    After(Duration),
}

impl Limits {
    /// How long to wait before the next try; none if there shall be none.
    ///
    /// `tries` have failed before the last one, `left` is the time to the deadline, and `chance`, from 0 to 1, spreads
    /// callers that failed together. A pause that would outlast the deadline is of no use.
    pub(super) fn pause(&self, tries: u32, again: Again, left: Duration, chance: f64) -> Option<Duration> {
        if tries >= self.retries {
            return None;
        }
        let pause = match again {
            Again::Never => return None,
            Again::After(asked) if asked > MAX_ASKED => return None,
            Again::After(asked) => asked,
            Again::Twice if tries >= 2 => return None,
            Again::Soon | Again::Twice => {
                let doubled = self.back_off.saturating_mul(2_u32.saturating_pow(tries)).min(MAX_BACK_OFF);
                doubled.mul_f64(0.5 + chance).min(MAX_BACK_OFF)
            }
        };
        (pause < left).then_some(pause)
    }
}

/// A number from 0 to 1 that nobody needs to be unable to guess: the standard library's hash keys are random.
pub(super) fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[track_caller]
    fn check_pause(tries: u32, again: Again, left: Duration, chance: f64, expected: Option<u64>) {
        let limits = Limits { retries: 9, ..Limits::default() };
        assert_eq!(limits.pause(tries, again, left, chance), expected.map(Duration::from_millis));
    }

    #[test]
    fn the_pause_doubles_up_to_eight_seconds() {
        for (tries, expected) in [500, 1000, 2000, 4000, 8000, 8000].into_iter().enumerate() {
            check_pause(u32::try_from(tries).unwrap(), Again::Soon, LONG, 0.5, Some(expected));
        }
    }

    #[test]
    fn the_pause_is_spread_by_half() {
        check_pause(0, Again::Soon, LONG, 0.0, Some(250));
        check_pause(0, Again::Soon, LONG, 1.0, Some(750));
        check_pause(8, Again::Soon, LONG, 1.0, Some(8000));
        assert!((0..100).all(|_| (0.0..1.0).contains(&chance())));
    }

    #[test]
    fn a_pause_that_the_service_asks_for_is_kept_up_to_thirty_seconds() {
        check_pause(0, Again::After(Duration::from_secs(30)), LONG, 0.5, Some(30_000));
        check_pause(0, Again::After(Duration::from_secs(31)), LONG, 0.5, None);
    }

    #[test]
    fn an_answer_that_did_not_come_out_right_is_tried_three_times() {
        check_pause(0, Again::Twice, LONG, 0.5, Some(500));
        check_pause(1, Again::Twice, LONG, 0.5, Some(1000));
        check_pause(2, Again::Twice, LONG, 0.5, None);
    }

    #[test]
    fn a_pause_ends_before_the_deadline_or_is_not_made() {
        check_pause(0, Again::Soon, Duration::from_millis(500), 0.5, None);
        check_pause(0, Again::Soon, Duration::from_millis(501), 0.5, Some(500));
        check_pause(0, Again::After(Duration::from_secs(2)), Duration::from_secs(1), 0.5, None);
    }

    #[test]
    fn a_failure_that_does_not_pass_is_not_tried_again() {
        check_pause(0, Again::Never, LONG, 0.5, None);
        assert_eq!(Limits::default().pause(2, Again::Soon, LONG, 0.5), None);
    }
}
