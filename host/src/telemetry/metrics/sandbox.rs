//! What runs of nodes used, and how the sandbox ended them. DOORS 2 and 3 record it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::{Metrics, NodePoints, counter, histogram, of_flow, of_node, whole_histogram};
use crate::id::{FlowId, NodeId};
use crate::telemetry::names::{dimension, metric, value};

/// The instruments.
#[derive(Clone, Debug)]
pub(super) struct Sandbox {
    instantiation: Histogram<f64>,
    memory: Histogram<u64>,
    cpu: Histogram<f64>,
    taken: Counter<u64>,
    traps: Counter<u64>,
    denials: Counter<u64>,
}

/// What one run of a node used, as whoever runs it says. It is told when the run ends, however it ends. Clones are the
/// same.
#[derive(Clone, Debug, Default)]
pub struct NodeUse(Arc<Used>);

#[derive(Debug, Default)]
struct Used {
    /// In nanoseconds; zero: there was no instance, or none that was made for it.
    instantiation: AtomicU64,
    /// Where its instance came from; unset: there was none, or it was made for it.
    origin: OnceLock<&'static str>,
    /// In bytes.
    memory: AtomicU64,
    /// In nanoseconds; zero: it never ran.
    cpu: AtomicU64,
    file_calls: AtomicU64,
    /// In bytes.
    file_written: AtomicU64,
}

impl NodeUse {
    /// It took so long to make its instance.
    pub fn instantiated(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.instantiation.store(nanos.max(1), Ordering::Relaxed);
    }

    /// It is in an instance that an earlier run has left.
    pub fn reused(&self) {
        self.0.origin.get_or_init(|| value::REUSED);
    }

    /// It is in a fresh instance that was made before it began.
    pub fn made_ahead(&self) {
        self.0.origin.get_or_init(|| value::AHEAD);
    }

    /// Where its instance came from, if it was not made for it.
    pub(in crate::telemetry) fn origin(&self) -> Option<&'static str> {
        self.0.origin.get().copied()
    }

    /// It was on a thread for so long. Gives the sum so far.
    pub fn ran(&self, took: Duration) -> Duration {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.0.cpu.fetch_add(nanos, Ordering::Relaxed).saturating_add(nanos))
    }

    /// It has so many bytes of memory now.
    pub fn memory(&self, bytes: u64) {
        self.0.memory.fetch_max(bytes, Ordering::Relaxed);
    }

    /// It made a call of `wasi:filesystem`.
    pub fn file_call(&self) {
        self.0.file_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// It wrote so many bytes into files.
    pub fn file_written(&self, bytes: u64) {
        self.0.file_written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many calls of `wasi:filesystem` it made, and how much it wrote.
    pub(in crate::telemetry) fn files(&self) -> (u64, u64) {
        (self.0.file_calls.load(Ordering::Relaxed), self.0.file_written.load(Ordering::Relaxed))
    }
}

impl Sandbox {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            instantiation: histogram(meter, metric::INSTANTIATION_DURATION),
            memory: whole_histogram(meter, metric::NODE_MEMORY_PEAK),
            cpu: histogram(meter, metric::NODE_CPU),
            taken: counter(meter, metric::INSTANCE_TAKEN),
            traps: counter(meter, metric::NODE_TRAP),
            denials: counter(meter, metric::CAPABILITY_DENIAL),
        }
    }
}

impl Metrics {
    /// Records what a run used that has ended. `points` are those of the node that have been found.
    pub(in crate::telemetry) fn node_used(&self, flow: &FlowId, node: &NodeId, points: &NodePoints, used: &NodeUse) {
        let (labels, points) = (|| [of_flow(flow), of_node(node)], points.get());
        let (nanos, bytes) = (used.0.instantiation.load(Ordering::Relaxed), used.0.memory.load(Ordering::Relaxed));
        if nanos > 0 {
            let point = points.instantiation.get_or_init(|| self.sandbox.instantiation.bind(&labels()));
            point.record(Duration::from_nanos(nanos).as_secs_f64());
        }
        if let Some(origin) = used.origin() {
            self.sandbox.taken.add(1, &[of_flow(flow), of_node(node), KeyValue::new(dimension::KIND, origin)]);
        }
        let cpu = used.0.cpu.load(Ordering::Relaxed);
        if cpu > 0 {
            let point = points.cpu.get_or_init(|| self.sandbox.cpu.bind(&labels()));
            point.record(Duration::from_nanos(cpu).as_secs_f64());
        }
        if bytes > 0 {
            points.memory.get_or_init(|| self.sandbox.memory.bind(&labels())).record(bytes);
        }
    }

    /// Counts a run that the sandbox ended.
    pub(in crate::telemetry) fn node_trapped(&self, flow: &FlowId, node: &NodeId, kind: &'static str) {
        self.sandbox.traps.add(1, &[of_flow(flow), of_node(node), KeyValue::new(dimension::KIND, kind)]);
    }

    /// Counts a call to what the flow does not grant.
    pub(in crate::telemetry) fn denied(&self, flow: &FlowId, node: &NodeId, capability: &'static str) {
        self.sandbox.denials.add(1, &[of_flow(flow), of_node(node), KeyValue::new(dimension::CAPABILITY, capability)]);
    }
}
