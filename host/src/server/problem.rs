//! The only place where a failure becomes a status and a body.
//!
//! The body is the original's, with one more key for programs:
//! `{"error": {"code": "UserError", "message": "…", "innerError": {"code": "NodeTimeout"}, "details": {"node": "…"}}}`.
//! It never holds a stack trace, a path of the host, a secret, or another field's content.

pub mod upstream;

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header};
use serde_json::json;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::flow::inputs::InputError;
use crate::id::NodeId;
use crate::scheduler::outcome::Failure;
use crate::scheduler::plan::InvalidReferenceProperty;
use crate::server::edge::Served;
use crate::server::token::TokenError;
use crate::telemetry::Refused;
use crate::telemetry::feedback::StoreError;
use crate::units;

use upstream::Upstream;

/// Longest message in a reply, in bytes.
const MAX_MESSAGE: usize = 1024;

/// A failure as a caller sees it.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// The stable name in `innerError.code`.
    pub code: &'static str,
    pub message: String,
    pub node: Option<NodeId>,
    /// The innermost name: the `exception` dimension of `flow_request`.
    pub exception: String,
    /// After how many seconds the caller may try again: `Retry-After`, which is told on 429 and 503 alone.
    pub retry_after: Option<u64>,
    /// If it was refused before its flow ran, why.
    pub refused: Option<Refused>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (message, exception) = (message.into(), code.to_owned());
        Self { status, code, message, node: None, exception, retry_after: None, refused: None }
    }

    /// The same of a request that was refused before its flow ran.
    pub fn because(self, reason: Refused) -> Self {
        Self { refused: Some(reason), ..self }
    }

    /// The head of the request breaks a rule of HTTP, or one by which requests are smuggled.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MalformedRequest", message)
    }

    pub fn uri_too_long(limit: usize) -> Self {
        let message = format!("the URI is longer than {limit} bytes");
        Self::new(StatusCode::URI_TOO_LONG, "UriTooLong", message)
    }

    pub fn headers_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "HeadersTooLarge", message)
    }

    /// The request did not come in time.
    pub fn read_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "RequestReadTimeout", message).because(Refused::BodyTooSlow)
    }

    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("the request body is larger than {}", units::Bytes(limit as u64));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", message).because(Refused::BodyTooLarge)
    }

    /// The body ended before its end, or its chunks are none.
    pub fn body_unreadable() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BodyUnreadable", "the request body ended early or is not well-formed")
    }

    pub fn unsupported_encoding() -> Self {
        let message = "request bodies are taken as they are; send none but the content encoding identity";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedEncoding", message)
    }

    /// More requests than the host takes on; the caller may come again after so many seconds.
    pub fn overloaded(reason: Refused, message: impl Into<String>, retry_after: u64) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Overloaded", message).because(reason);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// The host is stopping and gave the request up. Another one may be asked at once.
    pub fn draining() -> Self {
        let message = "the host is stopping and could not finish the request";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Draining", message);
        Self { retry_after: Some(1), ..problem }
    }

    /// The feedback is not safe, and so was not accepted; the same may be sent again.
    pub fn feedback_store(message: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "FeedbackStoreUnavailable", message);
        Self { retry_after: Some(5), ..problem }
    }

    pub fn idempotency_key(limit: usize) -> Self {
        let message = format!("Idempotency-Key must be 1 to {limit} visible characters of ASCII, such as a UUID");
        Self::new(StatusCode::BAD_REQUEST, "InvalidIdempotencyKey", message)
    }

    /// A fault of the host. What it was is in its log.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", "internal error")
    }

    pub fn not_acceptable(accept: &str, supported: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            format!("Media type {accept} in Accept header is not acceptable. Supported media type(s) - {supported}"),
        )
    }

    pub(super) async fn no_such_route(method: Method, uri: Uri) -> Self {
        let path = uri.path().trim_start_matches('/');
        Self::new(
            StatusCode::NOT_FOUND,
            "RouteNotFound",
            format!(
                "The requested api '{path}' with {method} is not supported by current app, if you entered the URL \
                 manually please check your spelling and try again."
            ),
        )
    }

    /// `asked` is the deployment that the request names; none: there is one for nobody.
    pub(super) fn no_such_deployment(asked: Option<&str>) -> Self {
        let message = match asked {
            Some(asked) => format!("there is no deployment {asked:?} at this endpoint"),
            None => "no deployment of this endpoint gets any traffic; name one by azureml-model-deployment".to_owned(),
        };
        Self::new(StatusCode::NOT_FOUND, "DeploymentNotFound", message)
    }

    pub(super) async fn no_such_method(method: Method, uri: Uri) -> Self {
        let message = format!("{method} is not allowed on {}", uri.path());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The body, which is also the last frame of a stream that fails.
    pub fn body(&self) -> serde_json::Value {
        let root = if self.status.is_client_error() { "UserError" } else { "SystemError" };
        let mut message = self.message.clone();
        if message.len() > MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE));
            message.push('…');
        }
        let mut error = json!({"code": root, "message": message, "innerError": {"code": self.code}});
        if let Some(node) = &self.node {
            error["details"] = json!({"node": node.as_str()});
        }
        json!({ "error": error })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let served = Served::default();
        served.failed(&self.exception, &self.message);
        if let Some(reason) = self.refused {
            served.refused(reason);
        }
        let body = self.body().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let retry = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if let Some(seconds) = self.retry_after.filter(|_| retry) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(served);
        response
    }
}

impl From<InputError> for Problem {
    fn from(error: InputError) -> Self {
        let code = match error {
            InputError::NotJson { .. }
            | InputError::Unreadable { .. }
            | InputError::NotAnObject { .. }
            | InputError::NotText => "InvalidJson",
            InputError::Missing { .. } | InputError::NotProvided { .. } => "InputMissing",
            InputError::Type { .. } | InputError::NotFinite { .. } | InputError::Parse { .. } => "InputTypeError",
            InputError::Image { .. } => "ImageNotLoaded",
        };
        Self { exception: error.code().to_owned(), ..Self::new(StatusCode::BAD_REQUEST, code, error.to_string()) }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        // What went wrong with which folder is the operator's to know, who finds it in the log and under /readyz?verbose.
        Self::feedback_store("feedback cannot be stored at the moment; send it again later")
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let problem = match failure {
            Failure::Node { node, error } => Self { node: Some(node.clone()), ..of_node(error) },
            Failure::Reference(_) => {
                Self::new(StatusCode::BAD_REQUEST, InvalidReferenceProperty::CODE, failure.to_string())
            }
            Failure::ManyStreams => {
                Self::new(StatusCode::BAD_REQUEST, "MultipleStreamOutputFieldsNotSupported", failure.to_string())
            }
            Failure::Timeout => Self::new(StatusCode::GATEWAY_TIMEOUT, "FlowTimeout", failure.to_string()),
            Failure::Stuck => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", failure.to_string()),
        };
        Self { exception: failure.code().to_owned(), ..problem }
    }
}

fn of_node(error: &NodeError) -> Problem {
    let status = match error.failure {
        NodeFailure::User => StatusCode::BAD_REQUEST,
        NodeFailure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // Of the latter, nobody is left to read it.
        NodeFailure::Busy | NodeFailure::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        NodeFailure::System
        | NodeFailure::Trap
        | NodeFailure::Memory
        | NodeFailure::Cpu
        | NodeFailure::Calls
        | NodeFailure::CallTooLarge
        | NodeFailure::Resources
        | NodeFailure::Stack
        | NodeFailure::Protocol
        | NodeFailure::InputTooLarge
        | NodeFailure::OutputTooLarge
        | NodeFailure::Host => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let upstream = (error.failure == NodeFailure::User).then(|| Upstream::of(error)).flatten();
    let code = upstream.map_or_else(|| error.failure.code(), Upstream::code);
    // Places are free as soon as something ends.
    let busy = (error.failure == NodeFailure::Busy).then_some(1);
    let retry_after = upstream.and_then(|upstream| upstream.retry_after(error)).or(busy);
    Problem { retry_after, ..Problem::new(status, code, error.message.clone()) }
}
