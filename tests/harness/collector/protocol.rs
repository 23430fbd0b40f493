//! OTLP on the wire: protobuf over HTTP and over gRPC, plain or gzipped. Not what the messages mean.
//!
//! gRPC is spoken by hand. A unary call is the same message behind five bytes, and its status comes in trailers; the
//! generated services would need three implementations and a second server.

use std::io::Read as _;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::server::{Body, HangUp, whole};

/// How a host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    Http,
    /// `grpc`.
    Grpc,
}

/// One export of one signal.
pub(super) enum Export {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Protocol {
    /// Value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }

    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let content = request.headers().get(http::header::CONTENT_TYPE);
        if content.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
            Self::Grpc
        } else {
            Self::Http
        }
    }
}

impl Protocol {
    /// Whether an export is packed by gzip.
    pub(super) fn is_packed(self, request: &Request<Bytes>) -> bool {
        match self {
            Self::Http => request.headers().get(http::header::CONTENT_ENCODING).is_some_and(|value| value == "gzip"),
            Self::Grpc => request.body().first() == Some(&1),
        }
    }
}

impl Export {
    /// None, if the request is none that a collector understands.
    pub(super) fn decode(protocol: Protocol, request: &Request<Bytes>) -> Option<Self> {
        let message = match protocol {
            Protocol::Http => http_message(request)?,
            Protocol::Grpc => grpc_message(request.body())?,
        };
        match request.uri().path() {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                ExportTraceServiceRequest::decode(message).ok().map(Self::Traces)
            }
            "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                ExportMetricsServiceRequest::decode(message).ok().map(Self::Metrics)
            }
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                ExportLogsServiceRequest::decode(message).ok().map(Self::Logs)
            }
            _ => None,
        }
    }
}

fn http_message(request: &Request<Bytes>) -> Option<Bytes> {
    match request.headers().get(http::header::CONTENT_ENCODING) {
        None => Some(request.body().clone()),
        Some(encoding) if encoding == "gzip" => unzip(request.body()),
        Some(_) => None,
    }
}

/// Takes the message out of its frame: a flag for compression, the length in four bytes, the message.
fn grpc_message(frame: &Bytes) -> Option<Bytes> {
    let (head, message) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    if usize::try_from(length) != Ok(message.len()) {
        return None;
    }
    match head[0] {
        0 => Some(frame.slice(5..)),
        // The only compression that exporters of OTLP offer beside none and zstd, which the tests do not ask for.
        1 => unzip(message),
        _ => None,
    }
}

fn unzip(bytes: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).ok()?;
    Some(plain.into())
}

/// An empty answer with this status. The answers of all three signals are messages without fields that matter.
pub(super) fn reply(protocol: Protocol, status: StatusCode) -> Response<Body> {
    let mut response = match protocol {
        Protocol::Http => Response::new(whole(Bytes::new())),
        Protocol::Grpc => return grpc_reply(status),
    };
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

fn grpc_reply(status: StatusCode) -> Response<Body> {
    const OK: HeaderValue = HeaderValue::from_static("0");
    const INVALID_ARGUMENT: HeaderValue = HeaderValue::from_static("3");
    const UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");
    let code = match status {
        StatusCode::OK => OK,
        StatusCode::BAD_REQUEST => INVALID_ARGUMENT,
        _ => UNAVAILABLE,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.clone());
    let mut response = if code == OK {
        let mut message = BytesMut::new();
        message.put_bytes(0, 5);
        let frames = [Ok::<_, HangUp>(Frame::data(message.freeze())), Ok(Frame::trailers(trailers))];
        Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
    } else {
        // Without a message, the status stands in the headers.
        let mut response = Response::new(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
        *response.headers_mut() = trailers;
        response
    };
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
