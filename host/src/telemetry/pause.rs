//! How long to wait before something is tried again.

use std::time::Duration;

use crate::chance::chance;

/// The first pause after a failure; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The pause after so many failures before this one, at most `longest`.
pub(super) fn pause(failures: u32, longest: Duration) -> Duration {
    jittered(FIRST.saturating_mul(2u32.saturating_pow(failures)).min(longest))
}

/// Between a half and the whole of a pause, so that many hosts do not come back to one collector at the same time.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + chance() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, most) in [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (50, 30)] {
            let most = Duration::from_secs(most);
            let pause = pause(failures, Duration::from_secs(30));
            assert!(pause <= most && pause >= most / 2, "{failures}: {pause:?}");
        }
    }
}
