//! Guests that stream too much, too fast, or not at all any more.

use std::time::{Duration, Instant};

use harness::{Hostile, TestHost};
use serde_json::json;

use super::limits::flow;

const LIMIT: &str = "the stream is longer than the node's limits allow";

#[tokio::test]
async fn a_stream_without_end_is_ended_by_its_chunks() {
    let bad = || Hostile::guest_with("run_streams_endlessly", "limits: {chunks: 1000, chunk_rate: 10000}");
    bad().ends_as(500, "NodeSystemError", "StreamLimit", LIMIT).await;
    bad().breaks(1000, "NodeSystemError", "StreamLimit", LIMIT).await;
}

#[tokio::test]
async fn a_stream_without_end_is_ended_by_its_bytes() {
    // Each chunk is `"x"`.
    let bad = || Hostile::guest_with("run_streams_endlessly", "limits: {stream: 1KiB}");
    bad().ends_as(500, "NodeSystemError", "StreamLimit", LIMIT).await;
    bad().breaks(1024 / 3, "NodeSystemError", "StreamLimit", LIMIT).await;
}

#[tokio::test]
async fn a_node_that_ignores_the_end_of_its_stream_is_ended_by_its_calls() {
    let message =
        "node \"bad\" made more than its 1000 calls to the host; raise `limits.calls` of the node if it may make more";
    let bad = Hostile::guest_with("limits_ignores_refusals", "limits: {chunks: 10, calls: 1000}");
    bad.trap("call_limit").ends(500, "GuestCallLimit", message).await;
}

#[tokio::test]
async fn chunks_that_are_taken_are_no_calls() {
    let node = "limits: {calls: 500, chunk_rate: 10000}\ninputs: {count: 5000}";
    let joined: String = (0..5000).map(|n| format!("chunk {n} ")).collect();
    Hostile::guest_with("run_streams", node).times(1).gives(json!(joined)).await;
}

#[tokio::test]
async fn a_node_that_falls_silent_is_ended() {
    let bad = || {
        let node = "limits: {stream_idle: 300ms}\ninputs: {before: 3, ms: 3600000}";
        Hostile::guest_with("limits_falls_silent", node).trap("stream_idle")
    };
    let message = "node \"bad\" streamed nothing for 300ms after it had begun; raise `limits.stream_idle` of the node if \
                   it may pause longer";
    bad().ends(504, "NodeTimeout", message).await;
    bad().breaks(3, "NodeTimeout", "NodeTimeout", message).await;
}

#[tokio::test]
async fn before_it_has_begun_a_node_may_be_silent() {
    let node = "limits: {stream_idle: 100ms}\ninputs: {before: 0, ms: 400}";
    Hostile::guest_with("limits_falls_silent", node).gives(json!("0 ")).await;
}

#[tokio::test]
async fn a_node_that_streams_too_fast_waits_and_the_order_stays() {
    let flow = flow("run_streams", "chunk_rate: 50") + "  inputs: {count: 100}\n";
    let host = TestHost::written("fast", &flow).start().await;
    let began = Instant::now();
    let frames = host.stream(json!({})).await.rest().await;
    // Fifty at once, and the other fifty in a second.
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let chunks: Vec<_> = frames.iter().map(|frame| frame.json()["answer"].clone()).collect();
    assert_eq!(chunks, (0..100).map(|n| json!(format!("chunk {n} "))).collect::<Vec<_>>());
    host.stop().await;
}
