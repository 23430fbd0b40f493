//! DOOR 1, the request edge: trace context in, the request span, and the flow's metrics when the last byte has left.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::id::RequestId;
use crate::server::endpoint::{self, Deployment};
use crate::server::{App, Peer};
use crate::telemetry::{FinishRequest, RequestSpan, RequestStart, propagation};

/// Longest request id that is taken from a caller; it is on every span.
const MAX_REQUEST_ID: usize = 128;

/// What the edge knows of a request; handlers find it among the request's extensions.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Which of the deployments is to answer.
    pub deployment: Arc<Deployment>,
    /// The request span.
    pub span: opentelemetry::Context,
    pub id: RequestId,
    pub id_from_caller: bool,
}

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
    let parent = propagation::extract(request.headers());
    let (id, id_from_caller) = request_id(request.headers());
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
    let arrived = Arrived { deployment: deployment.clone(), span: span.context(), id, id_from_caller };
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
    let response = match &picked {
        Ok(_) => next.run(request).await,
        Err(unknown) => unknown.clone().into_response(),
    };
    let (mut parts, body) = response.into_parts();
    let name = picked.ok().and_then(|deployment| HeaderValue::from_str(deployment.name.as_deref()?).ok());
    parts.headers.extend(name.map(|name| (HeaderName::from_static(endpoint::HEADER), name)));
    let mut open = open.0.take().expect("set just above");
    open.status = parts.status;
    open.served = parts.extensions.remove::<Served>().unwrap_or_default();
    Response::from_parts(parts, Body::new(Watched::new(body, open)))
}

/// The rule of the original: `x-request-id`, else `x-ms-client-request-id`, else one of our own.
fn request_id(headers: &HeaderMap) -> (RequestId, bool) {
    let given = ["x-request-id", "x-ms-client-request-id"].into_iter().filter_map(|name| text(headers, name));
    match given.filter(|id| is_request_id(id)).map(RequestId::new).next() {
        Some(id) => (id, true),
        None => (RequestId::new(uuid::Uuid::new_v4().to_string()), false),
    }
}

fn is_request_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(allowed)
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
}

impl Watched {
    fn new(body: Body, mut open: Open) -> Self {
        if body.is_end_stream() {
            open.end();
        }
        Self { body, open }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
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
