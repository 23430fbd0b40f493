//! What a node says whose guest has ended with a model's answer that then fails to come: what the plugins would say, in prompt
//! flow's words.

use crate::bindings::types::{Blame, CallError, CallErrorKind, NodeError};
use crate::boundary::error;

// The plugins' own table, compiled here as well: which of the two names a failure must make no difference. It is a file and
// no crate since each side has the kinds of the contract as a type of its own, and both are matched without a rest.
#[path = "../../../../plugins/service/src/failure/exception.rs"]
pub(super) mod exception;

/// The failure as prompt flow reports it.
pub(super) fn as_prompt_flow(CallError { kind, status, message }: CallError) -> NodeError {
    match exception::name(kind, status) {
        Some(name) => NodeError { blame: Blame::User, code: name.to_owned(), message },
        None => {
            let code = error::CallErrorKind::from(kind).code().to_owned();
            NodeError { blame: Blame::System, code, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: CallErrorKind, status: Option<u16>, expected: (Blame, &str)) {
        let told = as_prompt_flow(CallError { kind, status, message: "no".to_owned() });
        assert_eq!(((told.blame, told.code.as_str()), told.message.as_str()), (expected, "no"));
    }

    #[test]
    fn a_failure_of_the_service_is_the_users_and_a_refusal_of_weir_is_not() {
        check(CallErrorKind::RateLimited, Some(429), (Blame::User, "RateLimitError"));
        check(CallErrorKind::Unavailable, None, (Blame::User, "APIConnectionError"));
        check(CallErrorKind::NotGranted, None, (Blame::System, "NotGranted"));
        check(CallErrorKind::Exhausted, None, (Blame::System, "Exhausted"));
    }
}
