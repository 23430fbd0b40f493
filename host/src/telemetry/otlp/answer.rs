//! What a collector's answer means, in whichever protocol it comes. Pure.
//!
//! Only a collector's own word that something will never be taken counts as such. Whatever else answers in its place, a
//! proxy, a login page, something that is no HTTP, says nothing of what was sent: that is kept and sent again.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::{DecodeError, Message};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::super::outbox::parcel::{Outcome, Parcel, Signal};

/// Longest answer that is read. A collector's are empty, or one sentence.
pub(super) const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Longest part of an answer that is told to the operator, in characters.
const MAX_TOLD: usize = 200;

/// What an answer over HTTP means.
pub fn http(parcel: &Parcel, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Outcome {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content = content.to_ascii_lowercase();
    let is_page = content.contains("html") || body.trim_ascii_start().starts_with(b"<");
    let after = crate::retry_after::asked(headers, SystemTime::now());
    let later = |why| Outcome::Later { after, why };
    if status.is_success() {
        return match taken(parcel, body.clone()) {
            _ if is_page => later(format!("HTTP {status}: a web page answers, no collector")),
            Ok(outcome) => outcome,
            Err(_) if content.contains("protobuf") => later(format!("HTTP {status}: the answer cannot be read")),
            // Some say it in words of their own.
            Err(_) => Outcome::Taken { rejected: 0, why: String::new() },
        };
    }
    let why = match (is_page, said(&content, body)) {
        (false, Some(said)) => format!("HTTP {status}: {said}"),
        _ => format!("HTTP {status}"),
    };
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge { why },
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        // The standard would have these dropped. A key that has changed must not cost what is told until someone sees it.
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED => later(why),
        // Nobody is followed, since the headers hold keys; so nobody has taken or refused it.
        _ if status.is_redirection() => later(why),
        _ => Outcome::Refused { why },
    }
}

/// What a status of gRPC means that a collector has sent.
pub fn grpc(status: &Status) -> Outcome {
    let name = format!("{:?}", status.code());
    let why = match brief(status.message()) {
        said if said.is_empty() => format!("gRPC {name}"),
        said => format!("gRPC {name}: {said}"),
    };
    let asked = status.get_details_retry_info().map(|info| info.retry_delay.unwrap_or_default());
    let is_too_large = || {
        let message = status.message().to_ascii_lowercase();
        ["larger than", "too large", "too big", "exceeds"].iter().any(|words| message.contains(words))
    };
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange if asked.is_none() && is_too_large() => Outcome::TooLarge { why },
        // Without a pause the standard would have ResourceExhausted dropped; but who is full now will not be forever.
        Code::ResourceExhausted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        // See `http` on keys that have changed.
        | Code::Unauthenticated
        | Code::PermissionDenied => Outcome::Later { after: asked, why },
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal => Outcome::Refused { why },
    }
}

/// A collector has taken a parcel, but for what its answer says.
///
/// # Errors
/// It is no answer to such a parcel.
pub(super) fn taken(parcel: &Parcel, body: Bytes) -> Result<Outcome, DecodeError> {
    let partial = match parcel.signal {
        Signal::Traces => {
            let partial = ExportTraceServiceResponse::decode(body)?.partial_success;
            partial.map(|it| (it.rejected_spans, it.error_message))
        }
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(body)?.partial_success;
            partial.map(|it| (it.rejected_data_points, it.error_message))
        }
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(body)?.partial_success;
            partial.map(|it| (it.rejected_log_records, it.error_message))
        }
    };
    let (rejected, message) = partial.unwrap_or_default();
    // It cannot have rejected more than there was.
    let rejected = u32::try_from(rejected.max(0)).unwrap_or(u32::MAX).min(parcel.items);
    let why = if rejected == 0 { String::new() } else { format!("partial success: {}", brief(&message)) };
    Ok(Outcome::Taken { rejected, why })
}

/// What the body of a failure says: by the standard a status of gRPC as protobuf, by habit some text.
fn said(content: &str, body: &Bytes) -> Option<String> {
    let text = if content.contains("protobuf") {
        tonic_types::pb::Status::decode(body.clone()).ok()?.message
    } else {
        std::str::from_utf8(body).ok()?.to_owned()
    };
    Some(brief(&text)).filter(|text| !text.is_empty())
}

/// A text as one line that an operator can read.
pub(super) fn brief(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|it| !it.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
