//! Points that are found once and then added to: those of what nearly all requests and runs do.
//!
//! To find a point by its labels takes ten times as long as to add to it, and a run of a node adds to five. A point that was found
//! is told from then on, so each is found when there is something to add, and not before.

use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{BoundCounter, BoundHistogram, BoundUpDownCounter};

use crate::id::FlowId;

/// Those of a node: of its runs that end well, and of what all of them use. Clones are the same; whoever has several nodes has one
/// for each.
#[derive(Clone, Debug, Default)]
pub struct NodePoints(Arc<OfNode>);

#[derive(Debug, Default)]
pub(super) struct OfNode {
    pub(super) request: OnceLock<BoundCounter<u64>>,
    pub(super) latency: OnceLock<BoundHistogram<f64>>,
    pub(super) instantiation: OnceLock<BoundHistogram<f64>>,
    pub(super) memory: OnceLock<BoundHistogram<u64>>,
    pub(super) cpu: OnceLock<BoundHistogram<f64>>,
}

impl NodePoints {
    pub(super) fn get(&self) -> &OfNode {
        &self.0
    }
}

/// Those of requests that a flow answers whole, with status 200.
#[derive(Debug, Default)]
pub(super) struct OfFlow {
    /// The first that did so. What has the dimensions of one deployment sees no other.
    flow: OnceLock<FlowId>,
    pub(super) request: OnceLock<BoundCounter<u64>>,
    pub(super) latency: OnceLock<BoundHistogram<f64>>,
}

impl OfFlow {
    /// Whether they are those of this flow.
    pub(super) fn are_of(&self, flow: &FlowId) -> bool {
        self.flow.get_or_init(|| flow.clone()) == flow
    }
}

/// Those of `POST /score` with status 200, among all that HTTP is asked.
#[derive(Debug, Default)]
pub(super) struct OfHttp {
    pub(super) active: OnceLock<BoundUpDownCounter<i64>>,
    pub(super) duration: OnceLock<BoundHistogram<f64>>,
}
