//! The caller's side of HTTP: whole replies, and streams frame by frame. One connection for each request, so that a
//! reply that is dropped is a client that has gone.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::wait::within;

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body of a reply is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not JSON ({error}): {:?}", self.text()),
        }
    }

    /// One header's value, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers of a reply are text"))
    }

    /// Asserts status 200 and the whole body.
    #[track_caller]
    pub fn assert_ok(&self, body: Value) {
        assert_eq!((self.status, self.json()), (200, body));
    }

    /// Asserts status and body of a refusal.
    #[track_caller]
    pub fn assert_error(&self, status: u16, body: Value) {
        assert_eq!((self.status, self.json()), (status, body));
    }
}

/// One frame of a stream of server-sent events. Comments are no frames: see [`Stream::comments`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The name after `event:`, if the frame has one.
    pub event: Option<String>,
    /// What follows `data:`; lines are joined as the standard asks.
    pub data: String,
}

impl Frame {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.data) {
            Ok(value) => value,
            Err(error) => panic!("the data of a frame is not JSON ({error}): {:?}", self.data),
        }
    }

    fn parse(text: &str) -> Self {
        let field = |name: &str, line: &str| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        let event = text.lines().find_map(|line| field("event", line));
        let data: Vec<String> = text.lines().filter_map(|line| field("data", line)).collect();
        Self { event, data: data.join("\n") }
    }
}

/// A reply that is still on its way. Dropping it closes the connection, as a client does that goes away.
#[derive(Debug)]
pub struct Stream {
    pub status: u16,
    pub headers: HeaderMap,
    /// Lines that begin with a colon, without it and blanks, in the order in which they came.
    pub comments: Vec<String>,
    body: Incoming,
    unread: BytesMut,
}

impl Stream {
    /// The next frame, as soon as it is there; none at the end.
    ///
    /// # Panics
    ///
    /// If the connection breaks: a stream of weir always ends properly, also after a failure.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            self.take_comments();
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let frame = self.unread.split_to(end + 2);
                return Some(Frame::parse(std::str::from_utf8(&frame).expect("a frame is UTF-8")));
            }
            if !self.read_on().await {
                assert!(self.unread.is_empty(), "the stream ends within a frame: {:?}", self.unread);
                return None;
            }
        }
    }

    /// All frames that are still to come.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// The reply as a whole, whatever it is. For what came instead of a stream.
    pub async fn whole(mut self) -> Reply {
        while self.read_on().await {}
        Reply { status: self.status, headers: self.headers, body: self.unread.freeze() }
    }

    /// The next comment before the next frame. For what a silent stream says.
    ///
    /// # Panics
    ///
    /// If a frame comes first, or the end.
    pub async fn comment(&mut self) -> String {
        let seen = self.comments.len();
        loop {
            self.take_comments();
            if let Some(comment) = self.comments.get(seen) {
                return comment.clone();
            }
            assert!(self.unread.is_empty(), "a frame instead of a comment: {:?}", self.unread);
            assert!(self.read_on().await, "the end of the stream instead of a comment");
        }
    }

    /// Takes the comments from the front of what is not read.
    fn take_comments(&mut self) {
        while self.unread.first() == Some(&b':')
            && let Some(end) = self.unread.iter().position(|byte| *byte == b'\n')
        {
            let line = self.unread.split_to(end + 1);
            let text = std::str::from_utf8(&line).expect("a comment is UTF-8");
            self.comments.push(text.trim_start_matches(':').trim().to_owned());
        }
    }

    /// Whether there was more.
    async fn read_on(&mut self) -> bool {
        let Some(frame) = within("the next part of a reply", self.body.frame()).await else { return false };
        let frame = frame.expect("the connection does not break within a reply");
        if let Ok(data) = frame.into_data() {
            self.unread.extend_from_slice(&data);
        }
        true
    }
}

/// Sends a request and waits for the head of the reply.
pub(crate) async fn open(address: SocketAddr, request: Request<Bytes>) -> Stream {
    let what = format!("an answer to {} {}", request.method(), request.uri());
    let (head, body) = within(&what, exchange(address, request)).await.into_parts();
    let (status, headers) = (head.status.as_u16(), head.headers);
    Stream { status, headers, comments: Vec::new(), body, unread: BytesMut::new() }
}

/// Sends a request and waits for the whole reply.
pub(crate) async fn send(address: SocketAddr, request: Request<Bytes>) -> Reply {
    open(address, request).await.whole().await
}

async fn exchange(address: SocketAddr, request: Request<Bytes>) -> Response<Incoming> {
    try_exchange(address, request).await.expect("the host answers")
}

/// Sends a request to a host that may end meanwhile: its whole reply, or nothing if there is none.
pub async fn attempt(address: SocketAddr, request: Request<Bytes>) -> Option<Reply> {
    let whole = async {
        let (head, body) = try_exchange(address, request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Reply { status: head.status.as_u16(), headers: head.headers, body })
    };
    within("an answer or the end of the host", whole).await
}

async fn try_exchange(
    address: SocketAddr,
    mut request: Request<Bytes>,
) -> Result<Response<Incoming>, Box<dyn std::error::Error>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the reply has been read or dropped.
    tokio::spawn(connection);
    let host = address.to_string().try_into().expect("an address is a header value");
    request.headers_mut().insert(http::header::HOST, host);
    Ok(sender.send_request(request.map(Full::new)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, event: Option<&str>, data: &str) {
        assert_eq!(Frame::parse(text), Frame { event: event.map(str::to_owned), data: data.to_owned() });
    }

    #[test]
    fn a_frame_is_read_as_the_standard_says() {
        check("data: {\"a\": 1}\n\n", None, "{\"a\": 1}");
        check("event: error\ndata: x\n\n", Some("error"), "x");
        check("data:one\ndata: two\n\n", None, "one\ntwo");
        check(": a comment\ndata:  indented\n\n", None, " indented");
    }
}
