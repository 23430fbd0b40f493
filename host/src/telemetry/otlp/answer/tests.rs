use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use tonic_types::ErrorDetails;

use super::*;

const PROTOBUF: &str = "application/x-protobuf";

fn parcel(signal: Signal) -> Parcel {
    Parcel { signal, items: 10, body: Bytes::new() }
}

fn answered(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Outcome {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    http(&parcel(Signal::Traces), StatusCode::from_u16(status).unwrap(), &headers, &body.into())
}

fn all() -> Outcome {
    Outcome::Taken { rejected: 0, why: String::new() }
}

fn later(after: Option<u64>, why: &str) -> Outcome {
    Outcome::Later { after: after.map(Duration::from_secs), why: why.to_owned() }
}

fn partial(rejected_spans: i64, message: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

#[test]
fn a_success_is_one_if_a_collector_says_so() {
    let content = |value| [("content-type", value)];
    assert_eq!(answered(200, &[], ""), all());
    assert_eq!(answered(202, &content(PROTOBUF), ""), all());
    assert_eq!(answered(200, &content("application/json"), "{}"), all());
    assert_eq!(answered(200, &content("text/plain"), "ok"), all());
    let page = later(None, "HTTP 200 OK: a web page answers, no collector");
    assert_eq!(answered(200, &content("text/html; charset=utf-8"), "hello"), page);
    assert_eq!(answered(200, &[], "\n <!DOCTYPE html>"), page);
    let unread = later(None, "HTTP 200 OK: the answer cannot be read");
    assert_eq!(answered(200, &content(PROTOBUF), &b"\xff\xff\xff"[..]), unread);
}

#[test]
fn what_was_rejected_in_part_is_counted() {
    let of = |body| answered(200, &[("content-type", PROTOBUF)], body);
    assert_eq!(of(partial(0, "you send old names")), all());
    let some = |rejected, why: &str| Outcome::Taken { rejected, why: why.to_owned() };
    assert_eq!(of(partial(3, "too\nold")), some(3, "partial success: too old"));
    assert_eq!(of(partial(1000, "")), some(10, "partial success: "));
    assert_eq!(of(partial(-1, "")), all());

    let metrics = ExportMetricsPartialSuccess { rejected_data_points: 2, error_message: "m".to_owned() };
    let metrics = ExportMetricsServiceResponse { partial_success: Some(metrics) }.encode_to_vec();
    assert_eq!(taken(&parcel(Signal::Metrics), metrics.into()), Ok(some(2, "partial success: m")));
    let logs = ExportLogsPartialSuccess { rejected_log_records: 4, error_message: "l".to_owned() };
    let logs = ExportLogsServiceResponse { partial_success: Some(logs) }.encode_to_vec();
    assert_eq!(taken(&parcel(Signal::Logs), logs.into()), Ok(some(4, "partial success: l")));
}

#[test]
fn what_may_pass_is_sent_again_and_what_may_not_is_refused() {
    for (status, why) in [
        (408, "HTTP 408 Request Timeout"),
        (429, "HTTP 429 Too Many Requests"),
        (502, "HTTP 502 Bad Gateway"),
        (503, "HTTP 503 Service Unavailable"),
        (504, "HTTP 504 Gateway Timeout"),
        (401, "HTTP 401 Unauthorized"),
        (403, "HTTP 403 Forbidden"),
        (407, "HTTP 407 Proxy Authentication Required"),
        (302, "HTTP 302 Found"),
    ] {
        assert_eq!(answered(status, &[("retry-after", "7")], ""), later(Some(7), why));
    }
    assert_eq!(answered(413, &[], ""), Outcome::TooLarge { why: "HTTP 413 Payload Too Large".to_owned() });
    for (status, why) in [
        (400, "HTTP 400 Bad Request"),
        (404, "HTTP 404 Not Found"),
        (500, "HTTP 500 Internal Server Error"),
        (501, "HTTP 501 Not Implemented"),
    ] {
        assert_eq!(answered(status, &[], ""), Outcome::Refused { why: why.to_owned() });
    }
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_collector() {
    let status = tonic_types::pb::Status { code: 3, message: "no such\ntenant".to_owned(), details: Vec::new() };
    let refused = |why: &str| Outcome::Refused { why: format!("HTTP 400 Bad Request{why}") };
    assert_eq!(answered(400, &[("content-type", PROTOBUF)], status.encode_to_vec()), refused(": no such tenant"));
    assert_eq!(answered(400, &[("content-type", "text/plain")], "no\u{7} tenant\n"), refused(": no tenant"));
    assert_eq!(answered(400, &[("content-type", "text/html")], "<h1>no</h1>"), refused(""));
    assert_eq!(answered(400, &[("content-type", PROTOBUF)], "\u{1}"), refused(""));
    let long = "é".repeat(300);
    assert_eq!(answered(400, &[], long.clone()), refused(&format!(": {}…", "é".repeat(200))));
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
    let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
    for (text, expected) in [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30)),
        ("Wed, 21 Oct 2026 07:27:00 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
    ] {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(pause(&headers, now), expected.map(Duration::from_secs), "{text}");
    }
    assert_eq!(pause(&HeaderMap::new(), now), None);
}

#[test]
fn of_grpc_the_codes_of_the_standard_are_sent_again() {
    for code in
        [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::Unavailable, Code::DataLoss]
    {
        assert_eq!(grpc(&Status::new(code, "later")), later(None, &format!("gRPC {code:?}: later")));
    }
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        assert_eq!(grpc(&Status::new(code, "")), later(None, &format!("gRPC {code:?}")));
    }
    for code in [Code::InvalidArgument, Code::Unimplemented, Code::Internal, Code::Unknown, Code::NotFound] {
        assert_eq!(grpc(&Status::new(code, "no")), Outcome::Refused { why: format!("gRPC {code:?}: no") });
    }
}

#[test]
fn who_is_full_names_a_pause_or_that_it_was_too_much_at_once() {
    let full = |message: &str| Status::new(Code::ResourceExhausted, message);
    assert_eq!(grpc(&full("busy")), later(None, "gRPC ResourceExhausted: busy"));
    let message = "received message larger than max (5 vs. 4)";
    let why = format!("gRPC ResourceExhausted: {message}");
    assert_eq!(grpc(&full(message)), Outcome::TooLarge { why });
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
        let asked = Status::with_error_details(code, "too large a crowd", details);
        assert_eq!(grpc(&asked), later(Some(9), &format!("gRPC {code:?}: too large a crowd")));
    }
}
