//! Guests that take more time than they may: computing, or waiting in a call to the host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use harness::{Act, CONNECTION, Collector, FakeModel, FakeWire, Hostile, Reply, TestHost};
use serde_json::json;

use super::limits::flow;

const TIMEOUT: &str = "limits: {timeout: 300ms}";
const OUT_OF_TIME: &str =
    "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";

#[tokio::test]
async fn a_node_that_never_rests_is_ended_at_its_deadline() {
    let bad = Hostile::guest_with("limits_loops_forever", TIMEOUT).times(9);
    let after = bad.trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
    let mut took: Vec<_> = after.spans().iter().map(|span| Duration::from_nanos(span.end - span.start)).collect();
    took.sort_unstable();
    // By the clock, and not by counting ticks. The machine may do other things meanwhile, but not all the time.
    let median = took[took.len() / 2].as_millis();
    assert!(took[0].as_millis() >= 300 && median < 450, "{took:?}");
}

#[tokio::test]
async fn one_instruction_over_all_memory_delays_nobody_for_long() {
    let bad = Hostile::guest_with("limits_fills_memory", "limits: {timeout: 300ms, memory: 96MiB}\ninputs: {mib: 64}");
    let after = bad.trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
    // Half of those who ask meanwhile wait no longer than for a few such instructions.
    let median = after.waited[after.waited.len() / 2];
    assert!(median < Duration::from_secs(1), "{:?}", after.waited);
}

#[tokio::test]
async fn a_node_that_computes_for_too_long_is_ended_before_its_deadline() {
    let message =
        "node \"bad\" computed for more than its 200ms; raise `limits.cpu` of the node if it may compute longer";
    let bad = Hostile::guest_with("limits_loops_forever", "limits: {cpu: 200ms}");
    let after = bad.trap("cpu_limit").ends(500, "GuestCpuLimit", message).await;
    let told = after.collector.metric("weir.node.cpu.time").label("node", "bad");
    assert_eq!(told.count(), after.runs as u64);
    let each = told.sum() / after.runs as f64;
    assert!((0.2..0.4).contains(&each), "{each}");
}

#[tokio::test]
async fn a_node_that_waits_does_not_compute() {
    let bad = Hostile::guest_with("run_slow", "limits: {cpu: 200ms}\ninputs: {ms: 400, value: 1}");
    bad.gives(json!(1)).await;
}

#[tokio::test]
async fn a_node_that_sleeps_is_woken_by_its_deadline() {
    let bad = Hostile::guest_with("run_slow", &format!("{TIMEOUT}\ninputs: {{ms: 3600000}}"));
    bad.trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
}

#[tokio::test]
async fn a_node_that_waits_for_a_model_is_cut_off_and_so_is_its_call() {
    let model = FakeModel::replies("never").gated().start();
    let node =
        format!("{TIMEOUT}\ninputs: {{connection: {CONNECTION}, question: hi}}\ngrants: {{llm: [{CONNECTION}]}}");
    let bad = Hostile::guest_with("llm_chats", &node).host(|host| host.model(&model));
    let after = bad.trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
    model.abandoned(after.runs).await;
    let calls: Vec<_> = after.collector.spans().into_iter().filter(|span| span.name == "openai_chat").collect();
    assert_eq!(calls.len(), after.runs, "each call has ended, and is told");
}

#[tokio::test]
async fn a_node_that_waits_for_a_service_is_cut_off_and_so_is_its_request() {
    let service = FakeWire::always(Act::Hold(Bytes::new()));
    let origin = service.origin();
    let node = format!("{TIMEOUT}\ninputs: {{url: \"{origin}/\"}}\ngrants: {{http: [\"{origin}\"]}}");
    let after = Hostile::guest_with("http_gets", &node).trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
    // One connection for each run, and none is kept.
    service.left(after.runs).await;
    assert_eq!(service.connections(), after.runs);
}

#[tokio::test]
async fn a_node_that_waits_for_another_node_is_cut_off_and_so_is_the_other() {
    // The other one never runs by itself.
    let other = "- name: sleeper
  type: wasm
  source: {type: code, path: guests/run_slow.wasm}
  activate: {when: '${inputs.bad}', is: 7}
  inputs: {ms: 3600000}
";
    let node = format!("{TIMEOUT}\ninputs: {{node: sleeper}}\ngrants: {{nodes: [sleeper]}}");
    let bad = Hostile::guest_among("nodes_calls_another", &node, other);
    let after = bad.trap("timeout").ends(504, "NodeTimeout", OUT_OF_TIME).await;
    let sleepers = after.collector.spans().iter().filter(|span| span.name == "sleeper").count();
    assert_eq!(sleepers, after.runs, "each has ended");
}

#[tokio::test]
async fn a_node_whose_reader_does_not_read_is_cut_off_at_its_deadline() {
    let collector = Collector::start();
    let host = TestHost::written("endless", &flow("run_streams_endlessly", "timeout: 500ms, chunk_rate: 10000"));
    // Nor does the host give up its reader before.
    let host = host.env("WEIR_WRITE_TIMEOUT", "5m").collector(&collector).start().await;
    let mut reader = harness::RawClient::connect_narrow(host.address()).await;
    reader.send("POST /score HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nContent-Length: 2\r\n\r\n{}").await;
    reader.read_until("data:").await;
    let ended = collector.metric_when("weir.node.trap", |metric| metric.count() > 0).await;
    assert_eq!(ended.label("node", "bad").label("kind", "timeout").count(), 1);
    drop(reader);
    host.idle().await;
    host.stop().await;
}

/// Has so many guests never rest. `over` is set when they have ended.
async fn endless(host: &TestHost, count: usize, over: &AtomicBool) -> Vec<Reply> {
    let spun = join_all((0..count).map(|_| host.score(json!({"spins": true})))).await;
    over.store(true, Ordering::Relaxed);
    spun
}

/// How long each probe waited until then.
async fn probes(host: &TestHost, over: &AtomicBool) -> Vec<Duration> {
    let mut waited = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        assert_eq!(host.get("/health").await.status, 200);
        waited.push(asked.elapsed());
    }
    waited
}

/// Where guests that never rest and sockets share their threads, half of the probes wait for more than 300 ms.
#[track_caller]
fn assert_not_delayed(mut probed: Vec<Duration>) {
    probed.sort_unstable();
    assert!(probed.len() >= 10 && probed[probed.len() / 2] < Duration::from_millis(150), "{probed:?}");
}

/// Guests that never rest, so many at once; and what others wait for meanwhile.
async fn spin(count: usize) {
    let host = TestHost::written("hostile", SPINNING).env("WEIR_MAX_CONCURRENCY", "100").start().await;
    let over = AtomicBool::new(false);
    let scores = async {
        let mut waited = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            host.score(json!({"spins": false})).await.assert_ok(json!({"good": {"text": "fine"}}));
            waited.push(asked.elapsed());
        }
        waited
    };
    let (spun, probed, mut scored) = tokio::join!(endless(&host, count, &over), probes(&host, &over), scores);
    assert!(spun.iter().all(|reply| reply.status == 504), "each is ended at its deadline");
    assert_not_delayed(probed);
    scored.sort_unstable();
    // A harmless node shares its thread with them, and has its turn: each makes way every 5 ms. Else it would wait for their end.
    assert!(scored.len() >= 2 && scored[scored.len() / 2] < SPINS / 2, "{count}: {scored:?}");
    host.stop().await;
}

/// How long they may.
const SPINS: Duration = Duration::from_secs(2);

/// A node that never rests, or a harmless one.
const SPINNING: &str = "
inputs: {spins: {type: bool}}
outputs: {good: {type: object, reference: '${good.output}'}}
nodes:
- name: bad
  type: wasm
  source: {type: code, path: guests/limits_loops_forever.wasm}
  activate: {when: '${inputs.spins}', is: true}
  limits: {timeout: 2s}
- name: good
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  activate: {when: '${inputs.spins}', is: false}
  inputs: {text: fine}
";

#[tokio::test]
async fn a_node_that_was_quick_until_then_does_not_delay_them_either() {
    let flow = "
inputs: {spins: {type: bool}}
outputs: {spins: {type: bool, reference: '${turncoat.output}'}}
nodes:
- name: turncoat
  type: wasm
  source: {type: code, path: guests/limits_loops_if_told.wasm}
  inputs: {loops: '${inputs.spins}'}
  limits: {timeout: 2s}
";
    // One thread for sockets and one for guests.
    let host = TestHost::written("turncoat", flow).env("TOKIO_WORKER_THREADS", "1").start().await;
    for _ in 0..100 {
        host.score(json!({"spins": false})).await.assert_ok(json!({"spins": false}));
    }
    let over = AtomicBool::new(false);
    let (spun, probed) = tokio::join!(endless(&host, 1, &over), probes(&host, &over));
    assert_eq!(spun[0].status, 504);
    assert_not_delayed(probed);
    host.stop().await;
}

#[tokio::test]
async fn many_nodes_of_one_request_that_never_rest_are_ended_with_it() {
    let node = |n: usize| {
        format!("- name: n{n}\n  type: wasm\n  source: {{type: code, path: guests/limits_loops_forever.wasm}}\n")
            + "  limits: {timeout: 500ms}\n"
    };
    let nodes: String = (0..20).map(node).collect();
    let collector = Collector::start();
    let flow = format!("inputs: {{}}\noutputs: {{a: {{type: string, reference: '${{n0.output}}'}}}}\nnodes:\n{nodes}");
    let host = TestHost::written("many", &flow).collector(&collector).start().await;
    let reply = host.score(json!({})).await;
    assert_eq!((reply.status, &reply.json()["error"]["innerError"]["code"]), (504, &json!("NodeTimeout")));
    assert_eq!(host.get("/health").await.status, 200);
    host.stop().await;
    let spans = collector.spans();
    let began: Vec<_> = spans.iter().filter(|span| span.name.starts_with('n') && span.name.len() <= 3).collect();
    // Sixteen may run at the same time; what has not begun when the first has failed never does.
    assert!((2..=16).contains(&began.len()), "{}", began.len());
    let ended = [json!("NodeTimeout"), json!("Cancelled")];
    assert!(began.iter().all(|span| ended.contains(&span.attributes["error.type"])), "{began:?}");
}

#[tokio::test]
async fn guests_that_never_rest_do_not_delay_the_probes() {
    for count in [2, 8, 32] {
        spin(count).await;
    }
}
