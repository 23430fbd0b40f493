//! Who says how much a node may have: the table, the flow, the operator. And memory, of which each has some.

use harness::{Collector, Hostile, TestHost};
use serde_json::json;
use weir::sandbox::limits::{TABLE, fixed};

use crate::readme;

/// A flow of one guest under these limits.
pub(super) fn flow(guest: &str, limits: &str) -> String {
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

#[test]
fn the_readme_has_the_table() {
    let rows = TABLE.iter().map(|row| {
        let (key, is, default, cap) = (row.key, row.is, row.default, row.cap);
        format!("| `{key}` | {is} | {default} | {cap}, `{}` |", row.setting.variable)
    });
    harness::readme::check_rows("| limit | of | without a word | at most |", rows);
    let rows = fixed::table().into_iter().map(|(what, most, beyond)| format!("| {what} | {most} | {beyond} |"));
    harness::readme::check_rows("| every node has | at most | what is beyond |", rows);
    // The rows of settings are held by settings.rs; none is forgotten there.
    let told = readme::rows();
    for row in TABLE {
        assert!(told.iter().any(|cells| readme::name(cells) == Some(row.setting.variable)), "{}", row.key);
    }
}

#[tokio::test]
async fn a_flow_may_not_ask_for_more_than_there_is_nor_for_what_there_is_not() {
    let greedy = flow("run_traps", "timeout: 2h, memory: 2GiB, calls: many, memroy: 1MiB");
    let exit = TestHost::written("greedy", &greedy).refuses().await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    for told in [
        "node \"bad\": limits.timeout: 7200s is more than 300s, the most a flow may have",
        "node \"bad\": limits.memory: 2 GiB is more than 1 GiB, the most a flow may have",
        "node \"bad\": limits.calls: \"many\" must be a whole number above zero, such as 1000",
        "node \"bad\": limits.memroy: there is no such limit; known: memory, timeout, cpu",
        "did you mean `memory`?",
        "flow.dag.yaml:8:",
    ] {
        assert!(exit.told().contains(told), "{told}\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn the_operator_s_cap_is_over_the_flow_s_wish_and_over_the_default() {
    let greedy = TestHost::written("greedy", &flow("run_traps", "memory: 64MiB"));
    let exit = greedy.env("WEIR_MAX_NODE_MEMORY", "32MiB").refuses().await;
    let told = "node \"bad\": limits.memory: 64 MiB is more than 32 MiB, the most a flow may have";
    assert!(exit.told().contains(told), "{}", exit.stderr);

    // A flow that asks for nothing has the cap, if that is less than the default.
    let bad = Hostile::guest("limits_eats_memory").host(|host| host.env("WEIR_MAX_NODE_MEMORY", "32MiB"));
    let message =
        "node \"bad\" needs more than its 32 MiB of memory; raise `limits.memory` of the node if it may have more";
    bad.trap("memory_limit").ends(500, "GuestMemoryLimit", message).await;

    let exit = TestHost::written("fine", &flow("run_traps", "")).env("WEIR_MAX_NODE_MEMORY", "2GiB").refuses().await;
    assert!(
        exit.told().contains("WEIR_MAX_NODE_MEMORY: \"2GiB\" is more than 1GiB, the most it may be"),
        "{}",
        exit.stderr
    );
}

#[tokio::test]
async fn a_node_that_wants_all_memory_is_ended_at_its_limit() {
    let message =
        "node \"bad\" needs more than its 32 MiB of memory; raise `limits.memory` of the node if it may have more";
    let bad = Hostile::guest_with("limits_eats_memory", "limits: {memory: 32MiB}");
    let after = bad.trap("memory_limit").ends(500, "GuestMemoryLimit", message).await;
    let most = after.collector.metric("weir.node.memory.peak").label("node", "bad");
    assert!(most.sum() <= (after.runs * (32 << 20)) as f64, "{most:?}");
}

#[tokio::test]
async fn a_node_that_takes_what_it_may_ends_well() {
    // A hundred times, since what is kept of each run would show.
    let bad = Hostile::guest_with("limits_eats_memory", "limits: {memory: 64MiB}\ninputs: {mib: 24}");
    bad.times(100).gives(json!(24)).await;
}

#[tokio::test]
async fn a_node_that_grows_until_it_is_refused_may_live_with_that() {
    for guest in ["limits_grows_memory", "limits_grows_table"] {
        Hostile::guest(guest).times(50).gives(json!(true)).await;
    }
}

#[tokio::test]
async fn deep_recursion_ends_as_what_it_is() {
    for mutual in ["false", "true"] {
        let bad = Hostile::guest_with("limits_recurses", &format!("inputs: {{mutual: {mutual}}}")).times(200);
        bad.trap("stack_overflow").ends(500, "GuestStackOverflow", "node \"bad\" used up its stack").await;
    }
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
