//! A destination as a whole, over HTTP, against a service that answers as a script says; gRPC is in grpc/tests.rs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_util::future::join_all;

use super::super::outbox::parcel::FLIGHTS;
use super::config::Config;
use super::*;
use crate::capability::llm::openai::tests::scripted::{Move, Request, Scripted, answer};
use crate::setting::{Reader, Variables};

fn destination_of(env: &[(&str, &str)], identity: &Identity) -> Arc<dyn Destination> {
    let env = Variables(|name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
    let mut reader = Reader::new(&env);
    let config = Config::read(&mut reader);
    assert_eq!(reader.finish().1, Vec::<String>::new());
    destination(Signal::Traces, config.endpoint(Signal::Traces), &Resource::builder_empty().build(), identity).unwrap()
}

fn nobody() -> Identity {
    Identity::from_env(&|_| None)
}

fn parcel() -> Parcel {
    Parcel { signal: Signal::Traces, items: 3, body: Bytes::from_static(b"spans") }
}

/// What becomes of a parcel that is sent to a service of this script, and what that was asked.
async fn send(script: Vec<Move>, env: &[(&str, &str)]) -> (Outcome, Vec<Request>) {
    let service = Scripted::start(script);
    let url = service.url();
    let env: Vec<_> = env.iter().copied().chain([("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())]).collect();
    let destination = destination_of(&env, &nobody());
    let outcome = destination.send(&parcel()).await;
    drop(destination);
    (outcome, service.requests().await)
}

fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Later { after: None, why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_parcel_is_posted_with_the_headers_that_are_set() {
    let env = [("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret-key,user-agent=mine")];
    let (outcome, requests) = send(vec![answer(200, "", "")], &env).await;
    assert_eq!(outcome, Outcome::Taken { rejected: 0, why: String::new() });
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.target.as_str(), request.body.as_str()), ("/v1/traces", "spans"));
    let told = ["content-type", "api-key", "user-agent"].map(|name| request.headers[name].as_str());
    assert_eq!(told, ["application/x-protobuf", "secret-key", "mine"]);
    assert!(!request.headers.contains_key("content-encoding"));
}

/// A collector that answers when as many parcels are on their way as may be at once: its address, and how many connections
/// it was made.
fn collector_of_many() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (connections, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(FLIGHTS)));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            let together = Arc::clone(&together);
            thread::spawn(move || take_all(stream, &together));
        }
    });
    (url, connections)
}

fn take_all(mut stream: TcpStream, together: &Barrier) -> std::io::Result<()> {
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&piece[..read]),
        }
        if request.ends_with(&parcel().body) {
            request.clear();
            together.wait();
            // An answer that says that nothing was rejected.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\x0a\x00")?;
        }
    }
}

#[tokio::test]
async fn parcels_that_are_on_their_way_at_once_need_no_new_connections() {
    let (url, connections) = collector_of_many();
    let destination = destination_of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)], &nobody());
    let parcel = parcel();
    for _ in 0..20 {
        for outcome in join_all((0..FLIGHTS).map(|_| destination.send(&parcel))).await {
            assert_eq!(outcome, Outcome::Taken { rejected: 0, why: String::new() });
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), FLIGHTS);
}

#[tokio::test]
async fn an_answer_that_quotes_a_key_is_told_without_it() {
    let env = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret-key,short=key")];
    let (outcome, _) = send(vec![answer(401, "", "the key secret-key is unknown")], &env).await;
    assert_eq!(why(&outcome), "HTTP 401 Unauthorized: the key ****** is unknown");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let script = vec![answer(307, "location: /elsewhere\r\n", ""), answer(200, "", "")];
    let (outcome, requests) = send(script, &[]).await;
    assert_eq!(why(&outcome), "HTTP 307 Temporary Redirect");
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn a_service_that_is_slow_has_the_time_that_is_set_for_all_of_it() {
    let env = [("OTEL_EXPORTER_OTLP_TIMEOUT", "50")];
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
    for bytes in ["", head] {
        let (outcome, _) = send(vec![Move::Hold(bytes.to_owned())], &env).await;
        assert_eq!(why(&outcome), "no answer within 50ms");
    }
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_tried_again() {
    for (bytes, expected) in [
        ("", "no answer: "),
        ("garbage\r\n\r\n", "no answer: "),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut", "the answer broke off: "),
    ] {
        let (outcome, _) = send(vec![Move::Send(bytes.to_owned())], &[]).await;
        assert!(why(&outcome).starts_with(expected), "{bytes:?}: {outcome:?}");
    }
    // A refusal is one, whatever became of its reasons.
    let cut = "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\ncut";
    let (outcome, _) = send(vec![Move::Send(cut.to_owned())], &[]).await;
    assert_eq!(outcome, Outcome::Refused { why: "HTTP 400 Bad Request".to_owned() });

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://user:pass@{gone}/?key=secret");
    let destination = destination_of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url)], &nobody());
    let outcome = destination.send(&parcel()).await;
    assert_eq!(why(&outcome), "no connection: Connection refused (os error 111)");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(answer::MAX_ANSWER + 1));
    let (outcome, _) = send(vec![Move::Send(long)], &[]).await;
    assert_eq!(why(&outcome), "the answer is longer than 4194304 bytes; no collector's is");
}

#[tokio::test]
async fn a_token_of_the_identity_is_sent_and_never_told() {
    let source = Scripted::start([answer(200, "", r#"{"access_token": "the-token", "expires_in": 3600}"#)]);
    let (endpoint, collector) = (source.url(), Scripted::start([answer(403, "", "no the-token")]));
    let identity = Identity::from_env(&|name| match name {
        "IDENTITY_ENDPOINT" => Some(format!("{endpoint}/token")),
        "IDENTITY_HEADER" => Some("header".to_owned()),
        _ => None,
    });
    let url = collector.url();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_AAD_AUTH_ENABLE", "true")];
    let destination = destination_of(&env, &identity);
    let outcome = destination.send(&parcel()).await;
    assert_eq!(why(&outcome), "HTTP 403 Forbidden: no ******");
    drop(destination);
    assert_eq!(collector.requests().await[0].headers["authorization"], "Bearer the-token");
    let asked = source.requests().await;
    assert!(asked[0].target.contains("https%3A%2F%2Fmanagement.azure.com"), "{asked:?}");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let identity = Identity::from_env(&|name| match name {
        "IDENTITY_ENDPOINT" => Some(format!("http://{gone}/token")),
        "IDENTITY_HEADER" => Some("header".to_owned()),
        _ => None,
    });
    let url = format!("http://{gone}");
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_AAD_AUTH_ENABLE", "true")];
    let outcome = destination_of(&env, &identity).send(&parcel()).await;
    assert!(why(&outcome).starts_with("no token from "), "{outcome:?}");
}
