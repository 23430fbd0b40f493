//! Guests that flood their log.

use std::collections::BTreeSet;

use harness::{Aftermath, Hostile, Log};
use serde_json::json;

/// The records of the first run.
fn of_one_run(after: &Aftermath) -> Vec<Log> {
    let first = after.spans()[0].span_id.clone();
    after.collector.logs().into_iter().filter(|log| log.span_id == first).collect()
}

fn text(log: &Log) -> &str {
    log.body.as_str().expect("a text")
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_one_record_says_how_much() {
    let node = "inputs: {lines: 1000000, bytes: 0}\nlimits: {log: 1MiB, cpu: 60s, timeout: 300s}";
    let after = Hostile::guest_with("limits_logs_much", node).times(1).gives(json!("done")).await;
    // They come in parcels, of which one may overtake another.
    let records = of_one_run(&after);
    let told: BTreeSet<_> = records.iter().map(text).collect();
    let mut expected: BTreeSet<_> = (0..1000).map(|n| format!("line {n}")).collect();
    expected.insert("999000 more lines of this node are left out".to_owned());
    assert_eq!((records.len(), told), (1001, expected.iter().map(String::as_str).collect()));
    assert_eq!(after.spans()[0].attributes["weir.notes_left_out"], json!(999000));
}

#[tokio::test]
async fn a_flood_of_text_is_cut_and_one_record_says_how_much() {
    // 256 MiB in all.
    let node = "inputs: {lines: 0, bytes: 134217728}\nlimits: {cpu: 60s, timeout: 300s}";
    let after = Hostile::guest_with("limits_logs_much", node).times(1).gives(json!("done")).await;
    let records = of_one_run(&after);
    let told: usize = records.iter().map(|log| text(log).len()).sum();
    assert!((64 << 10..70 << 10).contains(&told), "{told}");
    // Lines of 4 KiB, since none ends by itself.
    let left_out = (256 << 20) / 4096 - (records.len() - 1);
    let last = format!("{left_out} more lines of this node are left out");
    assert_eq!(records.iter().filter(|log| text(log) == last).count(), 1, "{last}");
}

#[tokio::test]
async fn a_flow_may_ask_for_a_longer_log_up_to_the_cap() {
    let node = "inputs: {lines: 2500, bytes: 0}\nlimits: {log_lines: 2000}";
    let after = Hostile::guest_with("limits_logs_much", node).times(1).gives(json!("done")).await;
    assert_eq!(of_one_run(&after).len(), 2001);
}
