//! One request and its reply by `wasi:http`, which is made for programs that wait for many things; this waits for one.

use std::time::Duration;

use wasip2::http::outgoing_handler;
use wasip2::http::types as wit;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::url::{Scheme, Url};
use super::{CallError, CallErrorKind, Response};

/// How much is read at once, in bytes.
const PIECE: u64 = 64 * 1024;

pub(super) fn send(
    method: &str,
    url: &Url,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
    timeout: Option<Duration>,
) -> Result<Response, CallError> {
    let request = request(method, url, headers, body.len())?;
    let outgoing = request.body().map_err(|()| fault())?;
    let options = options(timeout)?;
    let pending = outgoing_handler::handle(request, Some(options)).map_err(failed)?;
    write(outgoing, body)?;
    pending.subscribe().block();
    // The first `none` means that it is not there yet, the second that it was taken already; neither can be.
    let reply = pending.get().ok_or_else(fault)?.map_err(|()| fault())?.map_err(failed)?;
    let (status, headers) = (reply.status(), reply.headers().entries());
    let body = read(&reply.consume().map_err(|()| fault())?)?;
    Ok(Response { status, headers, body })
}

fn request(
    method: &str,
    url: &Url,
    headers: &[(String, Vec<u8>)],
    length: usize,
) -> Result<wit::OutgoingRequest, CallError> {
    let fields = wit::Fields::new();
    for (name, value) in headers {
        let refused = |error| CallError::invalid_request(format!("header {name:?} cannot be sent: {error:?}"));
        fields.append(name, value).map_err(refused)?;
    }
    if length > 0 {
        // With a length the service knows the end of the body at once, and need not be able to read chunks.
        _ = fields.set("content-length", &[length.to_string().into_bytes()]);
    }
    let request = wit::OutgoingRequest::new(fields);
    let scheme = match url.scheme {
        Scheme::Http => wit::Scheme::Http,
        Scheme::Https => wit::Scheme::Https,
    };
    let invalid = |what: &str| CallError::invalid_request(format!("the {what} of the request cannot be sent"));
    request.set_method(&method_of(method)).map_err(|()| invalid("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
    request.set_authority(Some(&url.authority)).map_err(|()| invalid("host"))?;
    request.set_path_with_query(Some(&url.path_with_query)).map_err(|()| invalid("path"))?;
    Ok(request)
}

fn method_of(method: &str) -> wit::Method {
    match method {
        "GET" => wit::Method::Get,
        "HEAD" => wit::Method::Head,
        "POST" => wit::Method::Post,
        "PUT" => wit::Method::Put,
        "DELETE" => wit::Method::Delete,
        "OPTIONS" => wit::Method::Options,
        "PATCH" => wit::Method::Patch,
        other => wit::Method::Other(other.to_owned()),
    }
}

fn options(timeout: Option<Duration>) -> Result<wit::RequestOptions, CallError> {
    let options = wit::RequestOptions::new();
    if let Some(timeout) = timeout {
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        options.set_first_byte_timeout(Some(nanoseconds)).map_err(|()| fault())?;
    }
    Ok(options)
}

fn write(outgoing: wit::OutgoingBody, mut body: &[u8]) -> Result<(), CallError> {
    let stream = outgoing.write().map_err(|()| fault())?;
    // A service that answers before it has read everything closes the stream: its answer says why.
    while !body.is_empty() && write_some(&stream, &mut body).is_ok() {}
    drop(stream);
    if body.is_empty() {
        wit::OutgoingBody::finish(outgoing, None).map_err(failed)?;
    }
    Ok(())
}

/// Writes as much as the host takes now.
fn write_some(stream: &OutputStream, body: &mut &[u8]) -> Result<(), StreamError> {
    stream.subscribe().block();
    let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
    let (piece, rest) = body.split_at(room.min(body.len()));
    stream.write(piece)?;
    *body = rest;
    Ok(())
}

fn read(incoming: &wit::IncomingBody) -> Result<Vec<u8>, CallError> {
    let stream: InputStream = incoming.stream().map_err(|()| fault())?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(PIECE) {
            Ok(piece) => body.extend(piece),
            Err(StreamError::Closed) => return Ok(body),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(wit::http_error_code(&error).map_or_else(fault, failed));
            }
        }
    }
}

/// `wasi:http` was not used as it should be, which is this module's fault.
fn fault() -> CallError {
    CallError { kind: CallErrorKind::Internal, status: None, message: "the request could not be made".to_owned() }
}

/// What the host says of a failure is a name; the trace has the rest.
fn failed(code: wit::ErrorCode) -> CallError {
    use wit::ErrorCode as Code;
    let (kind, message) = match code {
        Code::HttpRequestDenied | Code::DestinationIpProhibited => (
            CallErrorKind::NotGranted,
            "the flow does not grant this request, or its host may not be reached; the trace says which, and \
             `grants.http` of the node is the place to add it"
                .to_owned(),
        ),
        Code::HttpRequestUriInvalid | Code::HttpRequestMethodInvalid | Code::HttpRequestUriTooLong => {
            (CallErrorKind::InvalidRequest, format!("the request cannot be sent: {code}"))
        }
        Code::HttpResponseTimeout
        | Code::ConnectionTimeout
        | Code::ConnectionReadTimeout
        | Code::ConnectionWriteTimeout
        | Code::DnsTimeout => (CallErrorKind::Timeout, "the service did not answer in time".to_owned()),
        Code::HttpRequestBodySize(_)
        | Code::HttpResponseBodySize(_)
        | Code::HttpResponseHeaderSectionSize(_)
        | Code::ConnectionLimitReached => (CallErrorKind::Exhausted, format!("more than a node may use: {code}")),
        Code::InternalError(_) | Code::ConfigurationError => (CallErrorKind::Internal, "internal error".to_owned()),
        Code::HttpProtocolError => (CallErrorKind::Protocol, "the service does not speak HTTP as it should".to_owned()),
        other => (CallErrorKind::Unavailable, format!("the service cannot be reached: {other}")),
    };
    CallError { kind, status: None, message }
}
