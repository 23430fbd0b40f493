//! Trace context over HTTP: what becomes of a caller's headers in spans, and in the requests that a flow makes.
//!
//! The W3C's test suite asks a service to call it back and looks at the headers it gets. Ours asks a flow whose model is
//! the test's own, and looks at those: see trace_context/vectors.rs for the cases.

mod vectors;

use std::collections::BTreeSet;

use harness::{Collector, FakeModel, Recorded, Span, TestHost};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use vectors::{Expected, Vector};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const QUESTION: &str = r#"{"question": "hi"}"#;

/// Sends headers as they are written, letter by letter, and gives the status.
async fn score(host: &TestHost, headers: &[String]) -> u16 {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = QUESTION.len();
    let request = format!(
        "POST /score HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{QUESTION}"
    );
    let mut socket = TcpStream::connect(host.address()).await.expect("the host accepts connections");
    socket.write_all(request.as_bytes()).await.expect("the host reads");
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.expect("the host answers");
    let status = reply.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("a reply has a status");
    status.parse().expect("a status is a number")
}

/// The parent that a request to the model names.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace: String,
    span: String,
    sampled: bool,
}

/// Reads the headers of a request that the host has made; they must be as strict as the standard is.
#[track_caller]
fn passed_on(request: &Recorded) -> (Parent, String) {
    let all = |name: &str| {
        let values = request.headers.get_all(name).iter().map(|value| value.to_str().expect("a text").to_owned());
        values.collect::<Vec<_>>()
    };
    let [parent] = all("traceparent").try_into().expect("one traceparent");
    let fields: Vec<&str> = parent.split('-').collect();
    let ["00", trace, span, flags] = fields[..] else { panic!("{parent}") };
    let hexadecimal = |text: &str, length| {
        text.len() == length
            && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
            && text.bytes().any(|it| it != b'0')
    };
    assert!(hexadecimal(trace, 32) && hexadecimal(span, 16), "{parent}");
    let sampled = match flags {
        "01" => true,
        "00" => false,
        _ => panic!("{parent}"),
    };
    (Parent { trace: trace.to_owned(), span: span.to_owned(), sampled }, all("tracestate").join(","))
}

#[tokio::test]
async fn the_headers_of_a_trace_mean_what_the_standard_says() {
    let (model, collector) = (FakeModel::replies("hello").start(), Collector::start());
    let host = TestHost::flow("llm_chats").model(&model).collector(&collector).start().await;
    let vectors = vectors::all();
    let mut faults = Vec::new();
    let mut passed = Vec::new();
    for (index, Vector { case, headers, expected }) in vectors.iter().enumerate() {
        let named: Vec<String> = headers.iter().cloned().chain([format!("x-request-id: v-{index}")]).collect();
        assert_eq!(score(&host, &named).await, 200, "{case}: no trace context may fail a request");
        let (parent, state) = passed_on(&model.requested(index + 1).await[index]);
        let found = match parent.trace == TRACE {
            true => Expected::Continues { sampled: parent.sampled, state },
            false if parent.sampled && state.is_empty() => Expected::Begins,
            false => panic!("{case}: a trace of its own is recorded, and knows no state: {parent:?} {state:?}"),
        };
        if found != *expected || parent.span == PARENT {
            faults.push(format!("{case}: expected {expected:?}, found {found:?}"));
        }
        passed.push(parent);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    host.stop().await;
    let spans = collector.spans();
    for (index, (Vector { case, expected, .. }, passed)) in vectors.iter().zip(passed).enumerate() {
        let id = json!(format!("v-{index}"));
        let of_request = |span: &&Span| span.name == "POST /score" && span.attributes.get("request_id") == Some(&id);
        let request = spans.iter().find(of_request).map(|span| (span.trace_id.as_str(), span.parent.as_deref()));
        let expected = match expected {
            Expected::Continues { sampled: true, .. } => Some((TRACE, Some(PARENT))),
            Expected::Continues { sampled: false, .. } => None,
            Expected::Begins => Some((passed.trace.as_str(), None)),
        };
        assert_eq!(request, expected, "{case}: the span of the request");
    }
}

/// A flow that asks its model three times.
fn thrice() -> String {
    let node = |name: &str| {
        format!(
            "- name: {name}\n  type: wasm\n  source: {{type: code, path: guests/llm_chats.wasm}}\n  inputs: {{connection: \
             open_ai_connection, question: '${{inputs.question}}', model: m}}\n  grants: {{llm: [open_ai_connection]}}\n"
        )
    };
    let outputs =
        ["a", "b", "c"].map(|name| format!("  {name}: {{type: string, reference: '${{{name}.output.text}}'}}\n"));
    let nodes = ["a", "b", "c"].map(node).concat();
    format!("inputs:\n  question: {{type: string}}\noutputs:\n{}nodes:\n{nodes}", outputs.concat())
}

#[tokio::test]
async fn several_calls_of_one_request_have_one_trace_and_parents_of_their_own() {
    let model = FakeModel::replies("hello").start();
    let host = TestHost::written("asks", &thrice()).model(&model).start().await;
    let good = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    let bad = format!("traceparent: 00-{}-{PARENT}-01", "0".repeat(32));
    for (index, (headers, continues)) in [(vec![good], true), (vec![], false), (vec![bad], false)].iter().enumerate() {
        assert_eq!(score(&host, headers).await, 200);
        let calls = model.requested(3 * (index + 1)).await[3 * index..].iter().map(passed_on).collect::<Vec<_>>();
        let traces: BTreeSet<_> = calls.iter().map(|(parent, _)| parent.trace.clone()).collect();
        let parents: BTreeSet<_> = calls.iter().map(|(parent, _)| parent.span.clone()).collect();
        assert_eq!((traces.len(), parents.len()), (1, 3), "{headers:?}: {calls:?}");
        assert_eq!(traces.contains(TRACE), *continues, "{headers:?}");
        assert!(!traces.contains(&"0".repeat(32)) && !parents.contains(PARENT), "{calls:?}");
    }
}

/// What a host with these settings tells of a request whose caller does not record: the parents of request spans, what
/// the model was told, and how many requests were counted.
async fn unrecorded(settings: &[(&str, &str)]) -> (Vec<Option<String>>, bool, u64) {
    let (model, collector) = (FakeModel::replies("hello").start(), Collector::start());
    let mut host = TestHost::flow("llm_chats").model(&model).collector(&collector);
    for (name, value) in settings {
        host = host.env(*name, *value);
    }
    let host = host.start().await;
    assert_eq!(score(&host, &[format!("traceparent: 00-{TRACE}-{PARENT}-00")]).await, 200);
    let (parent, _) = passed_on(&model.requests()[0]);
    assert_eq!(parent.trace, TRACE);
    host.stop().await;
    let spans = collector.spans();
    let requests = spans.iter().filter(|span| span.name == "POST /score" && span.trace_id == TRACE);
    (requests.map(|span| span.parent.clone()).collect(), parent.sampled, collector.metric("flow_request").count())
}

#[tokio::test]
async fn a_caller_that_does_not_record_is_followed_unless_the_operator_wants_to_see() {
    let below_the_caller = vec![Some(PARENT.to_owned())];
    assert_eq!(unrecorded(&[]).await, (vec![], false, 1));
    let record = ("WEIR_TRACE_UNSAMPLED", "record");
    assert_eq!(unrecorded(&[record]).await, (below_the_caller, true, 1));
    // What the standard variable says of traces that begin here holds for them too.
    assert_eq!(unrecorded(&[record, ("OTEL_TRACES_SAMPLER", "always_off")]).await, (vec![], false, 1));
}

#[tokio::test]
async fn baggage_is_taken_up_to_the_limits_of_the_standard_and_goes_nowhere_else() {
    let (model, collector) = (FakeModel::replies("hello").start(), Collector::start());
    let host = TestHost::flow("llm_chats").model(&model).collector(&collector).start().await;
    let parent = ("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let many = (0..65).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    // In two headers, since one of them would be too long for HTTP as we read it.
    let (half, other) = (format!("k={}", "x".repeat(4094)), format!("l={}", "y".repeat(4094)));
    for (baggage, entries) in [(vec![many.as_str()], 64), (vec![&half, &other], 0), (vec!["k=v", "l=w"], 2)] {
        let mut headers = vec![(parent.0, parent.1.as_str()), ("x-request-id", "score")];
        headers.extend(baggage.iter().map(|value| ("baggage", *value)));
        assert_eq!(host.score_with(&headers, QUESTION).await.status, 200);
        assert_eq!(host.feedback("", &headers, format!("{entries}")).await.status, 200);
    }
    host.stop().await;
    for (text, entries) in [("64", 64), ("0", 0), ("2", 2)] {
        let spans = collector.spans();
        let feedback = |span: &&Span| span.attributes.get("feedback") == Some(&Value::from(text));
        let feedback = spans.iter().find(feedback).expect("a span for each feedback");
        let found = feedback.attributes.keys().filter(|key| key.starts_with(['k', 'l'])).count();
        assert_eq!(found, entries);
    }
    for span in collector.spans().iter().filter(|span| span.name == "POST /score") {
        assert!(!span.attributes.contains_key("k0") && !span.attributes.contains_key("k"), "{span:?}");
    }
    for request in model.requests() {
        assert_eq!(request.headers.get("baggage"), None, "baggage stays here");
    }
}
