//! Requests to HTTP services. The flow decides which: `grants: {http: ["https://api.example.com"]}`.
//!
//! ```
//! use weir_sdk::{NodeError, data, http, node};
//!
//! #[data]
//! struct Weather {
//!     degrees: f64,
//! }
//!
//! /// Asks for the weather of a place.
//! #[node(uses = ["http"])]
//! fn weather(place: String) -> Result<Weather, NodeError> {
//!     let reply = http::get("https://api.example.com/weather").query("place", place).send()?;
//!     Ok(reply.successful()?.json()?)
//! }
//! # fn main() {}
//! ```
//!
//! A service with a key is granted by its connection, `grants: {http: [{connection: NAME}]}`, and the host adds the key.
//! Redirects are not followed. A body has at most 16 MiB, either way.

mod exchange;
mod url;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CallError, CallErrorKind};
use url::Url;

/// A request that is not sent yet.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: String,
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, Vec<u8>)>,
    body: Result<Vec<u8>, String>,
    timeout: Option<Duration>,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, whatever it is: see [`Response::successful`].
    pub status: u16,
    /// Names in lower case, in the order of the reply.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A `GET` request.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `POST` request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A `PUT` request.
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// A `DELETE` request.
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

/// A request of any other method.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Ok(Vec::new()),
        timeout: None,
    }
}

impl Request {
    /// Adds a parameter to the URL, escaped as forms are.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// Sets the body, and its type.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).map_err(|error| error.to_string());
        self.header("content-type", "application/json")
    }

    /// How long to wait for the reply to begin. Without it, as long as the node has.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the whole reply, whatever its status.
    ///
    /// # Errors
    ///
    /// [`NotGranted`](CallErrorKind::NotGranted) if the flow does not grant the request, or its host leads into a network
    /// that may not be reached; [`Timeout`](CallErrorKind::Timeout), [`Unavailable`](CallErrorKind::Unavailable),
    /// [`Exhausted`](CallErrorKind::Exhausted) for a body that is too large,
    /// [`InvalidRequest`](CallErrorKind::InvalidRequest) for what is no request.
    pub fn send(self) -> Result<Response, CallError> {
        let url = Url::parse(&self.url, &self.query).map_err(CallError::invalid_request)?;
        let body = self.body.map_err(|error| CallError::invalid_request(format!("the body is not JSON: {error}")))?;
        exchange::send(&self.method, &url, &self.headers, &body, self.timeout)
    }
}

impl Response {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// [`Protocol`](CallErrorKind::Protocol) if it is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| CallError::protocol(format!("the answer is not what was expected: {error}")))
    }

    /// The reply itself, if its status is one of success.
    ///
    /// # Errors
    ///
    /// With the status, and the kind that it means.
    pub fn successful(self) -> Result<Self, CallError> {
        let kind = match self.status {
            200..=299 => return Ok(self),
            401 | 403 => CallErrorKind::Unauthenticated,
            404 => CallErrorKind::NotFound,
            408 | 504 => CallErrorKind::Timeout,
            429 => CallErrorKind::RateLimited,
            400..=499 => CallErrorKind::Rejected,
            500..=599 => CallErrorKind::Unavailable,
            _ => CallErrorKind::Protocol,
        };
        let message = format!("the service answered with status {}", self.status);
        Err(CallError { kind, status: Some(self.status), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16) -> Response {
        let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
        Response { status, headers, body: b"{\"degrees\": 21.5}".to_vec() }
    }

    #[track_caller]
    fn check(status: u16, expected: Option<CallErrorKind>) {
        let error = reply(status).successful().err();
        assert_eq!(error.as_ref().map(|error| error.kind), expected);
        assert_eq!(error.and_then(|error| error.status), expected.map(|_| status));
    }

    #[test]
    fn a_status_says_what_went_wrong() {
        check(204, None);
        check(302, Some(CallErrorKind::Protocol));
        check(400, Some(CallErrorKind::Rejected));
        check(401, Some(CallErrorKind::Unauthenticated));
        check(404, Some(CallErrorKind::NotFound));
        check(429, Some(CallErrorKind::RateLimited));
        check(503, Some(CallErrorKind::Unavailable));
    }

    #[test]
    fn a_reply_is_read_as_what_it_is() {
        let reply = reply(200);
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
        assert_eq!(reply.text(), "{\"degrees\": 21.5}");
        assert_eq!(reply.json::<serde_json::Value>(), Ok(serde_json::json!({"degrees": 21.5})));
        assert_eq!(reply.json::<u32>().map_err(|error| error.kind), Err(CallErrorKind::Protocol));
    }
}
