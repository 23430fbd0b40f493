//! Guests that take more than they may: of time, of memory, of anything that a limit counts.

use harness::{Collector, Hostile, TestHost};
use serde_json::json;

/// A flow of one guest under these limits.
fn flow(guest: &str, limits: &str) -> String {
    format!(
        "
inputs: {{}}
outputs: {{answer: {{type: object, reference: '${{bad.output}}'}}}}
nodes:
- name: bad
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  limits: {{{limits}}}
"
    )
}

#[tokio::test]
async fn a_node_that_never_rests_is_ended_at_its_deadline() {
    let message = "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";
    let bad = Hostile::guest_with("limits_loops_forever", "limits: {timeout: 300ms}");
    bad.trap("timeout").ends(504, "NodeTimeout", message).await;
}

#[tokio::test]
async fn a_node_that_wants_all_memory_is_ended_at_its_limit() {
    let message =
        "node \"bad\" needs more than its 32 MiB of memory; raise `limits.memory` of the node if it may have more";
    let bad = Hostile::guest_with("limits_eats_memory", "limits: {memory: 32MiB}");
    bad.trap("memory_limit").ends(500, "GuestMemoryLimit", message).await;
}

#[tokio::test]
async fn a_node_that_takes_what_it_may_ends_well() {
    let bad = Hostile::guest_with("limits_eats_memory", "limits: {memory: 64MiB}\ninputs: {mib: 24}");
    bad.gives(json!(24)).await;
}

#[tokio::test]
async fn guests_that_never_rest_do_not_delay_the_probes() {
    let host = TestHost::written("hostile", &flow("limits_loops_forever", "timeout: 300ms")).start().await;
    let spinning = async {
        let requests = (0..8).map(|_| host.score(json!({})));
        futures_util::future::join_all(requests).await
    };
    let probing = async {
        for _ in 0..20 {
            host.get("/health").await.assert_ok(json!({"status": "Healthy", "version": env!("CARGO_PKG_VERSION")}));
        }
    };
    let (spun, ()) = tokio::join!(spinning, probing);
    assert!(spun.iter().all(|reply| reply.status == 504));
}

#[tokio::test]
async fn a_flow_may_not_ask_for_more_than_there_is() {
    let greedy = flow("run_traps", "timeout: 1h, memory: 2GiB");
    let exit = TestHost::written("greedy", &greedy).refuses().await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    assert!(exit.stderr.contains("node \"bad\": limits.memory: 2 GiB is more than 1 GiB"), "{}", exit.stderr);
}

#[tokio::test]
async fn nodes_that_call_each_other_for_ever_are_stopped() {
    let flow = "
inputs: {}
outputs: {a: {type: object, reference: '${again.output}'}}
nodes:
- name: again
  type: wasm
  source: {type: code, path: guests/nodes_calls_another.wasm}
  inputs: {node: again}
  grants: {nodes: [again]}
";
    let collector = Collector::start();
    let host = TestHost::written("cycle", flow).collector(&collector).start().await;
    let reply = host.score(json!({})).await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    let message = &reply.json()["error"]["message"];
    assert_eq!(message, "nodes call each other more than 16 deep; is there a cycle?");
    host.stop().await;
    let runs = collector.spans().iter().filter(|span| span.name == "again").count();
    assert_eq!(runs, 17, "the first and 16 that were called");
}
