//! Whether a request's body was read to its end: only then can the connection carry another request.
//!
//! A handler that refuses a request does not read its body. Where the rest is small and there already, it is read here,
//! so that clients of a full host need not connect anew.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

/// The most that is read of a body which nobody wants.
const MAX_WASTE: u64 = 64 * 1024;
/// How often the connection is given time to deliver what has come. Once is what it takes to read it from the socket.
const TURNS: usize = 2;

/// Looks after the body of one request.
pub(super) struct Upload {
    rest: Arc<Mutex<Rest>>,
    /// Whether the client only sends the body when it is asked to.
    asks: bool,
}

/// What is left of a body.
enum Rest {
    /// A handler has it, or it broke.
    Unknown,
    Unread(Incoming),
    Nothing,
}

impl Upload {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        Self { rest: Arc::new(Mutex::new(Rest::Unknown)), asks: headers.contains_key(header::EXPECT) }
    }

    /// The body for the handler.
    pub(super) fn watch(&self, body: Incoming) -> Body {
        if body.is_end_stream() {
            set(&self.rest, Rest::Nothing);
            return Body::empty();
        }
        Body::new(Watched { body: Some(body), rest: self.rest.clone() })
    }

    /// Whether the body was read to its end, or can be at once.
    pub(super) async fn finish(self) -> bool {
        let rest = std::mem::replace(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner), Rest::Unknown);
        match rest {
            Rest::Nothing => true,
            Rest::Unread(body) if !self.asks && body.size_hint().lower() <= MAX_WASTE => waste(body).await,
            Rest::Unread(_) | Rest::Unknown => false,
        }
    }
}

fn set(slot: &Mutex<Rest>, rest: Rest) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = rest;
}

async fn waste(mut body: Incoming) -> bool {
    let (mut turns, mut wasted) = (0, 0);
    while wasted <= MAX_WASTE {
        match body.frame().now_or_never() {
            Some(None) => return true,
            Some(Some(Ok(frame))) => wasted += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Some(Err(_))) => return false,
            None if turns == TURNS => return false,
            None => {
                turns += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    false
}

/// The body that a handler reads. What it leaves unread is given back.
struct Watched {
    /// None: it was read to its end, or broke.
    body: Option<Incoming>,
    rest: Arc<Mutex<Rest>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !self.is_end_stream() => {}
            Some(Err(_)) => self.body = None,
            Some(Ok(_)) | None => {
                self.body = None;
                set(&self.rest, Rest::Nothing);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            set(&self.rest, Rest::Unread(body));
        }
    }
}
