//! The trace context of a request: out of its headers, and into those of requests made for it.
//!
//! W3C `traceparent`, `tracestate` and `baggage` are read; only the first two are passed on, since baggage can hold
//! whatever a caller's system puts there, and the services a node calls belong to other people. The limits are those
//! of the standards, kept by OpenTelemetry's propagators: 32 members of `tracestate`; 64 members and 8192 bytes of
//! `baggage`. What is malformed or too long is ignored, and the request starts a trace of its own.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, StringValue};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// What the headers of a request say about the trace it belongs to.
pub fn extract(headers: &HeaderMap) -> Context {
    let headers = Incoming::join(headers);
    let cx = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    BaggagePropagator::new().extract_with_context(&cx, &headers)
}

/// The headers by which another service continues the trace below the span of `cx`. None if there is no trace.
pub fn headers(cx: &Context) -> HeaderMap {
    let mut headers = HeaderMap::new();
    TraceContextPropagator::new().inject_context(cx, &mut Outgoing(&mut headers));
    headers
}

/// The span of `cx` as the text of a `traceparent` header; empty if there is no trace.
pub fn traceparent(cx: &Context) -> String {
    headers(cx).get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The trace id in hexadecimal, by which a person finds the trace; none if there is no trace.
pub fn trace_id(cx: &Context) -> Option<String> {
    let span = cx.span();
    span.span_context().is_valid().then(|| span.span_context().trace_id().to_string())
}

/// The baggage as attributes, in no particular order. Properties of a member stay in its value, as prompt flow has it.
pub(super) fn baggage(cx: &Context) -> Vec<KeyValue> {
    let attribute = |(key, (value, properties)): (&opentelemetry::Key, &(StringValue, _))| {
        let properties: &opentelemetry::baggage::BaggageMetadata = properties;
        match properties.as_str() {
            "" => KeyValue::new(key.clone(), value.clone()),
            properties => KeyValue::new(key.clone(), format!("{value};{properties}")),
        }
    };
    cx.baggage().iter().map(attribute).collect()
}

/// The three headers, each as one text.
struct Incoming {
    traceparent: Option<String>,
    tracestate: Option<String>,
    baggage: Option<String>,
}

impl Incoming {
    fn join(headers: &HeaderMap) -> Self {
        // Lists may come in several headers and mean the same; two `traceparent` headers contradict each other.
        let list = |name| {
            let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        let traceparent = list("traceparent").filter(|value| !value.contains(','));
        Self { traceparent, tracestate: list("tracestate"), baggage: list("baggage") }
    }
}

impl Extractor for Incoming {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent.as_deref(),
            "tracestate" => self.tracestate.as_deref(),
            "baggage" => self.baggage.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        ["traceparent", "tracestate", "baggage"].into_iter().filter(|key| self.get(key).is_some()).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // The propagator also sets an empty `tracestate`, which says nothing.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn request(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// What comes in, and what would go out.
    #[track_caller]
    fn check(incoming: &[(&'static str, &str)], outgoing: &[(&'static str, &str)]) {
        assert_eq!(headers(&extract(&request(incoming))), request(outgoing), "{incoming:?}");
    }

    #[test]
    fn a_trace_context_passes_through() {
        check(&[("traceparent", PARENT)], &[("traceparent", PARENT)]);
        let unsampled = PARENT.replace("-01", "-00");
        check(&[("traceparent", &unsampled)], &[("traceparent", &unsampled)]);
        check(
            &[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")],
            &[("traceparent", PARENT), ("tracestate", "a=1,b=2")],
        );
    }

    #[test]
    fn what_is_malformed_starts_a_trace_of_its_own() {
        for bad in ["", "00", "garbage", &PARENT.to_uppercase(), &PARENT.replace("00-4", "ff-4"), &PARENT[..50]] {
            check(&[("traceparent", bad)], &[]);
        }
        check(&[("traceparent", "00-00000000000000000000000000000000-0000000000000000-01")], &[]);
        check(&[("traceparent", PARENT), ("traceparent", PARENT)], &[]);
        check(&[("tracestate", "a=1")], &[]);
    }

    #[test]
    fn a_malformed_state_does_not_lose_the_parent() {
        check(&[("traceparent", PARENT), ("tracestate", "no pair")], &[("traceparent", PARENT)]);
    }

    #[test]
    fn baggage_stays_here() {
        check(&[("traceparent", PARENT), ("baggage", "user=alice")], &[("traceparent", PARENT)]);
    }

    #[track_caller]
    fn check_baggage(header: &str, expected: &[(&str, &str)]) {
        let mut found: Vec<(String, String)> = baggage(&extract(&request(&[("baggage", header)])))
            .into_iter()
            .map(|it| (it.key.to_string(), it.value.to_string()))
            .collect();
        found.sort();
        let expected: Vec<(String, String)> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn baggage_becomes_attributes_with_its_properties() {
        check_baggage("k1=a%20b, k2=v2;prop=1", &[("k1", "a b"), ("k2", "v2;prop=1")]);
        check_baggage("", &[]);
        check_baggage("no-pair", &[]);
    }

    #[test]
    fn baggage_beyond_the_limits_of_the_standard_is_left_out() {
        check_baggage(&format!("k={}", "x".repeat(8192)), &[]);
        let many: Vec<String> = (0..100).map(|n| format!("k{n}=v")).collect();
        assert_eq!(baggage(&extract(&request(&[("baggage", &many.join(","))]))).len(), 64);
    }

    #[test]
    fn a_span_is_told_as_text() {
        let cx = extract(&request(&[("traceparent", PARENT)]));
        assert_eq!(traceparent(&cx), PARENT);
        assert_eq!(trace_id(&cx).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(traceparent(&Context::new()), "");
        assert_eq!(trace_id(&Context::new()), None);
    }
}
