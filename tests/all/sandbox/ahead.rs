//! Fresh instances that are made before a run asks: what a run finds in them, which there are none of, and when they go.

use futures_util::future::join_all;
use harness::{Collector, HostBuilder, TestHost, eventually};
use serde_json::{Value, json};

/// A flow of one node with this guest, which is given up after so long.
fn host(guest: &str, timeout: &str) -> HostBuilder {
    let flow = format!(
        "
inputs: {{}}
outputs: {{counted: {{type: int, reference: '${{counts.output}}'}}}}
nodes:
- {{name: counts, type: wasm, source: {{type: code, path: guests/{guest}.wasm}}, limits: {{timeout: {timeout}}}}}
"
    );
    TestHost::written("ahead", &flow)
}

/// Until so many instances wait for a run.
async fn wait_for(host: &TestHost, count: usize) {
    let line = format!("weir_instance_waiting {count}");
    let told = async || host.get_admin("/metrics").await.text().lines().any(|it| it == line);
    eventually(&line, told).await;
}

/// Where the instances of the node's runs came from, in the order of the runs.
async fn origins(collector: &Collector, runs: usize) -> Vec<Value> {
    let is_of_node = |span: &&harness::Span| span.name == "counts";
    let spans = collector.spans_when("all nodes", |spans| spans.iter().filter(is_of_node).count() == runs).await;
    let mut spans: Vec<_> = spans.iter().filter(is_of_node).collect();
    spans.sort_by_key(|span| span.start);
    spans.iter().map(|span| span.attributes.get("weir.instance").cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_run_finds_a_fresh_instance_made() {
    let collector = Collector::start();
    let host = host("ahead_counts", "60s").collector(&collector).env("WEIR_INSTANCES_AHEAD", "2").start().await;
    for _ in 0..5 {
        // It counts in all that lives in an instance, from one.
        host.score(json!({})).await.assert_ok(json!({"counted": 1}));
        wait_for(&host, 2).await;
    }
    let ahead = || json!("ahead");
    assert_eq!(origins(&collector, 5).await, [Value::Null, ahead(), ahead(), ahead(), ahead()]);
    let metrics = host.get_admin("/metrics").await;
    for line in [
        r#"weir_instance_taken_total{flow="ahead",kind="ahead",node="counts"} 4"#,
        r#"weir_instantiation_duration_seconds_count{flow="ahead",node="counts"} 1"#,
        "weir_instance_active 2",
    ] {
        assert!(metrics.text().lines().any(|it| it == line), "{line}");
    }
    assert!(host.stop().await.status.success());
}

#[tokio::test]
async fn none_is_made_where_it_is_not_wanted_not_worth_it_or_calls_the_host_as_it_comes_up() {
    for (guest, most) in [("ahead_counts", "0"), ("state_counts", "2"), ("ahead_calls_at_start", "2")] {
        let collector = Collector::start();
        let host = host(guest, "60s").collector(&collector).env("WEIR_INSTANCES_AHEAD", most).start().await;
        for _ in 0..3 {
            host.score(json!({})).await.assert_ok(json!({"counted": 1}));
            host.idle().await;
        }
        assert_eq!(origins(&collector, 3).await, [Value::Null, Value::Null, Value::Null], "{guest}");
        assert_eq!(host.instances().await, 3.0, "{guest}");
        host.stop().await;
    }
}

#[tokio::test]
async fn what_never_comes_up_is_tried_for_its_run_alone() {
    let host = host("ahead_loops_at_start", "300ms").start().await;
    for _ in 0..2 {
        assert_eq!(host.score(json!({})).await.status, 504);
        host.idle().await;
    }
    assert!(host.stop().await.status.success());
}

#[tokio::test]
async fn instances_made_ahead_keep_no_run_from_its_place() {
    let flow = "
inputs: {}
outputs:
  one: {type: int, reference: '${one.output}'}
  two: {type: int, reference: '${two.output}'}
  slow: {type: int, reference: '${slow.output}'}
nodes:
- {name: one, type: wasm, source: {type: code, path: guests/ahead_counts.wasm}}
- {name: two, type: wasm, source: {type: code, path: guests/ahead_counts.wasm}}
- {name: slow, type: wasm, source: {type: code, path: guests/run_slow.wasm}, inputs: {ms: 20, value: 1}}
";
    let host = TestHost::written("crowded", flow).env("WEIR_MAX_INSTANCES", "2").env("WEIR_INSTANCES_AHEAD", "5");
    let host = host.start().await;
    for at_once in [1, 8] {
        // All places are taken by what waits.
        for reply in join_all((0..at_once).map(|_| host.score(json!({})))).await {
            reply.assert_ok(json!({"one": 1, "two": 1, "slow": 1}));
        }
        wait_for(&host, 2).await;
    }
    assert!(host.stop().await.status.success());
}

#[tokio::test]
async fn they_go_with_their_flow_when_it_is_exchanged() {
    let host = host("ahead_counts", "60s").env("WEIR_INSTANCES_AHEAD", "3").start().await;
    host.score(json!({})).await.assert_ok(json!({"counted": 1}));
    wait_for(&host, 3).await;
    host.reload();
    host.wrote("serving what the files say now").await;
    host.idle().await;
    host.score(json!({})).await.assert_ok(json!({"counted": 1}));
    wait_for(&host, 3).await;
    assert!(host.stop().await.status.success());
}

#[tokio::test]
async fn where_memory_is_short_none_waits_for_a_run() {
    let flow = "
inputs: {then: {type: string, default: ''}}
outputs: {counted: {type: int, reference: '${counts.output}'}}
nodes:
- {name: counts, type: wasm, source: {type: code, path: guests/ahead_counts.wasm}}
- name: keeps
  type: wasm
  source: {type: code, path: guests/state_keeps.wasm}
  inputs: {then: '${inputs.then}'}
  instances: reuse
  limits: {memory: 1GiB}
";
    let host = TestHost::written("short", flow).env("WEIR_MEMORY_LIMIT", "400MiB").start().await;
    host.score(json!({})).await.assert_ok(json!({"counted": 1}));
    wait_for(&host, 2).await;
    host.score(json!({"then": "swell"})).await.assert_ok(json!({"counted": 1}));
    wait_for(&host, 0).await;
    // What went has made room.
    eventually("requests to be taken", async || host.score(json!({})).await.status == 200).await;
    wait_for(&host, 2).await;
    host.stop().await;
}
