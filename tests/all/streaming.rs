//! Streamed answers: as they come, whole to their end, and given up when nobody reads.

use harness::{Collector, FakeModel, TestHost};
use serde_json::json;

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

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_frame_and_a_red_trace() {
    let flow = "
inputs: {count: {type: int}}
outputs: {answer: {type: string, reference: '${speak.output}'}}
nodes:
- name: speak
  type: wasm
  source: {type: code, path: guests/run_streams.wasm}
  inputs: {count: '${inputs.count}', fails: true}
";
    let collector = Collector::start();
    let host = TestHost::written("breaks", flow).collector(&collector).start().await;

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
        types.into_iter().flatten().collect::<std::collections::BTreeSet<_>>(),
        ["default", "firstbyte", "lastbyte"].map(str::to_owned).into()
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_nodes_and_the_call_to_the_model() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_relays").model(&model).collector(&collector).start().await;

    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");
    drop(stream);
    model.abandoned(1).await;

    let trace = collector.only_trace().await;
    assert_eq!(trace.span("POST /score").attributes["error.type"], json!("ClientDisconnect"));
    host.stop().await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 4, "every span that was started has ended: {spans:?}");
}
