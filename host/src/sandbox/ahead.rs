//! Fresh instances that are made before a run asks, while no guest is at work: a run that needs one then waits for none. They are
//! as fresh as any: no run has been in them, and what came up in them has called nobody. So none grows old either: it knows
//! nothing of the world that could have changed.
//!
//! That is worth it for interpreters, whose instances take milliseconds; others are made in microseconds.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::boundary::NodeRun;
use crate::sandbox::Node;
use crate::sandbox::component::Workshop;
use crate::sandbox::instance::Instance;
use crate::sandbox::places::{Holder, Places};
use crate::setting::{self, Reader, Setting};
use crate::units::Bytes;

/// Each holds a place, and the memory that it has touched as it came up, of Python some megabytes; and a flow may have a dozen such
/// nodes. One is there for the next request of a quiet hour, and where requests come without a pause none is made anyway.
pub static AHEAD: Setting = Setting::new(
    "WEIR_INSTANCES_AHEAD",
    "1",
    "how many fresh instances of each node are made ahead of its next runs, while no node computes, if its component begins \
     with 8 MiB of memory or more, as interpreters do; 0: none; at most 100",
);
const DEFAULT: usize = 1;
const MOST: usize = 100;

/// From here on a component is taken for an interpreter. One of the SDK begins with one or two.
const LARGE: Bytes = Bytes(8 << 20);

/// How long one may take to come up. Half of what a run waits for a place, which may be the one that is taken for this.
const TIME: Duration = Duration::from_millis(500);

/// How many are made ahead of each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeAhead(pub usize);

/// Those of one node.
pub(super) struct Ahead {
    node: Arc<Node>,
    most: usize,
    /// What stands in them until a run comes. None: no run has shown yet that they may be made without one.
    nobody: OnceLock<NodeRun>,
    /// None is made any more: one has not come up.
    given_up: AtomicBool,
    /// Memory is short.
    paused: AtomicBool,
    made: Mutex<Vec<Instance>>,
    /// Tells whoever makes them that some may be missing.
    missing: Arc<Notify>,
}

/// Makes what is missing of all these, one after the other, until it is dropped. `_workshop` keeps the clock of the engine going,
/// without which a guest that does not end would not be interrupted.
pub(super) async fn make(all: Vec<Arc<Ahead>>, missing: Arc<Notify>, _workshop: Arc<Workshop>) {
    loop {
        missing.notified().await;
        while let Some(ahead) = all.iter().find(|ahead| ahead.is_missing_some()) {
            ahead.places().work.rest().await;
            if !ahead.make_one().await {
                // The next run that takes one, or has none to take, says so again.
                break;
            }
        }
    }
}

impl MadeAhead {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.value(&AHEAD, setting::count_within(0, MOST)))
    }

    /// Whether instances of a component are made ahead that begins with so much memory.
    fn is_for(self, memory: Bytes) -> bool {
        self.0 > 0 && memory >= LARGE
    }
}

impl Default for MadeAhead {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Ahead {
    /// None: it is not worth it for this node.
    pub(super) fn new(node: &Arc<Node>, most: MadeAhead, missing: &Arc<Notify>) -> Option<Arc<Self>> {
        if !most.is_for(node.component.memory) {
            return None;
        }
        let ahead = Arc::new(Self {
            node: Arc::clone(node),
            most: most.0,
            nobody: OnceLock::new(),
            given_up: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            made: Mutex::default(),
            missing: Arc::clone(missing),
        });
        let holder: Arc<dyn Holder> = ahead.clone();
        node.component.places.watch(&holder);
        Some(ahead)
    }

    /// One that is made.
    pub(super) fn take(&self) -> Option<Instance> {
        let instance = self.made().pop();
        self.missing.notify_one();
        instance
    }

    /// A fresh instance has come up with this run in it. Where it has called nobody, no other will: what makes no call can only do
    /// the same each time. So they may be made without a run.
    pub(super) fn came_up(&self, run: &NodeRun) {
        if !run.calls.any() {
            self.nobody.get_or_init(|| run.nobody());
            self.missing.notify_one();
        }
    }

    /// Lets all go, and makes none for the time being.
    pub(super) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
        let all = std::mem::take(&mut *self.made());
        drop(all);
    }

    /// Makes them again.
    pub(super) fn resume(&self) {
        if self.paused.swap(false, Ordering::Relaxed) {
            self.missing.notify_one();
        }
    }

    fn is_missing_some(&self) -> bool {
        let stopped = self.given_up.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed);
        !stopped && self.nobody.get().is_some() && self.made().len() < self.most
    }

    /// Makes one. False: there is no place that no run needs.
    async fn make_one(&self) -> bool {
        let Some(nobody) = self.nobody.get() else { return false };
        let why = match timeout(TIME, Instance::ahead(&self.node, nobody.nobody())).await {
            Ok(Ok(made)) => return made.is_some_and(|instance| self.put(instance)),
            Ok(Err(error)) => error.message,
            Err(_) => format!("it has not come up within {TIME:?}"),
        };
        self.given_up.store(true, Ordering::Relaxed);
        tracing::warn!(node = %self.node.id, why, "instances of the node are not made ahead of its runs");
        true
    }

    /// Keeps it, if nobody needs its place more.
    fn put(&self, instance: Instance) -> bool {
        let mut made = self.made();
        // Within the lock: whoever waits for a place, or finds memory short, has said so before it looks here.
        if !self.places().are_wanted() && !self.paused.load(Ordering::Relaxed) {
            made.push(instance);
            return true;
        }
        drop(made);
        drop(instance);
        false
    }

    fn places(&self) -> &Places {
        &self.node.component.places
    }

    fn made(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder for Ahead {
    fn give_up(&self) -> bool {
        let one = self.made().pop();
        one.is_some()
    }

    fn held(&self) -> usize {
        self.made().len()
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").field("most", &self.most).field("made", &self.held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_made_ahead_of_what_takes_long_to_make() {
        for (most, mebibytes, expected) in [(2, 8, true), (2, 7, false), (0, 100, false)] {
            assert_eq!(MadeAhead(most).is_for(Bytes(mebibytes << 20)), expected, "{most} {mebibytes}");
        }
    }

    #[test]
    fn the_default_is_what_is_documented_and_the_operator_may_forbid_it() {
        assert_eq!(AHEAD.default, DEFAULT.to_string());
        let read = |value| setting::read_from(&[("WEIR_INSTANCES_AHEAD", value)], MadeAhead::read);
        assert_eq!(read("0"), Ok(MadeAhead(0)));
        assert!(read("101").is_err());
    }
}
