//! Sends a request that is granted, and reads the reply within its limits.
//!
//! One client for each grant, as what it may connect to is the grant's. It connects directly: a proxy would resolve
//! names by itself, and what was checked here would not be what is connected to.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::redirect;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use super::Piece;
use crate::address::{Guarded, Refused};
use crate::boundary::error::{CallError, CallErrorKind};

/// Largest head of a reply, in bytes of names and values. hyper has read up to some 400 KB of it by then; services send
/// a few hundred bytes, and those with many cookies some thousand.
const MAX_HEAD: usize = 64 * 1024;

/// Requests of one node at the same time, over all its runs: each holds a socket. Further ones wait.
const AT_ONCE: usize = 64;

/// A service that does not take a connection for so long will not take one at all.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections that are kept for the next request, for each host.
const IDLE_CONNECTIONS: usize = 8;

/// What connects, within what is allowed.
#[derive(Debug)]
pub(super) struct Client {
    guard: Guarded,
    /// Whether anything that is granted needs certificates.
    https: bool,
    opened: OnceLock<Result<reqwest::Client, String>>,
    at_once: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(guard: Guarded, https: bool) -> Self {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Self { guard, https, opened: OnceLock::new(), at_once }
    }

    /// The client itself, made when it is first needed: reading the machine's certificates takes a while.
    ///
    /// # Errors
    /// There are no certificates, and they are needed.
    pub(super) fn open(&self) -> Result<&reqwest::Client, String> {
        self.opened.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<reqwest::Client, String> {
        // reqwest takes the provider of the process. That somebody has installed one already serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(self.guard.clone());
        if !self.https {
            // No certificates are needed, so an image without any will do.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|_| {
            "no HTTPS client can be made: no root certificates are found; install ca-certificates or set SSL_CERT_FILE"
                .to_owned()
        })
    }

    /// Sends a request. Gives the head of the reply and then its body, of at most `max_body` bytes; the connection is free
    /// when that is dropped.
    pub(super) async fn send(
        &self,
        request: reqwest::Request,
        options: RequestOptions,
        max_body: usize,
        deadline: Instant,
    ) -> Result<impl Stream<Item = Result<Piece, CallError>> + Send + use<>, CallError> {
        self.guard.check_url(request.url()).map_err(|refused| not_granted(&refused))?;
        let client = self.open().map_err(|problem| CallError::new(CallErrorKind::Unavailable, problem))?;
        let closed = |_| CallError::new(CallErrorKind::Internal, "internal error");
        let permit = Arc::clone(&self.at_once).acquire_owned().await.map_err(closed)?;

        let until = within(deadline, head_time(options));
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let response = match timeout_at(until, client.execute(request)).await {
            Ok(result) => result.map_err(|error| failed(&host, &error))?,
            Err(_) => return Err(CallError::new(CallErrorKind::Timeout, format!("{host} did not answer in time"))),
        };
        let (head, body) = http::Response::from(response).into_parts();
        let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > MAX_HEAD {
            let message = format!("the head of the answer of {host} is larger than the {MAX_HEAD} bytes it may have");
            return Err(CallError::new(CallErrorKind::Exhausted, message));
        }
        let between = options.between_bytes_timeout;
        let reading = Reading { body, host, left: max_body, max: max_body, between, deadline, _permit: permit };
        let body = stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.next().await? {
                Ok(piece) => Some((Ok(piece), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(stream::iter([Ok(Piece::Head(head))]).chain(body))
    }
}

/// How long a guest gives a service until the first byte of its reply; none: as long as the node has. When the connection
/// stands is not told to us, so the time for the first byte is for both unless the connection has one of its own.
fn head_time(options: RequestOptions) -> Option<Duration> {
    options.first_byte_timeout.map(|time| time.saturating_add(options.connect_timeout.unwrap_or_default()))
}

fn within(deadline: Instant, time: Option<Duration>) -> Instant {
    time.and_then(|time| Instant::now().checked_add(time)).map_or(deadline, |until| until.min(deadline))
}

/// The body of a reply on its way.
struct Reading {
    body: reqwest::Body,
    host: String,
    /// How much more of it may come, of at most so many bytes.
    left: usize,
    max: usize,
    between: Option<Duration>,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Piece, CallError>> {
        let host = &self.host;
        let frame = match timeout_at(within(self.deadline, self.between), self.body.frame()).await {
            Ok(frame) => frame?,
            Err(_) => {
                return Some(Err(CallError::new(CallErrorKind::Timeout, format!("{host} stopped in its answer"))));
            }
        };
        let Ok(frame) = frame else {
            return Some(Err(CallError::new(CallErrorKind::Unavailable, format!("{host} broke off its answer"))));
        };
        let piece = match frame.into_data() {
            Ok(bytes) => Piece::Body(bytes),
            // There are frames of two kinds only.
            Err(frame) => Piece::Trailers(frame.into_trailers().unwrap_or_default()),
        };
        if let Piece::Body(bytes) = &piece {
            match self.left.checked_sub(bytes.len()) {
                Some(left) => self.left = left,
                None => return Some(Err(too_large(&format!("the answer of {host}"), self.max))),
            }
        }
        Some(Ok(piece))
    }
}

/// What a failed request is called. The error itself has the whole URL in it, and so may hold a key.
fn failed(host: &str, error: &reqwest::Error) -> CallError {
    if let Some(refused) = Refused::cause_of(error) {
        return not_granted(refused);
    }
    if let Some(TooLarge { max }) = TooLarge::cause_of(error) {
        return too_large(&format!("the body of the request to {host}"), *max);
    }
    let what = if error.is_timeout() {
        "did not take the connection in time"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off before it answered"
    };
    CallError::new(CallErrorKind::Unavailable, format!("{host} {what}"))
}

fn not_granted(refused: &Refused) -> CallError {
    CallError::new(CallErrorKind::NotGranted, refused.to_string())
}

fn too_large(what: &str, max: usize) -> CallError {
    let message = format!(
        "{what} is larger than the {max} bytes it may have; raise `limits.body` of the node if it may have more"
    );
    CallError::new(CallErrorKind::Exhausted, message)
}

/// A guest's body as reqwest takes it, of at most so many bytes.
pub(super) fn outgoing(body: WasiBody, max: usize) -> reqwest::Body {
    reqwest::Body::wrap(Outgoing { body: Mutex::new(body), left: max, max })
}

/// A guest's body, and how much more it may send. The lock is never waited for: it only makes the body `Sync`.
struct Outgoing {
    body: Mutex<WasiBody>,
    left: usize,
    max: usize,
}

/// A guest sends more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than {max} bytes")]
struct TooLarge {
    max: usize,
}

impl TooLarge {
    fn cause_of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| (*error).source()).find_map(<dyn std::error::Error>::downcast_ref)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else { return Poll::Ready(None) };
        // What follows a body are headers that come after whoever looks at headers: they are not sent.
        let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() else { return Poll::Ready(None) };
        Poll::Ready(Some(match this.left.checked_sub(bytes.len()) {
            Some(left) => {
                this.left = left;
                Ok(Frame::data(bytes))
            }
            None => Err(TooLarge { max: this.max }.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
