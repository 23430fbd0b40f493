//! Sends a request that is granted, and reads the reply within its limits.
//!
//! One client for each grant, as what it may connect to is the grant's. It connects directly: a proxy would resolve
//! names by itself, and what was checked here would not be what is connected to.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use super::Piece;
use super::watched::{Failure, Verdict};
use crate::address::{Guarded, Refused};
use crate::boundary::error::CallErrorKind;
use crate::capability::client;
use crate::capability::upstream::Try;

/// Largest head of a reply, in bytes of names and values. hyper has read up to some 400 KB of it by then; services send
/// a few hundred bytes, and those with many cookies some thousand.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// Requests of one node at the same time, over all its runs: each holds a socket. Further ones wait.
const AT_ONCE: usize = 64;

/// A service that does not take a connection for so long will not take one at all.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections that are kept for the next request, for each host, if the hosts are written down.
const IDLE_CONNECTIONS: usize = 8;
/// For how long they are kept: a node that asks again does so while its run lasts.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// Whether connections are kept for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    Kept,
    /// Which hosts are asked, the node chooses: of each name it can think of, a socket would be left.
    Closed,
}

/// What connects, within what is allowed.
#[derive(Debug)]
pub(super) struct Client {
    guard: Guarded,
    /// Whether anything that is granted needs certificates.
    https: bool,
    idle: Idle,
    opened: OnceLock<Result<reqwest::Client, String>>,
    at_once: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(guard: Guarded, https: bool, idle: Idle) -> Self {
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Self { guard, https, idle, opened: OnceLock::new(), at_once }
    }

    /// The client itself, made when it is first needed: reading the machine's certificates takes a while.
    ///
    /// # Errors
    /// There are no certificates, and they are needed.
    pub(super) fn open(&self) -> Result<&reqwest::Client, String> {
        self.opened.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<reqwest::Client, String> {
        let idle = match self.idle {
            Idle::Kept => IDLE_CONNECTIONS,
            Idle::Closed => 0,
        };
        let mut builder = client::builder()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(idle)
            .pool_idle_timeout(IDLE_TIME)
            .no_proxy()
            .dns_resolver(self.guard.clone());
        if !self.https {
            builder = client::without_certificates(builder);
        }
        client::build(builder)
    }

    /// Sends a request. Gives the head of the reply and then its body; the connection is free when that is dropped. The
    /// try is told when the service has the whole request.
    pub(super) async fn send(
        &self,
        sending: Sending,
        attempt: &mut Option<Try>,
    ) -> Result<impl Stream<Item = Result<Piece, Failure>> + Send + use<>, Failure> {
        let Sending { mut request, body, options, max_body, deadline, exceeded } = sending;
        self.guard.check_url(request.url()).map_err(|refused| not_granted(&refused))?;
        let client = self.open().map_err(|problem| Failure::ours(CallErrorKind::Unavailable, problem))?;
        let closed = |_| Failure::ours(CallErrorKind::Internal, "internal error".to_owned());
        let permit = Arc::clone(&self.at_once).acquire_owned().await.map_err(closed)?;

        let host = request.url().host_str().unwrap_or_default().to_owned();
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let (body, mut upload) = outgoing(body, max_body, announced, host.clone());
        *request.body_mut() = Some(body);
        let until = within(deadline, head_time(options));
        let answer = async {
            let mut answer = pin!(client.execute(request));
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = upload.over() => attempt.iter_mut().for_each(Try::asked),
            }
            answer.await
        };
        let response = match timeout_at(until, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(upload.spoiled(&exceeded).unwrap_or_else(|| failed(&host, &error))),
            Err(_) => return Err(late(until < deadline, format!("{host} did not answer in time"))),
        };
        let (head, body) = http::Response::from(response).into_parts();
        let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > MAX_HEAD {
            exceeded.by(Part::ResponseHead);
            let message = format!("the head of the answer of {host} is larger than the {MAX_HEAD} bytes it may have");
            return Err(Failure::ours(CallErrorKind::Exhausted, message));
        }
        let between = options.between_bytes_timeout;
        let reading =
            Reading { body, upload, host, left: max_body, max: max_body, between, deadline, exceeded, _permit: permit };
        let body = stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.next().await? {
                Ok(piece) => Some((Ok(piece), Some(reading))),
                Err(failure) => Some((Err(failure), None)),
            }
        });
        Ok(stream::iter([Ok(Piece::Head(head))]).chain(body))
    }
}

/// What is to be sent, and within which limits.
pub(super) struct Sending {
    pub(super) request: reqwest::Request,
    pub(super) body: WasiBody,
    pub(super) options: RequestOptions,
    /// Bytes that each of the bodies may have.
    pub(super) max_body: usize,
    pub(super) deadline: Instant,
    pub(super) exceeded: Exceeded,
}

/// A part of a request or a reply that can be larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    RequestBody,
    ResponseHead,
    ResponseBody,
}

/// Which part was too large, if one was: the kind of a failure does not tell. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Exceeded(Arc<OnceLock<Part>>);

impl Exceeded {
    fn by(&self, part: Part) {
        // The first is the one that matters.
        _ = self.0.set(part);
    }

    pub(super) fn part(&self) -> Option<Part> {
        self.0.get().copied()
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
    /// The body of the request, which may still be under way.
    upload: Upload,
    host: String,
    /// How much more of it may come, of at most so many bytes.
    left: usize,
    max: usize,
    between: Option<Duration>,
    deadline: Instant,
    exceeded: Exceeded,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Piece, Failure>> {
        let host = &self.host;
        let until = within(self.deadline, self.between);
        let frame = match timeout_at(until, self.body.frame()).await {
            Ok(frame) => frame?,
            Err(_) => return Some(Err(late(until < self.deadline, format!("{host} stopped in its answer")))),
        };
        let Ok(frame) = frame else {
            let broken_off =
                || Failure::new(Verdict::Fails, CallErrorKind::Unavailable, format!("{host} broke off its answer"));
            // A request that ends badly takes the connection with it, and so an answer that came early.
            return Some(Err(self.upload.spoiled(&self.exceeded).unwrap_or_else(broken_off)));
        };
        let piece = match frame.into_data() {
            Ok(bytes) => Piece::Body(bytes),
            // There are frames of two kinds only.
            Err(frame) => Piece::Trailers(frame.into_trailers().unwrap_or_default()),
        };
        if let Piece::Body(bytes) = &piece {
            match self.left.checked_sub(bytes.len()) {
                Some(left) => self.left = left,
                None => {
                    self.exceeded.by(Part::ResponseBody);
                    return Some(Err(too_large(&format!("the answer of {host}"), self.max)));
                }
            }
        }
        Some(Ok(piece))
    }
}

/// What a failed request is called. The error itself has the whole URL in it, and so may hold a key.
fn failed(host: &str, error: &reqwest::Error) -> Failure {
    if let Some(refused) = Refused::cause_of(error) {
        return not_granted(refused);
    }
    let (verdict, what) = if !error.is_connect() {
        // What was sent is of the node's choice, and so may be that nobody answers it.
        (Verdict::Nothing, "broke off before it answered")
    } else if error.is_timeout() {
        (Verdict::Fails, "did not take the connection in time")
    } else {
        (Verdict::Fails, "cannot be reached")
    };
    Failure::new(verdict, CallErrorKind::Unavailable, format!("{host} {what}"))
}

/// A time is over: one that the node has set for the service, or the node's own.
fn late(by_node: bool, message: String) -> Failure {
    Failure::new(if by_node { Verdict::Nothing } else { Verdict::Silent }, CallErrorKind::Timeout, message)
}

fn not_granted(refused: &Refused) -> Failure {
    Failure::ours(CallErrorKind::NotGranted, refused.to_string())
}

fn too_large(what: &str, max: usize) -> Failure {
    let message = format!(
        "{what} is larger than the {max} bytes it may have; raise `limits.body` of the node if it may have more"
    );
    Failure::ours(CallErrorKind::Exhausted, message)
}

/// A guest's body as reqwest takes it, of at most so many bytes; and what becomes of it.
fn outgoing(body: WasiBody, max: usize, announced: Option<usize>, host: String) -> (reqwest::Body, Upload) {
    let (over, is_over) = oneshot::channel();
    let spoiled = Arc::default();
    let upload = Upload { host, spoiled: Arc::clone(&spoiled), is_over };
    let outgoing = Outgoing { body: Mutex::new(body), left: max, max, announced, spoiled, _over: over };
    (reqwest::Body::wrap(outgoing), upload)
}

/// A guest's body, and how much more it may send. The lock is never waited for: it only makes the body `Sync`.
struct Outgoing {
    body: Mutex<WasiBody>,
    left: usize,
    max: usize,
    /// How much more the head has announced, if it has.
    announced: Option<usize>,
    spoiled: Arc<OnceLock<Spoiled>>,
    /// Told by being dropped: whoever sends a body lets go of it when it is sent.
    _over: oneshot::Sender<()>,
}

/// What has become of a guest's body.
struct Upload {
    host: String,
    spoiled: Arc<OnceLock<Spoiled>>,
    is_over: oneshot::Receiver<()>,
}

/// A guest's body that does not come to its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Spoiled {
    #[error("the body is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the guest gave its body up, or it is longer than was announced")]
    GivenUp,
}

impl Upload {
    /// Waits until nothing more is sent.
    async fn over(&mut self) {
        // Nothing is ever sent through it.
        _ = (&mut self.is_over).await;
    }

    /// The failure that the guest has brought about by its body.
    fn spoiled(&self, exceeded: &Exceeded) -> Option<Failure> {
        let what = format!("the body of the request to {}", self.host);
        Some(match *self.spoiled.get()? {
            Spoiled::TooLarge { max } => {
                exceeded.by(Part::RequestBody);
                too_large(&what, max)
            }
            Spoiled::GivenUp => Failure::ours(
                CallErrorKind::Cancelled,
                format!("{what} was given up unfinished, or is longer than was announced"),
            ),
        })
    }
}

impl Outgoing {
    /// The body ends here. What brings an error to hyper brings it to all who wait for the answer, but not always as the
    /// cause of theirs; so it is kept here, too.
    fn spoil(&self, spoiled: Spoiled) -> Spoiled {
        *self.spoiled.get_or_init(|| spoiled)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Spoiled;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Spoiled>>> {
        let this = &mut *self;
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else { return Poll::Ready(None) };
        // Who drops a body, or ends it short of what was announced, has it broken off.
        let Ok(frame) = frame else { return Poll::Ready(Some(Err(this.spoil(Spoiled::GivenUp)))) };
        // What follows a body are headers that come after whoever looks at headers: they are not sent.
        let Ok(bytes) = frame.into_data() else { return Poll::Ready(None) };
        if let Some(announced) = &mut this.announced {
            match announced.checked_sub(bytes.len()) {
                Some(left) => *announced = left,
                // What is announced would be sent, and be whole for the service, though the guest meant something else.
                None => return Poll::Ready(Some(Err(this.spoil(Spoiled::GivenUp)))),
            }
        }
        Poll::Ready(Some(match this.left.checked_sub(bytes.len()) {
            Some(left) => {
                this.left = left;
                Ok(Frame::data(bytes))
            }
            None => Err(this.spoil(Spoiled::TooLarge { max: this.max })),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
