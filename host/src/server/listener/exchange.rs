//! One request and its answer, between hyper and the routes: what holds whatever the route is.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::task::AtomicWaker;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use crate::server::Peer;
use crate::server::caught::caught;
use crate::server::drain::Phase;
use crate::server::listener::Watched;
use crate::server::listener::upload::Upload;
use crate::server::problem::Problem;

/// What the socket's side and the service's side of a connection know of each other.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Whether a request has been taken whose answer has not been given.
    answering: AtomicBool,
    /// Whether no other request is welcome on this connection.
    closing: AtomicBool,
    refusal: Mutex<Option<Problem>>,
    reader: AtomicWaker,
}

/// A request that is being answered. Dropped with the last byte of the answer.
struct Answering(Arc<Exchange>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.store(false, Ordering::Release);
        self.0.reader.wake();
    }
}

impl Exchange {
    /// A request is handed over; if a refusal comes with it, that is its answer.
    pub(super) fn begin(&self, refusal: Option<Problem>) {
        self.answering.store(true, Ordering::Release);
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }

    /// Whoever reads is woken when the answer has ended.
    pub(super) fn wake_reader(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn take_refusal(&self) -> Option<Problem> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How long routes that have something to say about the end have for it. Those who watch it are not told at one instant, and
/// a route that is cut off here cannot tell its trace why.
const ROUTES_FIRST: Duration = Duration::from_millis(200);

/// Answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) exchange: Arc<Exchange>,
    pub(super) routes: TowerToHyperService<Router>,
    pub(super) peer: Peer,
    pub(super) watched: Watched,
}

impl Answers {
    pub(super) async fn answer(self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let answering = Answering(self.exchange.clone());
        let (mut response, close) = match self.exchange.take_refusal() {
            Some(problem) => {
                tracing::debug!(peer = %self.peer.0, status = %problem.status, why = problem.message, "a head is refused");
                (problem.into_response(), true)
            }
            None => self.route(request).await,
        };
        if close || self.exchange.is_closing() || self.watched.is_to_close() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Answer { body, _answering: answering }))
    }

    /// The answer of the routes, and whether it must be the last, since the request's body was not read to its end.
    async fn route(&self, request: Request<Incoming>) -> (Response, bool) {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(self.peer);
        let upload = Upload::new(&parts.headers);
        let request = Request::from_parts(parts, upload.watch(body));
        let mut draining = self.watched.draining.clone();
        let routed = self.routes.call(request);
        let response = tokio::select! {
            biased;
            response = caught(routed.map(|response| response.unwrap_or_else(|never| match never {}))) => response,
            () = async {
                draining.reach(Phase::Cancelling).await;
                tokio::time::sleep(ROUTES_FIRST).await;
            } => Problem::draining().into_response(),
        };
        // Whoever sends too much or too slowly is not read any further, even if the rest is small.
        let given_up = matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT);
        (response, given_up || !upload.finish().await)
    }
}

/// The body of an answer, which tells its end by being dropped.
pub(super) struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
