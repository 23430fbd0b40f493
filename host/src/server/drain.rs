//! An orderly end: not ready, but serving; then no more connections; then what still runs is cancelled, and says so.
//!
//! Everything that must know how far it has come watches a [`Draining`]. Telemetry and threads are ended by the process
//! afterwards: see cli/process.rs.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use http::header;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::server::caught::caught_poll;
use crate::server::edge::Served;
use crate::server::problem::Problem;
use crate::setting::{self, Setting};

/// Kubernetes takes a pod out of its services while it sends the signal; balancers notice some seconds later.
pub static DELAY: Setting = Setting::new(
    "WEIR_DRAIN_DELAY",
    "5s",
    "how long requests are still served after SIGTERM, while /readyz says 503; 0: not at all; at most 5m",
);
/// With the delay and the flush it fits into the 45 s of grace that our manifests give a pod.
pub static TIMEOUT: Setting = Setting::new(
    "WEIR_DRAIN_TIMEOUT",
    "20s",
    "how long requests and streams may then take to finish before they are cancelled; at most 1h",
);
/// A collector that does not answer must not hold up the end of a pod.
pub static FLUSH: Setting = Setting::new(
    "WEIR_FLUSH_TIMEOUT",
    "5s",
    "how long the last telemetry may take to leave when the host ends; at most 1m",
);

/// How long answers may take to say that their request was cancelled.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The same, once the host was told twice to stop.
const HURRIED_WORDS: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub delay: Duration,
    pub timeout: Duration,
    pub flush: Duration,
}

impl Config {
    pub fn read(reader: &mut setting::Reader<'_>) -> Self {
        Self {
            delay: reader.value(&DELAY, setting::time_or_none_up_to(Duration::from_mins(5))),
            timeout: reader.value(&TIMEOUT, setting::time_up_to(Duration::from_hours(1))),
            flush: reader.value(&FLUSH, setting::time_up_to(Duration::from_mins(1))),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { delay: seconds(5), timeout: seconds(20), flush: seconds(5) }
    }
}

/// How far the end has come. Each step includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Not ready, but every request is served; no connection stays open for another.
    Leaving,
    /// No more connections; idle ones are closed.
    Closing,
    /// What still runs is given up.
    Cancelling,
}

/// How the end came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Step by step.
    InOrder,
    /// The host was told a second time, and cut it short.
    Hurried,
}

/// The one who says how far the end has come.
#[derive(Debug)]
pub struct Drain(watch::Sender<Phase>);

/// Watches how far it has come. If nobody drains any more, the last phase stays.
#[derive(Clone, Debug)]
pub struct Draining(watch::Receiver<Phase>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Drain {
    pub fn watch(&self) -> Draining {
        Draining(self.0.subscribe())
    }

    /// Serves until `stop` says so, then ends in order; when it says so again, at once. `serving` ends by itself when the
    /// phases let it.
    pub async fn conduct(
        self,
        config: &Config,
        mut stop: impl AsyncFnMut(),
        serving: impl Future<Output = ()>,
    ) -> Ended {
        let mut serving = pin!(serving);
        tokio::select! {
            () = stop() => {}
            () = &mut serving => return Ended::InOrder,
        }
        let ended = tokio::select! {
            () = self.in_order(config, serving.as_mut()) => Ended::InOrder,
            () = stop() => Ended::Hurried,
        };
        if ended == Ended::Hurried {
            tracing::warn!("told to stop again: requests that still run are cancelled");
            self.enter(Phase::Cancelling);
            let _ = timeout(HURRIED_WORDS, serving).await;
        }
        ended
    }

    async fn in_order(&self, config: &Config, mut serving: Pin<&mut impl Future<Output = ()>>) {
        tracing::info!(delay = ?config.delay, "stopping: not ready any more, requests are served for the delay");
        self.enter(Phase::Leaving);
        tokio::select! {
            () = sleep(config.delay) => {}
            () = &mut serving => return,
        }
        tracing::info!(timeout = ?config.timeout, "no more connections; requests may finish");
        self.enter(Phase::Closing);
        if timeout(config.timeout, &mut serving).await.is_ok() {
            tracing::info!("all requests have finished");
            return;
        }
        tracing::warn!(timeout = ?config.timeout, "requests that still run after the timeout are cancelled");
        self.enter(Phase::Cancelling);
        let _ = timeout(LAST_WORDS, serving).await;
    }

    fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

impl Draining {
    pub fn has_reached(&self, phase: Phase) -> bool {
        *self.0.borrow() >= phase
    }

    /// Waits until the end has come so far.
    pub async fn reach(&mut self, phase: Phase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            // Nobody will ever say so.
            std::future::pending::<()>().await;
        }
    }
}

/// Gives requests up when the time for them to finish is over: a whole answer becomes 503, a stream ends with an error.
/// Inside of the edge, which so sees how they ended.
pub async fn cancel(mut draining: Draining, answer: impl Future<Output = Response>) -> Response {
    let cancelled = draining.clone();
    tokio::select! {
        biased;
        response = answer => cancellable(response, cancelled),
        () = draining.reach(Phase::Cancelling) => Problem::draining().into_response(),
    }
}

fn cancellable(response: Response, mut draining: Draining) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let served = response.extensions().get::<Served>().cloned().unwrap_or_default();
    let cancelled = Box::pin(async move { draining.reach(Phase::Cancelling).await });
    response.map(|body| Body::new(Stream { body: Some(body), cancelled, served }))
}

/// The body of a stream of server-sent events, each of whose frames ends with a line.
struct Stream {
    /// None once it was cancelled, or has panicked.
    body: Option<Body>,
    cancelled: BoxFuture<'static, ()>,
    served: Served,
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.as_mut().get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        // First, as there are streams that always have more.
        let problem = if this.cancelled.as_mut().poll(cx).is_ready() {
            Problem::draining()
        } else {
            match caught_poll(|| Pin::new(body).poll_frame(cx)) {
                Ok(frame) => return frame,
                Err(problem) => problem,
            }
        };
        // Ends its nodes.
        self.body = None;
        self.served.failed(&problem.exception, &problem.message);
        let event = format!("event: error\ndata: {}\n\n", problem.body());
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    fn events(body: Body, drain: &Drain) -> Body {
        let response = ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response();
        cancellable(response, drain.watch()).into_body()
    }

    async fn next(body: &mut Body) -> Option<String> {
        let data = body.frame().await?.expect("no error").into_data().expect("no trailers");
        Some(String::from_utf8(data.into()).expect("text"))
    }

    #[tokio::test]
    async fn a_stream_that_always_has_more_is_cancelled_with_a_last_event() {
        let drain = Drain::default();
        let more = stream::repeat_with(|| Ok::<_, std::convert::Infallible>("data: 1\n\n"));
        let mut body = events(Body::from_stream(more), &drain);
        assert_eq!(next(&mut body).await.as_deref(), Some("data: 1\n\n"));
        drain.enter(Phase::Closing);
        assert_eq!(next(&mut body).await.as_deref(), Some("data: 1\n\n"));
        drain.enter(Phase::Cancelling);
        let last = next(&mut body).await.expect("a last event");
        assert!(last.starts_with("event: error\ndata: {") && last.contains("\"Draining\""), "{last}");
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_stream_that_panics_ends_with_an_error() {
        let panics = stream::poll_fn(|_| -> Poll<Option<Result<&str, std::convert::Infallible>>> {
            assert!(std::hint::black_box(false), "as a fault of the host would");
            Poll::Pending
        });
        let mut body = events(Body::from_stream(panics), &Drain::default());
        let last = next(&mut body).await.expect("a last event");
        assert!(last.contains("\"Internal\""), "{last}");
        assert_eq!(next(&mut body).await, None);
    }

    #[test]
    fn documented_defaults_are_the_real_ones() {
        let mut reader = setting::Reader::new(&setting::Variables(|_: &str| None));
        assert_eq!(Config::read(&mut reader), Config::default());
    }
}
