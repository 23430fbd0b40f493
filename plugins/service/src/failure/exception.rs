//! The OpenAI client's exceptions. The one table of them: the host compiles this file as well, for answers whose guest is gone
//! when they fail to come (`host/src/capability/llm/failure.rs`). So it knows nothing but the kinds, and has them of the
//! module above.

use super::CallErrorKind;

/// The name of the exception; none if the failure is not the service's.
pub(super) fn name(kind: CallErrorKind, status: Option<u16>) -> Option<&'static str> {
    if let Some(status) = status {
        return Some(of_status(status));
    }
    match kind {
        CallErrorKind::InvalidRequest | CallErrorKind::Rejected => Some("BadRequestError"),
        CallErrorKind::Unauthenticated => Some("AuthenticationError"),
        CallErrorKind::RateLimited => Some("RateLimitError"),
        CallErrorKind::Unavailable => Some("APIConnectionError"),
        CallErrorKind::Timeout => Some("APITimeoutError"),
        CallErrorKind::Protocol => Some("LLMError"),
        CallErrorKind::NotGranted
        | CallErrorKind::NotFound
        | CallErrorKind::Cancelled
        | CallErrorKind::Exhausted
        | CallErrorKind::Internal => None,
    }
}

/// That for an HTTP status of the service.
pub(crate) fn of_status(status: u16) -> &'static str {
    match status {
        400 => "BadRequestError",
        401 => "AuthenticationError",
        403 => "PermissionDeniedError",
        404 => "NotFoundError",
        409 => "ConflictError",
        422 => "UnprocessableEntityError",
        429 => "RateLimitError",
        500.. => "InternalServerError",
        _ => "APIStatusError",
    }
}
