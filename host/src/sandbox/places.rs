//! Places for runs: as many as the pool has slots. A run that finds none waits a moment; then it is refused, and told as
//! what it is, that too much is going on.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::sandbox::work::Work;
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
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// How many runs wait for one.
    wanted: AtomicUsize,
    /// Of those who have one.
    pub(super) work: Work,
    /// Those who hold some that no run has.
    holders: Mutex<Vec<Weak<dyn Holder>>>,
}

/// Whoever holds places for runs that may come.
pub(super) trait Holder: fmt::Debug + Send + Sync {
    /// Gives one up, with all that was in it. False: there is none.
    fn give_up(&self) -> bool;

    /// How many it holds.
    fn held(&self) -> usize;
}

/// A run that waits, for as long as this lives.
struct Wanted<'a>(&'a AtomicUsize);

/// A run's place. It is to be dropped after its store, which gives the slots back.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not used")] OwnedSemaphorePermit);

/// How many places a component takes that needs so many memories and tables.
pub(super) fn taken(memories: u32, tables: u32) -> u32 {
    memories.max(tables.div_ceil(TABLES)).max(1)
}

impl Places {
    pub(super) fn new(count: u32) -> Self {
        let free = Arc::new(Semaphore::new(count as usize));
        Self { free, wanted: AtomicUsize::new(0), work: Work::default(), holders: Mutex::default() }
    }

    /// From now on this one is asked to give up what it holds when a run finds no place.
    pub(super) fn watch(&self, holder: &Arc<dyn Holder>) {
        let mut holders = self.holders();
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(Arc::downgrade(holder));
    }

    /// A place that no run needs, for a component that needs so many memories and tables.
    pub(super) fn spare(&self, memories: u32, tables: u32) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(taken(memories, tables)).ok()?;
        (!self.are_wanted()).then_some(Place(permit))
    }

    /// Whether a run waits for one.
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > 0
    }

    /// How many are held for runs that may come.
    pub(super) fn held(&self) -> usize {
        self.asked().iter().map(|holder| holder.held()).sum()
    }

    /// A place for a component that needs so many memories and tables.
    ///
    /// # Errors
    /// If there is none for too long.
    pub(super) async fn take(&self, memories: u32, tables: u32) -> Result<Place, NodeError> {
        let places = taken(memories, tables);
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_many_owned(places) {
            return Ok(Place(permit));
        }
        // Before anybody is asked, so that nothing new is held from here on.
        self.wanted.fetch_add(1, Ordering::SeqCst);
        let _wanted = Wanted(&self.wanted);
        self.give_up(places);
        match timeout(WAIT, Arc::clone(&self.free).acquire_many_owned(places)).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            // It is never closed.
            Ok(Err(_)) | Err(_) => {
                Err(NodeError::new(NodeFailure::Busy, "the host runs as many nodes as it can; try again"))
            }
        }
    }
}

impl Places {
    /// Has so many given up that nobody uses, or all there are.
    fn give_up(&self, places: u32) {
        for holder in self.asked() {
            while self.free.available_permits() < places as usize {
                if !holder.give_up() {
                    break;
                }
            }
        }
    }

    /// Whom to ask. Not within the lock: what is given up takes a while to go.
    fn asked(&self) -> Vec<Arc<dyn Holder>> {
        self.holders().iter().filter_map(Weak::upgrade).collect()
    }

    fn holders(&self) -> MutexGuard<'_, Vec<Weak<dyn Holder>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Held(Mutex<Vec<Place>>);

    impl Holder for Held {
        fn give_up(&self) -> bool {
            self.0.lock().expect("a list").pop().is_some()
        }

        fn held(&self) -> usize {
            self.0.lock().expect("a list").len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_for_later_is_given_up_for_who_needs_it_now_and_no_more_of_it() {
        let places = Places::new(4);
        let held = Arc::new(Held::default());
        let holder: Arc<dyn Holder> = held.clone();
        places.watch(&holder);
        for _ in 0..3 {
            let place = places.take(1, 1).await.expect("a place");
            held.0.lock().expect("a list").push(place);
        }
        let one = places.take(1, 1).await.expect("it was free");
        assert_eq!(places.held(), 3, "nobody needed them");
        let two = places.take(2, 1).await.expect("they were given up");
        assert_eq!((places.held(), places.are_wanted()), (1, false));
        assert!(places.take(2, 1).await.is_err(), "one is not enough");
        assert_eq!((places.held(), places.are_wanted()), (0, false));
        drop((one, two, holder, held));
        assert!(places.take(4, 1).await.is_ok());
    }

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
