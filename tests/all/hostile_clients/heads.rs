//! Heads that ask for other protocols, other ways to send a body, or routes and methods that nobody has.

use super::*;

#[tokio::test]
async fn a_body_is_sent_by_its_length_or_in_chunks_and_in_no_other_way() {
    let host = start(&[]).await;
    let sockets = host.sockets();
    for coding in [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked\u{b}",
        "",
        ",",
        "chunke d",
    ] {
        let request =
            format!("POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        refused(&host, request.as_bytes(), (400, "MalformedRequest")).await;
    }
    let old = "POST /score HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    refused(&host, old.as_bytes(), (400, "MalformedRequest")).await;
    for same in ["chunked", "Chunked", " chunked\t"] {
        let mut client = host.raw().await;
        let head = format!("POST /score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:{same}\r\n\r\n");
        client.send(format!("{head}5\r\nhello\r\n0\r\nTrailer: ignored\r\n\r\n")).await;
        client.answer().await.assert_ok(json!({"text": "hello"}));
    }
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn no_other_protocol_is_spoken_however_it_is_asked_for() {
    let host = start(&[]).await;
    let sockets = host.sockets();
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==",
        "Connection: Upgrade\r\nUpgrade: TLS/1.3, HTTP/2.0",
    ] {
        let mut client = host.raw().await;
        // A request that is like any other, and so is the next one.
        for _ in 0..2 {
            client.send(format!("GET /health HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n\r\n")).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.header("upgrade")), (200, None), "{upgrade}");
        }
    }
    // HTTP/2 with prior knowledge, and a storm of resets behind it, which nobody reads.
    let resets = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8].repeat(10_000);
    let request = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice(), &resets].concat();
    refused(&host, &request, (400, "MalformedRequest")).await;
    // TLS where there is none.
    refused(&host, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n", (400, "MalformedRequest")).await;
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn what_nobody_serves_is_said_to_be_so_whatever_it_is_called() {
    let host = start(&[]).await;
    let sockets = host.sockets();
    let (none, method) = ((404, "RouteNotFound"), (405, "MethodNotAllowed"));
    let long = "X".repeat(40);
    for (first, (status, code)) in [
        ("GET /score", method),
        ("PUT /score", method),
        ("DELETE /feedback", method),
        ("PATCH /feedback", method),
        ("TRACE /score", method),
        ("post /score", method),
        ("POST /health", method),
        (&format!("{long} /score"), method),
        ("POST /score/", none),
        ("POST //score", none),
        ("POST /SCORE", none),
        ("POST /score;x=1", none),
        ("POST /score%00", none),
        ("POST /score%2f", none),
        ("POST /%73core", none),
        ("POST /./score", none),
        ("POST /x/../score", none),
        ("POST /%2e%2e/%2e%2e/etc/passwd", none),
        ("GET /%ff%fe", none),
        ("GET /<script>alert(1)</script>", (400, "MalformedRequest")),
        ("GET /a b", (400, "MalformedRequest")),
        ("GET health", none),
        ("(GET) /health", (400, "MalformedRequest")),
    ] {
        let mut client = host.raw().await;
        client.send(format!("{first} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        let answer = client.answer().await;
        let found = (answer.status, answer.json()["error"]["innerError"]["code"].clone());
        assert_eq!(found, (status, json!(code)), "{first}: {}", answer.text());
        assert_eq!((answer.status == 405), answer.header("allow").is_some(), "{first}");
        assert!(!answer.text().contains("script") && answer.text().len() < 1024, "{first}: {}", answer.text());
    }
    unharmed(host, sockets).await;
}

#[tokio::test]
async fn of_an_accept_header_without_end_only_the_beginning_is_read() {
    let host = start(&[]).await;
    let begins = |range: &str| format!("{range}, {}", "a/b;c=d, ".repeat(800));
    for (accept, status) in [
        (begins("application/json"), 200),
        (begins("text/html"), 406),
        (format!("{}application/json", "a/b, ".repeat(1000)), 406),
        (format!("application/json;x=\"{}", "\\\"".repeat(3000)), 200),
    ] {
        let reply = host.score_with(&[("accept", &accept)], "a").await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().len() < 2048, "{} bytes", reply.text().len());
    }
    let many = vec![("accept", "text/html"); 80];
    assert_eq!(host.score_with(&many, "a").await.status, 406);
    let long = format!("GET /health HTTP/1.1\r\nHost: a\r\nAccept: {}\r\n\r\n", "a".repeat(10 * 1024));
    refused(&host, long.as_bytes(), (431, "HeadersTooLarge")).await;
    host.stop().await;
}

#[tokio::test]
async fn one_trace_for_everybody_and_one_for_each_are_served_alike_and_cost_bounded_memory() {
    let collector = harness::Collector::start();
    // Traces wait for feedback that never comes, in a megabyte.
    let host = TestHost::flow("run_returns").collector(&collector);
    let host = host.env("WEIR_TAIL_RATIO", "0").env("WEIR_TAIL_BYTES", "1MiB").env("WEIR_TRACE_CONTENT", "full");
    let host = host.start().await;
    let text = "x".repeat(10_000);
    let ask = async |trace: u32| {
        let parent = format!("00-{trace:032x}-00f067aa0ba902b7-01");
        let reply = host.score_with(&[("traceparent", &parent)], text.clone()).await;
        assert_eq!(reply.status, 200);
    };
    for round in 0..2 {
        let before = host.resident();
        for number in 1..=500 {
            ask(if round == 0 { 7 } else { number }).await;
        }
        let grown = host.resident().saturating_sub(before);
        assert!(
            grown < 32 << 20,
            "{grown} bytes more after 500 requests of {} traces",
            if round == 0 { 1 } else { 500 }
        );
    }
    host.stop().await;
    assert_eq!(collector.metric("flow_request").count(), 1000);
}
