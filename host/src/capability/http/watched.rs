//! What requests to a connection's service tell its circuit breaker, which they share with calls of models.
//!
//! A node chooses what it asks for and how long it waits, and so it could make a sound service look broken: only what is
//! beyond its choice counts. No connection, an answer that breaks off, silence once the whole request is sent, and a
//! gateway that says that nobody is behind it; not a time that the node has set, nor a request that it leaves unfinished,
//! nor another status of the service's own. Nothing is sent again: whether that may be done, only the node knows.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};
use http::StatusCode;

use super::Piece;
use crate::boundary::Pass;
use crate::boundary::error::{CallError, CallErrorKind, PauseReason};
use crate::boundary::facts::Unasked;
use crate::capability::upstream::{Try, Upstream};

/// Begins a request.
///
/// # Errors
/// The service is not asked at the moment.
pub(super) fn begin(upstream: &Arc<Upstream>, pass: &Pass) -> Result<Try, CallError> {
    pass.tries.circuit(upstream.state().name());
    upstream.begin().map_err(|refused| {
        pass.tries.unasked(&refused.connection, Unasked::CircuitOpen);
        let message = refused.to_string();
        CallError::new(CallErrorKind::Unavailable, message).with_pause(refused.wait, PauseReason::CircuitOpen)
    })
}

/// A request that came to no good end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) verdict: Verdict,
}

/// What a failure tells of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is broken, or not there.
    Fails,
    /// It said nothing until the node's time was over: how long that was, whoever holds the try knows.
    Silent,
    /// Nothing: it is the node's affair, or a limit of ours.
    Nothing,
}

impl Failure {
    pub(super) fn new(verdict: Verdict, kind: CallErrorKind, message: String) -> Self {
        Self { error: CallError::new(kind, message), verdict }
    }

    /// One that tells nothing of the service.
    pub(super) fn ours(kind: CallErrorKind, message: String) -> Self {
        Self::new(Verdict::Nothing, kind, message)
    }
}

/// Tells of a request that came to no good end.
pub(super) fn failed(attempt: Option<Try>, failure: Failure) -> CallError {
    if let Some(attempt) = attempt {
        match failure.verdict {
            Verdict::Fails => attempt.failed(),
            Verdict::Silent => drop(attempt),
            Verdict::Nothing => attempt.withdrawn(),
        }
    }
    failure.error
}

/// The pieces of an answer, of which the breaker is told.
pub(super) fn watched(
    attempt: Option<Try>,
    pieces: impl Stream<Item = Result<Piece, Failure>> + Send + Unpin,
) -> impl Stream<Item = Result<Piece, CallError>> + Send {
    stream::unfold((attempt, pieces), |(mut attempt, mut pieces)| async move {
        let piece = match pieces.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(failure)) => return Some((Err(failed(attempt.take(), failure)), (attempt, pieces))),
            None => {
                attempt.take().into_iter().for_each(Try::succeeded);
                return None;
            }
        };
        match &piece {
            Piece::Head(head) if is_gateways(head.status) => attempt.take().into_iter().for_each(Try::failed),
            Piece::Head(_) => attempt.iter_mut().for_each(Try::answered),
            Piece::Body(_) | Piece::Trailers(_) => {}
        }
        Some((Ok(piece), (attempt, pieces)))
    })
}

/// What a gateway says when nobody behind it does.
fn is_gateways(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
