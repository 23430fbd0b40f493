//! What requests to a connection's service tell its circuit breaker, which they share with calls of models.
//!
//! A node chooses what it asks for and how long it waits, and so it could make a sound service look broken: only what is
//! beyond its choice counts. No connection, one that breaks, and a gateway that says that nobody is behind it; not a time
//! that the node has set, nor another status of the service's own. Nothing is sent again: whether that may be done, only
//! the node knows.

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

/// Tells of a request that came to no good end.
pub(super) fn failed(attempt: Option<Try>, error: &CallError) {
    match attempt {
        Some(attempt) if error.kind == CallErrorKind::Unavailable => attempt.failed(),
        // A limit of the node, or of ours.
        attempt => drop(attempt),
    }
}

/// The pieces of an answer, of which the breaker is told.
pub(super) fn watched(
    attempt: Option<Try>,
    pieces: impl Stream<Item = Result<Piece, CallError>> + Send + Unpin,
) -> impl Stream<Item = Result<Piece, CallError>> + Send {
    stream::unfold((attempt, pieces), |(mut attempt, mut pieces)| async move {
        let piece = pieces.next().await;
        match &piece {
            Some(Ok(Piece::Head(head))) if is_gateways(head.status) => {
                attempt.take().into_iter().for_each(Try::failed);
            }
            Some(Ok(Piece::Head(_))) => attempt.iter_mut().for_each(Try::answered),
            Some(Ok(Piece::Body(_) | Piece::Trailers(_))) => {}
            Some(Err(error)) => failed(attempt.take(), error),
            None => attempt.take().into_iter().for_each(Try::succeeded),
        }
        Some((piece?, (attempt, pieces)))
    })
}

/// What a gateway says when nobody behind it does.
fn is_gateways(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
