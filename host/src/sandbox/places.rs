//! Places for runs: as many as the pool has slots. A run that finds none waits a moment; then it is refused, and told as
//! what it is, that too much is going on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::setting::{self, Reader, Setting};

/// Each run has one, at least, from its first instant to its last. A thousand wait for models at the same time, with
/// 13 kB each if they are idle; what they may take beyond is theirs by `limits.memory`.
pub static INSTANCES: Setting = Setting::new(
    "WEIR_MAX_INSTANCES",
    "1000",
    "how many runs of nodes have an instance at the same time, in the whole process; others wait for up to 1 s and are \
     then refused; at most 16000",
);
/// How many there are without a word of the operator.
const DEFAULT: u32 = 1000;
/// The most that may be asked for: the address space that slots are kept in is 4 GiB for each.
const MAX: usize = 16_000;
/// Tables that one place has. Two are usual; a component with more takes more places.
pub const TABLES: u32 = 4;
/// Slots beyond all places: for components that are asked what they are when a flow is loaded, one for each load.
pub const SPARE: u32 = 16;

/// How long a run waits for its place. Most are held for milliseconds: if none is free for so long, all are held by runs
/// that wait themselves, some of them perhaps for this one.
const WAIT: Duration = Duration::from_secs(1);

/// How many runs have an instance at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instances(pub u32);

impl Instances {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let count = reader.value(&INSTANCES, setting::count_within(1, MAX));
        Self(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

impl Default for Instances {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

/// The places of a process.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// A run's place. It is to be dropped after its store, which gives the slots back.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not used")] OwnedSemaphorePermit);

/// How many places a component takes that needs so many memories and tables.
pub(super) fn taken(memories: u32, tables: u32) -> u32 {
    memories.max(tables.div_ceil(TABLES)).max(1)
}

impl Places {
    pub(super) fn new(count: u32) -> Self {
        Self(Arc::new(Semaphore::new(count as usize)))
    }

    /// A place for a component that needs so many memories and tables.
    ///
    /// # Errors
    /// If there is none for too long.
    pub(super) async fn take(&self, memories: u32, tables: u32) -> Result<Place, NodeError> {
        let places = taken(memories, tables);
        match timeout(WAIT, Arc::clone(&self.0).acquire_many_owned(places)).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            // It is never closed.
            Ok(Err(_)) | Err(_) => {
                Err(NodeError::new(NodeFailure::Busy, "the host runs as many nodes as it can; try again"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_is_documented() {
        assert_eq!(INSTANCES.default, DEFAULT.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_place_waits_and_is_then_refused() {
        let places = Places::new(2);
        let one = places.take(1, 2).await.expect("a place");
        let large = places.take(2, 1).await.expect_err("it needs both");
        assert_eq!((large.failure, large.code.as_str()), (NodeFailure::Busy, "Overloaded"));

        let (other, ()) = tokio::join!(places.take(0, 8), async { drop(one) });
        let other = other.expect("it waited for both");
        assert!(places.take(1, 1).await.is_err());
        drop(other);
        assert!(places.take(1, 1).await.is_ok());
    }
}
