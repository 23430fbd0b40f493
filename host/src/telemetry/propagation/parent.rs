//! `traceparent`: which span a request was made for.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::state::State;

/// Length of what every version begins with: version, trace id, span id and flags.
const LENGTH: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// The span that a request was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl Parent {
    pub(super) fn span_context(self, state: Option<&State>) -> SpanContext {
        let state = state.map(State::for_spans).unwrap_or_default();
        SpanContext::new(self.trace, self.span, self.flags, true, state)
    }
}

/// What the headers say, if they say it once: two parents contradict each other.
pub(super) fn read(headers: &HeaderMap) -> Option<Parent> {
    let mut given = headers.get_all("traceparent").iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    parse(value.to_str().ok()?.trim_matches([' ', '\t']))
}

fn parse(text: &str) -> Option<Parent> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut fields = known.split('-');
    let mut field = |length| fields.next().filter(|field| field.len() == length && field.bytes().all(is_hex));
    let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    let readable = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        // A later version may go on after what we know, and then with a field of its own.
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let trace = TraceId::from_hex(trace).ok().filter(|id| *id != TraceId::INVALID)?;
    let span = SpanId::from_hex(span).ok().filter(|id| *id != SpanId::INVALID)?;
    // Of the flags only this one has a meaning that we know.
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    readable.then_some(Parent { trace, span, flags })
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The header by which a span is the parent of what another service does; none for what is no span.
pub(super) fn write(span: &SpanContext) -> Option<String> {
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    span.is_valid().then(|| format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}
