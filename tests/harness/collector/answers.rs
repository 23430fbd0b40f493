//! What a collector answers when it does not simply take an export.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::protocol::Protocol;
use crate::server::{Body, HangUp, whole};

/// One answer of a script.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Takes the export, but for so many of its items.
    Partial(i64, &'static str),
    /// Over HTTP: this status, with this in `Retry-After`.
    Status(StatusCode, Option<&'static str>),
    /// Over gRPC: this status and its message, with this pause in a `RetryInfo`.
    Grpc(i32, &'static str, Option<Duration>),
    /// A status of success and a web page.
    Page,
    /// A status of success and what is no message.
    Garbage,
    /// Breaks the connection in the middle of an answer.
    Cut,
    /// Takes the export and does not answer, for as long as the client waits.
    Silence,
}

impl Answer {
    /// Whether what was sent counts as received.
    pub(super) fn takes(&self) -> bool {
        matches!(self, Self::Partial(..) | Self::Silence)
    }

    pub(super) async fn give(self, protocol: Protocol) -> Result<Response<Body>, HangUp> {
        match self {
            // The messages of all three signals look the same.
            Self::Partial(rejected_spans, message) => {
                let partial = ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() };
                let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
                Ok(taken(protocol, &message))
            }
            Self::Status(status, pause) => {
                let mut response = Response::new(whole("a scripted answer"));
                *response.status_mut() = status;
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                let pause = pause.map(|pause| (header::RETRY_AFTER, HeaderValue::from_static(pause)));
                response.headers_mut().extend(pause);
                Ok(response)
            }
            Self::Grpc(code, message, pause) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", code.into());
                trailers.insert("grpc-message", HeaderValue::from_static(message));
                if let Some(pause) = pause {
                    let details = base64_without_padding(&status_with_pause(code, pause));
                    trailers.insert("grpc-status-details-bin", details.parse().expect("base64 is a header"));
                }
                Ok(grpc([Ok(Frame::trailers(trailers))]))
            }
            Self::Page => {
                let mut response = Response::new(whole("<!DOCTYPE html><title>Sign in</title>"));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
                Ok(response)
            }
            Self::Garbage => match protocol {
                Protocol::Http => {
                    let mut response = Response::new(whole("\u{7}no protobuf"));
                    let content = HeaderValue::from_static("application/x-protobuf");
                    response.headers_mut().insert(header::CONTENT_TYPE, content);
                    Ok(response)
                }
                Protocol::Grpc => Ok(grpc([Ok(Frame::data(Bytes::from_static(b"garbage")))])),
            },
            Self::Cut => Ok(grpc([Ok(Frame::data(Bytes::from_static(&[0, 0]))), Err(HangUp)])),
            Self::Silence => std::future::pending().await,
        }
    }
}

fn taken(protocol: Protocol, message: &[u8]) -> Response<Body> {
    match protocol {
        Protocol::Http => {
            let mut response = Response::new(whole(message.to_vec()));
            let content = HeaderValue::from_static("application/x-protobuf");
            response.headers_mut().insert(header::CONTENT_TYPE, content);
            response
        }
        Protocol::Grpc => {
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).expect("a message of a test is small"));
            framed.put_slice(message);
            let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), 0.into())]);
            grpc([Ok(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))])
        }
    }
}

fn grpc<const N: usize>(frames: [Result<Frame<Bytes>, HangUp>; N]) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A `google.rpc.Status` with a `google.rpc.RetryInfo` in it.
fn status_with_pause(code: i32, pause: Duration) -> Vec<u8> {
    #[derive(Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Pause>,
    }
    #[derive(Message)]
    struct Pause {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }
    let seconds = i64::try_from(pause.as_secs()).expect("a pause of a test is short");
    let nanos = i32::try_from(pause.subsec_nanos()).expect("a second has fewer");
    let value = RetryInfo { retry_delay: Some(Pause { seconds, nanos }) }.encode_to_vec();
    let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    Status { code, details: vec![Any { type_url, value }] }.encode_to_vec()
}

fn base64_without_padding(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}
