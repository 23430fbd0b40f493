//! How many requests run at the same time, and what becomes of the others: a few wait a little, the rest is refused at
//! once. One [`Admission`] for each deployment.
//!
//! A handler asks twice. [`Admission::check`] refuses before the body is read, as long as there is no place; then
//! [`Admission::enter`] takes one. A body on its way has none, so that clients that send slowly keep nobody out: what they
//! may hold is bounded in body.rs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::server::problem::Problem;
use crate::setting::{self, Setting};
use crate::telemetry::Refused;

/// Flows mostly wait for models, so many more can run than there are cores. The most is about what the pool of instances can
/// have: of more that run, some would wait for one in vain. By default it has a thousand, and nobody gets more without a word.
pub static CONCURRENCY: Setting = Setting::optional(
    "WEIR_MAX_CONCURRENCY",
    "32 for each core",
    "how many /score requests of a deployment run at the same time; at most 16384",
);
/// Twice what a host of one core runs. A longer queue would only make more clients wait in vain.
pub static QUEUE: Setting =
    Setting::new("WEIR_MAX_QUEUE", "64", "how many more may wait for a place; the others are refused; at most 1024");
/// Long enough to level out bursts. Whoever waits longer is better off at another host.
pub static QUEUE_WAIT: Setting =
    Setting::new("WEIR_MAX_QUEUE_WAIT", "100ms", "how long they may wait for it; 0: not at all; at most 1m");

/// Requests of a deployment for each core, if nothing else is said.
const CONCURRENCY_PER_CORE: usize = 32;
/// The most a deployment may have.
pub const MAX_CONCURRENCY: usize = 16_384;
/// The most it has without a word, and the longest queue: clients that only wait in line need no more.
const MAX_QUEUE: usize = 1024;
/// The longest that a request may wait for its place. More than is good for anybody, but deployment files ask for it.
pub const MAX_QUEUE_WAIT: Duration = Duration::from_secs(60);
/// The longest that a client is told to stay away, in seconds. Until then much may have changed.
const MAX_RETRY_AFTER: u64 = 30;
/// The weight of the newest request in the mean of how long requests run: one part in so many.
const MEAN_OF: u64 = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests that run at the same time.
    pub concurrency: usize,
    /// Requests that wait for one of them to end.
    pub queue: usize,
    /// How long each of them waits.
    pub queue_wait: Duration,
}

impl Config {
    pub fn read(reader: &mut setting::Reader<'_>) -> Self {
        let concurrency = reader.optional(&CONCURRENCY, setting::count_within(1, MAX_CONCURRENCY));
        Self {
            concurrency: concurrency.unwrap_or_else(default_concurrency),
            queue: reader.value(&QUEUE, setting::count_within(0, MAX_QUEUE)),
            queue_wait: reader.value(&QUEUE_WAIT, setting::time_or_none_up_to(MAX_QUEUE_WAIT)),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { concurrency: default_concurrency(), queue: 64, queue_wait: Duration::from_millis(100) }
    }
}

fn default_concurrency() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores * CONCURRENCY_PER_CORE).min(MAX_QUEUE)
}

/// The places of one deployment. Clones share them.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Places>);

#[derive(Debug)]
struct Places {
    config: Config,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// How long requests hold their places on average, in milliseconds.
    mean: AtomicU64,
}

/// A place. Free again when the last byte of the answer has left, or the client has.
#[derive(Debug)]
pub struct Permit {
    places: Arc<Places>,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

impl Admission {
    pub fn new(config: Config) -> Self {
        let free = Arc::new(Semaphore::new(config.concurrency));
        Self(Arc::new(Places { config, free, waiting: AtomicUsize::new(0), mean: AtomicU64::new(0) }))
    }

    /// How many requests run.
    pub fn running(&self) -> usize {
        self.0.config.concurrency - self.0.free.available_permits()
    }

    /// How many may run at the same time.
    pub fn limit(&self) -> usize {
        self.0.config.concurrency
    }

    /// How many requests wait for a place.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Whether a request that came now would find a place, or one in the queue.
    ///
    /// # Errors
    /// `Overloaded` if it would not.
    pub fn check(&self) -> Result<(), Problem> {
        let places = &self.0;
        if places.free.available_permits() > 0 || (places.may_wait() && self.waiting() < places.config.queue) {
            return Ok(());
        }
        Err(places.refuse(Refused::QueueFull))
    }

    /// Takes a place, or waits a little for one.
    ///
    /// # Errors
    /// `Overloaded` if all are taken and the queue is full, or none became free in time.
    pub async fn enter(&self) -> Result<Permit, Problem> {
        let places = &self.0;
        let place = match places.free.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = places.wait().ok_or_else(|| places.refuse(Refused::QueueFull))?;
                let place = timeout(places.config.queue_wait, places.free.clone().acquire_owned()).await;
                place.ok().and_then(Result::ok).ok_or_else(|| places.refuse(Refused::QueueTimeout))?
            }
        };
        Ok(Permit { places: places.clone(), since: Instant::now(), _place: place })
    }
}

/// A request in the queue. Dropping it, as one that was given up is, leaves the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    fn may_wait(&self) -> bool {
        !self.config.queue_wait.is_zero()
    }

    /// A place in the queue, if there is one.
    fn wait(&self) -> Option<Waiting<'_>> {
        let one_more = |waiting: usize| (waiting < self.config.queue && self.may_wait()).then_some(waiting + 1);
        let waits = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        waits.is_ok().then(|| Waiting(&self.waiting))
    }

    /// Nothing is logged: refusals must stay cheap. They are counted as requests.
    fn refuse(&self, reason: Refused) -> Problem {
        // When a place will be free again, as requests went so far.
        let ahead = self.waiting.load(Ordering::Relaxed) as u64 + 1;
        let millis = self.mean.load(Ordering::Relaxed) * ahead / self.config.concurrency as u64;
        let seconds = millis.div_ceil(1000).clamp(1, MAX_RETRY_AFTER);
        Problem::overloaded(reason, "the host has as many requests as it can serve; try again", seconds)
    }
}

impl Permit {
    /// Keeps the place until the body of the reply has left.
    pub fn hold(self, response: Response) -> Response {
        response.map(|body| Body::new(Holding { body, permit: Arc::new(self) }))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let took = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mean = |mean: u64| Some(if mean == 0 { took } else { mean - mean / MEAN_OF + took / MEAN_OF });
        let _ = self.places.mean.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mean);
    }
}

/// The body of a reply that holds a place.
struct Holding {
    body: Body,
    permit: Arc<Permit>,
}

/// A part of it that is on its way: one that was handed on may still wait for a slow client.
struct Held {
    part: Bytes,
    _permit: Arc<Permit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let held = |part| Bytes::from_owner(Held { part, _permit: self.permit.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
