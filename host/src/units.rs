//! Sizes and times as flow files and settings write them: `64MiB`, `10s`. A leaf.

use std::fmt;
use std::time::Duration;

/// A size in bytes. Prints as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// As a length in memory.
    pub fn to_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// In milliseconds.
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a size.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn bytes(text: &str) -> Result<Bytes, String> {
    quantity(text, &SIZES, "64MiB").map(Bytes)
}

/// Reads a time.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, &TIMES, "10s").map(Duration::from_millis)
}

/// A whole number above zero and a unit, such as `example`.
fn quantity(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim_start();
    let Ok(number) = number.parse::<u64>() else {
        return Err(format!("{text:?} must be a whole number and a unit, such as {example}"));
    };
    if unit.is_empty() {
        return Err(format!(
            "{text:?} has no unit; write {text}{}",
            example.trim_start_matches(|c: char| c.is_ascii_digit())
        ));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!("{text:?} has the unknown unit {unit:?}; units are: {}", known.join(", ")));
    };
    match number.checked_mul(*factor) {
        None => Err(format!("{text:?} is too large")),
        Some(0) => Err(format!("{text:?} must be more than nothing")),
        Some(quantity) => Ok(quantity),
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 && bytes % (1 << 30) == 0 => write!(f, "{} GiB", bytes >> 30),
            bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        assert_eq!(bytes(text).map(|bytes| bytes.0), expected.map_err(str::to_owned));
    }

    #[test]
    fn sizes_have_a_unit() {
        check("64MiB", Ok(64 << 20));
        check(" 1 GiB ", Ok(1 << 30));
        check("5kB", Ok(5000));
        check("64", Err("\"64\" has no unit; write 64MiB"));
        check("64mib", Err("\"64mib\" has the unknown unit \"mib\"; units are: B, KiB, MiB, GiB, kB, MB, GB"));
        check("1.5GiB", Err("\"1.5GiB\" has the unknown unit \".5GiB\"; units are: B, KiB, MiB, GiB, kB, MB, GB"));
        check("-1MiB", Err("\"-1MiB\" must be a whole number and a unit, such as 64MiB"));
        check("0MiB", Err("\"0MiB\" must be more than nothing"));
        check("99999999999999GiB", Err("\"99999999999999GiB\" is too large"));
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("10"), Err("\"10\" has no unit; write 10s".into()));
    }
}
