//! Callers that want their traces recorded (flag `01`): so many of them that the sampler's share no longer counts. As the
//! standard warns, whoever may send requests could have everything recorded, and paid for.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::metrics::Counter;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingResult, ShouldSample};

use super::caller;
use crate::rate::{Quota, Rate};

/// The sampler that follows callers, as often as they may be followed; beyond that, the one for traces that begin here.
#[derive(Clone, Debug)]
pub(super) struct Forced {
    follow: Sampler,
    own: Sampler,
    quota: Arc<Quota<()>>,
    /// Of which our own decided.
    demoted: Counter<u64>,
}

impl Forced {
    pub(super) fn new(own: Sampler, rate: Option<Rate>, demoted: Counter<u64>) -> Self {
        let follow = Sampler::ParentBased(Box::new(own.clone()));
        Self { follow, own, quota: Arc::new(Quota::new(None, rate)), demoted }
    }
}

impl ShouldSample for Forced {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        match caller(parent).filter(SpanContext::is_sampled) {
            Some(caller) if self.quota.take((), Instant::now()).is_err() => {
                self.demoted.add(1, &[]);
                // Not by the caller's trace id, which it may have chosen to be of the share.
                let trace = RandomIdGenerator::default().new_trace_id();
                let decided = self.own.should_sample(None, trace, name, kind, attributes, links);
                SamplingResult { trace_state: caller.trace_state().clone(), ..decided }
            }
            _ => self.follow.should_sample(parent, trace, name, kind, attributes, links),
        }
    }
}
