//! Streams: who gets one, what is in it, and how one ends that fails.

use harness::{FakeModel, TestHost};

use super::table::{better, check, events, ok, same, system, user};

/// A flex flow whose answer is a stream of any values.
pub(super) const VALUES: &str = "entry: guests/run_streams_values.wasm\n";

const EVENTS: &str = "text/event-stream";

/// The original compares the header by its letters.
const STANDARD: &str = "so the standard for HTTP says";

fn not_acceptable(accept: &str, supported: &str) -> super::table::Answer {
    let message =
        format!("Media type {accept} in Accept header is not acceptable. Supported media type(s) - {supported}");
    user(406, "NotAcceptable", &message)
}

#[tokio::test]
async fn of_a_node_that_streams() {
    let host = TestHost::flow("conformance_stream_gen").start().await;
    let body = r#"{"text": "a b"}"#;
    let stream = || events(&[r#"{"source":"a b"}"#, r#"{"answer": "a"}"#, r#"{"answer": " b"}"#]);
    let whole = || ok(r#"{"answer":"a b","source":"a b"}"#);
    let both = "text/event-stream, application/json";
    let broken = |data: &[&str]| system(500, "NodeSystemError", "stream broke").of("speak").after(data);
    let silent = "its stream just ends: a client cannot tell half an answer from a whole one";
    check(
        &host,
        [
            same("a stream alone", body, stream()).accepting(EVENTS),
            same("a stream first", body, stream()).accepting(both),
            same("a stream last", body, stream()).accepting("application/json, text/event-stream"),
            same("a stream or anything", body, stream()).accepting("text/event-stream, */*"),
            same("no header", body, whole()),
            same("an empty header", body, whole()).accepting(""),
            same("anything", body, whole()).accepting("*/*"),
            same("JSON", body, whole()).accepting("application/json"),
            same("any application", body, whole()).accepting("application/*"),
            same("a page", body, not_acceptable("text/html", both)).accepting("text/html"),
            same("any text", body, not_acceptable("text/*", both)).accepting("text/*"),
            better("in capitals", body, stream(), STANDARD).accepting("TEXT/EVENT-STREAM"),
            better("a weight", body, stream(), STANDARD).accepting("text/event-stream;q=0.9"),
            better("JSON weighs more", body, whole(), STANDARD).accepting("text/event-stream;q=0.5, application/json"),
            better("no stream", body, whole(), STANDARD).accepting("text/event-stream;q=0, */*"),
            better("no JSON", body, not_acceptable("application/json;q=0", both), STANDARD)
                .accepting("application/json;q=0"),
            // A failure before the first chunk has a status of its own.
            same("it breaks at once", r#"{"text": "BOOM"}"#, system(500, "NodeSystemError", "stream broke").of("speak"))
                .accepting("application/json"),
            better(
                "it breaks at once in a stream",
                r#"{"text": "BOOM"}"#,
                system(500, "NodeSystemError", "stream broke").of("speak"),
                silent,
            )
            .accepting(EVENTS),
            better(
                "it breaks",
                r#"{"text": "a BOOM"}"#,
                broken(&[r#"{"source":"a BOOM"}"#, r#"{"answer": "a"}"#]),
                silent,
            )
            .accepting(EVENTS),
            better(
                "nothing to say",
                r#"{"text": " "}"#,
                events(&[r#"{"answer":"","source":""}"#]),
                "it leaves out the output that is empty, so that a client misses it",
            )
            .accepting(EVENTS),
            same(
                "a body that does not fit",
                r#"{"text": "a", "delay": "long"}"#,
                user(
                    400,
                    "InputTypeError",
                    "The input for flow is incorrect. The value for flow input 'delay' does not match the expected type \
                     'double'. Please change flow input type or adjust the input value in your input data.",
                ),
            )
            .accepting(EVENTS),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_nodes_that_do_not_stream() {
    let host = TestHost::flow("conformance_trivial3").start().await;
    let whole = || ok(r#"{"result":"[A:1]","length":1}"#);
    let only = "application/json";
    check(
        &host,
        [
            same("a stream alone", "a", not_acceptable(EVENTS, only)).accepting(EVENTS),
            same("a stream first", "a", whole()).accepting("text/event-stream, application/json"),
            same("a stream or anything", "a", whole()).accepting("text/event-stream;q=1, */*"),
            same("a page", "a", not_acceptable("text/html", only)).accepting("text/html"),
            better("in capitals", "a", whole(), STANDARD).accepting("APPLICATION/JSON"),
            better("a weight", "a", whole(), STANDARD).accepting("application/json;q=0.5"),
            better("a browser", "a", whole(), STANDARD).accepting("text/html, application/xhtml+xml, */*;q=0.8"),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_model() {
    let model = FakeModel::echo().start();
    let host = TestHost::flow("conformance_chat").model(&model).start().await;
    let stream = events(&[r#"{"answer": "one "}"#, r#"{"answer": "two"}"#]);
    check(&host, [same("its words", r#"{"question": "one two"}"#, stream).accepting(EVENTS)]).await;

    let model = FakeModel::replies("one two three").cutting_streams_after(3).start();
    let host = TestHost::flow("conformance_chat").model(&model).start().await;
    let mut stream = host.stream_with(&[], r#"{"question": "q"}"#).await;
    let frames = stream.rest().await;
    let (last, data) = frames.split_last().expect("an error at least");
    let data: Vec<_> = data.iter().map(|frame| frame.data.as_str()).collect();
    assert_eq!(
        (data.as_slice(), last.event.as_deref()),
        (&[r#"{"answer": "one "}"#, r#"{"answer": "two "}"#][..], Some("error"))
    );
}

#[tokio::test]
async fn of_values_that_are_no_text() {
    let host = TestHost::written("values", VALUES).start().await;
    let stream = events(&[r#"{"output": 0}"#, r#"{"output": {"a":[null]}}"#, r#"{"output": "é"}"#]);
    let body = r#"{"values": [0, {"a": [null]}, "é"]}"#;
    check(&host, [same("numbers stay numbers", body, stream).accepting(EVENTS)]).await;
}

#[tokio::test]
async fn of_two_at_once() {
    let flow = "
inputs: {count: {type: int}}
outputs:
  a: {type: string, reference: '${one.output}'}
  b: {type: string, reference: '${two.output}'}
nodes:
- {name: one, type: wasm, source: {path: guests/run_streams.wasm}, inputs: {count: '${inputs.count}'}}
- {name: two, type: wasm, source: {path: guests/run_streams.wasm}, inputs: {count: '${inputs.count}'}}
";
    let host = TestHost::written("two", flow).start().await;
    let many = "Multiple stream output fields not supported.";
    check(
        &host,
        [
            same("both whole", r#"{"count": 1}"#, ok(r#"{"a":"chunk 0 ","b":"chunk 0 "}"#)),
            same("both streamed", r#"{"count": 1}"#, user(400, "MultipleStreamOutputFieldsNotSupported", many))
                .accepting(EVENTS),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_failure_of_ours() {
    let flow = "
inputs: {count: {type: int}}
outputs: {a: {type: string, reference: '${one.output}'}}
nodes:
- {name: one, type: wasm, source: {path: guests/run_streams.wasm}, inputs: {count: '${inputs.count}', fails: true}}
";
    let host = TestHost::written("fails", flow).start().await;
    let failure = || system(500, "NodeSystemError", "the stream broke off").of("one");
    check(
        &host,
        [
            same("whole", r#"{"count": 1}"#, failure()),
            better("streamed", r#"{"count": 1}"#, failure().after(&[r#"{"a": "chunk 0 "}"#]), "its stream just ends")
                .accepting(EVENTS),
        ],
    )
    .await;
}
