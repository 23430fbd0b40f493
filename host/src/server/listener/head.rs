//! Whether the head of a request may be answered at all, and how its body is framed. Pure.
//!
//! hyper would read such heads as well, but leniently, and what it refuses it refuses without a body. Here a head must be
//! what every program on the way would read in the same way: then no request can hide in another.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Uri};

use crate::server::listener::framing::Framing;
use crate::server::problem::Problem;

/// Room for the method, the version and the spaces between.
const REQUEST_LINE: usize = 64;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Headers in number.
    pub headers: usize,
    /// Bytes of all headers.
    pub all: usize,
    /// Bytes of one header.
    pub each: usize,
    /// Bytes of the URI.
    pub uri: usize,
}

impl Limits {
    /// More bytes than any head may have.
    pub(super) fn total(&self) -> usize {
        REQUEST_LINE + self.uri + self.all
    }
}

/// How far a head has been looked at while it arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes that were looked at.
    seen: usize,
    /// Where the current line begins.
    line: usize,
    /// Lines so far, the request line with them.
    lines: usize,
}

impl Scan {
    /// Looks at what has come of a head so far; its length, if it is all there.
    ///
    /// # Errors
    /// What is already too large, or wrong.
    pub(super) fn find_end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Problem> {
        while let Some(end) = bytes[self.seen..].iter().position(|byte| *byte == b'\n') {
            let end = self.seen + end;
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(Problem::malformed("a line of the request's head does not end with CR LF"));
            }
            self.check_line(end + 1 - self.line, limits)?;
            self.seen = end + 1;
            if end - 1 == self.line && self.lines > 0 {
                return if end < limits.total() { Ok(Some(end + 1)) } else { Err(too_large(limits)) };
            }
            self.line = end + 1;
            self.lines += 1;
            if self.lines > limits.headers + 1 {
                return Err(Problem::headers_too_large(format!(
                    "the request has more than {} headers",
                    limits.headers
                )));
            }
        }
        self.seen = bytes.len();
        self.check_line(bytes.len() - self.line, limits)?;
        if bytes.len() > limits.total() { Err(too_large(limits)) } else { Ok(None) }
    }

    fn check_line(&self, length: usize, limits: &Limits) -> Result<(), Problem> {
        match self.lines {
            0 if length > limits.uri + REQUEST_LINE => Err(Problem::uri_too_long(limits.uri)),
            1.. if length > limits.each => {
                Err(Problem::headers_too_large(format!("a header is longer than {} bytes", limits.each)))
            }
            _ => Ok(()),
        }
    }

    /// The headers of the head that was found.
    fn headers(&self) -> usize {
        self.lines.saturating_sub(1)
    }
}

fn too_large(limits: &Limits) -> Problem {
    Problem::headers_too_large(format!("the headers are longer than {} bytes", limits.all))
}

/// Reads a whole head. None: the request has no body.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(head: &[u8], scan: &Scan, limits: &Limits) -> Result<Option<Framing>, Problem> {
    let mut headers = vec![httparse::EMPTY_HEADER; scan.headers()];
    let mut request = httparse::Request::new(&mut headers);
    // The parser that hyper reads the head with afterwards.
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::Version) => return Err(Problem::malformed("the request is not HTTP/1.1 or HTTP/1.0")),
        Ok(_) => return Err(Problem::malformed("the head of the request ends early")),
        Err(error) => return Err(Problem::malformed(format!("the head of the request is not HTTP: {error}"))),
    }
    let uri = request.path.unwrap_or_default();
    if uri.len() > limits.uri {
        return Err(Problem::uri_too_long(limits.uri));
    }
    if Uri::try_from(uri).is_err() {
        return Err(Problem::malformed("the request has no valid URI"));
    }
    let size: usize = request.headers.iter().map(|header| header.name.len() + header.value.len() + 4).sum();
    if size > limits.all {
        return Err(too_large(limits));
    }
    let modern = request.version == Some(1);
    check_host(request.headers, modern)?;
    framing(request.headers, modern)
}

fn check_host(headers: &[httparse::Header<'_>], modern: bool) -> Result<(), Problem> {
    match (values(headers, HOST.as_str()).as_slice(), modern) {
        ([], false) | ([b""], _) => Ok(()),
        ([], true) => Err(Problem::malformed("the request has no Host header")),
        ([host], _) => {
            let host = std::str::from_utf8(host).ok().and_then(|host| host.parse::<Authority>().ok());
            let valid = host.is_some_and(|host| !host.as_str().contains('@'));
            if valid { Ok(()) } else { Err(Problem::malformed("the Host header is no host")) }
        }
        _ => Err(Problem::malformed("the request has more than one Host header")),
    }
}

fn framing(headers: &[httparse::Header<'_>], modern: bool) -> Result<Option<Framing>, Problem> {
    let lengths = values(headers, CONTENT_LENGTH.as_str());
    let codings = values(headers, TRANSFER_ENCODING.as_str());
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([length], []) => match content_length(length) {
            Some(0) => Ok(None),
            Some(length) => Ok(Some(Framing::Length(length))),
            None => Err(Problem::malformed("the Content-Length header is no length")),
        },
        ([], [coding]) if modern && coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::chunked())),
        ([], _) => Err(Problem::malformed("the only transfer encoding known is chunked, once, in HTTP/1.1")),
        (_, []) => Err(Problem::malformed("the request has more than one Content-Length header")),
        _ => Err(Problem::malformed("the request has both Content-Length and Transfer-Encoding")),
    }
}

/// Digits and nothing else: no sign, no list. Some of the largest numbers mean something else to hyper.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length = digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten();
    length.filter(|length| *length <= u64::MAX / 2)
}

fn values<'h>(headers: &[httparse::Header<'h>], name: &str) -> Vec<&'h [u8]> {
    let named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { headers: 5, all: 100, each: 40, uri: 20 };

    fn read(text: &str) -> Result<Option<Framing>, &'static str> {
        let mut scan = Scan::default();
        let code = |problem: Problem| problem.code;
        let end = scan.find_end(text.as_bytes(), &LIMITS).map_err(code)?.expect("a whole head");
        check(&text.as_bytes()[..end], &scan, &LIMITS).map_err(code)
    }

    /// A head with these lines, as it comes at once and byte by byte.
    #[track_caller]
    fn check_head(lines: &str, expected: Result<Option<Framing>, &'static str>) {
        let text = format!("{lines}\r\n\r\n");
        assert_eq!(read(&text), expected, "{lines:?}");

        let mut scan = Scan::default();
        let steps = (1..=text.len()).map(|end| scan.find_end(&text.as_bytes()[..end], &LIMITS));
        match { steps }.find(|step| !matches!(step, Ok(None))).expect("an end") {
            Ok(end) => assert_eq!(end, Some(text.len()), "{lines:?}"),
            Err(problem) => assert_eq!(Err(problem.code), expected, "{lines:?}"),
        }
    }

    #[test]
    fn heads_of_both_versions_are_taken() {
        check_head("GET / HTTP/1.1\r\nHost: a", Ok(None));
        check_head("GET / HTTP/1.0", Ok(None));
        check_head("OPTIONS * HTTP/1.1\r\nhost: [::1]:80", Ok(None));
        check_head("GET http://b/score HTTP/1.1\r\nHost: a.b:80\r\nX:", Ok(None));
        check_head("POST / HTTP/1.1\r\nHost: \r\nContent-Length: 0", Ok(None));
        check_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:   05  ", Ok(Some(Framing::Length(5))));
        check_head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked", Ok(Some(Framing::chunked())));
    }

    #[test]
    fn heads_that_others_may_read_otherwise_are_refused() {
        for lines in [
            "GET / HTTP/1.1",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a",
            "GET / HTTP/1.1\r\nHost: a b",
            "GET / HTTP/1.1\r\nHost: u@a",
            "GET / HTTP/1.1\r\nHost: a/b",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1",
            "GET / HTTP/1.1\r\nHost: a\r\n Content-Length: 1",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked",
            "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
            "GET / HTTP/1.1\r\nHost: a\nX: a",
            "GET / HTTP/2.0\r\nHost: a",
            "GET  / HTTP/1.1\r\nHost: a",
            "GET /a b HTTP/1.1\r\nHost: a",
            "GET /",
            "\u{1}",
        ] {
            check_head(lines, Err("MalformedRequest"));
        }
        let both = "GET / HTTP/1.1\r\nA: b\r\nTransfer-Encoding: chunked\r\nHost: a\r\nContent-Length: 1";
        check_head(both, Err("MalformedRequest"));
    }

    #[test]
    fn heads_are_bounded_in_every_direction() {
        check_head(&format!("GET /{} HTTP/1.1\r\nHost: a", "u".repeat(19)), Ok(None));
        check_head(&format!("GET /{} HTTP/1.1\r\nHost: a", "u".repeat(20)), Err("UriTooLong"));
        check_head(&format!("GET /{} HTTP/1.1\r\nHost: a", "u".repeat(200)), Err("UriTooLong"));
        let headers = |count: usize| format!("GET / HTTP/1.1\r\nHost: a{}", "\r\nA: b".repeat(count - 1));
        check_head(&headers(5), Ok(None));
        check_head(&headers(6), Err("HeadersTooLarge"));
        let header = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(length - 5));
        check_head(&header(40), Ok(None));
        check_head(&header(41), Err("HeadersTooLarge"));
        let of_length =
            |length: usize| format!("GET / HTTP/1.1\r\nHost: a{}", format!("\r\n{}: a", "h".repeat(length)).repeat(3));
        check_head(&of_length(25), Ok(None));
        check_head(&of_length(26), Err("HeadersTooLarge"));
    }
}
