//! Points in time and durations as Application Insights writes them. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-25T22:04:05.000000Z`. What lies before 1970 is told as 1970.
pub(super) fn point(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time.max(UNIX_EPOCH)).to_string()
}

/// `d.hh:mm:ss.mmm`, rounded.
pub(super) fn duration(duration: Duration) -> String {
    let milliseconds = (duration.as_nanos() + 500_000) / 1_000_000;
    let seconds = milliseconds / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}.{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_written_with_microseconds() {
        for (seconds, nanos, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, 999_999_999, "2024-02-29T23:59:59.999999Z"),
            (1_795_644_245, 123_456_789, "2026-11-25T22:04:05.123456Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(point(UNIX_EPOCH + Duration::new(seconds, nanos)), expected);
        }
        assert_eq!(point(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn durations_are_written_with_days() {
        for (duration_of, expected) in [
            (Duration::ZERO, "0.00:00:00.000"),
            (Duration::from_micros(499), "0.00:00:00.000"),
            (Duration::from_micros(500), "0.00:00:00.001"),
            (Duration::from_millis(59_999) + Duration::from_micros(500), "0.00:01:00.000"),
            (Duration::from_millis(225), "0.00:00:00.225"),
            (Duration::from_secs(90_061), "1.01:01:01.000"),
            (Duration::from_hours(24 * 400), "400.00:00:00.000"),
        ] {
            assert_eq!(duration(duration_of), expected);
        }
    }
}
