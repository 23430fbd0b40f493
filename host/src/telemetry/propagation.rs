//! The trace context of a request: out of its headers, and into those of requests made for it.
//!
//! W3C `traceparent`, `tracestate` and `baggage` are read; only the first two are passed on, since baggage can hold
//! whatever a caller's system puts there, and the services a node calls belong to other people. What is malformed or too
//! long is ignored, and never fails a request: without a good `traceparent` it starts a trace of its own.
//!
//! The headers are read here and not by OpenTelemetry's propagators, which take more than the standard does (fields of
//! the wrong length, two states for one key) and warn of each bad header, in the words of whoever sent it.

mod baggage;
mod chosen;
mod parent;
mod state;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::{BaggageExt, BaggageMetadata, KeyValueMetadata};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, Key, KeyValue, StringValue};

use super::Redactor;
use super::content::cut;
pub(super) use baggage::decoded;
pub(super) use chosen::PROPAGATORS;
pub use chosen::Propagators;
use state::State;

/// Longest entry of baggage that becomes an attribute, in bytes: whoever calls can make every one of them. A longer value
/// is cut; an entry with a longer name is left out.
const BAGGAGE_KEY: usize = 100;
const BAGGAGE_VALUE: usize = 256;

impl Propagators {
    /// What the headers of a request say about the trace it belongs to.
    pub fn extract(self, headers: &HeaderMap) -> Context {
        let mut cx = Context::new();
        if let Some(parent) = parent::read(headers).filter(|_| self.trace_context) {
            let state = state::read(headers);
            cx = cx.with_remote_span_context(parent.span_context(state.as_ref()));
            if let Some(state) = state {
                cx = cx.with_value(state);
            }
        }
        if self.baggage { cx.with_baggage(baggage::read(headers)) } else { cx }
    }

    /// The headers by which another service continues the trace below the span of `cx`. None if there is no trace.
    pub fn headers(self, cx: &Context) -> HeaderMap {
        let parent = if self.trace_context { traceparent(cx) } else { String::new() };
        let state = cx.get::<State>().filter(|_| !parent.is_empty()).map(State::as_str);
        let given = [("traceparent", parent.as_str()), ("tracestate", state.unwrap_or_default())];
        let given = given.into_iter().filter(|(_, value)| !value.is_empty());
        given
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
            .collect()
    }
}

/// The span of `cx` as the text of a `traceparent` header; empty if there is no trace.
pub fn traceparent(cx: &Context) -> String {
    parent::write(cx.span().span_context()).unwrap_or_default()
}

/// The trace id in hexadecimal, by which a person finds the trace; none if there is no trace.
pub fn trace_id(cx: &Context) -> Option<String> {
    let span = cx.span();
    span.span_context().is_valid().then(|| span.span_context().trace_id().to_string())
}

/// The baggage as attributes, in no particular order, as far as their size is bearable. Properties of a member stay in its
/// value, as prompt flow has it.
pub fn baggage(cx: &Context) -> Vec<KeyValue> {
    let attribute = |(key, (value, properties)): (&Key, &(StringValue, BaggageMetadata))| {
        let told = match properties.as_str() {
            "" => value.as_str().to_owned(),
            properties => format!("{value};{properties}"),
        };
        KeyValue::new(key.clone(), cut(&told, BAGGAGE_VALUE).to_owned())
    };
    cx.baggage().iter().filter(|(key, _)| key.as_str().len() <= BAGGAGE_KEY).map(attribute).collect()
}

/// The same context, but that no secret is in the values of its baggage.
pub(super) fn with_masked_baggage(cx: &Context, redactor: &Redactor) -> Context {
    let members = cx.baggage().iter().map(|(key, (value, properties))| {
        let mut masked = KeyValue::new(key.clone(), value.clone());
        redactor.attribute(&mut masked);
        let properties = redactor.text(properties.as_str()).into_owned();
        KeyValueMetadata::new(masked.key, masked.value.as_str().into_owned(), properties)
    });
    cx.with_baggage(members.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(headers: &HeaderMap) -> Context {
        Propagators::default().extract(headers)
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn request(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// What comes in, and what would go out.
    #[track_caller]
    fn check(incoming: &[(&'static str, &str)], outgoing: &[(&'static str, &str)]) {
        assert_eq!(Propagators::default().headers(&extract(&request(incoming))), request(outgoing), "{incoming:?}");
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
        check_baggage("k=a=b, l=%e6%bc%a2%, m=%ff%zz", &[("k", "a=b"), ("l", "漢%"), ("m", "\u{fffd}%zz")]);
        check_baggage("a b=1, =2, %0A=3, k\u{e9}=4, ok=5", &[]);
        check_baggage("a b=1, =2, %0A=3, ok=5; p = 1 ;q", &[("%0A", "3"), ("ok", "5;p = 1;q")]);
    }

    #[test]
    fn baggage_beyond_the_limits_of_the_standard_is_left_out() {
        let (most, kept) = ("x".repeat(4093), "x".repeat(256));
        check_baggage(&format!("k={most},l={most}x"), &[("k", &kept), ("l", &kept)]);
        check_baggage(&format!("k={most},l={most}xx"), &[]);
        check_baggage(&format!("k={}é", "x".repeat(255)), &[]);
        check_baggage(&format!("k={}%c3%a9", "x".repeat(255)), &[("k", &"x".repeat(255))]);
        check_baggage(&format!("{}=1,{}=2", "k".repeat(101), "l".repeat(100)), &[(&"l".repeat(100), "2")]);
        let many: Vec<String> = (0..100).map(|n| format!("k{n}=v")).collect();
        assert_eq!(baggage(&extract(&request(&[("baggage", &many.join(","))]))).len(), 64);
    }

    #[test]
    fn what_is_not_chosen_is_neither_read_nor_passed_on() {
        let incoming = request(&[("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "k=v")]);
        for (chosen, is_traced, members, outgoing) in [
            ("tracecontext", true, 0, request(&[("traceparent", PARENT), ("tracestate", "a=1")])),
            ("baggage", false, 1, HeaderMap::new()),
            ("none", false, 0, HeaderMap::new()),
        ] {
            let chosen = Propagators::parse(chosen).unwrap();
            let cx = chosen.extract(&incoming);
            let told = (trace_id(&cx).is_some(), baggage(&cx).len(), chosen.headers(&cx));
            assert_eq!(told, (is_traced, members, outgoing), "{chosen:?}");
        }
        // Nor is a trace that began here.
        let own = extract(&incoming);
        assert_eq!(Propagators::parse("none").unwrap().headers(&own), HeaderMap::new());
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
