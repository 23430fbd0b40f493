//! The names by which a caller finds its request again: read by the original's rule, and told in every answer.
//!
//! `x-request-id` names the request; without it `x-ms-client-request-id` does, and without both the host makes a name. What
//! is no plain name counts as not sent: an id stands in logs and on spans, where others than its sender read it.

use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::id::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Longest request id that is taken from a caller, in bytes; it is on every span.
const MAX_LENGTH: usize = 128;

/// The names of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// The request's own.
    pub id: RequestId,
    /// Whether the caller sent it.
    pub from_caller: bool,
    /// What the caller calls it beside that, if it sent `x-ms-client-request-id`.
    client: Option<RequestId>,
}

impl RequestIds {
    /// What the headers of a request say, or a name of our own.
    pub fn of(headers: &HeaderMap) -> Self {
        let client = sent(headers, &CLIENT_REQUEST_ID);
        match sent(headers, &REQUEST_ID).or_else(|| client.clone()) {
            Some(id) => Self { id, from_caller: true, client },
            None => Self { id: RequestId::new(uuid::Uuid::new_v4().to_string()), from_caller: false, client: None },
        }
    }

    /// Tells the names in the headers of the answer.
    pub fn echo(&self, headers: &mut HeaderMap) {
        for (name, id) in [(REQUEST_ID, Some(&self.id)), (CLIENT_REQUEST_ID, self.client.as_ref())] {
            if let Some(value) = id.and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// Names every request before anything else is done with it, and its answer, whatever that is.
pub(super) fn assign<F>(mut request: Request, next: impl FnOnce(Request) -> F) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let ids = RequestIds::of(request.headers());
    request.extensions_mut().insert(ids.clone());
    next(request).map(move |mut response| {
        ids.echo(response.headers_mut());
        response
    })
}

/// The one value of a header, if it is a plain name.
fn sent(headers: &HeaderMap, name: &HeaderName) -> Option<RequestId> {
    let mut given = headers.get_all(name).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    value.to_str().ok().filter(|id| is_name(id)).map(RequestId::new)
}

fn is_name(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "one of ours";

    /// What is made of both headers: the id of the request, and what the answer says.
    #[track_caller]
    fn check(sent: &[(&'static str, &[u8])], id: &str, echoed: &[(&'static str, &str)]) {
        let value = |value: &[u8]| HeaderValue::from_bytes(value).expect("a header value");
        let headers = sent.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect();
        let ids = RequestIds::of(&headers);
        let told = |it: &RequestId| if ids.from_caller { it.to_string() } else { OURS.to_owned() };
        assert_eq!(told(&ids.id), id, "{sent:?}");
        let mut answer = HeaderMap::new();
        ids.echo(&mut answer);
        let expected = echoed.iter().map(|(name, text)| {
            let text = if *text == OURS { ids.id.as_str() } else { text };
            (HeaderName::from_static(name), value(text.as_bytes()))
        });
        assert_eq!(answer, expected.collect::<HeaderMap>(), "{sent:?}");
    }

    #[test]
    fn the_rule_is_that_of_the_original() {
        let (request, client) = ("x-request-id", "x-ms-client-request-id");
        check(&[(request, b"a")], "a", &[(request, "a")]);
        check(&[(client, b"b")], "b", &[(request, "b"), (client, "b")]);
        check(&[(request, b"a"), (client, b"b")], "a", &[(request, "a"), (client, "b")]);
        check(&[], OURS, &[(request, OURS)]);
        // In the original an empty text counts as none.
        check(&[(request, b""), (client, b"b")], "b", &[(request, "b"), (client, "b")]);
    }

    #[test]
    fn what_is_no_plain_name_counts_as_not_sent() {
        let long = "x".repeat(129);
        for bad in [&b"a b"[..], b"a\tb", b"a,b", b"a\x1b[31mb", b"\xe2\x80\xa8", b"a/b", b"", long.as_bytes()] {
            if HeaderValue::from_bytes(bad).is_err() {
                // Not even HTTP lets it in.
                continue;
            }
            check(&[("x-request-id", bad)], OURS, &[("x-request-id", OURS)]);
            check(&[("x-ms-client-request-id", bad)], OURS, &[("x-request-id", OURS)]);
        }
        check(&[("x-request-id", b"a"), ("x-request-id", b"b")], OURS, &[("x-request-id", OURS)]);
        let longest = "x".repeat(128);
        check(&[("x-request-id", longest.as_bytes())], &longest, &[("x-request-id", &longest)]);
    }
}
