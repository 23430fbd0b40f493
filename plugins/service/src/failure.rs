//! What a model's service says when it fails, in prompt flow's words: the caller's fault (status 400) with the name of
//! the OpenAI client's exception, which dashboards and clients of a flow know. What weir itself refuses keeps its own
//! code.

mod exception;

use weir_sdk::{CallError, CallErrorKind, NodeError};

/// The failure as prompt flow reports it.
pub fn as_prompt_flow(error: CallError) -> NodeError {
    match exception::name(error.kind, error.status) {
        Some(name) => NodeError::user(name, error.message),
        None => NodeError::system(error.kind.code(), error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: CallErrorKind, status: Option<u16>, expected: &NodeError) {
        assert_eq!(&as_prompt_flow(CallError { kind, status, message: "no".to_owned() }), expected);
    }

    #[test]
    fn a_failure_of_the_service_has_the_clients_name_for_it() {
        check(CallErrorKind::InvalidRequest, Some(400), &NodeError::user("BadRequestError", "no"));
        check(CallErrorKind::Rejected, Some(422), &NodeError::user("UnprocessableEntityError", "no"));
        check(CallErrorKind::NotFound, Some(404), &NodeError::user("NotFoundError", "no"));
        check(CallErrorKind::Unavailable, Some(503), &NodeError::user("InternalServerError", "no"));
        check(CallErrorKind::Unavailable, None, &NodeError::user("APIConnectionError", "no"));
        check(CallErrorKind::Timeout, None, &NodeError::user("APITimeoutError", "no"));
    }

    #[test]
    fn a_refusal_of_weir_keeps_its_code() {
        check(CallErrorKind::NotGranted, None, &NodeError::system("NotGranted", "no"));
        check(CallErrorKind::NotFound, None, &NodeError::system("NotFound", "no"));
    }
}
