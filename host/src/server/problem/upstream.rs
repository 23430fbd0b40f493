//! Failures of a model's service that a node passes on: their names for programs, and whether they keep the status that
//! prompt flow gives them.
//!
//! Prompt flow answers 400 whatever the service did, and its clients rely on it. To callers that decide by status what to
//! send again, an operator can give the statuses that HTTP has for it.

use http::StatusCode;

use super::Problem;
use crate::setting::{self, Reader, Setting};

pub static UPSTREAM_STATUS: Setting = Setting::new(
    "WEIR_UPSTREAM_STATUS",
    "original",
    "status when a model's service fails: `original`: 400, as in prompt flow; `http`: 500 if it does not take our key, 503 \
     if it has no room for us, 502 if it is broken",
);

/// After how many seconds a service that had no room may have some again. It was asked several times already.
const RETRY_AFTER: u64 = 10;

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
            Some(Upstream::RateLimited) => {
                Problem { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: Some(RETRY_AFTER), ..problem }
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
    /// It is broken, or cannot be reached.
    Failed,
}

impl Upstream {
    const ALL: [Self; 4] = [Self::Rejected, Self::Auth, Self::RateLimited, Self::Failed];

    /// By the code of a node's error: the classes of OpenAI's client, which nodes pass on as prompt flow's do.
    pub(super) fn of_code(code: &str) -> Option<Self> {
        match code {
            "BadRequestError" | "NotFoundError" | "ConflictError" | "UnprocessableEntityError" => Some(Self::Rejected),
            "AuthenticationError" | "PermissionDeniedError" => Some(Self::Auth),
            "RateLimitError" => Some(Self::RateLimited),
            "InternalServerError" | "APIConnectionError" | "APITimeoutError" | "APIStatusError" => Some(Self::Failed),
            _ => None,
        }
    }

    /// Its `innerError.code`.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Rejected => "UpstreamRejected",
            Self::Auth => "UpstreamAuth",
            Self::RateLimited => "UpstreamRateLimited",
            Self::Failed => "UpstreamFailed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_originals_or_those_of_http() {
        for (code, status, retry_after) in [
            ("BadRequestError", 400, None),
            ("AuthenticationError", 500, None),
            ("RateLimitError", 503, Some(10)),
            ("APIConnectionError", 502, None),
        ] {
            let upstream = Upstream::of_code(code).expect("a class");
            let problem = || Problem::new(StatusCode::BAD_REQUEST, upstream.code(), "m");
            assert_eq!(Statuses::Original.of(problem()).status, StatusCode::BAD_REQUEST, "{code}");
            let problem = Statuses::Http.of(problem());
            assert_eq!((problem.status.as_u16(), problem.retry_after), (status, retry_after), "{code}");
        }
        assert_eq!(Upstream::of_code("NodeUserError"), None);
    }
}
