//! Who may call a route, and how often: the step between the edge and the handlers.
//!
//! It stands inside the edge, so that a refused request to `/score` is counted like any other, and outside of everything
//! that costs: who is refused has had no body read, holds no place among the running requests, and has run nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::ready;
use http::{HeaderValue, StatusCode, header};

use crate::rate::Quota;
use crate::server::auth::{self, Auth, Caller, KeyName, Refused, Source};
use crate::server::correlation;
use crate::server::cors::Origins;
use crate::server::edge::Astray;
use crate::server::problem::Problem;
use crate::server::rate::{self, retry_after};
use crate::server::{App, Peer};
use crate::setting::Reader;
use crate::telemetry;

/// What an operator says about who may call.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub auth: auth::Config,
    pub rates: rate::Config,
    /// Which pages may call from a browser.
    pub origins: Origins,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self { auth: auth::Config::read(reader), rates: rate::Config::read(reader), origins: Origins::read(reader) }
    }
}

/// Who may call, and what callers have used of their rates.
#[derive(Debug)]
pub struct Access {
    pub auth: Auth,
    pub origins: Origins,
    score: Quota<KeyName>,
    feedback: Quota<Caller>,
}

impl Access {
    /// # Errors
    /// As [`Auth::open`].
    pub fn open(config: Config, listen: SocketAddr) -> Result<Self, String> {
        let Config { auth, rates, origins } = config;
        Ok(Self {
            auth: Auth::open(auth, listen)?,
            origins,
            score: Quota::new(rates.score, None),
            feedback: Quota::new(rates.feedback, rates.feedback_total),
        })
    }
}

/// On an answer: its caller has not shown who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stranger;

/// For `/score`: a key, and not too often by one key.
pub(super) fn score<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let now = Instant::now();
    let admitted = identify(app, &request, now).and_then(|caller| match caller {
        Caller::Key(key) => {
            app.access.score.take(key, now).map_err(|wait| Refusal::TooOften("requests to /score", wait))
        }
        // There are no keys, and so nobody to tell apart; how many run at once is bounded elsewhere.
        Caller::Source(_) => Ok(()),
    });
    pass(admitted, request, next)
}

/// For `/feedback`: a key or a token, and not too often by one caller or all of them.
pub(super) fn feedback<F>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let now = Instant::now();
    let caller = if app.access.auth.is_required() && has_token(app, &request) {
        Ok(Caller::Source(source(&request)))
    } else {
        identify(app, &request, now)
    };
    let admitted = caller.and_then(|caller| {
        app.access.feedback.take(caller, now).map_err(|wait| Refusal::TooOften("requests to /feedback", wait))
    });
    pass(admitted, request, next)
}

/// For a route that asks for a key and is otherwise cheap.
pub(super) fn key<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let admitted = identify(app, &request, Instant::now()).map(drop);
    pass(admitted, request, next)
}

/// Why a request is not let in.
enum Refusal {
    Stranger(Refused),
    /// What came too often, and how long until it may come again.
    TooOften(&'static str, Duration),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = match &self {
            Self::Stranger(Refused::Unauthenticated) => unauthenticated(),
            Self::Stranger(Refused::TooOften(wait)) => too_often("requests without a valid key", *wait),
            Self::TooOften(what, wait) => too_often(what, *wait),
        };
        if matches!(self, Self::Stranger(_)) {
            response.extensions_mut().insert(Stranger);
        }
        response
    }
}

fn identify(app: &App, request: &Request, now: Instant) -> Result<Caller, Refusal> {
    let caller = app.access.auth.check(request.headers(), source(request), now).map_err(Refusal::Stranger)?;
    if let (Caller::Key(_), Some(key)) = (caller, auth::key(request.headers())) {
        // The host keeps no key, so it learns from a caller what it must show nobody, in an answer of a model for one.
        app.telemetry.redactor().learn([key]);
    }
    Ok(caller)
}

/// Whether a request has a token of ours for the reply that it is about.
fn has_token(app: &App, request: &Request) -> bool {
    let token = correlation::token(request.headers(), request.uri().query().unwrap_or_default());
    token.is_some_and(|token| app.feedback_tokens.verify(token).is_ok())
}

fn pass<F>(
    admitted: Result<(), Refusal>,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    if let Err(refusal) = admitted {
        return ready(refusal.into_response()).left_future();
    }
    // It has done its work; what comes after can neither log it nor trace it.
    request.headers_mut().remove(header::AUTHORIZATION);
    if let Some(Astray(problem)) = request.extensions_mut().remove() {
        return ready(problem.into_response()).left_future();
    }
    next(request).right_future()
}

fn source(request: &Request) -> Source {
    let address = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    Source::of(address)
}

/// The same for whatever is wrong with a key, or its being missing.
fn unauthenticated() -> Response {
    let message = "a valid key is needed; send it as `Authorization: Bearer KEY`";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "Unauthenticated", message);
    let mut response = problem.because(telemetry::Refused::Unauthenticated).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn too_often(what: &str, wait: Duration) -> Response {
    let seconds = retry_after(wait);
    let message = format!("too many {what}; try again in {seconds} s");
    let problem =
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "RateLimited", message).because(telemetry::Refused::RateLimited);
    Problem { retry_after: Some(seconds), ..problem }.into_response()
}
