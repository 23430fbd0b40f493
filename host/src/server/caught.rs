//! A handler that panics is answered for: the fault ends its request and nothing else.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use crate::server::problem::Problem;

/// The answer, or that of a host with a fault. What the panic said is on standard error already.
pub(super) fn caught(answer: impl Future<Output = Response>) -> impl Future<Output = Response> {
    // What a handler shares with others are locks, which take a poisoned value as it is, and counts.
    AssertUnwindSafe(answer).catch_unwind().map(|answer| {
        answer.unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        })
    })
}

/// What a body in the making gives, unless it panics.
pub(super) fn caught_poll<T>(poll: impl FnOnce() -> Poll<T>) -> Result<Poll<T>, Problem> {
    std::panic::catch_unwind(AssertUnwindSafe(poll)).map_err(|_| {
        tracing::error!("the body of a reply panicked");
        Problem::internal()
    })
}
