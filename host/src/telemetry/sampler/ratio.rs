//! A share of all traces, the same one on every host: what OpenTelemetry calls consistent probability sampling.
//!
//! The last 56 bits of a trace id are taken for a random number, as the W3C's standard promises; a trace is of the share
//! if that number is at least a threshold. The threshold goes with what is kept, as `ot=th:…` in the trace state, so that
//! whoever counts traces downstream knows how many one of them stands for.

use opentelemetry::trace::{TraceId, TraceState};

const BITS: u32 = 56;
const ALL: u64 = 1 << BITS;

/// A share of all traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::telemetry) struct Ratio {
    share: f64,
    threshold: u64,
}

impl Ratio {
    /// From 0, none, to 1, all.
    pub(in crate::telemetry) fn new(share: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a number from 0 to 2^56, of which more than 53 bits are not needed"
        )]
        let threshold = ((1.0 - share) * ALL as f64) as u64;
        Some(Self { share, threshold })
    }

    /// A share as it is written: a number from 0 to 1.
    pub(in crate::telemetry) fn parse(text: &str) -> Result<Self, String> {
        let share = text.parse().ok().and_then(Self::new);
        share.ok_or_else(|| format!("{text:?} must be a number from 0 to 1, such as 0.1"))
    }

    /// Whether this trace is of the share.
    pub(super) fn keeps(self, trace: TraceId) -> bool {
        let id = u128::from_be_bytes(trace.to_bytes());
        let random = u64::try_from(id & u128::from(ALL - 1)).unwrap_or(u64::MAX);
        random >= self.threshold
    }

    pub(super) fn share(self) -> f64 {
        self.share
    }

    pub(super) fn is_all(self) -> bool {
        self.threshold == 0
    }

    /// The trace state with this share told in it; the other things that OpenTelemetry has in it stay.
    pub(super) fn told(self, state: &TraceState) -> TraceState {
        let others = state.get(VENDOR).into_iter().flat_map(|it| it.split(';')).filter(|it| !it.starts_with("th:"));
        let member = others.map(str::to_owned).chain([format!("th:{}", self.hex())]).collect::<Vec<_>>().join(";");
        // One that is too long already cannot say it; the attribute still does.
        state.insert(VENDOR, member).unwrap_or_else(|_| state.clone())
    }

    /// The threshold in hexadecimal, without the zeros at its end.
    fn hex(self) -> String {
        let hex = format!("{:014x}", self.threshold);
        match hex.trim_end_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        }
    }
}

/// OpenTelemetry's own key in a trace state.
const VENDOR: &str = "ot";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        for text in ["-0.1", "1.1", "NaN", "ten", ""] {
            let problem = Ratio::parse(text).unwrap_err();
            assert_eq!(problem, format!("{text:?} must be a number from 0 to 1, such as 0.1"));
        }
        assert_eq!(Ratio::parse("0.25").unwrap().share(), 0.25);
    }

    #[test]
    fn its_threshold_is_told_as_the_standard_has_it() {
        // The table of the specification of `th`.
        for (share, expected) in [(1.0, "0"), (0.5, "8"), (0.25, "c"), (0.0625, "f"), (1.0 / 65536.0, "ffff")] {
            assert_eq!(Ratio::new(share).unwrap().hex(), expected, "{share}");
        }
        let told = |state: &[(&str, &str)]| {
            let state = TraceState::from_key_value(state.iter().copied()).unwrap();
            Ratio::new(0.5).unwrap().told(&state).header()
        };
        assert_eq!(told(&[]), "ot=th:8");
        assert_eq!(told(&[("a", "1"), ("ot", "rv:6e6d1a75832a2f;th:0")]), "ot=rv:6e6d1a75832a2f;th:8,a=1");
    }

    #[test]
    fn all_and_none_are_what_they_say() {
        for id in [0, 1, u128::from(ALL) - 1, u128::from(ALL), u128::MAX] {
            assert!(Ratio::new(1.0).unwrap().keeps(TraceId::from(id)));
            assert!(!Ratio::new(0.0).unwrap().keeps(TraceId::from(id)));
        }
    }

    proptest! {
        #[test]
        fn a_smaller_share_is_part_of_a_larger(id: u128, a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let (small, large) = (Ratio::new(a.min(b)).unwrap(), Ratio::new(a.max(b)).unwrap());
            prop_assert!(!small.keeps(TraceId::from(id)) || large.keeps(TraceId::from(id)));
        }
    }

    #[test]
    fn it_keeps_about_as_many_as_it_says() {
        let tenth = Ratio::new(0.1).unwrap();
        let spread = |n: u128| TraceId::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let kept = (0..10_000).filter(|n| tenth.keeps(spread(*n))).count();
        assert!((900..1100).contains(&kept), "{kept} of 10000");
    }
}
