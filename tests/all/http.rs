//! Nodes and plain HTTP services: what is granted is sent, traced and counted, what is not does not leave the host.

use bytes::Bytes;
use harness::{Collector, FakeIdentity, FakeService, HostBuilder, Reply, Span, Status, TestHost};
use http::{Request, Response};
use serde_json::{Value, json};

/// A flow of one guest that is given a URL, with these grants.
fn flow(guest: &str, grants: &str) -> String {
    format!(
        "inputs:
  url: {{type: string}}
  header: {{type: list, default: []}}
  letters: {{type: int, default: 0}}
outputs:
  answer: {{type: object, reference: '${{{guest}.output}}'}}
nodes:
- name: {guest}
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  inputs: {{url: '${{inputs.url}}'{}}}
  limits: {{timeout: 5s}}
  grants: {grants}
",
        if guest == "http_posts" { ", letters: '${inputs.letters}'" } else { "" }
    )
}

fn host(guest: &str, grants: &str) -> HostBuilder {
    TestHost::written("asks", &flow(guest, grants))
}

/// A service that says what it was asked.
fn mirror() -> FakeService {
    FakeService::start(|request| {
        let query = request.uri().query().unwrap_or_default();
        answer(200, format!("{} {} {query} {}", request.method(), request.uri().path(), request.body().len()))
    })
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).body(body.into()).expect("a response")
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().expect("a text"))
}

/// Asks for the URL by a flow with these grants; gives the reply and the span of the request.
async fn ask(guest: &str, grants: &str, url: &str) -> (Reply, Span) {
    let collector = Collector::start();
    let host = host(guest, grants).collector(&collector).start().await;
    let reply = host.score(json!({"url": url})).await;
    host.stop().await;
    (reply, collector.only_trace().await.span("http.request").clone())
}

/// The message of a reply that is an error.
fn message(reply: &Reply) -> Value {
    reply.json()["error"]["message"].clone()
}

const NOT_GRANTED: &str = "the flow does not grant this request, or its host may not be reached; the trace says which, \
                           and `grants.http` of the node is the place to add it";

#[tokio::test]
async fn a_granted_request_is_sent_and_traced_without_its_query() {
    let service = mirror();
    let origin = service.origin();
    let (reply, span) = ask("http_gets", &format!("{{http: ['{origin}']}}"), &format!("{origin}/a/b?key=secret")).await;

    reply.assert_ok(json!({"answer": {"status": 200, "text": "GET /a/b key=secret 0"}}));
    let port = origin.rsplit_once(':').expect("a port").1;
    let port: u16 = port.parse().expect("a number");
    for (name, value) in [
        ("http.request.method", json!("GET")),
        ("url.full", json!(format!("{origin}/a/b"))),
        ("http.response.status_code", json!(200)),
        ("server.address", json!("127.0.0.1")),
        ("server.port", json!(port)),
        ("inputs", json!(format!(r#"{{"method":"GET","url":"{origin}/a/b"}}"#))),
        ("output", json!(r#"{"status":200,"bytes":21}"#)),
    ] {
        assert_eq!(span.attributes.get(name), Some(&value), "{name}");
    }
    // Who is called may be anyone, so the trace stays in the host.
    assert_eq!(header(&service.only_request(), "traceparent"), None);
}

#[tokio::test]
async fn a_request_is_counted_with_its_status() {
    let service = FakeService::start(|_| answer(404, "nothing here"));
    let collector = Collector::start();
    let origin = service.origin();
    let host = host("http_gets", &format!("{{http: ['{origin}']}}")).collector(&collector).start().await;
    host.score(json!({"url": origin})).await.assert_ok(json!({"answer": {"status": 404, "text": "nothing here"}}));
    host.stop().await;

    let calls = collector.metric("rpc_request").label("api_call", "http.request");
    assert_eq!(calls.label("exception", "404").count(), 1);
    assert_eq!(collector.only_trace().await.span("http.request").attributes["error.type"], "404");
}

#[tokio::test]
async fn a_body_is_sent_whole() {
    let service = mirror();
    let origin = service.origin();
    let host = host("http_posts", &format!("{{http: ['{origin}']}}")).start().await;
    let reply = host.score(json!({"url": origin, "letters": 3_000_000})).await;
    reply.assert_ok(json!({"answer": "POST /  3000000"}));
    assert_eq!(header(&service.only_request(), "content-length"), Some("3000000"));
    host.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_granted_does_not_leave_the_host() {
    let service = mirror();
    let origin = service.origin();
    let port = origin.rsplit_once(':').expect("a port").1;
    for (grants, url) in [
        // Another path, scheme, port, host.
        (format!("{{http: ['{origin}/v1']}}"), format!("{origin}/v2")),
        (format!("{{http: ['{origin}/v1']}}"), format!("{origin}/v1/%2e%2e/v2")),
        (format!("{{http: ['https://127.0.0.1:{port}']}}"), origin.clone()),
        ("{http: ['http://127.0.0.1']}".to_owned(), origin.clone()),
        ("{http: ['http://*.example.com']}".to_owned(), origin.clone()),
    ] {
        let (reply, span) = ask("http_gets", &grants, &url).await;
        assert_eq!((reply.status, message(&reply)), (500, NOT_GRANTED.into()), "{grants} {url}");
        assert_eq!(span.attributes["error.type"], "NotGranted", "{grants} {url}");
    }
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn http_without_grant() {
    let service = mirror();
    let (reply, span) = ask("http_gets", "{}", &service.origin()).await;
    assert_eq!((reply.status, message(&reply)), (500, NOT_GRANTED.into()));
    let explained = "NotGranted: node \"http_gets\" uses `http`, which its flow does not grant; add `http: [NAME]` under \
                     `grants` of the node";
    assert_eq!(span.attributes["error.type"], "NotGranted");
    assert_eq!(span.status, Status::Error(explained.to_owned()));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn http_reaches_private_address() {
    let service = mirror();
    let port = service.origin().rsplit_once(':').expect("a port").1.to_owned();
    // Any host is granted, but this machine is named by none of them.
    for (host, what) in [
        ("127.0.0.1", "this machine itself"),
        ("localhost", "this machine itself"),
        ("2130706433", "this machine itself"),
        ("[::ffff:127.0.0.1]", "this machine itself"),
        ("169.254.169.254", "a cloud's metadata service"),
    ] {
        let (reply, span) =
            ask("http_gets", &format!("{{http: ['http://*:{port}']}}"), &format!("http://{host}:{port}")).await;
        assert_eq!((reply.status, message(&reply)), (500, NOT_GRANTED.into()), "{host}");
        let Status::Error(status) = &span.status else { panic!("{host}: {:?}", span.status) };
        assert!(status.ends_with(&format!("may not be reached: it leads to {what}")), "{host}: {status}");
    }
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn a_private_host_that_a_grant_names_is_reached() {
    let service = mirror();
    let origin = service.origin().replace("127.0.0.1", "localhost");
    let (reply, _) = ask("http_gets", &format!("{{http: ['{origin}']}}"), &origin).await;
    reply.assert_ok(json!({"answer": {"status": 200, "text": "GET /  0"}}));
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow() {
    let elsewhere = mirror();
    let target = elsewhere.origin();
    let service = FakeService::start(move |_| {
        Response::builder().status(302).header("location", &target).body(Bytes::new()).expect("a response")
    });
    let (reply, _) = ask("http_gets", &format!("{{http: ['{}']}}", service.origin()), &service.origin()).await;
    reply.assert_ok(json!({"answer": {"status": 302, "text": ""}}));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_ends_the_reply() {
    let service = FakeService::start(|_| answer(200, vec![b'x'; 16 * 1024 * 1024 + 1]));
    let (reply, span) = ask("http_gets", &format!("{{http: ['{}']}}", service.origin()), &service.origin()).await;
    assert_eq!(reply.status, 500);
    assert_eq!(span.attributes["error.type"], "Exhausted");
    let message = "Exhausted: the answer of 127.0.0.1 is larger than the 16777216 bytes it may have; raise `limits.body` of the node if \
                   it may have more";
    assert_eq!(span.status, Status::Error(message.into()));
}

#[tokio::test]
async fn a_service_has_as_long_as_the_guest_gives_it() {
    // It listens, and never accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let flow = flow("http_gets", &format!("{{http: ['{url}']}}"));
    let flow = flow.replace("url: '${inputs.url}'", "url: '${inputs.url}', timeout_ms: 50");
    let collector = Collector::start();
    let host = TestHost::written("asks", &flow).collector(&collector).start().await;
    let reply = host.score(json!({"url": url})).await;
    host.stop().await;
    assert_eq!((reply.status, message(&reply)), (500, "the service did not answer in time".into()));
    assert_eq!(collector.only_trace().await.span("http.request").attributes["error.type"], "Timeout");
}

#[tokio::test]
async fn a_component_that_imports_http_describes_itself_without_it() {
    let file = harness::guest("http_gets");
    let exit = harness::run(&["inspect", file.to_str().expect("a path of text")]).await;
    assert!(exit.status.success() && exit.stdout.contains(r#""uses":["http"]"#), "{}{}", exit.stdout, exit.stderr);
}

const CONTENT_SAFETY: &str = "name: safety\ntype: azure_content_safety\nendpoint: ENDPOINT\napi_key: key-of-safety\n";

#[tokio::test]
async fn the_host_adds_the_key_of_a_connection_and_the_guest_cannot() {
    let service = mirror();
    let other = mirror();
    let grants = format!("{{http: [{{connection: safety}}, '{}']}}", other.origin());
    let flow =
        flow("http_gets", &grants).replace("url: '${inputs.url}'", "url: '${inputs.url}', header: '${inputs.header}'");
    let connection = CONTENT_SAFETY.replace("ENDPOINT", &service.origin());
    let host = TestHost::written("asks", &flow).connection_file("safety", &connection).start().await;
    for url in [service.origin(), other.origin()] {
        let inputs = json!({"url": url, "header": ["Ocp-Apim-Subscription-Key", "the guest's"]});
        assert_eq!(host.score(inputs).await.status, 200);
    }
    host.stop().await;

    let key = |service: &FakeService| {
        let request = service.only_request();
        let values = request.headers().get_all("ocp-apim-subscription-key").iter();
        values.map(|value| value.to_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(key(&service), ["key-of-safety"]);
    // The key goes to its own service and nowhere else.
    assert_eq!(key(&other), ["the guest's"]);
}

#[tokio::test]
async fn a_connection_by_identity_is_shown_a_token() {
    let (service, identity) = (mirror(), FakeIdentity::start());
    let connection =
        format!("{{name: search, type: cognitive_search, api_base: '{}', auth_mode: meid_token}}", service.origin());
    let host = host("http_gets", "{http: [{connection: search}]}")
        .connection_file("search", &connection)
        .env("IDENTITY_ENDPOINT", identity.endpoint())
        .env("IDENTITY_HEADER", harness::IDENTITY_HEADER)
        .start()
        .await;
    assert_eq!(host.score(json!({"url": service.origin()})).await.status, 200);
    host.stop().await;
    let bearer = format!("Bearer {}", harness::TOKEN);
    assert_eq!(header(&service.only_request(), "authorization"), Some(bearer.as_str()));
    assert_eq!(identity.queries(), ["api-version=2019-08-01&resource=https%3A%2F%2Fsearch.azure.com"]);
}

#[tokio::test]
async fn a_flow_that_asks_for_what_is_no_address_does_not_start() {
    let exit = host("http_gets", "{http: ['api.example.com']}").refuses().await;
    assert!(
        exit.told().contains(
            "node \"http_gets\": grants.http: \"api.example.com\": expected a scheme and a host, with or without a port \
             and a path, such as https://api.example.com, https://*.example.com/v1 or http://127.0.0.1:9000"
        ),
        "{}",
        exit.stderr
    );
}
