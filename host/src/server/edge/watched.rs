//! The body of an answer that tells of its first byte and its last, or that its client went away before.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Who wants to know.
pub(super) trait Watcher {
    /// A part of the body has been taken. Called for each.
    fn part(&mut self);
    /// The last one has been.
    fn end(&mut self);
    /// The body broke off, or was dropped. Also called after the end, when it means nothing.
    fn give_up(&mut self);

    /// Polls the body; whatever must surround that.
    fn around<T>(&self, poll: impl FnOnce() -> T) -> T {
        poll()
    }
}

/// A body with its watcher.
pub(super) struct Watched<W: Watcher> {
    body: Body,
    watcher: W,
}

impl<W: Watcher + Send + Unpin + 'static> Watched<W> {
    pub(super) fn body(body: Body, mut watcher: W) -> Body {
        if body.is_end_stream() {
            watcher.end();
        }
        Body::new(Self { body, watcher })
    }
}

impl<W: Watcher + Unpin> HttpBody for Watched<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, watcher } = &mut *self;
        let frame = std::task::ready!(watcher.around(|| Pin::new(body).poll_frame(cx)));
        match &frame {
            Some(Ok(_)) => {
                self.watcher.part();
                // hyper does not ask again when a body says that this was its last frame.
                if self.body.is_end_stream() {
                    self.watcher.end();
                }
            }
            Some(Err(_)) => self.watcher.give_up(),
            None => self.watcher.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<W: Watcher> Drop for Watched<W> {
    fn drop(&mut self) {
        // Nothing to do if the last frame was seen.
        self.watcher.give_up();
    }
}
