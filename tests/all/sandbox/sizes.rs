//! Guests that are given too much, give too much, or hand the host too much.

use harness::Hostile;
use serde_json::json;

#[tokio::test]
async fn an_output_may_be_as_large_as_its_limit_and_not_a_byte_larger() {
    let bad = |bytes: usize| {
        let node = format!("limits: {{output: 1MiB}}\ninputs: {{bytes: {bytes}}}");
        Hostile::guest_with("limits_returns_much", &node)
    };
    bad(1 << 20).gives(json!("x".repeat((1 << 20) - 2))).await;
    let message =
        "node \"bad\" gave 1048577 bytes, more than its 1048576; raise `limits.output` of the node if it may give more";
    bad((1 << 20) + 1).ends(500, "GuestOutputTooLarge", message).await;
}

#[tokio::test]
async fn an_output_that_is_far_too_large_is_not_even_copied() {
    // 40 MiB, more than the host takes of any call.
    let bad = Hostile::guest_with("limits_returns_much", "limits: {memory: 256MiB}\ninputs: {bytes: 41943040}");
    let message = "node \"bad\" gave more than its 4 MiB; raise `limits.output` of the node if it may have more";
    bad.ends(500, "GuestOutputTooLarge", message).await;
}

#[tokio::test]
async fn a_list_of_a_million_empty_texts_is_as_long_as_its_text() {
    let bad = |items| {
        Hostile::guest_with("limits_returns_much", &format!("limits: {{memory: 256MiB}}\ninputs: {{items: {items}}}"))
    };
    bad(1_000_000).times(2).gives(json!(vec![""; 1_000_000])).await;
    let message =
        "node \"bad\" gave 6000001 bytes, more than its 4194304; raise `limits.output` of the node if it may give more";
    bad(2_000_000).times(2).ends(500, "GuestOutputTooLarge", message).await;
}

#[tokio::test]
async fn inputs_that_are_too_large_never_reach_the_node() {
    let node = format!("limits: {{input: 1KiB}}\ninputs: {{text: {}}}", "x".repeat(1025 - r#"{"text":""}"#.len()));
    let message = "node \"bad\" would be given 1025 bytes, more than its 1024; raise `limits.input` of the node if it may be given more";
    let after = Hostile::guest_with("run_returns", &node).ends(500, "GuestInputTooLarge", message).await;
    let instances = after.collector.metric("weir.instantiation.duration").label("node", "bad");
    assert_eq!(instances.count(), 0, "no instance was made for it");
}

#[tokio::test]
async fn arguments_of_a_call_that_are_too_large_are_refused() {
    let bad = |inputs: &str| {
        let node = format!("limits: {{call: 1MiB, output: 1MiB, memory: 256MiB}}\ninputs: {inputs}");
        Hostile::guest_with("limits_hands_over_much", &node)
    };
    let message = "node \"bad\" handed the host more than its 1 MiB in one call; raise `limits.call` of the node if it may have more";
    for inputs in
        ["{bytes: 2097152}", "{bytes: 104857600}", "{bytes: 2000, attributes: 1000}", "{bytes: 0, attributes: 100000}"]
    {
        bad(inputs).times(2).trap("call_too_large").ends(500, "GuestCallTooLarge", message).await;
    }
    bad("{bytes: 1000000}").gives(json!(null)).await;
}

#[tokio::test]
async fn headers_that_a_guest_makes_have_a_bound() {
    let bad = |count: usize| Hostile::guest_with("limits_makes_headers", &format!("inputs: {{count: {count}}}"));
    bad(25).gives(json!(25)).await;
    let message = "node \"bad\" made HTTP headers of more than 32 KiB";
    bad(35).ends(500, "GuestProtocolError", message).await;
}

#[tokio::test]
async fn one_write_to_an_output_has_a_bound() {
    for to_stderr in [false, true] {
        let bad = |bytes: usize| {
            Hostile::guest_with("log_writes_at_once", &format!("inputs: {{bytes: {bytes}, to_stderr: {to_stderr}}}"))
        };
        bad(65_536).gives(json!("done")).await;
        bad(65_537).ends(500, "GuestProtocolError", "node \"bad\" wrote more than 64 KiB at once").await;
    }
}
