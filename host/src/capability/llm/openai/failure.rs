//! What a failed call is called: the kind for programs, and prompt flow's words for people.
//!
//! Messages have the form `OpenAI API hits <Class>: <what> [Error reference: <link>]`, where the class is that of the
//! OpenAI client, since flows and dashboards look for it. Some refusals are told in better words than the service's: see
//! failure/hints.rs. They name the connection, never its address or key.

mod hints;

use std::time::SystemTime;
use std::{error, io};

use http::{HeaderMap, StatusCode};
use rustls::CertificateError;
use serde_json::Value;

use super::patience::Again;
use crate::boundary::error::{CallError, CallErrorKind, PauseReason};
use crate::capability::llm::failure::exception;
use crate::capability::upstream::Refused;
use crate::identity::NoToken;
use crate::retry_after;

/// Longest message, in bytes: what a service says goes to guests, callers and traces.
const MAX_MESSAGE: usize = 1024;

/// Names the error reference that ends a message; see [`hints`] for messages that need none.
const REFERENCE: &str = "https://platform.openai.com/docs/guides/error-codes/api-errors";

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) again: Again,
    pub(super) verdict: Verdict,
}

/// What a try tells of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers: it refuses just this request, or has no room for it now, which it says itself.
    Answers,
    /// It is broken, or not there.
    Fails,
    /// Nothing: it was not asked, or we went away.
    Nothing,
}

/// An answer that began and came to no good end.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: CallError,
    /// Whether the service is to blame, and not a limit of ours.
    pub(super) by_service: bool,
}

impl Failure {
    /// The service answered with a status that is no success.
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, refusal: &Refusal) -> Self {
        let message = match (refusal.message.as_str(), status.canonical_reason()) {
            ("", Some(reason)) => reason,
            ("", None) => "no message",
            (message, _) => message,
        };
        let (kind, class) = (kind(status, &refusal.code), exception::of_status(status.as_u16()));
        let detail = format!("Error code: {} - {message}", status.as_u16());
        let error = match hints::of(status, &refusal.message) {
            Some(hint) => said(class, kind, &hint.with(&detail), ""),
            None => told(class, kind, &detail),
        };
        let again = match status.as_u16() {
            // An account without credit has none in a second either.
            429 if refusal.code == "insufficient_quota" => Again::Never,
            // Some services could not make of the model's words what was asked for; the next answer may do. Others mean
            // the request, which stays as it is.
            422 => Again::Twice,
            408 | 429 | 500.. => retry_after::asked(headers, SystemTime::now()).map_or(Again::Soon, Again::After),
            _ => Again::Never,
        };
        let verdict = if matches!(status.as_u16(), 408 | 500..) { Verdict::Fails } else { Verdict::Answers };
        let error = error.with_status(status.as_u16());
        let error = match again {
            Again::After(asked) => error.with_pause(asked, PauseReason::Asked),
            Again::Never | Again::Soon | Again::Twice => error,
        };
        Self { error, again, verdict }
    }

    /// There is no answer: no connection, or it broke before the answer began.
    pub(super) fn transport(connection: &str, error: &reqwest::Error) -> Self {
        let why = reason(error);
        let what = if error.is_connect() { "could not be reached" } else { "broke off" };
        let detail = format!("connection {connection:?} {what}: {why}");
        let error = told("APIConnectionError", CallErrorKind::Unavailable, &detail);
        Self { error, again: Again::Soon, verdict: Verdict::Fails }
    }

    /// The host cannot prove who it is.
    pub(super) fn no_token(connection: &str, why: &NoToken) -> Self {
        let error =
            told("AuthenticationError", CallErrorKind::Unauthenticated, &format!("connection {connection:?}: {why}"));
        let again = if why.may_pass { Again::Soon } else { Again::Never };
        Self { error, again, verdict: Verdict::Nothing }
    }

    /// The service took the request and said nothing in time: in that for a try, or until the call's deadline.
    pub(super) fn silent(connection: &str, verdict: Verdict) -> Self {
        let detail = format!("connection {connection:?} gave no answer in time");
        Self { error: told("APITimeoutError", CallErrorKind::Timeout, &detail), again: Again::Soon, verdict }
    }

    /// What is reported once no further try is made, in the original's words if some were.
    pub(super) fn after(self, tries: u32) -> CallError {
        if tries == 0 || self.again == Again::Never {
            return self.error;
        }
        CallError { message: format!("Exceed max retry times. {}", self.error.message), ..self.error }
    }
}

impl Broken {
    /// By the service.
    pub(super) fn by_service(error: CallError) -> Self {
        Self { error, by_service: true }
    }

    /// By a limit of ours.
    pub(super) fn by_us(error: CallError) -> Self {
        Self { error, by_service: false }
    }
}

/// The service is not asked: its last calls have failed.
pub(super) fn circuit_open(refused: &Refused) -> CallError {
    let error = told("APIConnectionError", CallErrorKind::Unavailable, &refused.to_string());
    error.with_pause(refused.wait, PauseReason::CircuitOpen)
}

/// An answer that began and did not end.
pub(super) fn broken_off(connection: &str) -> CallError {
    let detail = format!("connection {connection:?} broke off before the end of the answer");
    told("APIConnectionError", CallErrorKind::Unavailable, &detail)
}

/// An answer that began and does not go on.
pub(super) fn stalled(connection: &str) -> CallError {
    let detail = format!("connection {connection:?} stopped in the middle of an answer");
    told("APITimeoutError", CallErrorKind::Timeout, &detail)
}

/// An answer that is none.
pub(super) fn not_understood(detail: &str) -> CallError {
    told("APIResponseValidationError", CallErrorKind::Protocol, detail)
}

/// An error that a stream reports after it has begun.
pub(super) fn reported(refusal: &Refusal) -> CallError {
    let kind = if is_filtered(&refusal.code) { CallErrorKind::Rejected } else { CallErrorKind::Unavailable };
    told("APIError", kind, refusal.said())
}

/// What a service says about its refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Empty if it says nothing that is meant for people.
    pub message: String,
    pub code: String,
}

impl Refusal {
    /// What it says to people, if only that it says nothing.
    pub(super) fn said(&self) -> &str {
        if self.message.is_empty() { "an error without a message" } else { &self.message }
    }

    /// Out of a body: `{"error": {"message", "code"}}` and the variants that are in use.
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body)
            .map_or_else(|_| Self::default(), |body: Value| Self::of(body.get("error").unwrap_or(&body)))
    }

    /// Out of an `error` value.
    pub(super) fn of(error: &Value) -> Self {
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        let message = text("message").or_else(|| text("detail")).or_else(|| error.as_str());
        let code = text("code").or_else(|| text("type"));
        Self { message: message.unwrap_or_default().to_owned(), code: code.unwrap_or_default().to_owned() }
    }
}

fn kind(status: StatusCode, code: &str) -> CallErrorKind {
    match status.as_u16() {
        400..=499 if is_filtered(code) => CallErrorKind::Rejected,
        401 | 403 => CallErrorKind::Unauthenticated,
        404 => CallErrorKind::NotFound,
        408 => CallErrorKind::Timeout,
        429 => CallErrorKind::RateLimited,
        400..=499 => CallErrorKind::InvalidRequest,
        500.. => CallErrorKind::Unavailable,
        // A redirect, which is not followed, or a status that no answer ends with.
        _ => CallErrorKind::Protocol,
    }
}

fn is_filtered(code: &str) -> bool {
    matches!(code, "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation")
}

/// Why a request failed below HTTP, in words that hold no address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no connection in time".to_owned();
    }
    if error.is_dns() {
        return "the name of its host is not known".to_owned();
    }
    cause(error::Error::source(error))
}

/// The deepest reason that says something, below an error.
fn cause(below: Option<&(dyn error::Error + 'static)>) -> String {
    let mut why = "no answer that is HTTP".to_owned();
    for cause in std::iter::successors(below, |cause| inner(*cause)) {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return format!("TLS: {}", tls(error));
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            why = io.kind().to_string();
        }
    }
    why
}

/// What caused an error. An error of I/O hides what it wraps from `source`: TLS travels in there.
fn inner<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a (dyn error::Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// What is wrong with TLS. rustls names the host where it speaks of certificates, so here is our own wording.
fn tls(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(wrong) = error else { return error.to_string() };
    match wrong {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::UnknownIssuer => "the issuer of the certificate is not among the root certificates",
        _ => "the certificate is not valid",
    }
    .to_owned()
}

/// An error in prompt flow's words.
fn told(class: &str, kind: CallErrorKind, detail: &str) -> CallError {
    said(class, kind, detail, &format!(" [Error reference: {REFERENCE}]"))
}

/// An error that ends with `end`. What is too long is cut in the middle, so that class and end stay.
fn said(class: &str, kind: CallErrorKind, detail: &str, end: &str) -> CallError {
    let room = MAX_MESSAGE - format!("Exceed max retry times. OpenAI API hits {class}: {end}").len();
    let detail: String = detail.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    let detail =
        if detail.len() > room { format!("{}…", &detail[..detail.floor_char_boundary(room - 3)]) } else { detail };
    CallError::new(kind, format!("OpenAI API hits {class}: {detail}{end}"))
}

#[cfg(test)]
mod tests {
    use reqwest::dns::{Name, Resolve, Resolving};

    use super::*;

    /// Knows no name.
    struct Nowhere;

    impl Resolve for Nowhere {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Err(io::Error::other("no such name").into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_told_as_that() {
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(Nowhere).build().unwrap();
        let error = client.get("http://model.example/").send().await.unwrap_err();
        assert_eq!(reason(&error), "the name of its host is not known");
    }

    #[track_caller]
    fn check(status: u16, body: &str, kind: CallErrorKind, again: Again, message: &str) {
        let refusal = Refusal::read(body.as_bytes());
        let failure = Failure::refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &refusal);
        let message = format!("OpenAI API hits {message} [Error reference: {REFERENCE}]");
        assert_eq!(failure.error, CallError::new(kind, message).with_status(status));
        assert_eq!(failure.again, again);
    }

    #[test]
    fn every_status_has_a_kind_and_a_class() {
        use CallErrorKind::*;
        let body = r#"{"error": {"message": "no", "type": "x", "code": null}}"#;
        for (status, kind, again, class) in [
            (400, InvalidRequest, Again::Never, "BadRequestError"),
            (401, Unauthenticated, Again::Never, "AuthenticationError"),
            (403, Unauthenticated, Again::Never, "PermissionDeniedError"),
            (404, NotFound, Again::Never, "NotFoundError"),
            (408, Timeout, Again::Soon, "APIStatusError"),
            (409, InvalidRequest, Again::Never, "ConflictError"),
            (413, InvalidRequest, Again::Never, "APIStatusError"),
            (422, InvalidRequest, Again::Twice, "UnprocessableEntityError"),
            (429, RateLimited, Again::Soon, "RateLimitError"),
            (500, Unavailable, Again::Soon, "InternalServerError"),
            (503, Unavailable, Again::Soon, "InternalServerError"),
            (307, Protocol, Again::Never, "APIStatusError"),
        ] {
            check(status, body, kind, again, &format!("{class}: Error code: {status} - no"));
        }
    }

    #[test]
    fn a_hint_needs_no_reference() {
        let body = r#"{"error": {"message": "Principal does not have access to API/Operation."}}"#;
        let refusal = Refusal::read(body.as_bytes());
        let failure = Failure::refused(StatusCode::UNAUTHORIZED, &HeaderMap::new(), &refusal);
        let start = "OpenAI API hits AuthenticationError: Principal does not have access to API/Operation. If you are";
        assert!(failure.error.message.starts_with(start), "{}", failure.error.message);
        assert!(!failure.error.message.contains(REFERENCE));
    }

    #[test]
    fn an_account_without_credit_is_not_asked_again() {
        let body = r#"{"error": {"message": "no credit", "code": "insufficient_quota"}}"#;
        let message = "RateLimitError: Error code: 429 - no credit";
        check(429, body, CallErrorKind::RateLimited, Again::Never, message);
    }

    #[test]
    fn a_content_filter_rejects() {
        let body = r#"{"error": {"message": "filtered", "code": "content_filter"}}"#;
        check(400, body, CallErrorKind::Rejected, Again::Never, "BadRequestError: Error code: 400 - filtered");
    }

    #[test]
    fn bodies_of_other_shapes_are_read_too() {
        for (body, message) in [
            (r#"{"error": "plain"}"#, "plain"),
            (r#"{"message": "flat"}"#, "flat"),
            (r#"{"detail": "framework"}"#, "framework"),
            ("<html>proxy</html>", "Bad Request"),
            ("[1]", "Bad Request"),
        ] {
            let message = format!("BadRequestError: Error code: 400 - {message}");
            check(400, body, CallErrorKind::InvalidRequest, Again::Never, &message);
        }
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let message = "AuthenticationError: Error code: 401 - bad key!";
        let body = r#"{"error": {"message": "bad\nkey!"}}"#;
        check(401, body, CallErrorKind::Unauthenticated, Again::Never, message);
    }

    #[test]
    fn a_cause_is_found_below_what_wraps_it_and_names_no_host() {
        let wrapped = |error: rustls::Error| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        let expected = rustls::pki_types::ServerName::try_from("internal.example").unwrap();
        let presented = vec!["other.example".to_owned()];
        let name = CertificateError::NotValidForNameContext { expected, presented };
        for (error, expected) in [
            (wrapped(name.into()), "TLS: the certificate is for another name"),
            (
                wrapped(CertificateError::UnknownIssuer.into()),
                "TLS: the issuer of the certificate is not among the root certificates",
            ),
            (wrapped(rustls::Error::HandshakeNotComplete), "TLS: handshake not complete"),
            (io::ErrorKind::ConnectionReset.into(), "connection reset"),
        ] {
            assert_eq!(cause(Some(&error)), expected);
        }
        assert_eq!(cause(None), "no answer that is HTTP");
    }

    #[test]
    fn a_long_message_is_cut_to_one_kibibyte() {
        let refusal = Refusal { message: "ä".repeat(4000), code: String::new() };
        let message = Failure::refused(StatusCode::BAD_GATEWAY, &HeaderMap::new(), &refusal).after(2).message;
        assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 8, "{} bytes", message.len());
        assert!(
            message.starts_with("Exceed max retry times. OpenAI API hits InternalServerError: Error code: 502 - ää")
        );
        assert!(message.ends_with(&format!("ä… [Error reference: {REFERENCE}]")));
    }
}
