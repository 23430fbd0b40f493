//! Instances that serve one run after the other, where the flow says so: what stays, what does not, and when they go.

use std::fmt::Write as _;
use std::fs;

use futures_util::future::join_all;
use harness::{Collector, HostBuilder, Span, TestHost, eventually, guest, run};
use serde_json::{Value, json};

/// A flow of one node, which says this of its instances beside its name and inputs.
fn flow(says: &str) -> String {
    format!(
        "
inputs: {{then: {{type: string, default: ''}}}}
outputs: {{runs: {{type: int, reference: '${{keeps.output}}'}}}}
nodes:
- name: keeps
  type: wasm
  source: {{type: code, path: guests/state_keeps.wasm}}
  inputs: {{then: '${{inputs.then}}'}}
  {says}
"
    )
}

fn host(says: &str) -> HostBuilder {
    TestHost::written("reuse", &flow(says))
}

/// What its node has counted, of requests one after the other.
async fn counted(host: &TestHost, requests: usize) -> Vec<Value> {
    let mut counted = Vec::new();
    for _ in 0..requests {
        counted.push(host.score(json!({})).await.json()["runs"].clone());
    }
    counted
}

async fn reads(host: &TestHost, series: &str, value: &str) -> bool {
    host.get_admin("/metrics").await.text().lines().any(|line| line == format!("{series} {value}"))
}

#[tokio::test]
async fn where_the_flow_says_so_a_run_finds_what_the_last_one_left() {
    for (says, expected) in [
        ("instances: reuse", [1, 2, 3, 4]),
        ("instances: {reuse: {uses: 2}}", [1, 2, 1, 2]),
        ("instances: {reuse: {uses: 1}}", [1, 1, 1, 1]),
        ("instances: fresh", [1, 1, 1, 1]),
        ("", [1, 1, 1, 1]),
    ] {
        let host = host(says).start().await;
        assert_eq!(counted(&host, 4).await, expected.map(Value::from), "{says}");
        host.stop().await;
    }
    let forbidden = host("instances: reuse").env("WEIR_INSTANCES_KEPT", "0").start().await;
    assert_eq!(counted(&forbidden, 2).await, [1, 1], "the operator has the last word");
    forbidden.stop().await;
}

#[tokio::test]
async fn an_instance_with_which_anything_was_wrong_serves_no_more() {
    let host = host("instances: reuse\n  limits: {timeout: 4s}").start().await;
    for (then, status) in [("fail", 400), ("trap", 500), ("wait", 504), ("hold", 200), ("grow", 200)] {
        assert_eq!(counted(&host, 2).await, [1, 2], "before {then}");
        let reply = host.score(json!({"then": then})).await;
        assert_eq!(reply.status, status, "{then}");
        if status == 200 {
            assert_eq!(reply.json()["runs"], 3, "{then}");
        }
    }
    assert_eq!(counted(&host, 2).await, [1, 2]);
    host.stop().await;
}

#[tokio::test]
async fn what_a_run_tells_is_its_own_also_in_an_instance_of_another() {
    let collector = Collector::start();
    // Without logs, lines are events of their spans.
    let host = host("instances: reuse").collector(&collector).env("OTEL_LOGS_EXPORTER", "none").start().await;
    // The guest keeps its stdout, also through a run that writes nothing.
    for (request, then) in [("first", "tell"), ("quiet", ""), ("second", "tell")] {
        let reply = host.score_with(&[("x-request-id", request)], json!({"then": then}).to_string()).await;
        assert_eq!(reply.status, 200);
    }
    let spans = collector.spans_when("all nodes", |spans| told(spans).len() == 3).await;
    assert_eq!(
        told(&spans),
        [
            ("first".to_owned(), Value::Null, vec![json!("run 1"), json!("and no more of first")]),
            ("quiet".to_owned(), json!("reused"), vec![]),
            ("second".to_owned(), json!("reused"), vec![json!("run 3"), json!("and no more of second")]),
        ]
    );
    for (series, value) in [
        (r#"weir_instance_taken_total{flow="reuse",kind="reused",node="keeps"}"#, "2"),
        (r#"weir_instantiation_duration_seconds_count{flow="reuse",node="keeps"}"#, "1"),
        ("weir_instance_waiting", "1"),
        ("weir_instance_active", "1"),
    ] {
        eventually(series, async || reads(&host, series, value).await).await;
    }
    host.stop().await;
}

/// Of each run of the node: its request, where its instance came from, and the lines that it wrote.
fn told(spans: &[Span]) -> Vec<(String, Value, Vec<Value>)> {
    let of_node = spans.iter().filter(|span| span.name == "keeps");
    let mut told: Vec<_> = of_node
        .map(|span| {
            let lines = span.events.iter().filter_map(|event| event.attributes.get("log.message").cloned());
            let request = span.attributes["request_id"].as_str().unwrap_or_default().to_owned();
            let origin = span.attributes.get("weir.instance").cloned().unwrap_or_default();
            (request, origin, lines.collect())
        })
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

#[tokio::test]
async fn an_instance_that_nobody_needs_for_long_goes() {
    let host = host("instances: {reuse: {age: 300ms}}").start().await;
    assert_eq!(counted(&host, 1).await, [1]);
    eventually("it to go", async || reads(&host, "weir_instance_active", "0").await).await;
    assert_eq!(counted(&host, 1).await, [1]);
    host.stop().await;
}

#[tokio::test]
async fn instances_that_wait_give_way_to_runs_that_have_no_place() {
    let mut flow = "inputs: {}\noutputs:\n".to_owned();
    let names = ["one", "two", "three"];
    for name in names {
        writeln!(flow, "  {name}: {{type: int, reference: '${{{name}.output}}'}}").expect("a string takes all text");
    }
    flow.push_str("nodes:\n");
    let source = "source: {type: code, path: guests/state_keeps.wasm}";
    for name in names {
        writeln!(flow, "- {{name: {name}, type: wasm, {source}, instances: reuse}}").expect("likewise");
    }
    let host = TestHost::written("crowded", &flow).env("WEIR_MAX_INSTANCES", "1").start().await;
    for at_once in [1, 4] {
        for reply in join_all((0..at_once).map(|_| host.score(json!({})))).await {
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
    assert!(host.stop().await.status.success());
}

#[tokio::test]
async fn what_cannot_be_said_of_instances_is_told_at_its_place() {
    for (says, told) in [
        ("instances: often", "unknown word \"often\"; write `fresh`, `reuse` or `{reuse: {uses: 1000, age: 10m}}`"),
        (
            "instances: {reuse: {uses: 0}}",
            "instances.reuse.uses: \"0\" must be a whole number above zero, such as 1000",
        ),
        ("instances: {reuse: {age: 2days}}", "instances.reuse.age: \"2days\" has the unknown unit"),
        ("instances: {reuse: {usage: 5}}", "instances.reuse.usage: there is no such bound; known: uses, age"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("guests")).expect("the test's own folder");
        fs::copy(guest("state_keeps"), folder.path().join("guests/state_keeps.wasm")).expect("a guest can be copied");
        fs::write(folder.path().join("flow.dag.yaml"), flow(says)).expect("the test's own folder");
        let exit = run(&["check", folder.path().to_str().expect("a path of text")]).await;
        // Broken into lines, as people read it.
        let all = format!("{}{}", exit.stdout, exit.stderr).replace('│', "");
        let all = all.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!exit.status.success() && all.contains(told) && all.contains("flow.dag.yaml:9"), "{all}");
    }
}
