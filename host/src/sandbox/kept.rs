//! The instances of one node that wait for its next run, where the flow has them used again. Each has its place meanwhile, and
//! is given up for whoever finds none. How long one may serve is said in reuse.rs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::instance::Instance;
use crate::sandbox::places::{Holder, Places};
use crate::sandbox::reuse::{self, Reuse};

/// Those of one node.
pub(super) struct Kept {
    reuse: Reuse,
    most: usize,
    places: Arc<Places>,
    /// The last that came stands last.
    waiting: Mutex<Vec<Instance>>,
}

impl Kept {
    pub(super) fn new(reuse: Reuse, reuse::Kept(most): reuse::Kept, places: &Arc<Places>) -> Arc<Self> {
        let kept = Arc::new(Self { reuse, most, places: Arc::clone(places), waiting: Mutex::default() });
        let holder: Arc<dyn Holder> = kept.clone();
        places.watch(&holder);
        kept
    }

    /// The one that served last: what it touched is still in the caches, and those that nobody needs grow old.
    pub(super) fn take(&self) -> Option<Instance> {
        loop {
            let instance = self.waiting().pop()?;
            if instance.may_serve(self.reuse) {
                return Some(instance);
            }
        }
    }

    /// Keeps an instance whose run has ended well, if there is room and nobody needs its place more.
    pub(super) fn put(&self, instance: Instance) {
        if !instance.may_serve(self.reuse) {
            return;
        }
        let mut waiting = self.waiting();
        // Within the lock: whoever waits for a place has said so before it looks here.
        if waiting.len() < self.most && !self.places.are_wanted() {
            waiting.push(instance);
            return;
        }
        drop(waiting);
        drop(instance);
    }

    /// Lets those go that may not serve any more.
    pub(super) fn tidy(&self) {
        let old: Vec<_> = {
            let mut waiting = self.waiting();
            waiting.extract_if(.., |instance| !instance.may_serve(self.reuse)).collect()
        };
        drop(old);
    }

    /// Lets all go.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.waiting());
        drop(all);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder for Kept {
    fn give_up(&self) -> bool {
        let oldest = {
            let mut waiting = self.waiting();
            (!waiting.is_empty()).then(|| waiting.remove(0))
        };
        oldest.is_some()
    }

    fn held(&self) -> usize {
        self.waiting().len()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("reuse", &self.reuse).field("waiting", &self.held()).finish_non_exhaustive()
    }
}
