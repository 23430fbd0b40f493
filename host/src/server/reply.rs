//! What a reply looks like: whole as JSON, or streamed as server-sent events; and which of the two a client takes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderMap, header};

use crate::flow::value::Json;
use crate::scheduler::outcome::{Failure, Streaming};
use crate::server::edge::Served;
use crate::server::problem::Problem;

/// What the client takes, by its `Accept` header. Absent or empty: anything, and so JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) stream: bool,
    json: bool,
    header: String,
}

impl Accept {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let header = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect::<Vec<_>>()
            .join(", ");
        let takes = |wanted: &[&str]| {
            header.split(',').filter(|range| !is_refused(range)).any(|range| {
                let range = range.split(';').next().unwrap_or_default().trim();
                wanted.iter().any(|wanted| range.eq_ignore_ascii_case(wanted))
            })
        };
        let anything = header.trim().is_empty();
        let stream = takes(&["text/event-stream"]);
        let json = anything || takes(&["application/json", "application/*", "*/*"]);
        Self { stream, json, header }
    }

    /// Whether a reply can be made: a stream if the flow can stream and the client takes one, else JSON.
    pub(super) fn check(&self, can_stream: bool) -> Result<(), Problem> {
        if self.json || (self.stream && can_stream) {
            return Ok(());
        }
        let supported = if can_stream { "text/event-stream, application/json" } else { "application/json" };
        Err(Problem::not_acceptable(&self.header, supported))
    }
}

/// A range with weight zero is one that the client does not want.
fn is_refused(range: &str) -> bool {
    range.split(';').skip(1).any(|parameter| {
        parameter
            .split_once('=')
            .is_some_and(|(name, weight)| name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0_f32))
    })
}

/// The flow's answer as it is.
pub(super) fn whole(reply: &Json) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], reply.as_str().to_owned()).into_response()
}

/// Server-sent events: first all other outputs, if there are any, then one event for each chunk. A stream that fails
/// ends with `event: error`.
pub(super) fn streamed(streaming: Streaming) -> Response {
    let served = Served::streaming();
    let verdict = served.clone();
    let first = (!streaming.outputs.is_empty()).then(|| {
        let others = Json::object(streaming.outputs.iter().map(|(name, value)| (name.as_str(), value)));
        format!("data: {}\n\n", others.as_str())
    });
    let name = Json::string(&streaming.name);
    let chunks = streaming.chunks.map(move |chunk| match chunk {
        Ok(chunk) => format!("data: {{{}: {}}}\n\n", name.as_str(), chunk.as_str()),
        Err(failure) => failed(&failure, &verdict),
    });
    let frames = futures_util::stream::iter(first).chain(chunks).map(Ok::<_, std::convert::Infallible>);
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    let mut response = (headers, Body::from_stream(frames)).into_response();
    response.extensions_mut().insert(served);
    response
}

fn failed(failure: &Failure, verdict: &Served) -> String {
    let problem = Problem::from(failure);
    verdict.failed(&problem.exception, &problem.message);
    format!("event: error\ndata: {}\n\n", problem.body())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, can_stream: bool, expected: Result<bool, &str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().expect("a header value"));
        let accept = Accept::of(&headers);
        let found = accept.check(can_stream).map(|()| accept.stream && can_stream);
        assert_eq!(found.as_ref().map_err(|problem| problem.message.as_str()), expected.as_ref().map_err(|e| *e));
    }

    #[test]
    fn a_client_gets_what_it_accepts() {
        check("", true, Ok(false));
        check("*/*", true, Ok(false));
        check("application/json", false, Ok(false));
        check("text/event-stream", true, Ok(true));
        check("TEXT/Event-Stream;q=0.9", true, Ok(true));
        check("text/event-stream, application/json", false, Ok(false));
        check("text/event-stream;q=0, application/*", true, Ok(false));
        check(
            "text/event-stream",
            false,
            Err(
                "Media type text/event-stream in Accept header is not acceptable. Supported media type(s) - application/json",
            ),
        );
        check(
            "text/html",
            true,
            Err(
                "Media type text/html in Accept header is not acceptable. Supported media type(s) - text/event-stream, application/json",
            ),
        );
    }
}
