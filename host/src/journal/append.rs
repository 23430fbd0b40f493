//! A record on its way into a journal, and what becomes of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::{MAX_PAYLOAD, Sequence};

/// Why a record was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    #[error("the journal is full: {bytes} of {limit} bytes wait for delivery")]
    Full { bytes: u64, limit: u64 },
    #[error("the journal takes records of at most {MAX_PAYLOAD} bytes, not of {0}")]
    TooLong(usize),
    #[error("the journal cannot write")]
    Disk(#[source] Arc<io::Error>),
    #[error("the journal is closed")]
    Closed,
}

#[derive(Debug)]
pub(super) struct Append {
    /// When it came, in milliseconds since 1970.
    pub(super) time: u64,
    pub(super) payload: Vec<u8>,
    pub(super) done: oneshot::Sender<Result<Sequence, AppendError>>,
}

/// What becomes of a record: see [`Journal::append`](super::Journal::append).
#[derive(Debug)]
pub enum Appended {
    /// Taken when it is told.
    Known(Option<Result<Sequence, AppendError>>),
    Waiting(oneshot::Receiver<Result<Sequence, AppendError>>),
}

impl Future for Appended {
    type Output = Result<Sequence, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut *self {
            Self::Known(result) => result.take().unwrap_or(Err(AppendError::Closed)),
            Self::Waiting(waiting) => ready!(Pin::new(waiting).poll(cx)).unwrap_or(Err(AppendError::Closed)),
        })
    }
}
