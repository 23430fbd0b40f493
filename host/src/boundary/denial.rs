//! What a node asks for and does not hold: a mark on its span, a counter, and a line of the host's log. What the guest is
//! told is its caller's affair.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::boundary::NodeRun;
use crate::boundary::notes::Notes;
use crate::id::{FlowId, NodeId};
use crate::telemetry::Telemetry;

/// How long a node's next denials are only counted after one was logged: a node that asks in a loop must not fill the
/// log, and whoever reads one line has seen what is wrong.
const PAUSE: Duration = Duration::from_secs(10);

/// Longest reason in the log, in bytes: a guest can make names of any length.
const MAX_REASON: usize = 1024;

/// Longest part of a name that a refusal repeats, in bytes: longer than any real one.
const MAX_NAME: usize = 256;

/// What was logged of one node's denials, over all its runs. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct DenialLog(Arc<Mutex<Logged>>);

#[derive(Debug, Default)]
struct Logged {
    last: Option<Instant>,
    left_out: u64,
}

/// Whoever is told of the denials of one run.
#[derive(Debug)]
pub struct Denials {
    telemetry: Telemetry,
    flow: FlowId,
    node: NodeId,
    notes: Notes,
    log: DenialLog,
}

/// As much of a guest's name for something as a refusal repeats.
pub fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

impl Logged {
    /// Whether a denial is logged, and with how many that were not before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Denials {
    pub(super) fn new(telemetry: Telemetry, flow: FlowId, node: NodeId, notes: Notes, log: DenialLog) -> Arc<Self> {
        Arc::new(Self { telemetry, flow, node, notes, log })
    }

    /// The node asked for what it does not hold of a capability.
    pub fn tell(&self, capability: &'static str, reason: &str) {
        self.telemetry.denied(&self.flow, &self.node, capability);
        self.notes.denied(capability, reason);
        // Nothing panics while it holds the lock; if something did, a count would still be a count.
        let admitted = self.log.0.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
        if let Some(left_out) = admitted {
            let (flow, node) = (&self.flow, &self.node);
            let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
            tracing::warn!(%flow, %node, capability, reason, left_out, "a node asked for what it may not have");
        }
    }
}

impl NodeRun {
    /// Tells of a denial that is no call's.
    pub fn denied(&self, capability: &'static str, reason: &str) {
        self.denials.tell(capability, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_denials_is_a_line_for_each_pause() {
        let (mut logged, began) = (Logged::default(), Instant::now());
        assert_eq!(logged.admit(began), Some(0));
        for milliseconds in [0, 1, 9_999] {
            assert_eq!(logged.admit(began + Duration::from_millis(milliseconds)), None);
        }
        assert_eq!(logged.admit(began + PAUSE), Some(3));
        assert_eq!(logged.admit(began + PAUSE * 2), Some(0));
    }
}
