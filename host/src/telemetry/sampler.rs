//! Whether a request is recorded whose caller does not record its own trace (flag `00` of `traceparent`).

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry_sdk::trace::{Config, SamplingResult, ShouldSample};

use crate::setting::Setting;

pub(super) static UNSAMPLED: Setting = Setting::new(
    "WEIR_TRACE_UNSAMPLED",
    "follow",
    "requests whose caller does not record its trace (flag `00`): `follow` (not recorded either) or `record`",
);

pub(super) const UNSAMPLED_WORDS: [(&str, Unsampled); 2] =
    [("follow", Unsampled::Follow), ("record", Unsampled::Record)];

/// What becomes of a request whose caller does not record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsampled {
    /// As the standard says, and as the original does.
    #[default]
    Follow,
    /// It is recorded, in the caller's trace: a gateway that sends `00` for everything leaves nothing to look at else.
    Record,
}

/// The sampler of `OTEL_TRACES_SAMPLER`, which the SDK reads, and what comes before it.
pub(super) fn sampler(unsampled: Unsampled) -> Box<dyn ShouldSample> {
    let standard = Config::default().sampler;
    match unsampled {
        Unsampled::Follow => standard,
        Unsampled::Record => Box::new(AsIfFirst(standard)),
    }
}

/// Asks about a request whose caller does not record as if its trace began here.
#[derive(Clone, Debug)]
struct AsIfFirst(Box<dyn ShouldSample>);

impl ShouldSample for AsIfFirst {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let caller = parent.map(|cx| cx.span().span_context().clone());
        match caller.filter(|caller| caller.is_valid() && caller.is_remote() && !caller.is_sampled()) {
            None => self.0.should_sample(parent, trace, name, kind, attributes, links),
            Some(caller) => SamplingResult {
                trace_state: caller.trace_state().clone(),
                ..self.0.should_sample(None, trace, name, kind, attributes, links)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::{Sampler, SamplingDecision};

    use super::*;

    #[track_caller]
    fn check(standard: Sampler, remote: bool, flags: TraceFlags, expected: SamplingDecision) {
        let state = TraceState::from_key_value([("a", "1")]).unwrap();
        let caller = SpanContext::new(TraceId::from(1_u128), SpanId::from(2_u64), flags, remote, state.clone());
        let parent = Context::new().with_remote_span_context(caller);
        let sampler = AsIfFirst(Box::new(standard));
        let result = sampler.should_sample(Some(&parent), TraceId::from(1_u128), "", &SpanKind::Server, &[], &[]);
        assert_eq!((result.decision, result.trace_state), (expected, state));
    }

    #[test]
    fn a_caller_that_does_not_record_has_no_say() {
        let (yes, no) = (SamplingDecision::RecordAndSample, SamplingDecision::Drop);
        let by_parent = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        check(by_parent(), true, TraceFlags::NOT_SAMPLED, yes.clone());
        check(by_parent(), true, TraceFlags::SAMPLED, yes.clone());
        // Of our own spans, what was decided for the request holds.
        check(by_parent(), false, TraceFlags::NOT_SAMPLED, no.clone());
        check(Sampler::AlwaysOff, true, TraceFlags::NOT_SAMPLED, no.clone());
        let few = || Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.0)));
        check(few(), true, TraceFlags::NOT_SAMPLED, no);
        check(few(), true, TraceFlags::SAMPLED, yes);
    }
}
