//! Which headers travel with requests, as `OTEL_PROPAGATORS` names them.

use crate::setting::Setting;

pub(in crate::telemetry) static PROPAGATORS: Setting = Setting::new(
    "OTEL_PROPAGATORS",
    "tracecontext,baggage",
    "what is read of a caller and passed on to services: `tracecontext` (`traceparent`, `tracestate`), `baggage` (read \
     alone), `none`",
);

/// What travels with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagators {
    pub(super) trace_context: bool,
    pub(super) baggage: bool,
}

impl Default for Propagators {
    fn default() -> Self {
        Self { trace_context: true, baggage: true }
    }
}

impl Propagators {
    /// # Errors
    /// One of them is not known here.
    pub(in crate::telemetry) fn parse(text: &str) -> Result<Self, String> {
        let mut chosen = Self { trace_context: false, baggage: false };
        let mut none = false;
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "tracecontext" => chosen.trace_context = true,
                "baggage" => chosen.baggage = true,
                "none" => none = true,
                "b3" | "b3multi" | "jaeger" | "ottrace" | "xray" | "xray-lambda" => {
                    return Err(format!("{word:?} is not spoken here; write `tracecontext`, `baggage` or `none`"));
                }
                _ => return Err(format!("{word:?} is unknown; write `tracecontext`, `baggage` or `none`")),
            }
        }
        if none && (chosen.trace_context || chosen.baggage) {
            return Err(format!("{text:?} names `none` beside others; leave it out, or the others"));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propagators_are_named_in_any_order_and_case() {
        let chosen = |trace_context, baggage| Ok(Propagators { trace_context, baggage });
        assert_eq!(Propagators::parse(PROPAGATORS.default), Ok(Propagators::default()));
        assert_eq!(Propagators::parse("Baggage, TraceContext,baggage"), chosen(true, true));
        assert_eq!(Propagators::parse("tracecontext"), chosen(true, false));
        assert_eq!(Propagators::parse("none"), chosen(false, false));
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_its_name() {
        for (text, expected) in [
            ("tracecontext,b3", "\"b3\" is not spoken here; write `tracecontext`, `baggage` or `none`"),
            ("w3c", "\"w3c\" is unknown; write `tracecontext`, `baggage` or `none`"),
            ("none,baggage", "\"none,baggage\" names `none` beside others; leave it out, or the others"),
        ] {
            assert_eq!(Propagators::parse(text), Err(expected.to_owned()));
        }
    }
}
