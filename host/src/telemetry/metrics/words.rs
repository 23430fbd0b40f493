//! How many different values a label may have whose text somebody else chooses.
//!
//! A guest names the codes of its errors and the models that it asks for, a service the model that answered. Each new
//! name is a new series, here and in whatever stores it, for ever. So the first names are told as they are, and those
//! that come when there is no place left as one that says so. Without it a guest could use up the SDK's 2000 sets of an
//! instrument, and hide what all others do.

use std::sync::{Arc, OnceLock};

use opentelemetry::StringValue;

use crate::telemetry::content::{LABEL_BYTES, cut};
use crate::telemetry::names::code;

/// How many names are told. More than flows have of any kind; few enough for each node of a flow to have them all.
pub(super) const WORDS: usize = 50;

/// What is told in place of the others. The conventions' word for what has no name of its own.
pub(super) const OTHER: &str = "_OTHER";

/// The names that a label has had. Is read without a lock, and written to at most [`WORDS`] times.
#[derive(Debug)]
pub(super) struct Words([OnceLock<Arc<str>>; WORDS]);

impl Default for Words {
    fn default() -> Self {
        Self([const { OnceLock::new() }; WORDS])
    }
}

impl Words {
    /// The value as it may be told.
    pub(super) fn told(&self, value: &str) -> StringValue {
        if value.is_empty() {
            return "".into();
        }
        if let Some(code) = code::known(value) {
            return code.into();
        }
        let value = cut(value, LABEL_BYTES);
        for place in &self.0 {
            // Whoever comes second to an empty place gets what the first one wrote.
            let known = place.get_or_init(|| value.into());
            if **known == *value {
                return known.clone().into();
            }
        }
        OTHER.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_told_and_all_later_ones_are_one() {
        let words = Words::default();
        for n in 0..WORDS {
            assert_eq!(words.told(&format!("code-{n}")).as_str(), format!("code-{n}"));
        }
        for n in 0..1000 {
            assert_eq!(words.told(&format!("more-{n}")).as_str(), OTHER);
        }
        assert_eq!(words.told("code-7").as_str(), "code-7", "what has a place keeps it");
        assert_eq!(words.told("Overloaded").as_str(), "Overloaded", "what weir says needs none");
        assert_eq!(words.told("").as_str(), "");
    }

    #[test]
    fn a_name_is_cut_before_it_takes_a_place() {
        let words = Words::default();
        let long = "x".repeat(10 * LABEL_BYTES);
        assert_eq!(words.told(&long).as_str().len(), LABEL_BYTES);
        assert_eq!(words.told(&long[..LABEL_BYTES]), words.told(&long));
    }
}
