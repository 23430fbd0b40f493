//! Reads the body of a request: no more of it than it may be, no slower than it may come. Handlers get it whole.
//!
//! What can be refused by the head alone is refused before anything is read; then a client that waits for `100 Continue`
//! is not asked for its body. What became of the connection is not decided here: see listener/exchange.rs.

use std::time::Duration;

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::server::problem::Problem;
use crate::setting::{self, Setting};
use crate::telemetry::Refused;

/// The original has no limit; larger inputs belong in object storage.
pub static MAX_SCORE: Setting =
    Setting::new("WEIR_MAX_SCORE_BODY", "4MiB", "longest body of a /score request; at most 64MiB");
/// It becomes a span, and a record of the journal.
pub static MAX_FEEDBACK: Setting =
    Setting::new("WEIR_MAX_FEEDBACK_BODY", "64KiB", "longest body of a /feedback request; at most 1MiB");
/// Thirty seconds are four times what the longest body takes on a line of 1 MiB/s.
pub static TIMEOUT: Setting = Setting::new(
    "WEIR_BODY_TIMEOUT",
    "30s",
    "how long a request body may take to arrive; after a sixth of it, it must come at 1 KiB/s or faster; at most 5m",
);
/// Thirty-two of the longest bodies. Clients that send slowly, or all at once, cannot fill the memory with bodies that no
/// flow has begun to read.
pub static MEMORY: Setting = Setting::new(
    "WEIR_MAX_BODY_MEMORY",
    "128MiB",
    "how much of request bodies that are still on their way is held, of all requests together; at most 4GiB",
);

/// The slowest that a body may come, in bytes per second, once it had the time to begin.
const MIN_RATE: u64 = 1024;
/// The part of the timeout that a body has to begin.
const GRACE: u32 = 6;
/// What is set aside at once for a body of known length. More comes with its bytes, as a length is only a promise.
const FIRST_RESERVE: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub max_score: usize,
    pub max_feedback: usize,
    pub timeout: Duration,
    /// Bytes of all bodies that are being read.
    pub memory: usize,
}

impl Config {
    pub fn read(reader: &mut setting::Reader<'_>) -> Self {
        Self {
            max_score: reader.value(&MAX_SCORE, setting::size_up_to(64 << 20)),
            max_feedback: reader.value(&MAX_FEEDBACK, setting::size_up_to(1 << 20)),
            timeout: reader.value(&TIMEOUT, setting::time_up_to(Duration::from_mins(5))),
            memory: reader.value(&MEMORY, setting::size_up_to(4 << 30)),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let (timeout, memory) = (Duration::from_secs(30), 128 << 20);
        Self { max_score: 4 << 20, max_feedback: 64 << 10, timeout, memory }
    }
}

/// Reads the bodies of all requests.
#[derive(Debug)]
pub struct Bodies {
    config: Config,
    /// Bytes that bodies on their way may still take.
    memory: Semaphore,
}

impl Bodies {
    pub fn new(config: Config) -> Self {
        // At least one body of the largest kind must fit, whatever the settings say.
        let memory = config.memory.max(config.max_score).max(config.max_feedback);
        Self { config, memory: Semaphore::new(memory.min(Semaphore::MAX_PERMITS)) }
    }

    /// The body of a `/score` request.
    ///
    /// # Errors
    /// See [`Bodies::read`].
    pub async fn score(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        self.read(headers, body, self.config.max_score).await
    }

    /// The body of a `/feedback` request.
    ///
    /// # Errors
    /// See [`Bodies::read`].
    pub async fn feedback(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        self.read(headers, body, self.config.max_feedback).await
    }

    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// `UnsupportedEncoding`, `BodyTooLarge`, `RequestReadTimeout`, `BodyUnreadable`; `Overloaded` if too much is on its
    /// way already.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
        if headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(Problem::unsupported_encoding());
        }
        let size = body.size_hint();
        if size.lower() > limit as u64 {
            return Err(Problem::body_too_large(limit));
        }
        let mut pace = Pace::new(self.config.timeout);
        let mut held: Option<SemaphorePermit<'_>> = None;
        let mut read = BytesMut::new();
        while let Some(frame) = pace.keep(body.frame()).await? {
            // Trailers say nothing to us.
            let Ok(data) = frame.map_err(|_| Problem::body_unreadable())?.into_data() else { continue };
            if data.len() > limit - read.len() {
                return Err(Problem::body_too_large(limit));
            }
            if read.is_empty() && body.is_end_stream() {
                // The whole of it at once, as nearly all bodies come.
                return Ok(data);
            }
            pace.received(data.len());
            let more = self.hold(data.len())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            if read.is_empty() {
                read.reserve(usize::try_from(size.lower()).unwrap_or(FIRST_RESERVE).min(FIRST_RESERVE));
            }
            read.extend_from_slice(&data);
        }
        Ok(read.freeze())
    }

    fn hold(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Problem> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let full =
            |_| Problem::overloaded(Refused::BodiesFull, "too many request bodies are on their way; try again", 1);
        self.memory.try_acquire_many(bytes).map_err(full)
    }
}

/// How long a body may take.
struct Pace {
    end: Instant,
    /// By when the next of it must come.
    next: Instant,
}

impl Pace {
    fn new(timeout: Duration) -> Self {
        let now = Instant::now();
        Self { end: now + timeout, next: now + timeout / GRACE }
    }

    fn received(&mut self, bytes: usize) {
        self.next += Duration::from_micros(bytes as u64 * 1_000_000 / MIN_RATE);
    }

    async fn keep<T>(&self, next: impl Future<Output = T>) -> Result<T, Problem> {
        let late = |_| Problem::read_timeout("the request body did not arrive in time");
        timeout_at(self.next.min(self.end), next).await.map_err(late)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn bodies() -> Bodies {
        Bodies::new(Config { max_score: 10, max_feedback: 4, timeout: Duration::from_secs(30), memory: 10 })
    }

    /// A body of unknown length.
    fn parts(parts: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(parts).map(|part| Ok::<_, Infallible>(*part)))
    }

    #[track_caller]
    fn check(found: &Result<Bytes, Problem>, expected: Result<&str, &str>) {
        let found = found.as_ref().map(|body| std::str::from_utf8(body).expect("text")).map_err(|problem| problem.code);
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_no_further() {
        let (bodies, none) = (bodies(), HeaderMap::new());
        check(&bodies.score(&none, Body::empty()).await, Ok(""));
        check(&bodies.score(&none, Body::from("0123456789")).await, Ok("0123456789"));
        check(&bodies.score(&none, Body::from("0123456789a")).await, Err("BodyTooLarge"));
        check(&bodies.feedback(&none, Body::from("01234")).await, Err("BodyTooLarge"));
        check(&bodies.score(&none, parts(&["01234", "56789"])).await, Ok("0123456789"));
        check(&bodies.score(&none, parts(&["01234", "56789a"])).await, Err("BodyTooLarge"));
        assert_eq!(bodies.memory.available_permits(), 10, "what was held is given back");
    }

    #[tokio::test]
    async fn only_bodies_without_a_coding_are_taken() {
        let bodies = bodies();
        for (codings, expected) in [
            (&["identity"][..], Ok("a")),
            (&["Identity"], Ok("a")),
            (&["gzip"], Err("UnsupportedEncoding")),
            (&["identity", "br"], Err("UnsupportedEncoding")),
        ] {
            let codings = codings.iter().map(|coding| (header::CONTENT_ENCODING, coding.parse().expect("a value")));
            check(&bodies.score(&codings.collect(), Body::from("a")).await, expected);
        }
    }

    #[tokio::test]
    async fn bodies_on_their_way_share_what_memory_there_is() {
        let bodies = bodies();
        let _others = bodies.hold(8).expect("there is room");
        check(&bodies.score(&HeaderMap::new(), parts(&["0", "1"])).await, Ok("01"));
        let problem = bodies.score(&HeaderMap::new(), parts(&["01", "2"])).await.expect_err("no more room");
        assert_eq!((problem.code, problem.retry_after), ("Overloaded", Some(1)));
    }

    #[test]
    fn a_body_has_time_to_begin_and_must_then_keep_its_pace() {
        let mut pace = Pace::new(Duration::from_secs(30));
        let begin = pace.next;
        assert_eq!(pace.end - begin, Duration::from_secs(25));
        pace.received(2 * 1024);
        assert_eq!(pace.next - begin, Duration::from_secs(2));
    }

    #[test]
    fn documented_defaults_are_the_real_ones() {
        let mut reader = setting::Reader::new(&setting::Variables(|_: &str| None));
        assert_eq!(Config::read(&mut reader), Config::default());
    }
}
