//! Failures of a model's service that a node passes on: their names for programs, and whether they keep the status that
//! prompt flow gives them.
//!
//! Prompt flow answers 400 whatever the service did, and its clients rely on it. To callers that decide by status what to
//! send again, an operator can give the statuses that HTTP has for it.

use http::StatusCode;

use super::Problem;
use crate::boundary::error::{CallErrorKind, NodeError, Pause, PauseReason};
use crate::server::rate::retry_after;
use crate::setting::{self, Reader, Setting};

pub static UPSTREAM_STATUS: Setting = Setting::new(
    "WEIR_UPSTREAM_STATUS",
    "original",
    "status when a model's service fails: `original`: 400, as in prompt flow; `http`: 500 if it does not take our key, 503 \
     if it has no room for us or is not asked at the moment, 504 if it says nothing, 502 if it is broken",
);

/// After how many seconds a service that had no room may have some again, if it did not say. It was asked several times
/// already.
const RETRY_AFTER: u64 = 10;

/// The longest that callers are told to wait: whoever is told a day does not come back in an hour either.
const MAX_RETRY_AFTER: u64 = 30;

/// Which statuses failures of services have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statuses {
    #[default]
    Original,
    Http,
}

impl Statuses {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        reader.value(&UPSTREAM_STATUS, setting::one_of(&[("original", Self::Original), ("http", Self::Http)]))
    }

    /// The problem with the status that it is to have.
    pub(in crate::server) fn of(self, problem: Problem) -> Problem {
        let failed = match self {
            Self::Original => None,
            Self::Http => Upstream::ALL.into_iter().find(|upstream| upstream.code() == problem.code),
        };
        match failed {
            None | Some(Upstream::Rejected) => problem,
            Some(Upstream::Auth) => Problem { status: StatusCode::INTERNAL_SERVER_ERROR, ..problem },
            Some(Upstream::Failed) => Problem { status: StatusCode::BAD_GATEWAY, ..problem },
            Some(Upstream::Timeout) => Problem { status: StatusCode::GATEWAY_TIMEOUT, ..problem },
            Some(Upstream::RateLimited | Upstream::CircuitOpen) => {
                Problem { status: StatusCode::SERVICE_UNAVAILABLE, ..problem }
            }
        }
    }
}

/// What a service did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upstream {
    /// It found fault with the request.
    Rejected,
    /// It did not take our key.
    Auth,
    /// It had no room for us.
    RateLimited,
    /// It said nothing in time.
    Timeout,
    /// It was not asked, as it has failed too often.
    CircuitOpen,
    /// It is broken, or cannot be reached.
    Failed,
}

impl Upstream {
    const ALL: [Self; 6] =
        [Self::Rejected, Self::Auth, Self::RateLimited, Self::Timeout, Self::CircuitOpen, Self::Failed];

    /// By the code of a node's error: the classes of OpenAI's client, which nodes pass on as prompt flow's do. That client
    /// has no class for a service that is not asked.
    pub(super) fn of(error: &NodeError) -> Option<Self> {
        let call = error.call.as_deref();
        let unasked = pause(error).is_some_and(|pause| pause.why == PauseReason::CircuitOpen);
        match error.code.as_str() {
            "APIConnectionError" if unasked => Some(Self::CircuitOpen),
            // Also the name of what a node finds wrong before it asks.
            "LLMError" if call.is_some_and(|call| call.kind == CallErrorKind::Protocol) => Some(Self::Failed),
            "APITimeoutError" => Some(Self::Timeout),
            "BadRequestError" | "NotFoundError" | "ConflictError" | "UnprocessableEntityError" => Some(Self::Rejected),
            "AuthenticationError" | "PermissionDeniedError" => Some(Self::Auth),
            "RateLimitError" => Some(Self::RateLimited),
            "InternalServerError" | "APIConnectionError" | "APIStatusError" => Some(Self::Failed),
            _ => None,
        }
    }

    /// Its `innerError.code`.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Rejected => "UpstreamRejected",
            Self::Auth => "UpstreamAuth",
            Self::RateLimited => "UpstreamRateLimited",
            Self::Timeout => "UpstreamTimeout",
            Self::CircuitOpen => "CircuitOpen",
            Self::Failed => "UpstreamFailed",
        }
    }

    /// After how many seconds the same may be asked again, if that is known.
    pub(super) fn retry_after(self, error: &NodeError) -> Option<u64> {
        let paused = pause(error).map(|pause| retry_after(pause.after).min(MAX_RETRY_AFTER));
        match self {
            Self::RateLimited => Some(paused.unwrap_or(RETRY_AFTER)),
            Self::CircuitOpen => paused,
            Self::Rejected | Self::Auth | Self::Timeout | Self::Failed => None,
        }
    }
}

/// When what the node asked for in vain is worth asking for again.
fn pause(error: &NodeError) -> Option<Pause> {
    error.call.as_deref()?.pause
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::of_node;
    use super::*;
    use crate::boundary::error::{FailedCall, NodeFailure};

    fn node_error(code: &str) -> NodeError {
        NodeError { code: code.to_owned(), ..NodeError::new(NodeFailure::User, "m") }
    }

    #[test]
    fn statuses_are_the_originals_or_those_of_http() {
        let asked = |seconds| Some(Pause { after: Duration::from_secs(seconds), why: PauseReason::Asked });
        let open = |millis| Some(Pause { after: Duration::from_millis(millis), why: PauseReason::CircuitOpen });
        for (code, pause, inner, status, retry_after) in [
            ("BadRequestError", None, "UpstreamRejected", 400, None),
            ("AuthenticationError", None, "UpstreamAuth", 500, None),
            ("RateLimitError", None, "UpstreamRateLimited", 503, Some(10)),
            ("RateLimitError", asked(20), "UpstreamRateLimited", 503, Some(20)),
            ("RateLimitError", asked(86_400), "UpstreamRateLimited", 503, Some(30)),
            ("APIConnectionError", None, "UpstreamFailed", 502, None),
            ("APIConnectionError", open(4200), "CircuitOpen", 503, Some(5)),
            ("APIConnectionError", open(0), "CircuitOpen", 503, Some(1)),
            ("InternalServerError", asked(20), "UpstreamFailed", 502, None),
            ("APITimeoutError", None, "UpstreamTimeout", 504, None),
        ] {
            let call = Some(Box::new(FailedCall { kind: CallErrorKind::Unavailable, pause }));
            let error = NodeError { call, ..node_error(code) };
            let problem = of_node(&error);
            assert_eq!(problem.code, inner, "{code}");
            assert_eq!(Statuses::Original.of(problem.clone()).status, StatusCode::BAD_REQUEST, "{code}");
            let problem = Statuses::Http.of(problem);
            assert_eq!((problem.status.as_u16(), problem.retry_after), (status, retry_after), "{code}");
        }
        assert_eq!(Upstream::of(&node_error("NodeUserError")), None);
        assert_eq!(Upstream::of(&node_error("LLMError")), None);
        let call = Some(Box::new(FailedCall { kind: CallErrorKind::Protocol, pause: None }));
        assert_eq!(Upstream::of(&NodeError { call, ..node_error("LLMError") }), Some(Upstream::Failed));
    }
}
