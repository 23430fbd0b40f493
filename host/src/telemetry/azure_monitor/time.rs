//! Points in time and durations as Application Insights writes them. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-25T22:04:05.000000Z`. What lies before 1970 is told as 1970.
pub(super) fn point(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// `d.hh:mm:ss.mmm`, rounded.
pub(super) fn duration(duration: Duration) -> String {
    let milliseconds = (duration.as_nanos() + 500_000) / 1_000_000;
    let seconds = milliseconds / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}.{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, milliseconds % 1000)
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the leap day is the last of its year, and
/// are counted in eras of 400, after which the calendar repeats.
fn date(day: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
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
