//! What a guest says on the span it already has: attributes, events, metrics, log lines, chunks; and spans that it starts
//! below, for parts of its work. All this needs no grant. None fails for the guest but a chunk that is no JSON, which ends the
//! run.

use crate::boundary::GuestCalls;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::boundary::facts::{GuestEnd, GuestKind, NoteValue};
use crate::boundary::outlet::Closed;
use crate::clock;
use crate::telemetry::GuestStart;

/// The span of a run, for notes. Clones share it; it outlives neither the span nor its bounds.
pub type Notes = crate::telemetry::NodeNotes;

/// Where a guest runs, as `context.current` tells it.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub flow: String,
    pub node: String,
    pub request_id: String,
    pub traceparent: String,
    pub streaming: bool,
    pub remaining_ms: u64,
}

impl GuestCalls<'_> {
    pub fn current(&self) -> Invocation {
        let run = &self.run;
        // As coarse as any clock it has.
        let passed = run.clock.coarse(clock::now().saturating_duration_since(run.began));
        let remaining = run.deadline.saturating_duration_since(run.began).saturating_sub(passed);
        Invocation {
            flow: run.origin.flow.to_string(),
            node: run.node.to_string(),
            request_id: run.origin.request.id.to_string(),
            traceparent: run.spans.traceparent(),
            streaming: run.outlet.is_live(),
            remaining_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Tells a metric: on the span, and to whoever started the run. Leaves out what is over the bounds of either.
    pub fn log_metric(&mut self, name: &str, value: f64) {
        if self.run.notes.log_metric(name, value) {
            self.run.origin.metrics.keep(name, value);
        }
    }

    /// Starts a span below the current one, and gives its number in the run. None: it is left out.
    pub fn start_span(&mut self, name: &str, kind: GuestKind, inputs: &str) -> Option<u32> {
        let request = self.run.origin.request.facts();
        let started = self.run.spans.start(GuestStart { request, name, kind, inputs });
        // How many there may be has a bound of its own.
        self.run.took(started.is_some());
        started
    }

    /// Sets an attribute of a span that the guest has started.
    pub fn set_span_attribute(&mut self, span: u32, key: &str, value: NoteValue) {
        self.run.spans.set_attribute(span, key, value);
    }

    /// Ends a span that the guest has started, once.
    pub fn end_span(&mut self, span: u32, end: GuestEnd<'_>) {
        let ended = self.run.spans.end_one(span, end);
        self.run.took(ended);
    }

    /// Makes a span that the guest has started the one that its calls are below; none: the node's own.
    pub fn set_current_span(&mut self, span: Option<u32>) {
        self.run.spans.set_current(span);
    }

    /// The guest has no more use for a span. There is one of these for each that was started.
    pub fn drop_span(&mut self, span: u32) {
        self.run.spans.end_one(span, GuestEnd::Left);
        self.run.took(true);
    }

    /// Passes a chunk on towards the client.
    ///
    /// # Errors
    /// Outer: the chunk is not JSON text, which ends the run. Inner: no more chunks are taken.
    pub async fn emit(&mut self, chunk: String) -> Result<Result<(), Closed>, NodeError> {
        let taken = self.run.outlet.emit(&chunk).await.map_err(|error| {
            let node = self.run.node.as_str();
            NodeError::new(NodeFailure::Protocol, format!("node {node:?} emitted a chunk that is not JSON: {error}"))
        })?;
        // How many there may be is the outlet's to say.
        self.run.took(taken.is_ok());
        Ok(taken)
    }
}
