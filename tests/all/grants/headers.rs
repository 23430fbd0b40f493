//! What guests put into the heads and ends of their requests, to be taken for somebody else or for two requests.

use harness::FakeService;
use serde_json::{Value, json};

use super::{echo, host, outcomes, raw};

/// A request with these headers.
fn with(origin: &str, headers: &[(&str, &str)]) -> Value {
    let mut request = raw("GET", origin, "/");
    request["headers"] = json!(headers);
    request
}

fn values<'a>(request: &'a http::Request<bytes::Bytes>, name: &str) -> Vec<&'a str> {
    request.headers().get_all(name).iter().map(|value| value.to_str().expect("a text")).collect()
}

#[tokio::test]
async fn headers_that_say_where_a_request_ends_or_goes_are_not_the_guests() {
    let service = echo();
    let origin = service.origin();
    let host = host("http_raw", &format!("grants: {{http: ['{origin}']}}")).start().await;
    let forbidden = [
        "Host",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "Upgrade",
        "HTTP2-Settings",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "Proxy-Connection",
        "transfer-ENCODING",
    ];
    for name in forbidden {
        let outcome = outcomes(&host, json!([with(&origin, &[(name, "chunked")])])).await;
        assert_eq!(outcome, [format!("header {name:?}: HeaderError::Forbidden")]);
    }
    let malformed = [
        ("x", "a\r\nhost: evil"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\0b"),
        ("x y", "a"),
        ("x:", "a"),
        ("", "a"),
        ("x\r\ny", "a"),
        ("höst", "a"),
    ];
    for (name, value) in malformed {
        let outcome = outcomes(&host, json!([with(&origin, &[(name, value)])])).await;
        assert_eq!(outcome, [format!("header {name:?}: HeaderError::InvalidSyntax")], "{value:?}");
    }
    assert!(service.requests().is_empty());
    host.stop().await;
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_not_sent() {
    let service = echo();
    let origin = service.origin();
    let host = host("http_raw", &format!("grants: {{http: ['{origin}']}}")).start().await;
    for (lengths, body) in [
        (&["3"][..], "four"),
        (&["5"], "four"),
        (&["4", "5"], "four"),
        (&["+4"], "four"),
        (&["0x4"], "four"),
        (&["4, 4"], "four"),
        (&["-1"], "four"),
        (&["99999999999999999999"], "four"),
    ] {
        let lengths: Vec<_> = lengths.iter().map(|length| ("content-length", *length)).collect();
        let mut request = with(&origin, &lengths);
        request["method"] = json!("POST");
        request["body"] = json!(body);
        let outcome = outcomes(&host, json!([request])).await;
        assert!(outcome[0].contains("Header") || outcome[0].starts_with("ErrorCode::Http"), "{lengths:?}: {outcome:?}");
    }
    // Nothing of these is a request that the service has seen whole.
    assert!(service.requests().is_empty(), "{:?}", service.requests());
    // What it does see is one length, and the right one.
    let mut right = with(&origin, &[("content-length", "4")]);
    right["body"] = json!("four");
    right["method"] = json!("POST");
    assert_eq!(outcomes(&host, json!([right])).await, ["200 POST /"]);
    let request = service.only_request();
    assert_eq!(values(&request, "content-length"), ["4"]);
    assert_eq!(values(&request, "transfer-encoding"), [""; 0]);
    assert_eq!(values(&request, "host"), [origin.trim_start_matches("http://")]);
    host.stop().await;
}

#[tokio::test]
async fn what_follows_a_body_is_not_sent() {
    let service = echo();
    let origin = service.origin();
    let host = host("http_raw", &format!("grants: {{http: ['{origin}']}}")).start().await;
    let with_trailers = |name: &str| {
        let mut request = raw("POST", &origin, "/");
        request["headers"] = json!([["te", "trailers"], ["trailer", name]]);
        request["body"] = json!("text");
        request["trailers"] = json!({name: "x"});
        request
    };
    let outcome = outcomes(&host, json!([with_trailers("x-checksum"), with_trailers("host")])).await;
    assert_eq!(outcome[0], "200 POST /");
    assert_eq!(outcome[1], "trailer \"host\": HeaderError::Forbidden");
    assert_eq!(service.requests().len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn a_service_with_a_key_is_shown_that_key_and_nobody_elses() {
    let (own, other) = (echo(), echo());
    let connection =
        format!("{{name: safety, type: azure_content_safety, endpoint: '{}', api_key: the-key}}", own.origin());
    let grants = format!("grants: {{http: [{{connection: safety}}, '{}']}}", other.origin());
    let host = host("http_raw", &grants).connection_file("safety", &connection).start().await;
    let names = ["authorization", "api-key", "x-api-key", "cookie", "ocp-apim-subscription-key"];
    let said: Vec<_> = names.iter().map(|name| (*name, "the guest's")).collect();
    for service in [&own, &other] {
        assert_eq!(outcomes(&host, json!([with(&service.origin(), &said)])).await, ["200 GET /"]);
    }
    host.stop().await;
    let shown = |service: &FakeService| {
        let request = service.only_request();
        names.map(|name| values(&request, name).join(" and "))
    };
    assert_eq!(shown(&own), ["", "", "", "", "the-key"]);
    // A service that is nobody's connection is the guest's affair: it has no key but what it was given.
    assert_eq!(shown(&other), ["the guest's"; 5]);
}

#[tokio::test]
async fn the_key_does_not_follow_a_redirect() {
    let elsewhere = echo();
    let target = elsewhere.origin();
    let own = FakeService::start(move |_| {
        let answer = http::Response::builder().status(307).header("location", &target);
        answer.body(bytes::Bytes::new()).expect("a response")
    });
    let connection =
        format!("{{name: safety, type: azure_content_safety, endpoint: '{}', api_key: the-key}}", own.origin());
    let grants = format!("grants: {{http: [{{connection: safety}}, '{}']}}", elsewhere.origin());
    let host = host("http_raw", &grants).connection_file("safety", &connection).start().await;
    // The host follows none; the guest does, by a request that its grant covers.
    assert_eq!(outcomes(&host, json!([raw("GET", &own.origin(), "/")])).await, ["307 "]);
    assert!(elsewhere.requests().is_empty());
    assert_eq!(outcomes(&host, json!([raw("GET", &elsewhere.origin(), "/")])).await, ["200 GET /"]);
    host.stop().await;
    assert_eq!(values(&own.only_request(), "ocp-apim-subscription-key"), ["the-key"]);
    assert_eq!(values(&elsewhere.only_request(), "ocp-apim-subscription-key"), [""; 0]);
}
