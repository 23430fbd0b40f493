//! What a node writes breaks neither a terminal nor a line, nor is it held without bound.

use harness::{Hostile, TestHost};
use serde_json::json;

#[tokio::test]
async fn what_a_node_writes_cannot_pose_as_the_hosts_own_line() {
    let flow = "inputs: {}\noutputs: {a: {type: string, reference: '${n.output}'}}\nnodes:\n\
                - {name: n, type: wasm, source: {type: code, path: guests/log_writes_raw.wasm}, inputs: {bytes: 1}}\n";
    let host = TestHost::written("text", flow).env("OTEL_LOGS_EXPORTER", "console").start().await;
    host.score(json!({})).await.assert_ok(json!({"a": "done"}));
    let exit = host.stop().await;
    for output in [&exit.stdout, &exit.stderr] {
        assert!(!output.contains(['\x1b', '\x07', '\0', '\r']), "{output:?}");
        let posing = output.lines().filter(|line| line.starts_with("2026-01-01 ERROR"));
        assert_eq!(posing.count(), 0, "{output:?}");
    }
    assert!(exit.stdout.contains("posing"), "it is told all the same: {:?}", exit.stdout);
}

#[tokio::test]
async fn a_line_without_an_end_is_held_in_pieces() {
    let after = Hostile::guest_with("log_writes_raw", "inputs: {bytes: 10485760}").gives(json!("done")).await;
    let longest = after.collector.logs().iter().filter_map(|log| log.body.as_str().map(str::len)).max();
    assert_eq!(longest, Some(4096));
}
