//! How often callers may ask, as the operator says it, and what one that asks too often is told. Counting: see ../rate.rs.

use std::time::Duration;

use crate::rate::{Rate, rate};
use crate::setting::{Reader, Setting};

pub static RATE_PER_KEY: Setting = Setting::new(
    "WEIR_RATE_PER_KEY",
    "50/s",
    "requests to `/score` by one key, and twice as many at once: `50/s`, `600/m`, or `none`: no limit",
);
pub static FEEDBACK_RATE: Setting = Setting::new(
    "WEIR_FEEDBACK_RATE",
    "20/s",
    "likewise to `/feedback` by one caller, which is a key, else an address",
);
pub static FEEDBACK_RATE_TOTAL: Setting =
    Setting::new("WEIR_FEEDBACK_RATE_TOTAL", "200/s", "likewise to `/feedback` by all callers");

/// What an operator says about rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `/score`, for each key.
    pub score: Option<Rate>,
    /// `/feedback`, for each caller.
    pub feedback: Option<Rate>,
    /// `/feedback`, for all callers.
    pub feedback_total: Option<Rate>,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            score: reader.value(&RATE_PER_KEY, rate),
            feedback: reader.value(&FEEDBACK_RATE, rate),
            feedback_total: reader.value(&FEEDBACK_RATE_TOTAL, rate),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let documented = |setting: &Setting| rate(setting.default).expect("a documented default can be understood");
        Self {
            score: documented(&RATE_PER_KEY),
            feedback: documented(&FEEDBACK_RATE),
            feedback_total: documented(&FEEDBACK_RATE_TOTAL),
        }
    }
}

/// A time to wait as `Retry-After` has it: whole seconds, and at least one.
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        for (wait, expected) in [(1, 1), (1000, 1), (1001, 2), (59_999, 60), (0, 1)] {
            assert_eq!(retry_after(Duration::from_millis(wait)), expected, "{wait} ms");
        }
    }
}
