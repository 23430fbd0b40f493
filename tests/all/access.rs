//! Who may call, how often, from which pages, and under which request id.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bytes::Bytes;
use harness::{Collector, HostBuilder, Reply, TestHost};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const KEY: &str = "primary-key-of-this-test-0123456789";
const OTHER: &str = "secondary-key-of-this-test-9876543210";
const INPUT: &str = r#"{"text": "a"}"#;

fn host() -> HostBuilder {
    TestHost::flow("run_returns")
}

/// A host whose callers need one of two keys.
fn locked() -> HostBuilder {
    host().env("WEIR_PRIMARY_KEY", KEY).env("WEIR_SECONDARY_KEY", OTHER)
}

async fn score(host: &TestHost, authorization: &[&str]) -> Reply {
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
    host.score_with(&headers, INPUT).await
}

async fn score_by(host: &TestHost, key: &str) -> Reply {
    score(host, &[&format!("Bearer {key}")]).await
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).expect("the test gives a valid request")
}

fn refusal(code: &str, message: &str) -> Value {
    json!({"error": {"code": "UserError", "message": message, "innerError": {"code": code}}})
}

fn unauthenticated() -> Value {
    refusal("Unauthenticated", "a valid key is needed; send it as `Authorization: Bearer KEY`")
}

#[track_caller]
fn assert_limited(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 429, "{}", reply.text());
    let seconds: u64 = reply.header("retry-after").expect("says when to come again").parse().expect("whole seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(reply.json(), refusal("RateLimited", &format!("too many {what}; try again in {seconds} s")));
}

#[tokio::test]
async fn either_key_opens_what_costs_and_probes_need_none() {
    let collector = Collector::start();
    let host = locked().collector(&collector).start().await;

    let refused = score(&host, &[]).await;
    refused.assert_error(401, unauthenticated());
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    host.feedback("", &[], "good").await.assert_error(401, unauthenticated());
    for key in [KEY, OTHER] {
        score_by(&host, key).await.assert_ok(json!({"text": "a"}));
        let bearer = format!("Bearer {key}");
        assert_eq!(host.feedback("", &[("authorization", &bearer)], "good").await.status, 200);
    }
    for open in ["/health", "/version", "/"] {
        assert_eq!(host.get(open).await.status, 200, "{open}");
    }
    host.get("/swagger.json").await.assert_error(401, unauthenticated());
    let bearer = format!("Bearer {KEY}");
    let document = host.send(request(Method::GET, "/swagger.json", &[("authorization", &bearer)])).await;
    assert_eq!(document.status, 200);
    assert!(document.json()["components"]["securitySchemes"].is_object(), "the document tells of the key");

    host.stop().await;
    let counted = |label, value| collector.metric("flow_request").label(label, value).count();
    assert_eq!(counted("response_code", "401"), 1, "a refused request is counted");
    assert_eq!(counted("exception", "Unauthenticated"), 1);
    assert_eq!(counted("response_code", "200"), 2);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let host = locked().start().await;
    let right = format!("Bearer {KEY}");
    let cases: [&[&str]; 9] = [
        &[],
        &[""],
        &["Bearer"],
        &[KEY],
        &[&format!("Basic {KEY}")],
        &[&right.replace("primary", "Primary")],
        &[&right[..right.len() - 1]],
        &[&format!("{right}, {right}")],
        &[&right, &right],
    ];
    let mut answers = Vec::new();
    for authorization in cases {
        let mut reply = score(&host, authorization).await;
        reply.assert_error(401, unauthenticated());
        reply.headers.remove("date");
        for unlike in ["x-request-id", "x-trace-id"] {
            reply.headers.remove(unlike);
        }
        answers.push((reply.headers, reply.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // White space at the end of a line belongs to no header, by the rules of HTTP.
    score(&host, &[&format!("{right} ")]).await.assert_ok(json!({"text": "a"}));
}

#[tokio::test]
async fn a_key_is_read_in_one_place_alone() {
    let collector = Collector::start();
    let host = locked().collector(&collector).env("WEIR_TRACE_CONTENT", "full").start().await;
    // After ten of them the source is told to wait.
    let unknown = |reply: &Reply| assert!([401, 429].contains(&reply.status), "{}", reply.text());
    for query in ["api_key", "api-key", "code", "key", "token", "access_token", "subscription-key", "Authorization"] {
        let path = format!("/score?{query}={KEY}&{query}=Bearer%20{KEY}");
        unknown(&host.send(request(Method::POST, &path, &[])).await);
    }
    for header in
        ["api-key", "x-api-key", "x-functions-key", "ocp-apim-subscription-key", "proxy-authorization", "cookie"]
    {
        let bearer = format!("Bearer {KEY}");
        for value in [KEY, &bearer] {
            unknown(&host.send(request(Method::POST, "/score", &[(header, value)])).await);
        }
    }
    let body = json!({"text": "a", "api_key": KEY, "Authorization": format!("Bearer {KEY}")}).to_string();
    unknown(&host.score_with(&[("content-type", "application/json")], body).await);
    let exit = host.stop().await;
    // A caller that puts it there has it told nowhere all the same.
    for (place, text) in [("stdout", exit.stdout), ("stderr", exit.stderr), ("telemetry", collector.everything())] {
        assert!(!text.contains(KEY), "{place} shows a key");
    }
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_told_to_wait_and_served_with_the_right_key() {
    let host = locked().start().await;
    for _ in 0..10 {
        score(&host, &["Bearer wrong"]).await.assert_error(401, unauthenticated());
    }
    assert_limited(&score(&host, &["Bearer wrong"]).await, "requests without a valid key");
    score_by(&host, KEY).await.assert_ok(json!({"text": "a"}));
}

#[tokio::test]
async fn a_refused_caller_has_no_body_read() {
    let host = locked().start().await;
    let mut socket = TcpStream::connect(host.address()).await.expect("the host accepts connections");
    let head = "POST /score HTTP/1.1\r\nhost: weir\r\ncontent-length: 1000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.expect("the host reads heads");
    let mut status = [0; 12];
    // Not a byte of the body is sent, and the answer is there.
    socket.read_exact(&mut status).await.expect("the host answers");
    assert_eq!(&status, b"HTTP/1.1 401");
}

#[tokio::test]
async fn keys_change_without_a_restart() {
    // As Kubernetes mounts a secret: a link for each key, through one link that is led elsewhere at once.
    let mount = tempfile::tempdir().expect("a temporary folder");
    let lay = |version: &str, keys: &[(&str, &str)]| {
        let folder = mount.path().join(version);
        fs::create_dir(&folder).expect("the test's own folder");
        for (name, key) in keys {
            fs::write(folder.join(name), key).expect("the test's own folder");
        }
        lead(&mount.path().join("..data"), version);
    };
    lay("v1", &[("primary", KEY)]);
    for name in ["primary", "secondary"] {
        symlink(Path::new("..data").join(name), mount.path().join(name)).expect("the test's own folder");
    }
    let host = host().env("WEIR_KEYS_FILE", mount.path().to_str().expect("a text")).start().await;
    assert_eq!(score_by(&host, KEY).await.status, 200);
    assert_eq!(score_by(&host, OTHER).await.status, 401);

    lay("v2", &[("primary", OTHER), ("secondary", KEY)]);
    host.wrote("keys=\"primary, secondary\"").await;
    assert_eq!(score_by(&host, KEY).await.status, 200, "the old key is valid while callers change to the new one");
    assert_eq!(score_by(&host, OTHER).await.status, 200);

    lay("v3", &[("primary", OTHER)]);
    host.wrote("keys=\"primary\"").await;
    assert_eq!(score_by(&host, KEY).await.status, 401);
    assert_eq!(score_by(&host, OTHER).await.status, 200);

    lay("v4", &[("primary", "short")]);
    host.wrote("keys cannot be read again; those from before stay valid").await;
    assert_eq!(score_by(&host, OTHER).await.status, 200);
    let exit = host.stop().await;
    assert_eq!(exit.stderr.matches("keys cannot be read again").count(), 1, "a fault is told once");
}

/// Leads a link elsewhere, in one step.
fn lead(link: &Path, target: &str) {
    let fresh = link.with_file_name("..data_tmp");
    symlink(target, &fresh).expect("the test's own folder");
    fs::rename(fresh, link).expect("the test's own folder");
}

#[tokio::test]
async fn a_key_appears_in_nothing_that_the_host_writes_sends_or_answers() {
    let collector = Collector::start();
    let host = locked().collector(&collector).env("WEIR_LOG", "trace").env("WEIR_TRACE_CONTENT", "full").start().await;
    let wrong = "wrong-key-of-this-test-0123456789";
    let mut replies = String::new();
    for (headers, body) in [
        (("authorization", format!("Bearer {KEY}")), INPUT),
        (("authorization", format!("Bearer {OTHER}")), "no JSON"),
        (("authorization", format!("Bearer {wrong}")), INPUT),
        (("authorization", format!("Basic {KEY}")), INPUT),
    ] {
        let headers = [(headers.0, headers.1.as_str())];
        replies.push_str(&format!("{:?}", host.score_with(&headers, body).await));
        replies.push_str(&format!("{:?}", host.feedback("?flatten=true", &headers, body).await));
    }
    for path in ["/health", "/version", "/swagger.json", "/", "/nowhere"] {
        replies.push_str(&format!("{:?}", host.get(path).await));
        replies.push_str(&format!("{:?}", host.get_admin(path).await));
    }
    let exit = host.stop().await;
    let outputs =
        [("replies", replies), ("stdout", exit.stdout), ("stderr", exit.stderr), ("telemetry", collector.everything())];
    for (place, text) in outputs {
        assert!(!text.is_empty(), "{place}");
        for key in [KEY, OTHER, wrong] {
            assert!(!text.contains(key), "{place} shows a key");
        }
    }
}

#[tokio::test]
async fn a_list_of_all_settings_shows_that_there_is_a_key_and_not_which() {
    for form in [&[][..], &["--json"]] {
        let host = form.iter().fold(locked(), |host, argument| host.arg(*argument));
        let exit = host.start_verb("config").exit().await;
        assert!(exit.status.success() && exit.stdout.contains("WEIR_PRIMARY_KEY"), "{}", exit.stderr);
        assert!(![exit.stdout, exit.stderr].concat().contains(KEY));
    }
}

#[tokio::test]
async fn the_token_of_a_reply_stands_for_a_key_where_it_is_about_that_reply() {
    let host = locked().start().await;
    let refused = score(&host, &["Bearer wrong"]).await;
    assert_eq!(refused.header("x-feedback-token"), None, "a stranger gets none");
    let reply = score_by(&host, KEY).await;
    let token = reply.header("x-feedback-token").expect("every reply has a token");
    assert_eq!(host.feedback("", &[("x-feedback-token", token)], "good").await.status, 200);
    assert_eq!(host.feedback(&format!("?feedback_token={token}"), &[], "good").await.status, 200);
    for bad in ["", "x", &token[1..], &format!("{token}A")] {
        host.feedback("", &[("x-feedback-token", bad)], "good").await.assert_error(401, unauthenticated());
    }
    host.score_with(&[("x-feedback-token", token)], INPUT).await.assert_error(401, unauthenticated());
}

#[tokio::test]
async fn each_key_has_a_rate_of_its_own() {
    let collector = Collector::start();
    let host = locked().collector(&collector).env("WEIR_RATE_PER_KEY", "1/m").start().await;
    for _ in 0..2 {
        assert_eq!(score_by(&host, KEY).await.status, 200);
    }
    assert_limited(&score_by(&host, KEY).await, "requests to /score");
    assert_eq!(score_by(&host, OTHER).await.status, 200);
    host.stop().await;
    assert_eq!(collector.metric("flow_request").label("response_code", "429").count(), 1);
}

#[tokio::test]
async fn a_flood_of_feedback_leaves_score_alone() {
    let host = host().env("WEIR_FEEDBACK_RATE", "2/m").start().await;
    for _ in 0..4 {
        assert_eq!(host.feedback("", &[], "good").await.status, 200);
    }
    for _ in 0..20 {
        assert_limited(&host.feedback("", &[], "good").await, "requests to /feedback");
        assert_eq!(host.score_with(&[], INPUT).await.status, 200);
    }
    host.stop().await;

    let host = self::host().env("WEIR_FEEDBACK_RATE", "none").env("WEIR_FEEDBACK_RATE_TOTAL", "1/m").start().await;
    for _ in 0..2 {
        assert_eq!(host.feedback("", &[], "good").await.status, 200);
    }
    assert_limited(&host.feedback("", &[], "good").await, "requests to /feedback");
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_everyone_could_use_does_not_start() {
    let host = host().arg("--listen").arg("0.0.0.0:0").arg("--admin-listen").arg("127.0.0.1:0");
    let exit = host.start_verb("serve").exit().await;
    assert_eq!(exit.status.code(), Some(2));
    for way_out in ["WEIR_PRIMARY_KEY or WEIR_KEYS_FILE", "listen on 127.0.0.1", "WEIR_AUTH=none"] {
        assert!(exit.told().contains(way_out), "{}", exit.told());
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_keys_and_rates_is_told_at_once_and_no_key_is_shown() {
    let host = host()
        .env("WEIR_PRIMARY_KEY", "short-secret")
        .env("WEIR_SECONDARY_KEY", "0123456789 secret with spaces")
        .env("WEIR_RATE_PER_KEY", "fast");
    let exit = host.refuses().await;
    assert_eq!(exit.status.code(), Some(2));
    for expected in [
        "WEIR_PRIMARY_KEY: a key has 16 to 512 characters, and this has 12",
        "WEIR_SECONDARY_KEY: a key is made of visible ASCII characters, without spaces",
        "WEIR_RATE_PER_KEY: \"fast\" is no rate; write 50/s (a second), 600/m (a minute), or none",
    ] {
        assert!(exit.told().contains(expected), "{}", exit.told());
    }
    assert!(!exit.stderr.contains("secret"), "{}", exit.stderr);
}

/// The headers of a reply that say what pages may do.
fn leave(reply: &Reply) -> Vec<String> {
    let names = [
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
        "access-control-expose-headers",
        "allow",
        "vary",
    ];
    let told = names.into_iter().filter(|name| reply.headers.contains_key(*name));
    told.map(|name| {
        let values: Vec<_> = reply.headers.get_all(name).iter().map(|it| it.to_str().expect("a text")).collect();
        format!("{name}: {}", values.join(", "))
    })
    .collect()
}

const EXPOSED: &str = "access-control-expose-headers: x-request-id, x-ms-client-request-id, x-trace-id, \
                       x-feedback-token, x-feedback-durability, retry-after";

#[tokio::test]
async fn a_page_of_any_origin_may_call_with_a_key_of_its_user() {
    let host = locked().start().await;
    let page = ("origin", "https://chat.example.com");
    for (path, methods) in [
        ("/score", "POST"),
        ("/feedback", "POST"),
        ("/swagger.json", "GET,HEAD"),
        ("/health", "GET,HEAD"),
        ("/version", "GET,HEAD"),
    ] {
        let asked = [
            page,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type, x-request-id"),
        ];
        // A browser sends no key with the request by which it asks for leave.
        let reply = host.send(request(Method::OPTIONS, path, &asked)).await;
        assert_eq!((reply.status, reply.text()), (204, ""), "{path}");
        assert_eq!(
            leave(&reply),
            [
                "access-control-allow-origin: *",
                &format!("access-control-allow-methods: {methods}"),
                "access-control-allow-headers: authorization, content-type, x-request-id",
                "access-control-max-age: 600",
                &format!("allow: {methods}"),
                "vary: access-control-request-headers",
            ],
            "{path}"
        );
    }
    // Every answer can be read, a refusal too.
    let any = "access-control-allow-origin: *";
    assert_eq!(leave(&host.score_with(&[page], INPUT).await), [any, EXPOSED]);
    let key = format!("Bearer {KEY}");
    let reply = host.score_with(&[page, ("authorization", &key)], INPUT).await;
    assert_eq!((reply.status, leave(&reply)), (200, vec![any.to_owned(), EXPOSED.to_owned()]));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert_eq!(leave(&host.get("/nowhere").await), [any, EXPOSED]);
}

#[tokio::test]
async fn only_pages_that_the_operator_names_may_call() {
    let host = host().env("WEIR_CORS_ORIGINS", "https://chat.example.com, http://localhost:3000").start().await;
    for (origin, allowed) in [
        ("https://chat.example.com", true),
        ("http://localhost:3000", true),
        ("http://chat.example.com", false),
        ("https://chat.example.com.evil.org", false),
        ("null", false),
    ] {
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        let reply = host.send(request(Method::OPTIONS, "/score", &asked)).await;
        let told = |reply: &Reply| (reply.status, reply.header("access-control-allow-origin") == Some(origin));
        assert_eq!(told(&reply), (204, allowed), "{origin}");
        let reply = host.score_with(&[("origin", origin)], INPUT).await;
        assert_eq!(told(&reply), (200, allowed), "{origin}");
        assert_eq!(reply.header("vary"), Some("origin"), "{origin}");
    }
    assert_eq!(host.score_with(&[], INPUT).await.header("vary"), Some("origin"), "for who keeps the answer");
}

#[tokio::test]
async fn without_any_page_options_still_tells_the_methods() {
    let host = host().env("WEIR_CORS_ORIGINS", "none").start().await;
    let asked = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    for headers in [&asked[..], &[]] {
        let reply = host.send(request(Method::OPTIONS, "/score", headers)).await;
        assert_eq!((reply.status, reply.header("allow")), (204, Some("POST")));
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(host.send(request(Method::OPTIONS, "/nowhere", &[])).await.status, 404);
    let refused = host.get("/score").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    assert_eq!(leave(&host.score_with(&[], INPUT).await), [""; 0]);
}

#[tokio::test]
async fn what_people_said_is_neither_kept_nor_taken_for_a_page() {
    let host = host().start().await;
    let whole = host.score_with(&[], INPUT).await;
    let refused = host.score_with(&[], "{}").await;
    let feedback = host.feedback("", &[], "good").await;
    for (reply, status) in [(whole, 200), (refused, 400), (feedback, 200)] {
        let told = ["cache-control", "x-content-type-options", "content-type"].map(|name| reply.header(name));
        assert_eq!((reply.status, told), (status, [Some("no-store"), Some("nosniff"), Some("application/json")]));
    }
}

#[tokio::test]
async fn request_ids_come_back_with_every_answer() {
    let host = host().env("WEIR_FEEDBACK_RATE", "1/m").start().await;
    let ids = [("x-request-id", "r-1"), ("x-ms-client-request-id", "c-1")];
    let mut answers = vec![
        host.score_with(&ids, INPUT).await,
        host.score_with(&ids, "{}").await,
        host.stream_with(&ids, INPUT).await.whole().await,
        host.feedback("", &ids, "good").await,
        host.feedback("", &ids, "good").await,
        host.feedback("", &ids, "one too many").await,
        host.send(request(Method::GET, "/score", &ids)).await,
    ];
    answers.sort_by_key(|reply| reply.status);
    for reply in &answers {
        let told = ["x-request-id", "x-ms-client-request-id"].map(|name| reply.header(name));
        assert_eq!(told, [Some("r-1"), Some("c-1")], "{}", reply.status);
    }
    let statuses: Vec<_> = answers.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 200, 200, 400, 405, 406, 429]);
}

#[tokio::test]
async fn a_request_id_that_is_no_plain_name_is_replaced_and_told_to_nobody() {
    let collector = Collector::start();
    let host = host().collector(&collector).env("WEIR_LOG", "trace").start().await;
    let long = "x".repeat(10_000);
    let bad = ["a b", "\u{1b}[31mred", "a\tb", "<script>", &long[..129]];
    for (index, bad) in bad.into_iter().enumerate() {
        let bytes = http::HeaderValue::from_bytes(bad.as_bytes());
        let Ok(bad) = bytes else { continue };
        let mut request = request(Method::POST, "/score", &[]);
        *request.body_mut() = Bytes::from_static(INPUT.as_bytes());
        request.headers_mut().insert("x-request-id", bad.clone());
        request.headers_mut().insert("x-ms-client-request-id", bad);
        let reply = host.send(request).await;
        assert_eq!(reply.status, 200, "{index}");
        let ours = reply.header("x-request-id").expect("every answer has one");
        assert!(ours.len() == 36 && ours.chars().all(|it| it.is_ascii_hexdigit() || it == '-'), "{ours}");
        assert_eq!(reply.header("x-ms-client-request-id"), None);
    }
    let exit = host.stop().await;
    let told = [exit.stdout, exit.stderr, collector.everything()].concat();
    for bad in ["\u{1b}[31mred", "<script>", &long[..129]] {
        assert!(!told.contains(bad), "{bad}");
    }
}
