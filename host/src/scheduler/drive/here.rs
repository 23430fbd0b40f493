//! A node that runs in the task of its request, and not in one of its own. It saves two changes of threads, which cost more than
//! a node that is quick; and it may only be one that is, since a socket's thread has other things to do.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::task::yield_now;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::flow::value::Json;

/// How long the nodes of a request may have a socket's thread in one go. A node that a tick of the engine has interrupted has
/// had it for longer, and goes to the threads of guests.
const TURN: Duration = Duration::from_millis(1);

/// A run of a node.
pub(super) type Run = BoxFuture<'static, Result<Json, NodeError>>;

/// What a turn of a node came to.
pub(super) enum Turn {
    Ended(Result<Json, NodeError>),
    /// It waits for something.
    Waits,
    /// It computes for longer than it may here.
    Computes,
}

/// Gives a node the thread.
pub(super) fn poll(run: &mut Run, cx: &mut Context<'_>) -> Turn {
    let began = Instant::now();
    // A run is not polled again after a panic, and what it shares with others are locks and counts.
    match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
        Ok(Poll::Ready(result)) => Turn::Ended(result),
        Ok(Poll::Pending) if began.elapsed() > TURN => Turn::Computes,
        Ok(Poll::Pending) => Turn::Waits,
        Err(_) => Turn::Ended(Err(panicked())),
    }
}

/// Gives a node the thread once.
pub(super) async fn begin(run: &mut Run) -> Turn {
    poll_fn(|cx| Poll::Ready(poll(run, cx))).await
}

/// Of a node that ended by a fault of ours. What the panic said is on standard error already.
pub(super) fn panicked() -> NodeError {
    tracing::error!("a node's task panicked");
    NodeError::new(NodeFailure::Host, "internal error")
}

/// Since when the nodes of a request have the thread.
pub(super) struct Pause(Instant);

impl Pause {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Lets others have the thread if it is their turn.
    pub(super) async fn make_way(&mut self) {
        if self.0.elapsed() > TURN {
            yield_now().await;
            self.0 = Instant::now();
        }
    }
}
