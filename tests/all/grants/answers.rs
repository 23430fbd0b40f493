//! What services answer to make a node, or the host, hold more or wait longer than it may; and how many requests one run
//! makes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Collector, Status};
use serde_json::{Value, json};

use super::{echo, host, outcomes, raw};

/// A service that writes what it likes to whoever has sent a head. It ends with the test's process.
pub(crate) fn service(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut head = BufReader::new(stream.try_clone().expect("a socket can be shared"));
                let mut line = String::new();
                while head.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                // That the host hangs up is what most of these wait for.
                _ = answer(&mut stream);
            });
        }
    });
    origin
}

/// What becomes of a request to a service, and of one to a good one after it by the same node.
async fn check(origin: &str, limits: &str, expected: &str) {
    let good = echo();
    let node = format!("limits: {{{limits}}}\ngrants: {{http: ['{origin}', '{}']}}", good.origin());
    let collector = Collector::start();
    let host = host("http_raw", &node).collector(&collector).start().await;
    let reply = host.score(json!({"requests": [raw("GET", origin, "/")]})).await;
    let told = match reply.status {
        200 => reply.json()["answer"][0].as_str().unwrap_or_default().chars().take(80).collect(),
        _ => reply.json()["error"]["innerError"]["code"].as_str().unwrap_or_default().to_owned(),
    };
    assert!(told.starts_with(expected), "{told:?}: {expected}");
    // No place is taken by what has been given up: more than there are places.
    let many: Value = (0..70).map(|_| raw("GET", &good.origin(), "/")).collect();
    for part in many.as_array().expect("a list").chunks(30) {
        assert_eq!(outcomes(&host, json!(part)).await, vec!["200 GET /"; part.len()]);
    }
    host.stop().await;
    assert!(collector.spans().iter().all(|span| span.name != "http.request" || span.end >= span.start));
}

pub(super) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let endless = service(|stream| {
        stream.write_all(HEAD)?;
        loop {
            stream.write_all(&[b'x'; 64 * 1024])?;
        }
    });
    // The guest reads until it fails, and then says what it has.
    check(&endless, "timeout: 60s", "200 x").await;
}

#[tokio::test]
async fn a_head_without_end_is_no_answer() {
    let endless = service(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for n in 0.. {
            write!(stream, "x-{n}: {}\r\n", "y".repeat(1000))?;
        }
        Ok(())
    });
    check(&endless, "timeout: 20s", "ErrorCode::").await;
    let one = service(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ")?;
        loop {
            stream.write_all(&[b'x'; 64 * 1024])?;
        }
    });
    check(&one, "timeout: 20s", "ErrorCode::").await;
}

#[tokio::test]
async fn a_head_that_is_larger_than_it_may_be_is_no_answer() {
    let large = service(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for n in 0..90 {
            write!(stream, "x-{n}: {}\r\n", "y".repeat(1000))?;
        }
        stream.write_all(b"content-length: 2\r\n\r\nok")
    });
    check(&large, "timeout: 20s", "ErrorCode::HttpResponseHeaderSectionSize(Some(65536))").await;
}

#[tokio::test]
async fn a_guest_is_told_which_part_is_larger_than_it_may_be() {
    let service = echo();
    let node = format!("limits: {{body: 1KiB}}\ngrants: {{http: ['{}']}}", service.origin());
    let host = host("http_raw", &node).start().await;
    let mut large = raw("POST", &service.origin(), "/");
    large["body"] = json!("x".repeat(2000));
    assert_eq!(outcomes(&host, json!([large])).await, ["ErrorCode::HttpRequestBodySize(Some(1024))"]);
    let long = raw("GET", &service.origin(), &format!("/{}", "x".repeat(2000)));
    // Of the answer, the head is there and the beginning of the body.
    let told = outcomes(&host, json!([long])).await;
    assert!(told[0].starts_with("200") && told[0].len() < 1100, "{told:?}");
}

#[tokio::test]
async fn an_answer_drop_by_drop_ends_with_the_nodes_time() {
    let drip = service(|stream| {
        stream.write_all(HEAD)?;
        loop {
            stream.write_all(b"x")?;
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    });
    check(&drip, "timeout: 700ms", "NodeTimeout").await;
    let silent = service(|_| {
        loop {
            std::thread::park();
        }
    });
    check(&silent, "timeout: 300ms", "NodeTimeout").await;

    // A request and its node are out of time in the same moment. What the node makes of the one never hides the other.
    let node = format!("limits: {{timeout: 300ms}}\ngrants: {{http: ['{silent}']}}");
    let host = host("http_raw", &node).start().await;
    let asked = (0..32).map(|_| host.score(json!({"requests": [raw("GET", &silent, "/")]})));
    for reply in futures_util::future::join_all(asked).await {
        assert_eq!(reply.json()["error"]["innerError"]["code"], "NodeTimeout");
    }
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    ] {
        let origin = service(move |stream| stream.write_all(garbage));
        check(&origin, "timeout: 20s", "ErrorCode::").await;
    }
}

#[tokio::test]
async fn a_run_makes_only_so_many_requests() {
    let service = echo();
    let node = format!("limits: {{requests: 20}}\ngrants: {{http: ['{}']}}", service.origin());
    let collector = Collector::start();
    let host = host("http_raw", &node).collector(&collector).start().await;
    let many: Value = (0..23).map(|_| raw("GET", &service.origin(), "/")).collect();
    let told = outcomes(&host, many).await;
    assert_eq!(told[..20], ["200 GET /"; 20]);
    assert_eq!(told[20..], ["ErrorCode::ConnectionLimitReached"; 3]);
    // The next run has as many again.
    assert_eq!(outcomes(&host, json!([raw("GET", &service.origin(), "/")])).await, ["200 GET /"]);
    host.stop().await;
    assert_eq!(service.requests().len(), 21);
    let message =
        "Exhausted: node \"asks\" has made its 20 requests; raise `limits.requests` of the node if it may make more";
    let told = collector.spans().into_iter().filter(|span| span.status == Status::Error(message.into()));
    assert_eq!(told.count(), 3);
    let refused = collector.metric("rpc_request").label("api_call", "http.request").label("exception", "Exhausted");
    assert_eq!(refused.count(), 3);
}

#[tokio::test]
async fn a_run_has_only_so_many_requests_on_their_way() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, highest) = (Arc::clone(&now), Arc::clone(&most));
    // Each answer waits until four are there, or for a moment: more than three there never are.
    let slow = service(move |stream| {
        let here = inside.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(here, Ordering::SeqCst);
        let until = std::time::Instant::now() + std::time::Duration::from_millis(200);
        while highest.load(Ordering::SeqCst) < 4 && std::time::Instant::now() < until {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        inside.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
    });
    let node = format!("limits: {{timeout: 30s, requests_at_once: 3}}\ngrants: {{http: ['{slow}']}}");
    let host = host("http_raw", &node).start().await;
    let requests: Vec<_> = (0..15).map(|n| raw("GET", &slow, &format!("/{n}"))).collect();
    let reply = host.score(json!({"requests": requests, "at_once": true})).await;
    reply.assert_ok(json!({"answer": vec!["200 ok"; 15]}));
    host.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// How many connections a run makes for three requests to one service under this grant.
async fn connections(grant: impl FnOnce(&str) -> String) -> usize {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let service = service(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        loop {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                head.extend(byte);
            }
        }
    });
    let host = host("http_raw", &format!("grants: {{http: ['{}']}}", grant(&service)));
    let host = host.env("WEIR_HTTP_HOSTS", "127.0.0.1").start().await;
    assert_eq!(outcomes(&host, json!(vec![raw("GET", &service, "/"); 3])).await, ["200 ok"; 3]);
    host.stop().await;
    made.load(Ordering::SeqCst)
}

#[tokio::test]
async fn connections_are_kept_only_to_hosts_that_a_grant_names() {
    assert_eq!(connections(str::to_owned).await, 1);
    let of_any_host = |origin: &str| format!("http://*:{}", origin.rsplit(':').next().expect("a port"));
    assert_eq!(connections(of_any_host).await, 3);
}
