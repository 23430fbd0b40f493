//! A run of one node by itself, in the process of whoever measures or tests it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use weir::boundary::budget::Budget;
use weir::boundary::metrics::LoggedMetrics;
use weir::boundary::{Origin, Request};
use weir::id::RequestId;
use weir::scheduler::Runner;
use weir::telemetry::Usage;

/// Where a run comes from that no request asked for: it has a minute, what the runner lets a request spend, and no caller.
pub fn origin(runner: &Runner) -> Origin {
    Origin {
        telemetry: runner.telemetry.clone(),
        flow: runner.flow.id().clone(),
        request: Arc::new(Request { id: RequestId::new("r"), id_from_caller: false, target: "dag" }),
        parent: Context::new(),
        usage: Usage::default(),
        metrics: LoggedMetrics::default(),
        budget: Arc::new(Budget::new(runner.budget)),
        deadline: Instant::now() + Duration::from_secs(60),
        depth: 0,
        caller: None,
        siblings: runner.nodes.clone(),
    }
}
