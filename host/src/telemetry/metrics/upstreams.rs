//! What services behind connections are asked again, and what they are not asked. DOOR 3 records it.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::{Metrics, counter, of_flow};
use crate::id::FlowId;
use crate::telemetry::names::{dimension, metric};

/// The instruments.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    retries: Counter<u64>,
    unasked: Counter<u64>,
}

/// Why a service was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Too many calls have failed lately.
    CircuitOpen,
    /// All calls together have been made again too often lately.
    RetryBudget,
    /// The request has made as many calls of models as it may.
    CallBudget,
    /// It has used up as many tokens as it may.
    TokenBudget,
}

impl Upstreams {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { retries: counter(meter, metric::UPSTREAM_RETRY), unasked: counter(meter, metric::UPSTREAM_UNASKED) }
    }
}

impl Metrics {
    /// Counts a call that is made again.
    pub(in crate::telemetry) fn retried(&self, flow: &FlowId, connection: &str, code: &'static str) {
        let mut labels = self.of_upstream(flow, connection);
        labels.push(KeyValue::new(dimension::EXCEPTION, code));
        self.upstreams.retries.add(1, &labels);
    }

    /// Counts a call that is not made.
    pub(in crate::telemetry) fn unasked(&self, flow: &FlowId, connection: &str, why: Unasked) {
        let mut labels = self.of_upstream(flow, connection);
        labels.push(KeyValue::new(dimension::REASON, why.as_str()));
        self.upstreams.unasked.add(1, &labels);
    }

    fn of_upstream(&self, flow: &FlowId, connection: &str) -> Vec<KeyValue> {
        let mut labels = vec![of_flow(flow), KeyValue::new(dimension::CONNECTION, connection.to_owned())];
        labels.extend(self.served.iter().cloned());
        labels
    }
}

impl Unasked {
    fn as_str(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit_open",
            Self::RetryBudget => "retry_budget",
            Self::CallBudget => "call_budget",
            Self::TokenBudget => "token_budget",
        }
    }
}
