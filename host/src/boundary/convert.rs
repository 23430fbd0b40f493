//! Errors of the boundary as types of the contract, and back. Exhaustive on both sides, so that a new kind does not
//! compile until someone decides.

use crate::bindings::types;
use crate::boundary::error::{Blame, CallError, CallErrorKind, NodeError, NodeFailure};

/// Longest code a guest may give its error, in bytes: it is a dimension of a metric.
const MAX_CODE: usize = 64;
/// Longest message a guest may give its error, in bytes: it is in the reply and on the span.
const MAX_MESSAGE: usize = 1024;

impl From<CallError> for types::CallError {
    fn from(error: CallError) -> Self {
        Self { kind: error.kind.into(), status: error.status, message: error.message }
    }
}

impl From<types::CallError> for CallError {
    fn from(error: types::CallError) -> Self {
        Self { status: error.status, ..Self::new(error.kind.into(), error.message) }
    }
}

/// Writes both directions of a one-to-one mapping of variants.
macro_rules! same_variants {
    ($ours:ty, $theirs:ty, $($variant:ident),+ $(,)?) => {
        impl From<$ours> for $theirs {
            fn from(ours: $ours) -> Self {
                match ours { $(<$ours>::$variant => Self::$variant,)+ }
            }
        }

        impl From<$theirs> for $ours {
            fn from(theirs: $theirs) -> Self {
                match theirs { $(<$theirs>::$variant => Self::$variant,)+ }
            }
        }
    };
}

same_variants!(
    CallErrorKind,
    types::CallErrorKind,
    NotGranted,
    NotFound,
    InvalidRequest,
    Unauthenticated,
    RateLimited,
    Rejected,
    Unavailable,
    Timeout,
    Cancelled,
    Exhausted,
    Protocol,
    Internal,
);

impl From<Blame> for types::Blame {
    fn from(blame: Blame) -> Self {
        match blame {
            Blame::Caller => Self::User,
            Blame::Flow | Blame::Node | Blame::Upstream | Blame::Host => Self::System,
        }
    }
}

/// A guest's own error. Code and message are a guest's text: bounded, and the code of a small alphabet.
impl From<types::NodeError> for NodeError {
    fn from(error: types::NodeError) -> Self {
        let failure = match error.blame {
            types::Blame::User => NodeFailure::User,
            types::Blame::System => NodeFailure::System,
        };
        let code = if is_code(&error.code) && !is_ours(&error.code) { error.code } else { "NodeError".to_owned() };
        Self { code, ..Self::new(failure, cut(error.message)) }
    }
}

fn is_code(code: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !code.is_empty() && code.len() <= MAX_CODE && code.bytes().all(allowed)
}

/// Whether it is the name of what the host finds. Not `Internal`: a node may pass on that a call failed so.
fn is_ours(code: &str) -> bool {
    let own = |failure: &&NodeFailure| !matches!(failure, NodeFailure::User | NodeFailure::System | NodeFailure::Host);
    NodeFailure::ALL.iter().filter(own).any(|failure| failure.code() == code)
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, message: &str, expected: (&str, usize)) {
        let error = types::NodeError { blame: types::Blame::User, code: code.into(), message: message.into() };
        let error = NodeError::from(error);
        assert_eq!((error.code.as_str(), error.message.len()), expected);
    }

    #[test]
    fn a_guests_code_and_message_are_bounded() {
        check("QuestionTooLong", "too long", ("QuestionTooLong", 8));
        check("", "empty code", ("NodeError", 10));
        check("has blanks", "m", ("NodeError", 1));
        check(&"x".repeat(65), "m", ("NodeError", 1));
        check("Cancelled", "posing", ("NodeError", 6));
        check("GuestTrap", "posing", ("NodeError", 6));
        check("Internal", "passed on", ("Internal", 9));
        check("C", &"ä".repeat(600), ("C", 1024 + '…'.len_utf8()));
    }
}
