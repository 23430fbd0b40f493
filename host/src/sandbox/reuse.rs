//! Which instances may serve another run, and for how long: what a flow says under `instances`, and what an operator allows.
//! Pure; what is kept is in kept.rs.

use std::time::Duration;

use indexmap::IndexMap;

use crate::sandbox::limits::{self, Count};
use crate::setting::{self, Reader, Setting};

/// Each of them holds the memory that its last run has left, and a place; eight keep two processors at work where nodes
/// compute, and those that wait for a model cost more than an instance anyway.
pub static KEPT: Setting = Setting::new(
    "WEIR_INSTANCES_KEPT",
    "8",
    "how many instances of each node that says `instances: reuse` wait for its next run; 0: none, each run has a fresh one \
     whatever its flow says; at most 1000",
);
const DEFAULT_KEPT: usize = 8;
const MOST_KEPT: usize = 1000;

/// Runs of one instance, where the flow names no number: by then what it took to make is nothing, and what leaks is not yet much.
pub const USES: Count = Count(1000);
const MOST_USES: Count = Count(1_000_000);

/// How old it may be: what it has read of the world, such as the time of a file, is never older than that.
pub const AGE: Duration = Duration::from_secs(600);
const MOST_AGE: Duration = Duration::from_secs(24 * 3600);

/// How many wait for the next run of their node, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept(pub usize);

/// How long an instance of a node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Runs of one instance, all together.
    pub uses: Count,
    /// From when it was made to when its last run may begin.
    pub age: Duration,
}

/// Why a node cannot have what its flow asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no such bound; known: {}", Reuse::BOUNDS.join(", "))]
    Unknown,
    #[error("{0}")]
    Bound(limits::Refused),
}

impl Kept {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.value(&KEPT, setting::count_within(0, MOST_KEPT)))
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self(DEFAULT_KEPT)
    }
}

impl Reuse {
    /// The keys that bound it.
    pub const BOUNDS: [&str; 2] = ["uses", "age"];

    /// What a flow asks for, by key.
    ///
    /// # Errors
    /// All that it cannot have, each with its key and why.
    pub fn asked(asked: &IndexMap<String, String>) -> Result<Self, Vec<(String, Refused)>> {
        let mut reuse = Self { uses: USES, age: AGE };
        let mut refused = Vec::new();
        for (key, text) in asked {
            let found = match key.as_str() {
                "uses" => limits::within(text, MOST_USES).map(|uses| reuse.uses = uses).map_err(Refused::Bound),
                "age" => limits::within(text, MOST_AGE).map(|age| reuse.age = age).map_err(Refused::Bound),
                _ => Err(Refused::Unknown),
            };
            refused.extend(found.err().map(|error| (key.clone(), error)));
        }
        if refused.is_empty() { Ok(reuse) } else { Err(refused) }
    }

    /// Whether an instance may begin another run that has had so many and was made so long ago.
    pub(super) fn allows(self, uses: usize, age: Duration) -> bool {
        uses < self.uses.0 && age < self.age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: Result<Reuse, &[&str]>) {
        let asked = pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let found = Reuse::asked(&asked)
            .map_err(|refused| refused.into_iter().map(|(key, it)| format!("{key}: {it}")).collect::<Vec<_>>());
        assert_eq!(found, expected.map_err(|told| told.iter().map(|it| (*it).to_owned()).collect()));
    }

    #[test]
    fn a_flow_bounds_how_long_its_instances_serve() {
        check(&[], Ok(Reuse { uses: Count(1000), age: Duration::from_secs(600) }));
        check(&[("uses", "5"), ("age", "30s")], Ok(Reuse { uses: Count(5), age: Duration::from_secs(30) }));
        check(
            &[("uses", "0"), ("age", "25h"), ("use", "5")],
            Err(&[
                "uses: \"0\" must be a whole number above zero, such as 1000",
                "age: 90000s is more than 86400s, the most a flow may have",
                "use: there is no such bound; known: uses, age",
            ]),
        );
    }

    #[test]
    fn an_instance_serves_until_it_is_used_up_or_old() {
        let reuse = Reuse { uses: Count(3), age: Duration::from_secs(10) };
        for (uses, seconds, allowed) in [(1, 0, true), (2, 9, true), (3, 0, false), (1, 10, false)] {
            assert_eq!(reuse.allows(uses, Duration::from_secs(seconds)), allowed, "{uses} {seconds}");
        }
    }

    #[test]
    fn the_default_is_what_is_documented_and_the_operator_may_forbid_it() {
        assert_eq!(KEPT.default, DEFAULT_KEPT.to_string());
        let read = |value| setting::read_from(&[("WEIR_INSTANCES_KEPT", value)], Kept::read);
        assert_eq!(read("0"), Ok(Kept(0)));
        assert!(read("1001").is_err());
    }
}
