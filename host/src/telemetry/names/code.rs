//! Codes of failures that weir itself gives, and those of OpenAI's client that nodes pass on. They are always told as they
//! are in `exception` and `error.type`, whatever codes nodes think of beside them.

/// Sorted, so that it can be searched.
const OURS: &[&str] = &[
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequest",
    "BadRequestError",
    "BodyTooLarge",
    "BodyUnreadable",
    "Cancelled",
    "CircuitOpen",
    "ClientDisconnect",
    "ConflictError",
    "DeploymentNotFound",
    "Draining",
    "Exhausted",
    "FeedbackStoreUnavailable",
    "FlowTimeout",
    "Forbidden",
    "GuestCallLimit",
    "GuestCallTooLarge",
    "GuestCpuLimit",
    "GuestInputTooLarge",
    "GuestMemoryLimit",
    "GuestOutputTooLarge",
    "GuestProtocolError",
    "GuestResourceLimit",
    "GuestStackOverflow",
    "GuestTrap",
    "HeadersTooLarge",
    "ImageNotLoaded",
    "InputMissing",
    "InputParseError",
    "InputTypeError",
    "Internal",
    "InternalServerError",
    "InvalidIdempotencyKey",
    "InvalidJson",
    "InvalidReferenceProperty",
    "InvalidRequest",
    "JsonPayloadRequiredForMultipleInputFields",
    "LoadMultimediaDataError",
    "MalformedRequest",
    "MethodNotAllowed",
    "MissingRequiredFlowInput",
    "MultipleStreamOutputFieldsNotSupported",
    "NoNodeExecutedError",
    "NodeError",
    "NodeSystemError",
    "NodeTimeout",
    "NodeUserError",
    "NotAcceptable",
    "NotFound",
    "NotFoundError",
    "NotGranted",
    "Overloaded",
    "PermissionDeniedError",
    "Protocol",
    "RateLimitError",
    "RateLimited",
    "Rejected",
    "RequestReadTimeout",
    "RouteNotFound",
    "Timeout",
    "Unauthenticated",
    "Unavailable",
    "UnprocessableEntityError",
    "UnsupportedEncoding",
    "UpstreamAuth",
    "UpstreamFailed",
    "UpstreamRateLimited",
    "UpstreamRejected",
    "UpstreamTimeout",
    "UriTooLong",
];

/// The code, if it is one of weir's own.
pub fn known(code: &str) -> Option<&'static str> {
    OURS.binary_search(&code).ok().map(|at| OURS[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::error::{CallErrorKind, NodeFailure};

    #[test]
    fn the_codes_of_the_boundary_are_among_them() {
        assert!(OURS.is_sorted());
        let calls = [
            CallErrorKind::NotGranted,
            CallErrorKind::NotFound,
            CallErrorKind::InvalidRequest,
            CallErrorKind::Unauthenticated,
            CallErrorKind::RateLimited,
            CallErrorKind::Rejected,
            CallErrorKind::Unavailable,
            CallErrorKind::Timeout,
            CallErrorKind::Cancelled,
            CallErrorKind::Exhausted,
            CallErrorKind::Protocol,
            CallErrorKind::Internal,
        ];
        for code in calls.map(CallErrorKind::code).into_iter().chain(NodeFailure::ALL.map(NodeFailure::code)) {
            assert_eq!(known(code), Some(code), "a code of weir is missing in its list");
        }
        assert_eq!(known("MyOwn"), None);
    }
}
