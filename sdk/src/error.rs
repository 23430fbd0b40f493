//! What can go wrong in a node and in its calls to the host, and who has to act. Not how inputs are checked: see
//! raw/inputs.rs.

use std::error::Error;
use std::fmt;

use crate::bindings::weir::flow::types as wit;

pub use wit::{Blame, CallErrorKind};

/// A failure that a node reports.
///
/// The caller of the flow sees `message`, so it must not hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// Who has to act: [`Blame::User`] becomes status 400, [`Blame::System`] 500.
    pub blame: Blame,
    /// A stable name for programs, such as `QuestionTooLong`: letters, digits, `_`, `.` and `-`, at most 64 bytes.
    /// It becomes a metric's dimension, so take it from a small set.
    pub code: String,
    /// One sentence for a person, at most 1 KiB.
    pub message: String,
}

/// A call to the host that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// What kind of failure it is.
    pub kind: CallErrorKind,
    /// The HTTP status of the other side, where there is one.
    pub status: Option<u16>,
    /// What went wrong, for a person.
    pub message: String,
}

impl NodeError {
    /// The input was wrong: the caller can succeed by sending another.
    pub fn user(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blame: Blame::User, code: code.into(), message: message.into() }
    }

    /// The node, or something behind it, failed.
    pub fn system(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { blame: Blame::System, code: code.into(), message: message.into() }
    }
}

impl CallErrorKind {
    /// The stable name of this kind, such as `RateLimited`: the code of a [`NodeError`] made from a [`CallError`].
    pub fn code(self) -> &'static str {
        match self {
            Self::NotGranted => "NotGranted",
            Self::NotFound => "NotFound",
            Self::InvalidRequest => "InvalidRequest",
            Self::Unauthenticated => "Unauthenticated",
            Self::RateLimited => "RateLimited",
            Self::Rejected => "Rejected",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timeout",
            Self::Cancelled => "Cancelled",
            Self::Exhausted => "Exhausted",
            Self::Protocol => "Protocol",
            Self::Internal => "Internal",
        }
    }
}

impl CallError {
    /// A request that is wrong before it is sent.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self { kind: CallErrorKind::InvalidRequest, status: None, message: message.into() }
    }

    /// An answer that is not what it should be.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self { kind: CallErrorKind::Protocol, status: None, message: message.into() }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for NodeError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CallError {}

/// The code is the kind's. Refusals of what was asked ([`InvalidRequest`](CallErrorKind::InvalidRequest) and
/// [`Rejected`](CallErrorKind::Rejected)) blame the user, since what a node asks for comes from its inputs; all other
/// kinds blame the system. A node that knows better maps the error itself.
impl From<CallError> for NodeError {
    fn from(error: CallError) -> Self {
        let code = error.kind.code();
        match error.kind {
            CallErrorKind::InvalidRequest | CallErrorKind::Rejected => Self::user(code, error.message),
            _ => Self::system(code, error.message),
        }
    }
}

impl From<wit::CallError> for CallError {
    fn from(error: wit::CallError) -> Self {
        Self { kind: error.kind, status: error.status, message: error.message }
    }
}

impl From<wit::NodeError> for NodeError {
    fn from(error: wit::NodeError) -> Self {
        Self { blame: error.blame, code: error.code, message: error.message }
    }
}

impl From<NodeError> for wit::NodeError {
    fn from(error: NodeError) -> Self {
        Self { blame: error.blame, code: error.code, message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: CallErrorKind, expected: &NodeError) {
        let error = CallError { kind, status: None, message: "no".to_owned() };
        assert_eq!(&NodeError::from(error), expected);
    }

    #[test]
    fn a_refused_request_blames_the_user() {
        check(CallErrorKind::InvalidRequest, &NodeError::user("InvalidRequest", "no"));
        check(CallErrorKind::Rejected, &NodeError::user("Rejected", "no"));
    }

    #[test]
    fn a_failure_behind_the_host_blames_the_system() {
        check(CallErrorKind::Unavailable, &NodeError::system("Unavailable", "no"));
        check(CallErrorKind::NotGranted, &NodeError::system("NotGranted", "no"));
    }
}
