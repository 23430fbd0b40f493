//! What stands in a store between two runs, where a flow has its instances used again: a run that nobody asked for, which may
//! do nothing and of which nobody hears. By that a run that has ended is let go whole, with its span, its request and its grants.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use opentelemetry::Context;
use tokio::sync::Semaphore;

use crate::boundary::bounds::{Calls, HttpBounds, StreamBounds};
use crate::boundary::budget::{self, Budget};
use crate::boundary::denial::Denials;
use crate::boundary::error::{CallError, CallErrorKind, LastFailure, NodeError};
use crate::boundary::facts::NodeUse;
use crate::boundary::grants::Grants;
use crate::boundary::metrics::LoggedMetrics;
use crate::boundary::outlet::Unbounded;
use crate::boundary::quota::{Quota, Requests};
use crate::boundary::{NodeRun, Origin, Request, Siblings};
use crate::flow::value::Json;
use crate::id::RequestId;
use crate::telemetry::Usage;

impl NodeRun {
    /// What takes the place of this run when it has ended: of the same node, and nothing else that was its.
    pub fn nobody(&self) -> Self {
        let Origin { telemetry, flow, deadline, .. } = &self.origin;
        let notes = self.notes.of_nobody();
        let grants = Arc::new(Grants::default());
        let denials = Denials::new(telemetry.clone(), flow.clone(), self.node.clone(), notes.clone(), grants.denials());
        let none = StreamBounds { bytes: 0, chunks: 0, per_second: 1, idle: Duration::ZERO };
        Self {
            node: self.node.clone(),
            origin: Origin {
                telemetry: telemetry.clone(),
                flow: flow.clone(),
                request: Arc::new(Request {
                    id: RequestId::new(""),
                    id_from_caller: false,
                    target: self.origin.request.target,
                }),
                parent: Context::new(),
                usage: Usage::default(),
                budget: Arc::new(Budget::new(budget::Limits { calls: 0, tokens: 0 })),
                metrics: LoggedMetrics::default(),
                deadline: *deadline,
                depth: self.origin.depth,
                caller: None,
                siblings: Arc::new(Nobody),
            },
            init: Json::object([]),
            began: self.began,
            deadline: self.began,
            clock: self.clock,
            outlet: Unbounded::kept().within(none),
            calls: Calls::default(),
            used: NodeUse::default(),
            quota: Quota::default(),
            requests: Requests::within(HttpBounds { requests: 0, at_once: 0, body: 0 }),
            failed: LastFailure::default(),
            grants,
            denials,
            spans: self.spans.of_nobody(&notes),
            notes,
            deferred: Arc::new(Semaphore::new(0)),
            io: self.io.clone(),
        }
    }
}

/// No other nodes: those of the flow would hold the store that holds this.
#[derive(Debug)]
struct Nobody;

impl Siblings for Nobody {
    fn run(
        self: Arc<Self>,
        node: String,
        _: String,
        _: Origin,
    ) -> BoxFuture<'static, Result<Result<Json, NodeError>, CallError>> {
        let refused = CallError::new(CallErrorKind::NotGranted, format!("no run asks for node {node:?}"));
        async move { Err(refused) }.boxed()
    }
}
