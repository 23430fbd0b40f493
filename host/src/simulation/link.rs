//! What the host depends on may be there, refuse, or say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link(Arc<AtomicU8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// No connection.
    Shut,
    /// Connections are taken, and nothing is ever answered.
    Silent,
}

impl Link {
    pub(crate) fn set(&self, way: Way) {
        self.0.store(way as u8, Ordering::Relaxed);
    }

    pub(crate) fn way(&self) -> Way {
        match self.0.load(Ordering::Relaxed) {
            0 => Way::Open,
            1 => Way::Shut,
            _ => Way::Silent,
        }
    }
}
