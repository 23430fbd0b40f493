//! Streamed answers: as they come, whole to their end, and given up when nobody reads.

use std::collections::BTreeSet;

use harness::{Collector, FakeModel, Stream, TestHost};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn the_first_chunk_leaves_while_the_model_still_writes() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let host = TestHost::flow("llm_relays").model(&model).start().await;

    let mut stream = host.stream(json!({"question": "hi"})).await;
    assert_eq!(stream.status, 200);
    let first = stream.next().await.expect("a chunk before the model has finished");
    assert_eq!(first.json(), json!({"answer": "one "}));

    model.release(1);
    let rest: Vec<_> = stream.rest().await.iter().map(|frame| frame.json()["answer"].clone()).collect();
    assert_eq!(rest, [json!("two "), json!("three")]);
}

/// Streams so much, and fails.
const BREAKS: &str = "
inputs: {count: {type: int}}
outputs: {answer: {type: string, reference: '${speak.output}'}}
nodes:
- name: speak
  type: wasm
  source: {type: code, path: guests/run_streams.wasm}
  inputs: {count: '${inputs.count}', fails: true}
";

#[tokio::test]
async fn what_a_quick_node_has_streamed_comes_before_its_failure() {
    let host = TestHost::written("breaks", BREAKS).start().await;
    // After some runs it is known to be quick, and has ended before anybody looks for its first chunk.
    for run in 0..20 {
        let frames = host.stream(json!({"count": 1})).await.rest().await;
        let events: Vec<_> = frames.iter().map(|frame| frame.event.as_deref()).collect();
        assert_eq!(
            (frames[0].json(), &events[..]),
            (json!({"answer": "chunk 0 "}), &[None, Some("error")][..]),
            "{run}"
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_frame_and_a_red_trace() {
    let collector = Collector::start();
    let host = TestHost::written("breaks", BREAKS).collector(&collector).start().await;

    let frames = host.stream(json!({"count": 2})).await.rest().await;
    let data: Vec<_> = frames.iter().map(|frame| (frame.event.as_deref(), frame.json())).collect();
    let error = json!({"error": {
        "code": "SystemError",
        "message": "the stream broke off",
        "innerError": {"code": "NodeSystemError"},
        "details": {"node": "speak"},
    }});
    let expected =
        [(None, json!({"answer": "chunk 0 "})), (None, json!({"answer": "chunk 1 "})), (Some("error"), error)];
    assert_eq!(data, expected);

    let trace = collector.only_trace().await;
    for name in ["POST /score", "breaks", "speak"] {
        assert_eq!(trace.span(name).attributes["error.type"], json!("StreamBroken"), "{name}");
    }
    host.stop().await;
    let labels = [("flow", "breaks"), ("response_code", "200"), ("exception", "StreamBroken"), ("streaming", "True")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(collector.metric("flow_request").counts(), [(labels.into(), 1)].into());
}

#[tokio::test]
async fn other_outputs_come_first_and_spans_end_after_the_last_chunk() {
    let flow = "
inputs: {count: {type: int}}
outputs:
  answer: {type: string, reference: '${speak.output}'}
  count: {type: int, reference: '${inputs.count}'}
nodes:
- name: speak
  type: wasm
  source: {type: code, path: guests/run_streams.wasm}
  inputs: {count: '${inputs.count}'}
";
    let collector = Collector::start();
    let host = TestHost::written("speaks", flow).collector(&collector).start().await;

    let frames = host.stream(json!({"count": 1})).await.rest().await;
    let data: Vec<_> = frames.iter().map(harness::Frame::json).collect();
    assert_eq!(data, [json!({"count": 1}), json!({"answer": "chunk 0 "})]);

    let trace = collector.only_trace().await;
    let (request, flow, node) = (trace.span("POST /score"), trace.span("speaks"), trace.span("speak"));
    assert!(node.end <= flow.end && flow.end <= request.end, "a child outlives its parent");
    assert_eq!(flow.attributes["output"], json!(r#"{"answer":"chunk 0 ","count":1}"#));

    // The same flow for a client that wants it whole.
    host.score(json!({"count": 2})).await.assert_ok(json!({"answer": "chunk 0 chunk 1 ", "count": 2}));
    host.stop().await;
    let types: Vec<_> = collector
        .metric("flow_latency")
        .counts()
        .into_keys()
        .map(|mut labels| labels.remove("response_type"))
        .collect();
    assert_eq!(
        types.into_iter().flatten().collect::<BTreeSet<_>>(),
        ["default", "firstbyte", "lastbyte"].map(str::to_owned).into()
    );
}

/// Every span of a request whose client has gone: ended, and told as what it is.
async fn assert_given_up(host: TestHost, collector: &Collector, names: &[&str]) {
    host.stop().await;
    let mut spans: Vec<_> =
        collector.spans().into_iter().map(|span| (span.name, span.attributes["error.type"].clone())).collect();
    spans.sort_by(|one, other| one.0.cmp(&other.0));
    let mut expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), json!("Cancelled"))).collect();
    expected.push(("POST /score".to_owned(), json!("ClientDisconnect")));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(spans, expected);
    let requests = collector.metric("flow_request").label("exception", "ClientDisconnect");
    assert_eq!((requests.count(), requests.label("response_code", "499").count()), (1, 1));
}

/// Flows that hand on the answer of a model: that has accepted the request, and that was not asked yet.
const RELAYS: [&str; 2] = ["llm_relays", "llm_relays_at_once"];

/// The spans of such a flow: its own, that of its node of the same name, and the call's.
fn spans_of(flow: &str) -> [&str; 3] {
    [flow, flow, "openai_chat"]
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_nodes_and_the_call_to_the_model() {
    let accepts = ["application/json", "text/event-stream"];
    for (flow, accept) in RELAYS.iter().flat_map(|flow| accepts.map(|accept| (flow, accept))) {
        let model = FakeModel::replies("one two").gated().start();
        let collector = Collector::start();
        let host = TestHost::flow(flow).model(&model).collector(&collector).start().await;
        let headers = [("accept", accept)];
        tokio::select! {
            reply = host.score_with(&headers, r#"{"question": "hi"}"#) => panic!("{flow}, {accept}: {}", reply.text()),
            requests = model.requested(1) => assert_eq!(requests.len(), 1),
        }
        model.abandoned(1).await;
        assert_given_up(host, &collector, &spans_of(flow)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_the_nodes_and_the_call_to_the_model() {
    // The first frame of the model has no text. After the third it has said all, but not that this is the end.
    let left = [(2, 1), (3, 2)];
    for (flow, (held, chunks)) in RELAYS.iter().flat_map(|flow| left.map(|left| (flow, left))) {
        let model = FakeModel::replies("one two").holding_streams_after(held).start();
        let collector = Collector::start();
        let host = TestHost::flow(flow).model(&model).collector(&collector).start().await;

        let mut stream = host.stream(json!({"question": "hi"})).await;
        for _ in 0..chunks {
            stream.next().await.expect("a chunk");
        }
        drop(stream);
        model.abandoned(1).await;
        assert_given_up(host, &collector, &spans_of(flow)).await;
    }
}

#[tokio::test]
async fn clients_that_hang_up_at_any_byte_leave_nothing_behind() {
    let collector = Collector::start();
    let host = TestHost::flow("run_streams").collector(&collector).start().await;
    let body = r#"{"count": 3}"#;
    let request = format!(
        "POST /score HTTP/1.1\r\nhost: h\r\naccept: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for end in 1..=request.len() {
        let mut socket = TcpStream::connect(host.address()).await.expect("the host accepts connections");
        socket.set_zero_linger().expect("a socket of our own");
        socket.write_all(&request.as_bytes()[..end]).await.expect("the host takes what is sent");
    }
    let frames = host.stream(json!({"count": 1})).await.rest().await;
    assert_eq!(frames.len(), 1);
    host.stop().await;
    let spans = collector.spans();
    let ids: BTreeSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    let orphans: Vec<_> =
        spans.iter().filter(|span| span.parent.as_ref().is_some_and(|parent| !ids.contains(parent))).collect();
    assert!(orphans.is_empty(), "a span has not ended: {orphans:?}");
}

#[tokio::test]
async fn a_stream_that_stalls_is_cut_at_the_time_of_its_flow_or_node() {
    let flow = |limits: &str| {
        format!(
            "inputs: {{question: {{type: string}}}}
outputs: {{answer: {{type: string, reference: '${{stalls.output}}'}}}}
nodes:
- name: stalls
  type: wasm
  source: {{type: code, path: guests/llm_streams_by_hand.wasm}}
  inputs: {{connection: open_ai_connection, question: '${{inputs.question}}'}}
  grants: {{llm: [open_ai_connection]}}
  limits: {limits}
"
        )
    };
    for (limits, seconds, code, of_node) in
        [("{}", "2", "FlowTimeout", "Cancelled"), ("{timeout: 2s}", "300", "NodeTimeout", "NodeTimeout")]
    {
        let model = FakeModel::replies("one two").holding_streams_after(1).start();
        let collector = Collector::start();
        let host = TestHost::written("stalling", &flow(limits))
            .model(&model)
            .env("PF_LINE_TIMEOUT_SEC", seconds)
            .collector(&collector)
            .start()
            .await;
        let frames = host.stream(json!({"question": "hi"})).await.rest().await;
        let events: Vec<_> = frames.iter().map(|frame| frame.event.as_deref()).collect();
        assert_eq!(events, [None, Some("error")], "{frames:?}");
        let error = &frames[1].json()["error"];
        assert_eq!((&error["code"], &error["innerError"]["code"]), (&json!("SystemError"), &json!(code)), "{error}");

        let trace = collector.only_trace().await;
        let types = ["POST /score", "stalling", "stalls"].map(|name| trace.span(name).attributes["error.type"].clone());
        assert_eq!(types, [code, code, of_node].map(|code| json!(code)));
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_the_guest() {
    // A chunk of one letter is a frame of 1 kB, so that what the sockets hold, some megabytes, is a small part of the
    // 200 000 that the node may stream.
    let name = "a".repeat(1000);
    let flow = format!(
        "inputs: {{}}
outputs: {{{name}: {{type: string, reference: '${{emits.output}}'}}}}
nodes:
- name: emits
  type: wasm
  source: {{type: code, path: guests/run_streams_endlessly.wasm}}
  limits: {{timeout: 2s}}
"
    );
    let collector = Collector::start();
    let host = TestHost::written("endless", &flow).collector(&collector).start().await;
    let mut stream = host.stream(json!({})).await;
    // Ends at its own time, and not because it has streamed all it may.
    let node = collector.span("emits").await;
    assert_eq!(node.attributes["error.type"], json!("NodeTimeout"));
    let taken = node.attributes["metrics.taken"].as_f64().expect("a number");
    assert!((8.0..20_000.0).contains(&taken), "{taken} chunks were taken from a node that nobody reads");

    let frames = stream.rest().await;
    assert_eq!(frames.last().and_then(|frame| frame.event.as_deref()), Some("error"));
    assert!(frames.len() as f64 <= taken + 2.0, "{} frames of {taken} chunks", frames.len());
}

#[tokio::test]
async fn a_silent_stream_says_that_it_lives_to_those_who_watch_the_connection() {
    let model = FakeModel::replies("one two").holding_streams_after(2).start();
    let host = TestHost::flow("llm_relays").model(&model).env("WEIR_STREAM_KEEP_ALIVE", "1ms").start().await;

    let mut stream = host.stream(json!({"question": "hi"})).await;
    assert_eq!(stream.next().await.expect("a chunk").json(), json!({"answer": "one "}));
    assert_eq!(stream.comment().await, "keep-alive");
    model.release(1);
    let rest: Vec<_> = stream.rest().await.iter().map(harness::Frame::json).collect();
    assert_eq!(rest, [json!({"answer": "two"})]);
}

#[tokio::test]
async fn a_client_that_takes_a_stream_alone_is_refused_before_a_flow_runs_that_has_none() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    assert_eq!(host.stream_with(&[], "hi").await.status, 406);
    host.stop().await;
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["POST /score"]);
}

#[tokio::test]
async fn an_answer_that_turns_out_whole_is_a_stream_of_one_event_to_those_that_take_nothing_else() {
    for (flow, event, json) in [
        ("run_streams", json!({"answer": ""}), json!({"answer": ""})),
        // The reply is one bare value; events have its name.
        ("flex_streams", json!({"output": ""}), json!("")),
    ] {
        let host = TestHost::flow(flow).start().await;
        let frames: Vec<_> =
            host.stream(json!({"count": 0})).await.rest().await.iter().map(harness::Frame::json).collect();
        assert_eq!(frames, [event], "{flow}");
        let both = [("accept", "text/event-stream, application/json")];
        let reply = host.score_with(&both, r#"{"count": 0}"#).await;
        assert_eq!((reply.header("content-type"), reply.json()), (Some("application/json"), json), "{flow}");
    }
}

#[tokio::test]
async fn the_end_of_a_stream_tells_what_its_head_has_told() {
    let host = TestHost::flow("run_streams").start().await;
    let mut stream = host.stream(json!({"count": 1})).await;
    let header = |stream: &Stream, name: &str| stream.headers[name].to_str().expect("text").to_owned();
    let told = |stream: &Stream| json!({"trace_id": header(stream, "x-trace-id"), "feedback_token": header(stream, "x-feedback-token")});
    assert_eq!(stream.rest().await.len(), 1, "a comment is no event");
    let expected = told(&stream);
    let comments: Vec<Value> = stream.comments.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
    assert_eq!(comments, [expected]);

    let asks = [("accept", "text/event-stream;done=true")];
    let mut stream = host.stream_with(&asks, r#"{"count": 1}"#).await;
    let frames = stream.rest().await;
    let last = frames.last().expect("an event");
    assert_eq!((frames.len(), last.event.as_deref(), last.json()), (2, Some("done"), told(&stream)));
    assert_eq!(stream.comments, [""; 0]);
}
