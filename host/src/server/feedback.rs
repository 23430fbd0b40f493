//! POST /feedback: the body becomes a span in the trace it is about. Any payload is taken, and answered when it is safe.
//!
//! The span is the original's (see feedback/attributes.rs), and says what the payload scores where that can be recognised
//! (feedback/evaluation.rs). Which span it is about, a feedback token says, else the trace context of the request. Keeping
//! and delivering it: see telemetry/feedback.rs.

pub mod attributes;
pub mod evaluation;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;

use crate::server::App;
use crate::server::correlation;
use crate::server::problem::Problem;
use crate::telemetry::feedback::{Durability, Feedback};

/// By which a feedback that is sent again is known; OpenTelemetry has no name for it, the IETF's draft has this one.
const KEY_HEADER: &str = "idempotency-key";

/// Longest such key, in bytes.
const MAX_KEY: usize = 128;

/// What an accepted feedback survives: `disk` or `memory`.
const DURABILITY_HEADER: &str = "x-feedback-durability";

/// How long a disk may take. Who waits longer has mostly gone, and tries again.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn feedback(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let query = uri.query().unwrap_or_default();
    // Before the body is asked for.
    let about = about(&app, &headers, query)?;
    let idempotency_key = idempotency_key(&headers)?;
    let body = app.bodies.feedback(&headers, body).await?;
    let text = String::from_utf8_lossy(&body);
    // Before it is taken apart: what is cut in half would not be known again.
    let text = app.telemetry.redactor().text(&text);
    let json = serde_json::from_str(&text).ok();
    let evaluation = evaluation::recognised(&text, json.as_ref());
    let attributes = {
        // What is logged of it belongs to what it is about.
        let _attached = about.clone().attach();
        attributes::of(&text, json, wants_flat(query))
    };
    let feedback = Feedback { evaluation, attributes, idempotency_key };
    let durability = store(app, about, feedback).await?;
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (HeaderName::from_static(DURABILITY_HEADER), durability.as_str())];
    Ok((headers, r#"{"status": "Feedback received."}"#).into_response())
}

/// In a task of its own: a client that goes away has given its feedback all the same, and its key is settled.
async fn store(app: Arc<App>, about: Context, feedback: Feedback) -> Result<Durability, Problem> {
    #[expect(clippy::disallowed_methods, reason = "ends with the journal's answer, and has no span to be below")]
    let stored = tokio::spawn(async move { app.telemetry.feedback(&about, feedback).await });
    match tokio::time::timeout(STORE_TIMEOUT, stored).await {
        Ok(Ok(stored)) => Ok(stored?),
        Ok(Err(_)) => Err(Problem::internal()),
        Err(_) => Err(Problem::feedback_store("feedback could not be stored in time")),
    }
}

/// The span that the feedback is about, with the caller's baggage.
fn about(app: &App, headers: &HeaderMap, query: &str) -> Result<Context, Problem> {
    let caller = app.telemetry.propagators().extract(headers);
    let Some(token) = correlation::token(headers, query) else { return Ok(caller) };
    let about = app.feedback_tokens.verify(token)?;
    Ok(caller.with_remote_span_context(about.span().span_context().clone()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(KEY_HEADER) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    match key.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Problem::idempotency_key(MAX_KEY)),
    }
}

/// As the original reads it: `true` in any case; any other value, and anything else in the query, is no fault.
fn wants_flat(query: &str) -> bool {
    let mut values = correlation::pairs(query).filter(|(name, _)| *name == "flatten");
    values.any(|(_, value)| value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_asks_for_a_flat_feedback() {
        let cases =
            [("", false), ("flatten=TRUE", true), ("a=b&flatten=true", true), ("flatten=1", false), ("flatten", false)];
        for (query, expected) in cases {
            assert_eq!(wants_flat(query), expected, "{query:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_a_short_visible_text() {
        let read = |key: &[u8]| {
            let key = http::HeaderValue::from_bytes(key).unwrap();
            idempotency_key(&[(HeaderName::from_static(KEY_HEADER), key)].into_iter().collect())
        };
        for key in ["k", "\"8e03978e-40d5\"", &"k".repeat(128)] {
            assert_eq!(read(key.as_bytes()).unwrap().as_deref(), Some(key));
        }
        for key in [&b""[..], b"a b", b"\xc3\xa9", &[b'k'; 129]] {
            assert_eq!(read(key).unwrap_err().code, "InvalidIdempotencyKey");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
