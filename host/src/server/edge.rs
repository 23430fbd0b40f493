//! DOOR 1, the request edge: trace context in, the request span, and the flow's metrics when the last byte has left.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry::context::FutureExt as _;

use crate::id::RequestId;
use crate::server::access::Stranger;
use crate::server::correlation::Correlation;
use crate::server::endpoint::{self, Deployment};
use crate::server::problem::Problem;
use crate::server::request_id::RequestIds;
use crate::server::{App, Peer};
use crate::telemetry::{FinishRequest, RequestSpan, RequestStart};

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

    fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens the request span, and ends it with the last byte of the reply.
pub async fn edge(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
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
        started,
        first_byte: None,
        status: StatusCode::OK,
        served: Served::default(),
    };
    let mut open = Abandoned(Some(open));
    if let Err(unknown) = &picked {
        request.extensions_mut().insert(Astray(unknown.clone()));
    }
    // What is logged behind this door belongs to the request; the same of its body, below.
    let response = next.run(request).with_context(cx.clone()).await;
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
    Response::from_parts(parts, Body::new(Watched::new(body, open, cx)))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A request whose span is open.
struct Open {
    deployment: Arc<Deployment>,
    span: Option<RequestSpan>,
    started: Instant,
    first_byte: Option<Instant>,
    status: StatusCode,
    served: Served,
}

impl Open {
    fn end(&mut self) {
        let verdict = self.served.verdict();
        self.finish(self.status.as_u16(), &verdict.exception, &verdict.message, verdict.streaming);
    }

    /// The client went away. The status is the one proxies log for it; nobody sees it on the wire.
    fn give_up(&mut self) {
        let streaming = self.served.verdict().streaming;
        self.finish(499, "ClientDisconnect", "the client went away", streaming);
    }

    fn finish(&mut self, status: u16, exception: &str, message: &str, streaming: bool) {
        let Some(span) = self.span.take() else { return };
        span.finish(FinishRequest {
            flow: self.deployment.runner.flow.id(),
            status,
            exception,
            message,
            streaming,
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

/// A reply's body that sees its first and its last byte.
struct Watched {
    body: Body,
    open: Open,
    cx: opentelemetry::Context,
}

impl Watched {
    fn new(body: Body, mut open: Open, cx: opentelemetry::Context) -> Self {
        if body.is_end_stream() {
            open.end();
        }
        Self { body, open, cx }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let attached = self.cx.clone().attach();
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        drop(attached);
        let frame = std::task::ready!(frame);
        match &frame {
            Some(Ok(_)) => {
                self.open.first_byte.get_or_insert_with(Instant::now);
                // hyper does not ask again when a body says that this was its last frame.
                if self.body.is_end_stream() {
                    self.open.end();
                }
            }
            Some(Err(_)) => self.open.give_up(),
            None => self.open.end(),
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

impl Drop for Watched {
    fn drop(&mut self) {
        // Nothing to do if the last frame was seen.
        self.open.give_up();
    }
}
