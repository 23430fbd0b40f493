//! Guests that call the host without end, or hold on to what it gives them.

use harness::Hostile;
use serde_json::json;
use weir::boundary::facts::bound;

use crate::grants::{DENIED, raw};

const MESSAGE: &str =
    "node \"bad\" made more than its 1000 calls to the host; raise `limits.calls` of the node if it may make more";

#[tokio::test]
async fn a_loop_of_calls_is_ended_by_their_count() {
    for guest in ["limits_calls_forever", "limits_reads_clock"] {
        let bad = Hostile::guest_with(guest, "limits: {calls: 1000}");
        bad.trap("call_limit").ends(500, "GuestCallLimit", MESSAGE).await;
    }
}

#[tokio::test]
async fn a_loop_of_calls_is_ended_also_if_its_flow_says_nothing() {
    let message = "node \"bad\" made more than its 100000 calls to the host; raise `limits.calls` of the node if it may make more";
    Hostile::guest("limits_calls_forever").trap("call_limit").ends(500, "GuestCallLimit", message).await;
}

#[tokio::test]
async fn the_count_holds_also_for_a_run_that_ends_before_anyone_looks() {
    let bad = |times: usize| {
        Hostile::guest_with("limits_calls_forever", &format!("limits: {{calls: 1000}}\ninputs: {{times: {times}}}"))
    };
    bad(900).gives(json!(900)).await;
    bad(1001).trap("call_limit").ends(500, "GuestCallLimit", MESSAGE).await;
}

#[tokio::test]
async fn writing_between_calls_makes_none_of_them_free() {
    for bytes in [0, 1] {
        let inputs = format!("limits: {{calls: 1000}}\ninputs: {{times: 1500, bytes: {bytes}}}");
        let bad = Hostile::guest_with("limits_writes_between", &inputs);
        bad.trap("call_limit").ends(500, "GuestCallLimit", MESSAGE).await;
    }
    // What is written is no call.
    let good = Hostile::guest_with("limits_writes_between", "limits: {calls: 1100}\ninputs: {times: 1000, bytes: 1}");
    good.gives(json!(1000)).await;
}

#[tokio::test]
async fn a_run_has_only_so_many_spans_below_its_own() {
    let asked = bound::CALLS + 7;
    let requests = vec![raw("GET", "http://127.0.0.1:1", "/"); asked];
    let inputs = json!({"requests": requests});
    let bad = Hostile::guest_with("http_raw", &format!("limits: {{requests: 2000}}\ninputs: {inputs}"));
    let after = bad.times(1).gives(json!(vec![DENIED; asked])).await;
    let below = after.collector.spans().into_iter().filter(|span| span.name == "http.request");
    assert_eq!(below.count(), after.runs * bound::CALLS);
    for span in after.spans() {
        assert_eq!(span.attributes["weir.calls_left_out"], json!(7));
    }
    // Each of them is counted.
    let calls =
        after.collector.metric("rpc_request").label("api_call", "http.request").label("exception", "NotGranted");
    assert_eq!(calls.count(), (after.runs * asked) as u64);
}

#[tokio::test]
async fn what_a_node_holds_open_of_the_host_has_a_limit() {
    let message =
        "node \"bad\" holds more than its 256 resources open; raise `limits.resources` of the node if it may have more";
    for kind in ["false", "true"] {
        let bad = Hostile::guest_with("limits_holds_resources", &format!("inputs: {{count: 100000, alarms: {kind}}}"));
        bad.trap("resource_limit").ends(500, "GuestResourceLimit", message).await;
    }
    let bad = Hostile::guest_with("limits_holds_resources", "limits: {resources: 2000}\ninputs: {count: 1900}");
    bad.gives(json!(1900)).await;
}

#[tokio::test]
async fn random_bytes_of_one_call_have_a_bound() {
    Hostile::guest_with("limits_wants_random", "inputs: {bytes: 65536}").gives(json!(65536)).await;
    let bad = Hostile::guest_with("limits_wants_random", "inputs: {bytes: 65537}");
    let message = "node \"bad\" asked for more than 64 KiB of random bytes in one call";
    bad.ends(500, "GuestProtocolError", message).await;
}
