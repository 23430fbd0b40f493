//! What leads a feedback to the reply that it is about, for callers that know nothing of trace contexts: told with every
//! reply of `/score`, in its headers and at the end of a stream, and read back from what comes to `/feedback`.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use serde::Serialize;

use crate::server::token::FeedbackTokens;
use crate::telemetry::propagation;

/// The trace of a reply, in hexadecimal.
const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// A text that leads to the span of a reply: in its headers, and in those of a feedback about it.
const FEEDBACK_TOKEN: HeaderName = HeaderName::from_static("x-feedback-token");
/// The same in the query of a feedback, for callers that cannot set headers.
const IN_QUERY: &str = "feedback_token";

/// What a client is told of a reply, so that it can rate it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Correlation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) feedback_token: Option<String>,
}

impl Correlation {
    /// For the reply of a request with this span.
    pub(super) fn of(span: &Context, tokens: &FeedbackTokens) -> Self {
        Self { trace_id: propagation::trace_id(span), feedback_token: tokens.issue(span) }
    }

    /// The same for somebody who may not use the flow: a token stands for a key.
    pub(super) fn without_token(self) -> Self {
        Self { feedback_token: None, ..self }
    }

    pub(super) fn tell(self, headers: &mut HeaderMap) {
        for (name, text) in [(TRACE_ID, self.trace_id), (FEEDBACK_TOKEN, self.feedback_token)] {
            let value = text.and_then(|text| HeaderValue::try_from(text).ok());
            headers.extend(value.map(|value| (name, value)));
        }
    }
}

/// The token that a feedback carries; what is no text in its header is no token, which its reader says.
pub(super) fn token<'a>(headers: &'a HeaderMap, query: &'a str) -> Option<&'a str> {
    match headers.get(FEEDBACK_TOKEN) {
        Some(token) => Some(token.to_str().unwrap_or_default()),
        None => pairs(query).find(|(name, _)| *name == IN_QUERY).map(|(_, token)| token),
    }
}

/// Names and values of a query, as they stand there: neither a token nor a switch holds anything that is encoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}
