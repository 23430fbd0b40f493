//! DOOR 1, the request edge: trace context in, the request span, and the metrics when the last byte has left: of all of HTTP,
//! and of the flow.

mod watched;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use opentelemetry::context::FutureExt as _;

use crate::id::RequestId;
use crate::server::access::Stranger;
use crate::server::correlation::Correlation;
use crate::server::endpoint::{self, Deployment};
use crate::server::problem::Problem;
use crate::server::request_id::RequestIds;
use crate::server::{App, Peer};
use crate::telemetry::{FinishRequest, HttpRequestTimer, Refused, RequestSpan, RequestStart};

use watched::{Watched, Watcher};

/// The routes of the public listener, as metrics name them: what a caller may write in a path must not.
const ROUTES: [&str; 6] = ["/score", "/feedback", "/health", "/version", "/swagger.json", "/"];

/// What the edge knows of a request; handlers find it among the request's extensions.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Which of the deployments is to answer.
    pub deployment: Arc<Deployment>,
    /// The request span.
    pub span: opentelemetry::Context,
    pub id: RequestId,
    pub id_from_caller: bool,
    /// What leads a feedback to this request.
    pub(super) correlation: Correlation,
}

/// A request for a deployment that there is not, with what it is told once it has shown its key: which deployments there
/// are is not for everyone.
#[derive(Clone, Debug)]
pub(super) struct Astray(pub(super) Problem);

/// How a request was served, as the edge needs it for metrics; handlers leave it among the response's extensions. A
/// stream tells what became of it later, through the same value.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<Mutex<Verdict>>);

#[derive(Clone, Debug, Default)]
struct Verdict {
    exception: String,
    message: String,
    streaming: bool,
    refused: Option<Refused>,
}

impl Served {
    pub fn streaming() -> Self {
        Self(Arc::new(Mutex::new(Verdict { streaming: true, ..Verdict::default() })))
    }

    /// The request failed; `exception` is the innermost name of the failure.
    pub fn failed(&self, exception: &str, message: &str) {
        let mut verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exception.clone_into(&mut verdict.exception);
        message.clone_into(&mut verdict.message);
    }

    /// The request was refused before its flow ran.
    pub fn refused(&self, reason: Refused) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused = Some(reason);
    }

    fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Measures a request of any route, to the last byte of its answer.
pub(super) fn measure<F>(app: &App, request: Request, next: impl FnOnce(Request) -> F) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let version = match request.version() {
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    let route = ROUTES.into_iter().find(|route| *route == request.uri().path());
    let timer = Some(app.telemetry.http_request(request.method().as_str(), version));
    let mut timed = Timed { timer, route, status: None };
    next(request).map(move |response| {
        timed.status = Some(response.status().as_u16());
        response.map(|body| Watched::body(body, timed))
    })
}

/// Opens the request span, and ends it with the last byte of the reply.
pub(super) fn edge<F>(
    app: &App,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let parent = app.telemetry.propagators().extract(request.headers());
    let ids = request.extensions().get::<RequestIds>().cloned();
    let RequestIds { id, from_caller: id_from_caller, .. } = ids.unwrap_or_else(|| RequestIds::of(request.headers()));
    let endpoint = app.endpoint();
    let picked = endpoint.pick(request.headers());
    let deployment = picked.as_ref().unwrap_or_else(|_| endpoint.first()).clone();
    let span = deployment.runner.telemetry.request(RequestStart {
        method: request.method().as_str(),
        route: "/score",
        path: request.uri().path(),
        parent: &parent,
        request_id: id_from_caller.then_some(&id),
        user_agent: text(request.headers(), "user-agent"),
        client: request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_string()),
        host: text(request.headers(), "host"),
        protocol: if request.version() == Version::HTTP_10 { "1.0" } else { "1.1" },
    });
    let started = Instant::now();
    let cx = span.context();
    let mut correlation = Correlation::of(&cx, &app.feedback_tokens);
    let arrived = Arrived {
        deployment: deployment.clone(),
        span: cx.clone(),
        id,
        id_from_caller,
        correlation: correlation.clone(),
    };
    request.extensions_mut().insert(arrived);
    // From here on the span ends, whatever happens: with the reply, or as given up when the client goes away first.
    let open = Open {
        deployment,
        span: Some(span),
        cx: cx.clone(),
        started,
        first_byte: None,
        status: StatusCode::OK,
        served: Served::default(),
        astray: picked.is_err(),
    };
    let mut open = Abandoned(Some(open));
    if let Err(unknown) = &picked {
        request.extensions_mut().insert(Astray(unknown.clone()));
    }
    // What is logged behind this door belongs to the request; the same of its body, below.
    next(request).with_context(cx).map(move |response| {
        let (mut parts, body) = response.into_parts();
        // A stranger learns no deployment's name, and gets no token.
        if parts.extensions.remove::<Stranger>().is_some() {
            correlation = correlation.without_token();
        } else if let Ok(deployment) = picked {
            let name = deployment.name.as_deref().and_then(|name| HeaderValue::from_str(name).ok());
            parts.headers.extend(name.map(|name| (HeaderName::from_static(endpoint::HEADER), name)));
        }
        correlation.tell(&mut parts.headers);
        let mut open = open.0.take().expect("set just above");
        open.status = parts.status;
        open.served = parts.extensions.remove::<Served>().unwrap_or_default();
        Response::from_parts(parts, Watched::body(body, open))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A request that is measured.
struct Timed {
    timer: Option<HttpRequestTimer>,
    route: Option<&'static str>,
    /// None: there is no answer yet.
    status: Option<u16>,
}

impl Watcher for Timed {
    fn part(&mut self) {}

    fn end(&mut self) {
        if let (Some(timer), Some(status)) = (self.timer.take(), self.status) {
            timer.finish(self.route, status);
        }
    }

    fn give_up(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.give_up(self.route, self.status);
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        // There was no answer yet, or it was seen to its end.
        self.give_up();
    }
}

/// A request whose span is open.
struct Open {
    deployment: Arc<Deployment>,
    span: Option<RequestSpan>,
    /// What is logged on the way belongs to it.
    cx: opentelemetry::Context,
    started: Instant,
    first_byte: Option<Instant>,
    status: StatusCode,
    served: Served,
    /// Whether it asked for a deployment that there is not.
    astray: bool,
}

impl Watcher for Open {
    fn part(&mut self) {
        self.first_byte.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        if let Some(span) = self.span.take() {
            self.finish(span, self.status.as_u16(), &self.served.verdict());
        }
    }

    /// The client went away. The status is the one proxies log for it; nobody sees it on the wire.
    fn give_up(&mut self) {
        if let Some(span) = self.span.take() {
            let (exception, message) = ("ClientDisconnect".to_owned(), "the client went away".to_owned());
            let verdict = Verdict { exception, message, refused: None, ..self.served.verdict() };
            self.finish(span, 499, &verdict);
        }
    }

    fn around<T>(&self, poll: impl FnOnce() -> T) -> T {
        let _attached = self.cx.clone().attach();
        poll()
    }
}

impl Open {
    fn finish(&self, span: RequestSpan, status: u16, verdict: &Verdict) {
        let Verdict { exception, message, streaming, refused } = verdict;
        span.finish(FinishRequest {
            flow: (!self.astray).then(|| self.deployment.runner.flow.id()),
            status,
            exception,
            message,
            streaming: *streaming,
            refused: *refused,
            first_byte: self.first_byte.map(|first| first.duration_since(self.started)),
        });
    }
}

/// Ends the span as given up if the handler is dropped before it has answered.
struct Abandoned(Option<Open>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(open) = &mut self.0 {
            open.give_up();
        }
    }
}
