//! A reply as server-sent events: the other outputs first, then one event for each chunk, then how it ended. Not where the
//! chunks come from: see scheduler/drive.rs.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderName, header};
use tokio::time::timeout;

use crate::flow::value::Json;
use crate::scheduler::outcome::{Failure, Streaming};
use crate::server::correlation::Correlation;
use crate::server::edge::Served;
use crate::server::problem::Problem;

use super::Accept;

/// A comment: nobody who reads events sees it, but what watches the connection sees that it lives. It has no blank line
/// after it, at which some clients dispatch an event without data.
const KEEP_ALIVE: &str = ": keep-alive\n";

/// Asks nginx, which many an ingress is, not to hold events back.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The stream as a response. It is silent for no longer than `keep_alive`; zero: as long as it likes. A stream that
/// fails ends with `event: error`.
pub(in crate::server) fn streamed(
    streaming: Streaming,
    accept: &Accept,
    end: &Correlation,
    keep_alive: Duration,
) -> Response {
    let served = Served::streaming();
    let first = (!streaming.outputs.is_empty()).then(|| {
        let others = Json::object(streaming.outputs.iter().map(|(name, value)| (name.as_str(), value)));
        event(others.as_str())
    });
    let frames = Frames {
        first,
        name: Json::string(&streaming.name),
        chunks: Some(streaming.chunks),
        end: if accept.tells_end() { end.event() } else { end.comment() },
        keep_alive: (!keep_alive.is_zero()).then_some(keep_alive),
        verdict: served.clone(),
    };
    let frames = stream::unfold(frames, |mut frames| async move {
        let frame = frames.next().await?;
        Some((Ok::<_, Infallible>(frame), frames))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache"), NO_BUFFERING];
    let mut response = (headers, Body::from_stream(frames)).into_response();
    response.extensions_mut().insert(served);
    response
}

/// How a stream tells it at its end.
impl Correlation {
    /// Seen by those that look for it alone; none if there is nothing to tell.
    fn comment(&self) -> Option<String> {
        (*self != Self::default()).then(|| format!(": {}\n", self.json()))
    }

    fn event(&self) -> Option<String> {
        Some(format!("event: done\n{}", event(&self.json())))
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("texts are JSON")
    }
}

/// What is still to be written.
struct Frames {
    first: Option<String>,
    /// Of the output that streams, as JSON.
    name: Json,
    /// None: the stream is over.
    chunks: Option<BoxStream<'static, Result<Json, Failure>>>,
    end: Option<String>,
    keep_alive: Option<Duration>,
    verdict: Served,
}

impl Frames {
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let chunks = self.chunks.as_mut()?;
        let next = match self.keep_alive {
            None => Ok(chunks.next().await),
            Some(silence) => timeout(silence, chunks.next()).await,
        };
        match next {
            Ok(Some(Ok(chunk))) => Some(event(&format!("{{{}: {}}}", self.name.as_str(), chunk.as_str()))),
            Ok(Some(Err(failure))) => {
                self.chunks = None;
                Some(failed(&failure, &self.verdict))
            }
            Ok(None) => {
                self.chunks = None;
                self.end.take()
            }
            Err(_) => Some(KEEP_ALIVE.to_owned()),
        }
    }
}

fn event(json: &str) -> String {
    format!("data: {}\n\n", on_one_line(json))
}

/// A line break would end the field, and JSON has them between tokens only, where a blank means the same.
fn on_one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

fn failed(failure: &Failure, verdict: &Served) -> String {
    let problem = Problem::from(failure);
    verdict.failed(&problem.exception, &problem.message);
    format!("event: error\n{}", event(&problem.body().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::HeaderMap;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;

    fn accept(value: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().expect("a header value"));
        Accept::of(&headers)
    }

    fn streaming(chunks: impl IntoIterator<Item = Result<&'static str, Failure>>) -> Streaming {
        let chunks: Vec<_> =
            chunks.into_iter().map(|chunk| chunk.map(|text| Json::parse(text).expect("JSON"))).collect();
        Streaming { outputs: Vec::new(), name: "answer".into(), chunks: stream::iter(chunks).boxed() }
    }

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.expect("the body comes whole").to_bytes();
        String::from_utf8(bytes.into()).expect("UTF-8")
    }

    const NO_END: Correlation = Correlation { trace_id: None, feedback_token: None };

    #[tokio::test]
    async fn other_outputs_come_first_and_every_chunk_is_an_event() {
        let others = vec![("n".to_owned(), Json::parse("[1,\r\n2]").expect("JSON")), ("é".to_owned(), Json::null())];
        let streaming = Streaming { outputs: others, ..streaming([Ok("\"a\\n\""), Ok("{\n\"b\": 1\n}"), Ok("2")]) };
        let response = streamed(streaming, &accept("text/event-stream"), &NO_END, Duration::ZERO);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
        let expected = "data: {\"n\":[1,  2],\"é\":null}\n\ndata: {\"answer\": \"a\\n\"}\n\n\
                        data: {\"answer\": { \"b\": 1 }}\n\ndata: {\"answer\": 2}\n\n";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn the_end_is_a_comment_or_an_event_if_asked_for() {
        let end = Correlation { trace_id: Some("ab".into()), feedback_token: Some("t".into()) };
        for (value, end, expected) in [
            ("text/event-stream", &end, ": {\"trace_id\":\"ab\",\"feedback_token\":\"t\"}\n"),
            ("text/event-stream", &NO_END, ""),
            (
                "text/event-stream;done=true",
                &end,
                "event: done\ndata: {\"trace_id\":\"ab\",\"feedback_token\":\"t\"}\n\n",
            ),
            ("text/event-stream;done=true", &NO_END, "event: done\ndata: {}\n\n"),
        ] {
            let response = streamed(streaming([Ok("1")]), &accept(value), end, Duration::ZERO);
            assert_eq!(text(response).await, format!("data: {{\"answer\": 1}}\n\n{expected}"), "{value}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_the_last_thing_that_is_said() {
        let response = streamed(
            streaming([Ok("1"), Err(Failure::Timeout)]),
            &accept("text/event-stream;done=true"),
            &NO_END,
            Duration::ZERO,
        );
        let expected = "data: {\"answer\": 1}\n\nevent: error\ndata: {\"error\":{\"code\":\"SystemError\",\"message\":\
                        \"the flow did not finish within its time\",\"innerError\":{\"code\":\"FlowTimeout\"}}}\n\n";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn a_silent_stream_says_that_it_lives() {
        let (sender, receiver) = mpsc::channel(1);
        let chunks = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        let streaming = Streaming { outputs: Vec::new(), name: "a".into(), chunks: chunks.boxed() };
        let response = streamed(streaming, &accept("text/event-stream"), &NO_END, Duration::from_millis(1));
        let mut body = response.into_body();
        let mut next = async || body.frame().await.map(|frame| frame.expect("no error").into_data().expect("data"));
        assert_eq!(next().await.as_deref(), Some(KEEP_ALIVE.as_bytes()));
        sender.send(Ok(Json::null())).await.expect("somebody reads");
        drop(sender);
        let mut rest = Vec::new();
        while let Some(frame) = next().await {
            rest.push(frame);
        }
        rest.retain(|frame| frame != KEEP_ALIVE);
        assert_eq!(rest, ["data: {\"a\": null}\n\n"]);
    }
}
