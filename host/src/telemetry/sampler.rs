//! What is recorded and what is kept of it: the standard's samplers decide when a request comes, tail sampling when its
//! trace has ended. Metrics know nothing of either: they count every request.

mod forced;
mod hold;
mod ratio;
mod tail;

use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

pub(super) use hold::TailSampling;
pub(super) use ratio::Ratio;
pub(super) use tail::Policy;

use super::metrics;
use super::names::metric;
use crate::rate::{Rate, rate};
use crate::setting::{self, Reader, Setting};
use forced::Forced;

pub(super) static SAMPLER: Setting = Setting::new(
    "OTEL_TRACES_SAMPLER",
    "parentbased_always_on",
    "which requests are traced: `always_on`, `always_off`, `traceidratio`, or one of these with `parentbased_` before it",
);

pub(super) static SAMPLER_ARG: Setting =
    Setting::optional("OTEL_TRACES_SAMPLER_ARG", "`1`", "share of requests for `traceidratio`, from 0 to 1");

pub(super) static UNSAMPLED: Setting = Setting::new(
    "WEIR_TRACE_UNSAMPLED",
    "follow",
    "requests whose caller does not record its trace (flag `00`): `follow` (not recorded either) or `record`",
);

/// A hundred in a second are more than anyone looks at, and what a small collector takes.
pub(super) static FORCED: Setting = Setting::new(
    "WEIR_TRACE_FORCED",
    "100/s",
    "requests that are traced since their caller records (flag `01`), whatever the sampler would say; beyond it the sampler \
     says: `100/s`, `600/m`, or `none`: no limit",
);

pub(super) static TAIL_RATIO: Setting = Setting::optional(
    "WEIR_TAIL_RATIO",
    "all traces are sent",
    "tail sampling: share (0 to 1) of traces sent beside those that failed, were slow or got feedback",
);

pub(super) static TAIL_SLOW: Setting =
    Setting::new("WEIR_TAIL_SLOW", "10s", "tail sampling: a request that took so long is slow");

pub(super) static TAIL_WAIT: Setting =
    Setting::new("WEIR_TAIL_WAIT", "5m", "tail sampling: how long a trace is held for feedback to come, or `0`");

pub(super) static TAIL_BYTES: Setting =
    Setting::new("WEIR_TAIL_BYTES", "64MiB", "tail sampling: memory for what is held; beyond it the oldest is decided");

const UNSAMPLED_WORDS: [(&str, Unsampled); 2] = [("follow", Unsampled::Follow), ("record", Unsampled::Record)];

/// A request that takes longer has run into every limit there is.
const MAX_SLOW: Duration = Duration::from_secs(24 * 3600);

/// Feedback that comes a day later finds no trace in memory; its span is sent all the same.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Less does not hold one request with inputs and outputs.
const LEAST_TAIL_BYTES: usize = 1024 * 1024;

const MOST_TAIL_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// One of the standard's samplers.
#[derive(Clone, Debug)]
struct Standard {
    /// Decides of traces that begin here.
    own: Sampler,
    /// Callers decide of theirs.
    by_parent: bool,
}

/// What is recorded, and what is kept.
#[derive(Clone, Debug)]
pub struct Config {
    standard: Standard,
    pub(super) unsampled: Unsampled,
    /// How many callers that record are followed. None: all.
    pub(super) forced: Option<Rate>,
    /// None: all that is recorded is kept.
    pub(super) tail: Option<Policy>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            standard: Standard { own: Sampler::AlwaysOn, by_parent: true },
            unsampled: Unsampled::default(),
            forced: rate(FORCED.default).expect("a documented default can be understood"),
            tail: None,
        }
    }
}

impl Config {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let share = reader.optional(&SAMPLER_ARG, Ratio::parse).map_or(1.0, Ratio::share);
        let name = reader.value(&SAMPLER, |text| standard(text, 1.0).map(|_| text.to_owned()));
        let standard = standard(&name, share).unwrap_or(Self::default().standard);
        let unsampled = reader.value(&UNSAMPLED, setting::one_of(&UNSAMPLED_WORDS));
        let forced = reader.value(&FORCED, rate);
        let ratio = reader.optional(&TAIL_RATIO, Ratio::parse);
        let slow = reader.value(&TAIL_SLOW, setting::time_up_to(MAX_SLOW));
        let wait = reader.value(&TAIL_WAIT, setting::time_or_none_up_to(MAX_WAIT));
        let max_bytes = reader.value(&TAIL_BYTES, tail_bytes);
        Self { standard, unsampled, forced, tail: ratio.map(|ratio| Policy { ratio, slow, wait, max_bytes }) }
    }

    /// What decides when a request comes.
    pub(super) fn sampler(&self, meters: &impl MeterProvider) -> Box<dyn ShouldSample> {
        let own = self.standard.own.clone();
        let standard: Box<dyn ShouldSample> = match own {
            _ if !self.standard.by_parent => Box::new(own),
            // Where all are recorded, none are too many.
            Sampler::AlwaysOn => Box::new(Sampler::ParentBased(Box::new(own))),
            _ => {
                let demoted = metrics::counter(&metrics::conventions(meters), metric::SAMPLING_DEMOTED);
                Box::new(Forced::new(own, self.forced, demoted))
            }
        };
        match self.unsampled {
            Unsampled::Follow => standard,
            Unsampled::Record => Box::new(AsIfFirst(standard)),
        }
    }
}

/// The sampler of this name.
fn standard(name: &str, share: f64) -> Result<Standard, String> {
    let lower = name.to_ascii_lowercase();
    let (bare, by_parent) = lower.strip_prefix("parentbased_").map_or((&*lower, false), |bare| (bare, true));
    let own = match bare {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(share),
        "jaeger_remote" | "xray" => {
            return Err(format!("{name:?} asks a service that this host does not ask; {SAMPLERS}"));
        }
        _ => return Err(format!("{name:?} is unknown; {SAMPLERS}")),
    };
    Ok(Standard { own, by_parent })
}

const SAMPLERS: &str = "write one of: always_on, always_off, traceidratio, or one of them with parentbased_ before it";

fn tail_bytes(text: &str) -> Result<usize, String> {
    let bytes = setting::size_up_to(MOST_TAIL_BYTES)(text)?;
    if bytes < LEAST_TAIL_BYTES {
        return Err(format!("{text:?} is less than 1MiB, the least it may be"));
    }
    Ok(bytes)
}

/// What becomes of a request whose caller does not record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unsampled {
    /// As the standard says, and as the original does.
    #[default]
    Follow,
    /// It is recorded, in the caller's trace: a gateway that sends `00` for everything leaves nothing to look at else.
    Record,
}

/// The span of whoever called, if it sent one.
fn caller(parent: Option<&Context>) -> Option<SpanContext> {
    let caller = parent.map(|cx| cx.span().span_context().clone());
    caller.filter(|caller| caller.is_valid() && caller.is_remote())
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
        match caller(parent).filter(|caller| !caller.is_sampled()) {
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
    use opentelemetry::metrics::noop::NoopMeterProvider;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::SamplingDecision;

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

    fn read(env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        setting::read_from(env, Config::read)
    }

    /// What the sampler of a name decides of a request without a parent, with a parent that is recorded, and with one
    /// that is not.
    #[track_caller]
    fn check_standard(name: &str, share: Option<&str>, expected: [bool; 3]) {
        let mut env = vec![(SAMPLER.variable, name)];
        env.extend(share.map(|share| (SAMPLER_ARG.variable, share)));
        let sampler = read(&env).unwrap().sampler(&NoopMeterProvider::new());
        let decided = [None, Some(TraceFlags::SAMPLED), Some(TraceFlags::NOT_SAMPLED)].map(|flags| {
            let trace = TraceId::from(1_u128 << 63);
            let caller = |flags| SpanContext::new(trace, SpanId::from(2_u64), flags, true, TraceState::NONE);
            let parent = flags.map(|flags| Context::new().with_remote_span_context(caller(flags)));
            let result = sampler.should_sample(parent.as_ref(), trace, "", &SpanKind::Server, &[], &[]);
            result.decision == SamplingDecision::RecordAndSample
        });
        assert_eq!(decided, expected, "{name} {share:?}");
    }

    #[test]
    fn each_standard_sampler_decides_as_the_standard_says() {
        // The trace id is in the middle: of a half it is not, of more it is.
        for (name, share, expected) in [
            ("", None, [true, true, false]),
            ("always_on", None, [true, true, true]),
            ("always_off", None, [false, false, false]),
            ("traceidratio", None, [true, true, true]),
            ("traceidratio", Some("0.4"), [false, false, false]),
            ("traceidratio", Some("0.6"), [true, true, true]),
            ("parentbased_always_on", None, [true, true, false]),
            ("parentbased_always_off", None, [false, true, false]),
            ("parentbased_traceidratio", Some("0.4"), [false, true, false]),
            ("ParentBased_TraceIdRatio", Some("0.6"), [true, true, false]),
        ] {
            check_standard(name, share, expected);
        }
    }

    /// How many of so many callers that record are followed where a trace that begins here is not recorded.
    #[track_caller]
    fn check_forced(rate: &str, callers: u64, expected: std::ops::RangeInclusive<usize>) {
        for name in ["parentbased_always_off", "parentbased_traceidratio"] {
            let env = [(SAMPLER.variable, name), (SAMPLER_ARG.variable, "0"), (FORCED.variable, rate)];
            let sampler = read(&env).unwrap().sampler(&NoopMeterProvider::new());
            // Of each share that there is, by its id.
            let trace = TraceId::from(1_u128);
            let recorded = (1..=callers).filter(|span| {
                let caller = SpanContext::new(trace, SpanId::from(*span), TraceFlags::SAMPLED, true, TraceState::NONE);
                let parent = Context::new().with_remote_span_context(caller);
                let result = sampler.should_sample(Some(&parent), trace, "", &SpanKind::Server, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            });
            let recorded = recorded.count();
            assert!(expected.contains(&recorded), "{recorded} of {name} with {rate}");
        }
    }

    #[test]
    fn callers_cannot_have_more_recorded_than_the_operator_allows() {
        // Twice as many at once; a second may pass meanwhile.
        check_forced("1/m", 100, 2..=2);
        check_forced(FORCED.default, 10_000, 200..=1000);
        check_forced("none", 10_000, 10_000..=10_000);
        check_forced("5/m", 3, 3..=3);
    }

    #[test]
    fn a_caller_beyond_that_cannot_choose_to_be_of_the_share() {
        let env =
            [(SAMPLER.variable, "parentbased_traceidratio"), (SAMPLER_ARG.variable, "0.5"), (FORCED.variable, "1/m")];
        let sampler = read(&env).unwrap().sampler(&NoopMeterProvider::new());
        let caller =
            SpanContext::new(TraceId::from(1_u128), SpanId::from(2_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
        let parent = Context::new().with_remote_span_context(caller);
        let ask = || sampler.should_sample(Some(&parent), TraceId::from(1_u128), "", &SpanKind::Server, &[], &[]);
        let recorded = (0..1000).filter(|_| ask().decision == SamplingDecision::RecordAndSample).count();
        assert!((350..650).contains(&recorded), "{recorded} of 1000 are about half");
    }

    #[test]
    fn what_is_no_sampler_is_told() {
        let problems = read(&[
            (SAMPLER.variable, "parentbased_jaeger_remote"),
            (SAMPLER_ARG.variable, "2"),
            (TAIL_RATIO.variable, "10%"),
            (TAIL_BYTES.variable, "1KiB"),
        ]);
        let expected = [
            r#"OTEL_TRACES_SAMPLER_ARG: "2" must be a number from 0 to 1, such as 0.1"#,
            r#"OTEL_TRACES_SAMPLER: "parentbased_jaeger_remote" asks a service that this host does not ask; write one of: always_on, always_off, traceidratio, or one of them with parentbased_ before it"#,
            r#"WEIR_TAIL_RATIO: "10%" must be a number from 0 to 1, such as 0.1"#,
            r#"WEIR_TAIL_BYTES: "1KiB" is less than 1MiB, the least it may be"#,
        ];
        assert_eq!(problems.unwrap_err(), expected);
        let problems = read(&[(SAMPLER.variable, "some")]).unwrap_err();
        assert!(problems[0].starts_with(r#"OTEL_TRACES_SAMPLER: "some" is unknown; write one of:"#), "{problems:?}");
    }

    #[test]
    fn tail_sampling_is_off_until_its_share_is_set() {
        assert_eq!(read(&[(TAIL_SLOW.variable, "1s")]).unwrap().tail, None);
        let policy = read(&[(TAIL_RATIO.variable, "0.1"), (TAIL_WAIT.variable, "0")]).unwrap().tail.unwrap();
        let expected = Policy {
            ratio: Ratio::new(0.1).unwrap(),
            slow: Duration::from_secs(10),
            wait: Duration::ZERO,
            max_bytes: 64 * 1024 * 1024,
        };
        assert_eq!(policy, expected);
    }
}
