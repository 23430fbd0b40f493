//! What a limit is counted in: bytes, time, or things. Written and shown as people write it.

use std::fmt;
use std::time::Duration;

use crate::units::{self, Bytes};

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub usize);

/// Something that a limit can be counted in.
pub(in crate::sandbox) trait Quantity: Copy + Ord {
    /// # Errors
    /// A sentence that says what is wrong with the text.
    fn parse(text: &str) -> Result<Self, String>;

    /// As a message says it.
    fn shown(self) -> String;

    /// Reads one of the host's own numbers.
    ///
    /// # Panics
    /// If it cannot be read: then every start fails, and so does the test of the table.
    fn written(text: &str) -> Self {
        Self::parse(text).expect("a documented limit can be read")
    }

    /// Reads what an operator allows; `most` is what the host can honour.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    fn up_to(text: &str, most: &str) -> Result<Self, String> {
        let value = Self::parse(text)?;
        if value > Self::written(most) {
            return Err(format!("{text:?} is more than {most}, the most it may be"));
        }
        Ok(value)
    }
}

impl Quantity for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        units::bytes(text)
    }

    fn shown(self) -> String {
        self.to_string()
    }
}

impl Quantity for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        units::duration(text)
    }

    fn shown(self) -> String {
        format!("{self:?}")
    }
}

impl Quantity for Count {
    fn parse(text: &str) -> Result<Self, String> {
        let count = text.trim().parse().ok().filter(|count| *count > 0).map(Self);
        count.ok_or_else(|| format!("{text:?} must be a whole number above zero, such as 1000"))
    }

    fn shown(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
