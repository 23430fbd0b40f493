//! What services answer to make a node, or the host, hold more or wait longer than it may; and how many requests one run
//! makes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use harness::{Act, Collector, FakeModel, FakeWire, Status};
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

/// So many ask at the same time: more than the requests that all runs of a node may have on their way.
const MANY: usize = 65;

/// What a request is told as whose guest has its head, and is ended while it reads on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Fails,
    /// The service has answered; or it has failed, if that is noticed first.
    IsAnswered,
}

/// What becomes of requests to a service that does this on each connection, at the same time, each by a run of its own: what
/// the guest or the caller is told, and how they failed. A good service is asked after them by the same node.
async fn check(act: Act, limits: &str, told: &str, failed: &[&str]) {
    check_left(act, limits, told, failed, Left::Fails).await;
}

async fn check_left(act: Act, limits: &str, told: &str, failed: &[&str], left: Left) {
    let (service, good) = (FakeWire::always(act.clone()), echo());
    let node = format!("limits: {{{limits}}}\ngrants: {{http: ['{}', '{}']}}", service.origin(), good.origin());
    let collector = Collector::start();
    let host = host("http_raw", &node).env("WEIR_MAX_CONCURRENCY", "100").collector(&collector).start().await;
    let asked = (0..MANY).map(|_| host.score(json!({"requests": [raw("GET", &service.origin(), "/")]})));
    for reply in join_all(asked).await {
        let outcome = match reply.status {
            200 => reply.json()["answer"][0].as_str().unwrap_or_default().chars().take(80).collect(),
            _ => reply.json()["error"]["innerError"]["code"].as_str().unwrap_or_default().to_owned(),
        };
        assert!(outcome.starts_with(told), "{outcome:?}: {told}");
    }
    // No place and no connection is taken by what has been given up.
    assert_eq!(outcomes(&host, json!([raw("GET", &good.origin(), "/")])).await, ["200 GET /"]);
    host.idle().await;
    host.stop().await;
    let calls = collector.metric("rpc_request").label("api_call", "http.request");
    assert_eq!(calls.count(), MANY as u64 + 1);
    let of = |kind: &str| calls.clone().label("exception", kind).count();
    let failures: u64 = failed.iter().map(|kind| of(kind)).sum();
    assert_eq!(failures + of(""), MANY as u64 + 1, "{calls:?}");
    assert!(of("") == 1 || left == Left::IsAnswered, "{calls:?}");
    let spans: Vec<_> = collector.spans().into_iter().filter(|span| span.name == "http.request").collect();
    let red: Vec<_> = spans.iter().filter(|span| matches!(span.status, Status::Error(_))).collect();
    assert!(red.iter().all(|span| failed.iter().any(|kind| span.attributes["error.type"] == *kind)), "{red:?}");
    assert_eq!((red.len() as u64, spans.len()), (failures, MANY + 1));
}

fn text(text: impl Into<String>) -> Bytes {
    text.into().into()
}

/// The head of an answer whose end is that of its connection.
pub(super) const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    // The guest reads until it fails, and then says what it has.
    let endless = Act::Flood(text(HEAD), text("x".repeat(64 * 1024)));
    check(endless, "timeout: 60s, body: 256KiB", "200 x", &["Exhausted"]).await;
}

#[tokio::test]
async fn a_head_without_end_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\n";
    let lines = Act::Flood(text(head), text(format!("x: {}\r\n", "y".repeat(1000))));
    check(lines, "timeout: 60s", "ErrorCode::", &["Unavailable"]).await;
    let one = Act::Flood(text(format!("{head}x: ")), text("x".repeat(64 * 1024)));
    check(one, "timeout: 60s", "ErrorCode::", &["Unavailable"]).await;
}

#[tokio::test]
async fn a_head_that_is_larger_than_it_may_be_is_no_answer() {
    let lines: String = (0..90).map(|n| format!("x-{n}: {}\r\n", "y".repeat(1000))).collect();
    let large = Act::Close(text(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok")));
    // A connection that is closed at once may be reset before all of it is read.
    check(large, "timeout: 60s", "ErrorCode::", &["Exhausted", "Unavailable"]).await;
    // One that stays open is not waited for, nor used again, since a byte is missing.
    let open = service(move |stream| {
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 3\r\n\r\nok").as_bytes())?;
        loop {
            std::thread::park();
        }
    });
    let host =
        host("http_raw", &format!("grants: {{http: ['{open}']}}")).env("WEIR_MAX_CONCURRENCY", "100").start().await;
    let asked = (0..MANY).map(|_| outcomes(&host, json!([raw("GET", &open, "/")])));
    for told in join_all(asked).await {
        assert_eq!(told, ["ErrorCode::HttpResponseHeaderSectionSize(Some(65536))"]);
    }
    host.stop().await;
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
    // A request and its node are out of time in the same moment, and either may be noticed first. What the node makes of it never
    // hides that.
    let out_of_time = &["Timeout", "Cancelled"];
    let drip = Act::Drip(text(HEAD), Duration::from_millis(50));
    check_left(drip, "timeout: 2s", "NodeTimeout", out_of_time, Left::IsAnswered).await;
    check(Act::Hold(Bytes::new()), "timeout: 2s", "NodeTimeout", out_of_time).await;
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
        check(Act::Close(Bytes::from_static(garbage)), "timeout: 60s", "ErrorCode::", &["Unavailable"]).await;
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
    let model = FakeModel::replies("hello").gated().start();
    let collector = Collector::start();
    let node = format!("limits: {{timeout: 60s, requests_at_once: 3}}\ngrants: {{http: ['{}']}}", model.origin());
    let host = host("http_raw", &node).collector(&collector).start().await;
    let requests: Vec<_> = (0..15).map(|n| raw("GET", &model.origin(), &format!("/{n}"))).collect();
    let asked = host.score(json!({"requests": requests, "at_once": true}));
    let answering = async {
        for answered in 0..15 {
            // Three are there, or all that are left; none of them ends before it is let go, and a fourth does not come.
            let there = (answered + 3).min(15);
            model.requested(there).await;
            let fourth = tokio::time::timeout(Duration::from_millis(50), model.requested(there + 1)).await;
            assert!(fourth.is_err(), "four at a time");
            model.release(1);
        }
    };
    let (reply, ()) = tokio::join!(asked, answering);
    assert_eq!(reply.json()["answer"].as_array().map(Vec::len), Some(15), "{}", reply.text());
    host.stop().await;
    assert_eq!(collector.metric("rpc_request").label("api_call", "http.request").count(), 15);
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
