//! What a hostile or broken node can do: end its own run, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{Collector, TestHost};
use serde_json::json;

/// A flow of one guest under these limits, and a harmless node for its neighbours.
fn flow(guest: &str, limits: &str) -> String {
    format!(
        "
inputs: {{bad: {{type: bool}}}}
outputs:
  bad: {{type: object, reference: '${{bad.output}}'}}
  good: {{type: object, reference: '${{good.output}}'}}
nodes:
- name: bad
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  activate: {{when: '${{inputs.bad}}', is: true}}
  limits: {{{limits}}}
- name: good
  type: wasm
  source: {{type: code, path: guests/run_returns.wasm}}
  activate: {{when: '${{inputs.bad}}', is: false}}
  inputs: {{text: fine}}
"
    )
}

async fn check(guest: &str, limits: &str, status: u16, code: &str, message: &str) {
    let collector = Collector::start();
    let host = TestHost::written("hostile", &flow(guest, limits)).collector(&collector).start().await;

    let (bad, good) = tokio::join!(host.score(json!({"bad": true})), host.score(json!({"bad": false})));
    good.assert_ok(json!({"bad": null, "good": {"text": "fine"}}));
    bad.assert_error(
        status,
        json!({"error": {
            "code": "SystemError", "message": message, "innerError": {"code": code}, "details": {"node": "bad"},
        }}),
    );
    host.score(json!({"bad": false})).await.assert_ok(json!({"bad": null, "good": {"text": "fine"}}));
    host.stop().await;

    let failed: Vec<_> = collector.spans().into_iter().filter(|span| span.name == "bad").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].attributes["error.type"], json!(code));
    let node = collector.metric("node_request").label("node", "bad").label("run_status", "Failed");
    assert_eq!(node.label("exception", code).count(), 1);
}

#[tokio::test]
async fn a_node_that_never_rests_is_ended_at_its_deadline() {
    let message = "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";
    check("limits_loops_forever", "timeout: 300ms", 504, "NodeTimeout", message).await;
}

#[tokio::test]
async fn a_node_that_wants_all_memory_is_ended_at_its_limit() {
    let message =
        "node \"bad\" needs more than its 32 MiB of memory; raise `limits.memory` of the node if it may have more";
    check("limits_eats_memory", "memory: 32MiB", 500, "GuestMemoryLimit", message).await;
}

#[tokio::test]
async fn a_node_that_traps_ends_its_own_run() {
    check("run_traps", "memory: 32MiB", 500, "GuestTrap", "node \"bad\" trapped").await;
}

#[tokio::test]
async fn guests_that_never_rest_do_not_delay_the_probes() {
    let host = TestHost::written("hostile", &flow("limits_loops_forever", "timeout: 300ms")).start().await;
    let spinning = async {
        let requests = (0..8).map(|_| host.score(json!({"bad": true})));
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
async fn what_was_compiled_is_kept_and_used_only_while_nobody_else_can_write_to_it() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let start = async || {
        let host = TestHost::flow("run_returns").env("WEIR_CACHE_DIR", cache.path().to_string_lossy()).start().await;
        host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
        host.stop().await
    };
    start().await;
    let kept: Vec<_> = fs::read_dir(cache.path()).expect("the cache").flatten().map(|file| file.path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let compiled = fs::read(&kept[0]).expect("compiled code");
    let written = || fs::metadata(&kept[0]).and_then(|file| file.modified()).expect("a file has a time");
    let first = written();

    let exit = start().await;
    assert!(!exit.stderr.contains("compile cache"), "{}", exit.stderr);
    assert_eq!(written(), first, "the second start reads what the first wrote");

    fs::write(&kept[0], &compiled[..compiled.len() / 2]).expect("a file can be cut");
    start().await;
    assert_eq!(fs::read(&kept[0]).expect("compiled code").len(), compiled.len(), "cut code is compiled anew");

    fs::set_permissions(&kept[0], fs::Permissions::from_mode(0o666)).expect("a file can be opened to all");
    let exit = start().await;
    assert!(exit.stderr.contains("a file of the compile cache is not used"), "{}", exit.stderr);
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o777)).expect("a folder can be opened to all");
    let exit = start().await;
    assert!(exit.stderr.contains("the compile cache is not used"), "{}", exit.stderr);
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
