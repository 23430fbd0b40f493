//! The only place where a failure becomes a status and a body.
//!
//! The body is the original's, with one more key for programs:
//! `{"error": {"code": "UserError", "message": "…", "innerError": {"code": "NodeTimeout"}, "details": {"node": "…"}}}`.
//! It never holds a stack trace, a path of the host, a secret, or another field's content.

use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header};
use serde_json::json;

use crate::boundary::error::{NodeError, NodeFailure};
use crate::flow::inputs::InputError;
use crate::id::NodeId;
use crate::scheduler::outcome::Failure;
use crate::scheduler::plan::InvalidReferenceProperty;
use crate::server::edge::Served;

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
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), node: None, exception: code.to_owned() }
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
        let body = self.body().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
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
            InputError::Missing { .. } => "InputMissing",
            InputError::Type { .. } | InputError::NotFinite { .. } | InputError::Parse { .. } => "InputTypeError",
            InputError::Image { .. } => "ImageNotLoaded",
        };
        Self { exception: error.code().to_owned(), ..Self::new(StatusCode::BAD_REQUEST, code, error.to_string()) }
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BodyTooLarge", "the request body is larger than it may be")
            }
            _ => Self::new(StatusCode::BAD_REQUEST, "BodyUnreadable", "the request body could not be read"),
        }
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
        // Nobody is left to read it.
        NodeFailure::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        NodeFailure::System
        | NodeFailure::Trap
        | NodeFailure::Memory
        | NodeFailure::Stack
        | NodeFailure::Protocol
        | NodeFailure::OutputTooLarge
        | NodeFailure::Host => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, error.failure.code(), error.message.clone())
}
