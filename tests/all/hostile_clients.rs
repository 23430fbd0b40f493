//! Clients that break HTTP's rules, send slowly, do not read or come by the hundred. What each of them gets, and that
//! nobody else notices.

mod bodies;
mod crowds;
mod heads;
mod slow;

use harness::{RawClient, TestHost, eventually};
use serde_json::json;

/// A request that must not be answered: it hides behind one that breaks a rule.
const HIDDEN: &str = "GET /health HTTP/1.1\r\nHost: hidden\r\n\r\n";

/// A flow of one input, which takes plain text.
async fn start(environment: &[(&str, &str)]) -> TestHost {
    let host = TestHost::flow("run_returns");
    environment.iter().fold(host, |host, (name, value)| host.env(*name, *value)).start().await
}

/// A request is refused with this status and code, the connection closed, and what comes behind it not looked at. The
/// next good request is answered.
#[track_caller]
fn refused<'a>(host: &'a TestHost, request: &'a [u8], expected: (u16, &'a str)) -> impl Future<Output = ()> + use<'a> {
    let caller = std::panic::Location::caller();
    async move {
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        let mut client = host.raw().await;
        client.send([request, HIDDEN.as_bytes()].concat()).await;
        let answer = client.answer().await;
        let code = answer.json()["error"]["innerError"]["code"].clone();
        let found = (answer.status, code, answer.header("content-type"), answer.header("connection"));
        let expected = (expected.0, json!(expected.1), Some("application/json"), Some("close"));
        assert_eq!(found, expected, "{shown:?} of {caller}: {}", answer.text());
        assert_eq!(client.rest().await, "", "{shown:?} of {caller}: nothing else is answered");
        assert_eq!(host.get("/health").await.status, 200, "{shown:?} of {caller}");
    }
}

/// The host still serves, and has as many sockets as before.
async fn unharmed(host: TestHost, sockets: usize) {
    host.score_with(&[], "still here").await.assert_ok(json!({"text": "still here"}));
    eventually("all connections to be closed", async || host.sockets() <= sockets).await;
    host.stop().await;
}

#[tokio::test]
async fn heads_that_others_might_read_otherwise_are_refused_and_hide_no_request() {
    let host = start(&[]).await;
    let sockets = host.sockets();
    for lines in [
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 5",
        "Host: a\r\nContent-Length: 5, 5",
        "Host: a\r\nContent-Length: +5",
        "Host: a\r\nContent-Length: 0x5",
        "Host: a\r\nContent-Length: -1",
        "Host: a\r\nContent-Length: 18446744073709551615",
        "Host: a\r\n Content-Length: 5",
        "Host: a\r\nContent-Length : 5",
        "Host: a\r\nTransfer-Encoding: chunked, identity",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Host: a\r\nX: folded\r\n line",
        "Host: a\r\nX: bare\nY: line feed",
        "Host: a\r\nX: nul\0",
        "Host: a\r\nno colon",
        "X: no host",
        "Host: a\r\nHost: b",
        "Host: a b",
    ] {
        let request = format!("POST /score HTTP/1.1\r\n{lines}\r\n\r\nhello");
        refused(&host, request.as_bytes(), (400, "MalformedRequest")).await;
    }
    for request in
        ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /health\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\n", "GET / HTTP/1.1\n\n"]
    {
        refused(&host, request.as_bytes(), (400, "MalformedRequest")).await;
    }
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn heads_are_bounded_in_number_and_size() {
    let host = start(&[]).await;
    let head = |uri: &str, headers: &str| format!("GET {uri} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let many = |count: usize| "a: b\r\n".repeat(count - 1);
    let wide = |length: usize| format!("a: {}\r\n", "b".repeat(length - 5));
    let long = |length: usize| format!("/health?{}", "q".repeat(length - 8));

    for fits in [head("/health", &many(100)), head("/health", &wide(8 * 1024)), head(&long(8 * 1024), "")] {
        let mut client = host.raw().await;
        client.send(&fits).await;
        assert_eq!(client.answer().await.status, 200, "{fits}");
    }
    for (request, expected) in [
        (head("/health", &many(101)), (431, "HeadersTooLarge")),
        (head("/health", &wide(8 * 1024 + 1)), (431, "HeadersTooLarge")),
        (head("/health", &wide(16 * 1024)), (431, "HeadersTooLarge")),
        (head("/health", &wide(6 * 1024).repeat(3)), (431, "HeadersTooLarge")),
        (head(&long(8 * 1024 + 1), ""), (414, "UriTooLong")),
        (format!("GET /{}", "u".repeat(1 << 20)), (414, "UriTooLong")),
    ] {
        refused(&host, request.as_bytes(), expected).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn targets_in_every_form_lead_to_our_routes_alone() {
    let host = start(&[]).await;
    for (line, status, code) in [
        ("GET http://elsewhere.example/health HTTP/1.1", 200, json!(null)),
        ("GET http://elsewhere.example/nope HTTP/1.1", 404, json!("RouteNotFound")),
        ("OPTIONS * HTTP/1.1", 404, json!("RouteNotFound")),
        ("CONNECT elsewhere.example:443 HTTP/1.1", 404, json!("RouteNotFound")),
        ("BREW /health HTTP/1.1", 405, json!("MethodNotAllowed")),
        ("GET /%2e%2e/health HTTP/1.1", 404, json!("RouteNotFound")),
    ] {
        let mut client = host.raw().await;
        client.send(format!("{line}\r\nHost: a\r\n\r\n")).await;
        let answer = client.answer().await;
        let found = (answer.status, answer.json()["error"]["innerError"]["code"].clone());
        assert_eq!(found, (status, code), "{line}: {}", answer.text());
    }
    host.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_sent() {
    let host = start(&[("WEIR_MAX_FEEDBACK_BODY", "1KiB")]).await;
    let sockets = host.sockets();
    let post = |path: &str, headers: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
    for (path, headers) in [
        ("/score", "Content-Length: 4194305"),
        ("/score", "Content-Length: 9223372036854775807"),
        ("/score", "Content-Length: 4194305\r\nExpect: 100-continue"),
        ("/feedback", "Content-Length: 1025"),
    ] {
        refused(&host, post(path, headers).as_bytes(), (413, "BodyTooLarge")).await;
    }
    let chunks =
        post("/feedback", "Transfer-Encoding: chunked") + "400\r\n" + &"a".repeat(0x400) + "\r\n1\r\na\r\n0\r\n\r\n";
    refused(&host, chunks.as_bytes(), (413, "BodyTooLarge")).await;
    let packed = post("/score", "Content-Length: 1073741824\r\nContent-Encoding: gzip");
    refused(&host, packed.as_bytes(), (415, "UnsupportedEncoding")).await;
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let host = start(&[]).await;
    let mut client = host.raw().await;
    client.send("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 100);
    client.send("hello").await;
    client.answer().await.assert_ok(json!({"text": "hello"}));
    host.stop().await;
}

#[tokio::test]
async fn bodies_that_end_early_or_are_no_chunks_are_refused() {
    let host = start(&[]).await;
    let sockets = host.sockets();
    let chunked = "POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(64 * 1024));
    for chunks in ["FFFFFFFFFFFFFFFF\r\n", "-1\r\n", "5\nhello\n0\n\n", "5\r\nhelloX\r\n", "0\r\nbad\n\r\n", &extension]
    {
        refused(&host, format!("{chunked}{chunks}").as_bytes(), (400, "BodyUnreadable")).await;
    }

    let mut client = host.raw().await;
    client.send("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nten bytes.").await;
    client.finish().await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &answer.json()["error"]["innerError"]["code"]), (400, &json!("BodyUnreadable")));
    client.closed().await;
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let host = start(&[]).await;
    let mut client = host.raw().await;
    let requests: String = (0..100)
        .map(|number| {
            let body = format!("number {number}");
            let length = body.len();
            if number % 2 == 0 {
                format!("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
            } else {
                let head = "POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
                format!("{head}{length:x}\r\n{body}\r\n0\r\n\r\n")
            }
        })
        .collect();
    client.send(requests).await;
    for number in 0..100 {
        client.answer().await.assert_ok(json!({"text": format!("number {number}")}));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_connection_carries_on_after_a_refusal_that_was_read_to_its_end() {
    let host = start(&[]).await;
    let mut client = host.raw().await;
    let post = |path: &str, headers: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
    };
    for (request, status) in [
        (post("/score", "Accept: text/html\r\n", "not read by the handler"), 406),
        (post("/nope", "", "nor this"), 404),
        (post("/health", "", ""), 405),
        (post("/score", "", "hello"), 200),
    ] {
        client.send(&request).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{request}");
    }
    host.stop().await;
}
