//! Every status that is no success, with the names that `innerError.code` has there. The one list of both: clients
//! program against it, so names are added and never changed. What leads to which is decided in problem.rs.

use http::StatusCode;
use serde_json::{Map, Value, json};

/// A status that the host refuses or fails with.
pub(super) struct Failure {
    pub(super) status: StatusCode,
    /// Its name in the document.
    name: &'static str,
    description: &'static str,
    pub(super) codes: &'static [&'static str],
    /// Headers of the document's components that come with it, besides those of every reply.
    headers: &'static [&'static str],
}

/// All of them.
pub(super) const FAILURES: [Failure; 16] = [
    Failure {
        status: StatusCode::BAD_REQUEST,
        name: "InvalidInput",
        // The original's words.
        description: "Invalid input",
        codes: &[
            "InvalidJson",
            "InputMissing",
            "InputTypeError",
            "ImageNotLoaded",
            "InvalidReferenceProperty",
            "MultipleStreamOutputFieldsNotSupported",
            "NodeUserError",
            "UpstreamRejected",
            "UpstreamAuth",
            "UpstreamRateLimited",
            "UpstreamTimeout",
            "UpstreamFailed",
            "CircuitOpen",
            "BodyUnreadable",
            "MalformedRequest",
            "InvalidIdempotencyKey",
        ],
        headers: &[],
    },
    Failure {
        status: StatusCode::UNAUTHORIZED,
        name: "Unauthenticated",
        description: "The service asks for a key, and the request has none that it knows",
        codes: &["Unauthenticated"],
        headers: &["WWW-Authenticate"],
    },
    Failure {
        status: StatusCode::FORBIDDEN,
        name: "Forbidden",
        description: "The key or token is not for this",
        codes: &["Forbidden"],
        headers: &[],
    },
    Failure {
        status: StatusCode::NOT_FOUND,
        name: "NotFound",
        description: "There is no such path, or no deployment of the name in `azureml-model-deployment`",
        codes: &["RouteNotFound", "DeploymentNotFound"],
        headers: &[],
    },
    Failure {
        status: StatusCode::METHOD_NOT_ALLOWED,
        name: "MethodNotAllowed",
        description: "The path is there, but not for this method",
        codes: &["MethodNotAllowed"],
        headers: &["Allow"],
    },
    Failure {
        status: StatusCode::NOT_ACCEPTABLE,
        name: "NotAcceptable",
        description: "The flow answers in none of the media types of `Accept`",
        codes: &["NotAcceptable"],
        headers: &[],
    },
    Failure {
        status: StatusCode::REQUEST_TIMEOUT,
        name: "RequestReadTimeout",
        description: "The request did not arrive in time",
        codes: &["RequestReadTimeout"],
        headers: &[],
    },
    Failure {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        name: "BodyTooLarge",
        description: "The body is larger than it may be",
        codes: &["BodyTooLarge"],
        headers: &[],
    },
    Failure {
        status: StatusCode::URI_TOO_LONG,
        name: "UriTooLong",
        description: "The address is longer than it may be",
        codes: &["UriTooLong"],
        headers: &[],
    },
    Failure {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        name: "UnsupportedEncoding",
        description: "The body has a `Content-Encoding` that is not taken",
        codes: &["UnsupportedEncoding"],
        headers: &[],
    },
    Failure {
        status: StatusCode::TOO_MANY_REQUESTS,
        name: "RateLimited",
        description: "The caller sends more requests than it may",
        codes: &["RateLimited"],
        headers: &["Retry-After"],
    },
    Failure {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        name: "HeadersTooLarge",
        description: "The headers are larger than they may be",
        codes: &["HeadersTooLarge"],
        headers: &[],
    },
    Failure {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        name: "Failed",
        description: "The flow failed, and not because of the request",
        codes: &[
            "NodeSystemError",
            "GuestTrap",
            "GuestMemoryLimit",
            "GuestCpuLimit",
            "GuestCallLimit",
            "GuestCallTooLarge",
            "GuestResourceLimit",
            "GuestStackOverflow",
            "GuestProtocolError",
            "GuestInputTooLarge",
            "GuestOutputTooLarge",
            "UpstreamAuth",
            "Internal",
        ],
        headers: &[],
    },
    Failure {
        status: StatusCode::BAD_GATEWAY,
        name: "UpstreamFailed",
        description: "A service that the flow needs has failed",
        codes: &["UpstreamFailed"],
        headers: &[],
    },
    Failure {
        status: StatusCode::SERVICE_UNAVAILABLE,
        name: "Unavailable",
        description: "Not now: the host has too much to do, is about to end, or cannot keep what it is given",
        codes: &[
            "Overloaded",
            "Draining",
            "FeedbackStoreUnavailable",
            "UpstreamRateLimited",
            "CircuitOpen",
            "Cancelled",
        ],
        headers: &["Retry-After"],
    },
    Failure {
        status: StatusCode::GATEWAY_TIMEOUT,
        name: "Timeout",
        description: "The flow, or a node of it, did not end in time",
        codes: &["NodeTimeout", "FlowTimeout", "UpstreamTimeout"],
        headers: &[],
    },
];

/// The body of every failure.
pub(super) fn schema() -> Value {
    let codes: Vec<_> = FAILURES.iter().flat_map(|failure| failure.codes).collect();
    json!({
        "type": "object",
        "description": "What went wrong. The last frame of a stream that fails has it too.",
        "properties": {"error": {
            "type": "object",
            "properties": {
                "code": {
                    "type": "string", "enum": ["UserError", "SystemError"],
                    "description": "who has to act: the caller, or who runs the service",
                },
                "message": {"type": "string", "description": "for people"},
                "innerError": {
                    "type": "object",
                    "properties": {"code": {
                        "type": "string", "x-extensible-enum": codes,
                        "description": "for programs: the name of the failure. Later versions may have more of them.",
                    }},
                    "required": ["code"],
                },
                "details": {
                    "type": "object",
                    "description": "what else is known",
                    "properties": {"node": {"type": "string", "description": "the node of the flow that failed"}},
                    "additionalProperties": {},
                },
            },
            "required": ["code", "message", "innerError"],
        }},
        "required": ["error"],
    })
}

/// The failures as components, by name.
pub(super) fn responses() -> Map<String, Value> {
    let mut responses: Map<_, _> =
        FAILURES.iter().map(|failure| (failure.name.to_owned(), response(failure))).collect();
    responses.insert("Unexpected".to_owned(), json!({"description": "unexpected error", "content": content()}));
    responses
}

/// The responses of a path that fails with these statuses, and `default` as in the original.
///
/// A status that is not in [`FAILURES`] is left out: the tests hold that none is.
pub(super) fn of(statuses: &[StatusCode]) -> Map<String, Value> {
    let known = FAILURES.iter().filter(|failure| statuses.contains(&failure.status));
    let reference = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    let mut responses: Map<_, _> =
        known.map(|failure| (failure.status.as_str().to_owned(), reference(failure.name))).collect();
    responses.insert("default".to_owned(), reference("Unexpected"));
    responses
}

fn response(failure: &Failure) -> Value {
    let always = ["x-request-id"];
    let headers: Map<_, _> = always.iter().chain(failure.headers).map(|name| super::paths::header(name)).collect();
    let codes = failure.codes.join("`, `");
    let description = format!("{}. `innerError.code`: `{codes}`", failure.description);
    json!({"description": description, "headers": headers, "content": content()})
}

fn content() -> Value {
    json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}})
}
