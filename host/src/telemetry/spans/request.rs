//! DOOR 1: the span of a request to `/score`, and the `flow_*` metrics.

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};

use crate::id::{FlowId, RequestId};

use super::{End, Open, Start};
use crate::telemetry::content::label;
use crate::telemetry::metrics::{FlowRequest, Refused, ResponseType};
use crate::telemetry::names::{attribute, semconv, value};
use crate::telemetry::{Redactor, Telemetry};

/// What is known of a request when its head has been read.
#[derive(Debug)]
pub struct RequestStart<'a> {
    /// What the headers said: see [`Propagators::extract`](crate::telemetry::propagation::Propagators::extract).
    pub parent: &'a Context,
    pub method: &'a str,
    /// The route as the server has it, such as `/score`: a small set, unlike paths.
    pub route: &'static str,
    pub path: &'a str,
    /// Only if the caller sent one.
    pub request_id: Option<&'a RequestId>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// Address of the client, without port.
    pub client: Option<String>,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// The version of HTTP, such as `1.1`.
    pub protocol: &'static str,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug)]
pub struct FinishRequest<'a> {
    /// None: it asked for a deployment that there is not. That is a request to no flow, and in none of its metrics; what
    /// measures all of HTTP has it.
    pub flow: Option<&'a FlowId>,
    /// The HTTP status; 499 if the client went away, which is never on the wire.
    pub status: u16,
    /// The code of the innermost error; empty if there was none. A stream may fail after a status 200.
    /// `ClientDisconnect` ends the span as cancelled.
    pub exception: &'a str,
    /// What went wrong, for the operator.
    pub message: &'a str,
    /// Whether the answer was a stream of events, or, if it failed before, whether the client asked for one.
    pub streaming: bool,
    /// If it was refused before the flow ran.
    pub refused: Option<Refused>,
    /// From the arrival of the request to the first byte of a streamed answer, if it came to that.
    pub first_byte: Option<Duration>,
}

/// The span of a request. Dropped without [`RequestSpan::finish`]: cancelled, and not measured.
#[derive(Debug)]
pub struct RequestSpan {
    telemetry: Telemetry,
    open: Open,
}

impl Telemetry {
    /// Opens the span of a request. DOOR 1.
    pub fn request(&self, start: RequestStart<'_>) -> RequestSpan {
        let method = known_method(start.method);
        // By the conventions a method nobody knows is `HTTP` in the name, so that names stay few.
        let verb = if method == OTHER { "HTTP" } else { method };
        let name = format!("{verb} {}", start.route);
        let parent = start.parent;
        let attributes = attributes(self.redactor(), method, start);
        let start = Start {
            name: name.into(),
            kind: SpanKind::Server,
            parent,
            attributes,
            usage: None,
            told: true,
            flow: None,
        };
        let open = Open::start(self, start);
        RequestSpan { telemetry: self.clone(), open }
    }
}

impl RequestSpan {
    /// The parent for the flow's span.
    pub fn context(&self) -> Context {
        self.open.context().clone()
    }

    /// Ends the span with the last byte of the answer, and records the metrics of the request.
    pub fn finish(mut self, finish: FinishRequest<'_>) {
        let FinishRequest { status, exception, message, .. } = finish;
        let gone = exception == value::CLIENT_DISCONNECT;
        if !gone {
            self.open.set(semconv::HTTP_STATUS, i64::from(status));
        }
        let took = match status {
            _ if gone => self.open.end(End::Cancelled { code: value::CLIENT_DISCONNECT }),
            // A request that was wrong is no fault of the server: by the conventions its status stays unset.
            400..=499 => self.open.close(),
            500.. if exception.is_empty() => self.open.end(End::failed(&status.to_string(), message, None)),
            _ if exception.is_empty() => self.open.end(End::Completed),
            _ => self.open.end(End::failed(exception, message, None)),
        };
        self.record(finish, took);
    }

    fn record(&self, finish: FinishRequest<'_>, took: Duration) {
        let FinishRequest { flow, status, exception, streaming, first_byte, refused, .. } = finish;
        let Some(flow) = flow else { return };
        let metrics = self.telemetry.metrics();
        if let Some(reason) = refused {
            metrics.refused(flow, reason);
        }
        let request = FlowRequest { flow, response_code: status, exception, streaming };
        metrics.flow_request(request);
        let Some(first_byte) = first_byte.filter(|_| streaming) else {
            metrics.flow_latency(request, ResponseType::Default, took);
            return;
        };
        metrics.flow_latency(request, ResponseType::FirstByte, first_byte);
        // The last byte of a stream that broke off was never sent.
        if exception.is_empty() {
            metrics.flow_latency(request, ResponseType::LastByte, took);
            metrics.flow_streaming_response_duration(flow, took.saturating_sub(first_byte));
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if self.open.is_open() {
            self.open.end(End::Cancelled { code: value::CLIENT_DISCONNECT });
        }
    }
}

fn attributes(redactor: &Redactor, method: &'static str, start: RequestStart<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(semconv::HTTP_METHOD, method),
        KeyValue::new(semconv::HTTP_ROUTE, start.route),
        // Who ends TLS in front of us is not known here.
        KeyValue::new(semconv::URL_SCHEME, "http"),
        KeyValue::new(semconv::PROTOCOL_VERSION, start.protocol),
    ];
    let (address, port) = start.host.map_or((None, None), server);
    for (key, value) in [
        (semconv::URL_PATH, Some(start.path)),
        (semconv::SERVER_ADDRESS, address),
        (semconv::USER_AGENT, start.user_agent),
        (attribute::REQUEST_ID, start.request_id.map(RequestId::as_str)),
    ] {
        attributes.extend(value.map(|value| KeyValue::new(key, label(redactor, value))));
    }
    attributes.extend(start.client.map(|client| KeyValue::new(semconv::CLIENT_ADDRESS, client)));
    attributes.extend(port.map(|port| KeyValue::new(semconv::SERVER_PORT, i64::from(port))));
    attributes
}

/// Address and port of a `Host` header.
fn server(host: &str) -> (Option<&str>, Option<u16>) {
    // The colons of an IPv6 address are inside brackets, so what follows the last one is no number.
    match host.rsplit_once(':').map(|(address, port)| (address, port.parse())) {
        Some((address, Ok(port))) => (Some(address), Some(port)),
        _ => (Some(host), None),
    }
}

/// What the conventions call a method they do not know.
const OTHER: &str = "_OTHER";

/// The method, if it is one that the conventions know.
pub(in crate::telemetry) fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_header_is_an_address_and_perhaps_a_port() {
        for (host, expected) in [
            ("example.com", (Some("example.com"), None)),
            ("example.com:8080", (Some("example.com"), Some(8080))),
            ("[::1]", (Some("[::1]"), None)),
            ("[::1]:8080", (Some("[::1]"), Some(8080))),
            ("example.com:port", (Some("example.com:port"), None)),
        ] {
            assert_eq!(server(host), expected, "{host}");
        }
    }

    #[test]
    fn methods_and_so_names_of_spans_stay_few() {
        assert_eq!(known_method("POST"), "POST");
        assert_eq!(known_method("post"), "_OTHER");
        assert_eq!(known_method("BREW"), "_OTHER");
    }
}
