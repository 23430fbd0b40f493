//! Against a collector that speaks gRPC as a test says; what the messages mean is in answer/tests.rs.

use std::convert::Infallible;
use std::net::TcpListener;
use std::thread;

use futures_util::stream;
use http::{Method, Response};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::super::config::Config;
use super::*;
use crate::capability::llm::openai::tests::scripted::{Move, Scripted};
use crate::setting::{Reader, Variables};

/// An answer: its head, the bytes of its body, and what comes after them.
type Answer = Response<(Vec<u8>, HeaderMap)>;

/// What was asked: path, headers, message with its five bytes.
type Asked = (String, HeaderMap, Bytes);

/// Answers one connection, whatever is asked, and gives what was.
struct Collector {
    url: String,
    thread: thread::JoinHandle<Vec<Asked>>,
}

impl Collector {
    fn start(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                async move {
                    let (head, body) = request.into_parts();
                    assert_eq!(head.method, Method::POST);
                    let body = body.collect().await.unwrap().to_bytes();
                    kept.lock().unwrap().push((head.uri.path().to_owned(), head.headers, body));
                    let (head, (body, trailers)) = answer().into_parts();
                    let frames = [Frame::data(Bytes::from(body)), Frame::trailers(trailers)];
                    let empty = |frame: &Frame<Bytes>| match frame.trailers_ref() {
                        Some(trailers) => !trailers.is_empty(),
                        None => frame.data_ref().is_some_and(|data| !data.is_empty()),
                    };
                    let frames = frames.into_iter().filter(empty).map(Ok::<_, Infallible>);
                    let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
                    Ok::<_, Infallible>(Response::from_parts(head, body))
                }
            });
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            // It ends when the client goes.
            _ = connection.await;
            std::mem::take(&mut *asked.lock().unwrap())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { url, thread: thread::spawn(move || runtime.block_on(serve)) }
    }

    async fn asked(self) -> Vec<Asked> {
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap()
    }
}

fn status(code: Code, message: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (Status::GRPC_STATUS, (code as i32).into()),
        (Status::GRPC_MESSAGE, message.parse().unwrap()),
    ])
}

fn answered(content: &str, body: impl Into<Vec<u8>>, trailers: HeaderMap) -> Answer {
    Response::builder().header("content-type", content).body((body.into(), trailers)).unwrap()
}

/// An empty message in its frame.
const EMPTY: [u8; 5] = [0; 5];

fn parcel() -> Parcel {
    Parcel { signal: Signal::Logs, items: 3, body: Bytes::from_static(b"logs") }
}

fn grpc(url: &str, more: &[(&str, &str)]) -> Grpc {
    let env = Variables(|name: &str| {
        let found = more.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        found.or_else(|| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.to_owned()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".to_owned()),
            _ => None,
        })
    });
    let config = Config::read(&mut Reader::new(&env));
    Grpc::new(config.endpoint(Signal::Logs), None).unwrap()
}

/// What becomes of a parcel when this is answered.
async fn outcome(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Outcome {
    let collector = Collector::start(answer);
    let grpc = grpc(&collector.url, &[]);
    let outcome = grpc.attempt(&parcel()).await;
    drop(grpc);
    collector.asked().await;
    outcome
}

fn later(after: Option<u64>, why: &str) -> Outcome {
    Outcome::Later { after: after.map(Duration::from_secs), why: why.to_owned() }
}

#[tokio::test]
async fn a_parcel_is_one_call_with_headers_and_a_deadline() {
    let collector = Collector::start(|| answered("application/grpc", EMPTY, status(Code::Ok, "")));
    let grpc =
        grpc(&collector.url, &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")]);
    for _ in 0..2 {
        assert_eq!(grpc.attempt(&parcel()).await, Outcome::Taken { rejected: 0, why: String::new() });
    }
    drop(grpc);
    let asked = collector.asked().await;
    assert_eq!(asked.len(), 2, "over one connection");
    let (path, headers, body) = &asked[0];
    assert_eq!(path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_eq!(body.as_ref(), b"\0\0\0\0\x04logs");
    assert_eq!(headers["api-key"], "k");
    assert_eq!(headers["grpc-timeout"], "3000000u");
    assert!(headers["user-agent"].to_str().unwrap().starts_with(super::super::USER_AGENT));
}

#[tokio::test]
async fn a_status_of_the_collector_counts() {
    let refused = Outcome::Refused { why: "gRPC InvalidArgument: no".to_owned() };
    let with = |code| move || answered("application/grpc", [], status(code, "no"));
    assert_eq!(outcome(with(Code::InvalidArgument)).await, refused);
    assert_eq!(outcome(with(Code::Unavailable)).await, later(None, "gRPC Unavailable: no"));
    // It may also stand in the head.
    let in_head = || {
        let mut answer = answered("application/grpc", [], HeaderMap::new());
        answer.headers_mut().extend(status(Code::InvalidArgument, "no"));
        answer
    };
    assert_eq!(outcome(in_head).await, refused);
}

#[tokio::test]
async fn a_pause_is_taken_from_the_details_of_a_status() {
    let full = || {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(5)));
        let headers = Status::with_error_details(Code::ResourceExhausted, "full", details).into_http::<Body>();
        answered("application/grpc", [], headers.headers().clone())
    };
    assert_eq!(outcome(full).await, later(Some(5), "gRPC ResourceExhausted: full"));
}

#[tokio::test]
async fn what_no_collector_has_said_is_sent_again() {
    let page = || {
        let mut page = answered("text/html", "<h1>sign in</h1>", HeaderMap::new());
        page.headers_mut().insert("retry-after", 4.into());
        page
    };
    assert_eq!(outcome(page).await, later(Some(4), "HTTP 200 OK: no gRPC is spoken there"));
    let large = || {
        let mut page = answered("text/html", "", HeaderMap::new());
        *page.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        page
    };
    assert_eq!(outcome(large).await, Outcome::TooLarge { why: "HTTP 413 Payload Too Large".to_owned() });
    for broken in [&b"garbage"[..], b"", b"\0\0\0\0\x09cut"] {
        let outcome = outcome(move || answered("application/grpc", broken, HeaderMap::new())).await;
        assert!(
            matches!(&outcome, Outcome::Later { after: None, why } if why.starts_with("no answer: ")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_breaks_or_speaks_something_else_is_tried_again() {
    for bytes in ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0garbage that is no frame of anything at all"] {
        let service = Scripted::start([Move::Send(bytes.to_owned())]);
        let outcome = grpc(&service.url(), &[]).attempt(&parcel()).await;
        assert!(matches!(&outcome, Outcome::Later { after: None, .. }), "{bytes:?}: {outcome:?}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = grpc(&gone.to_string(), &[("OTEL_EXPORTER_OTLP_INSECURE", "true")]).attempt(&parcel()).await;
    assert!(matches!(&outcome, Outcome::Later { why, .. } if why.contains("Connection refused")), "{outcome:?}");
}
