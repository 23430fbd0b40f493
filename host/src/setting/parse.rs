//! What a setting may hold, and what is said of anything else: paths, sizes, times, numbers, words.

use std::path::PathBuf;
use std::time::Duration;

use crate::units;

/// A text as it is.
///
/// # Errors
/// None.
pub fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// By OpenTelemetry's standard only `true`, in any case, is true; whatever else is written is not.
///
/// # Errors
/// None.
pub fn only_true(text: &str) -> Result<bool, String> {
    Ok(text.eq_ignore_ascii_case("true"))
}

/// A path.
///
/// # Errors
/// None.
pub fn path(text: &str) -> Result<PathBuf, String> {
    Ok(text.into())
}

/// A size, such as `4MiB`, of at most `max`.
pub fn size_up_to(max: u64) -> impl Fn(&str) -> Result<usize, String> {
    move |text| {
        let bytes = units::bytes(text)?.0;
        if bytes > max {
            return Err(format!("{text:?} is more than {}, the most it may be", units::Bytes(max)));
        }
        usize::try_from(bytes).map_err(|_| format!("{text:?} is too large"))
    }
}

/// A time, such as `10s`, of at most `max`.
pub fn time_up_to(max: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let time = units::duration(text)?;
        if time > max { Err(format!("{text:?} is more than {max:?}, the most it may be")) } else { Ok(time) }
    }
}

/// A time as above, or `0` or `0s`: none.
pub fn time_or_none_up_to(max: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { time_up_to(max)(text) }
}

/// A whole number from `min` to `max`.
pub fn count_within(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| {
        let count = text.parse().ok().filter(|count| (min..=max).contains(count));
        count.ok_or_else(|| format!("{text:?} must be a whole number from {min} to {max}"))
    }
}

/// One of a few words, in any case.
pub fn one_of<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("{text:?} is unknown; write one of: {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_say_what_they_may_be() {
        assert_eq!(one_of(&[("follow", 1), ("record", 2)])("RECORD"), Ok(2));
        assert_eq!(one_of(&[("a", 1), ("b", 2)])("c"), Err("\"c\" is unknown; write one of: a, b".into()));
        assert_eq!(count_within(1, 8)("9"), Err("\"9\" must be a whole number from 1 to 8".into()));
        assert_eq!(size_up_to(1 << 20)("2MiB"), Err("\"2MiB\" is more than 1 MiB, the most it may be".into()));
        assert_eq!(time_or_none_up_to(Duration::from_secs(1))("0"), Ok(Duration::ZERO));
    }
}
