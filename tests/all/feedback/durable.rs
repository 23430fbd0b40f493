//! What an accepted feedback survives: the end of the process, a collector that is away, a disk that is full.

use std::fs;
use std::path::Path;

use harness::{Collector, HostBuilder, TestHost};
use serde_json::{Value, json};

use super::{arrived, feedbacks, said};

/// A host that keeps feedback in this folder, and tries soon again.
pub(super) fn host(data: &Path, collector: &Collector) -> HostBuilder {
    TestHost::flow("run_returns")
        .collector(collector)
        .arg("--data-dir")
        .arg(data.display().to_string())
        .env("WEIR_FEEDBACK_RETRY_MAX", "20ms")
        // How often somebody may come is another matter: see access.rs.
        .env("WEIR_FEEDBACK_RATE", "none")
        .env("WEIR_FEEDBACK_RATE_TOTAL", "none")
}

/// A collector that is away.
fn away() -> Collector {
    let mut collector = Collector::start();
    collector.kill();
    collector
}

async fn status(host: &TestHost) -> Value {
    let reply = host.get_admin("/readyz?verbose").await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("ok")));
    reply.json()["feedback"].clone()
}

fn texts(spans: &[harness::Span]) -> Vec<Value> {
    spans.iter().map(|span| said(span)["feedback"].clone()).collect()
}

fn segments(data: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(data.join("feedback")).expect("the host has made its folder");
    let files = files.map(|file| file.expect("the folder stays").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "journal")).collect();
    files.sort();
    files
}

#[tokio::test]
async fn feedback_survives_a_kill_and_a_collector_that_is_away() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let first = host(data.path(), &collector).start().await;
    first.wrote("feedback: kept in ").await;
    for text in ["one", "two"] {
        let reply = first.feedback("", &[], text).await;
        reply.assert_ok(json!({"status": "Feedback received."}));
        assert_eq!(reply.header("x-feedback-durability"), Some("disk"));
    }
    let told = status(&first).await;
    assert_eq!((&told["durability"], &told["pending"], &told["delivered"]), (&json!("disk"), &json!(2), &json!(0)));
    first.kill().await;

    let second = host(data.path(), &collector).start().await;
    second.feedback("", &[], "three").await.assert_ok(json!({"status": "Feedback received."}));
    collector.revive();
    assert_eq!(texts(&arrived(&collector, 3).await), ["one", "two", "three"]);
    second.wrote("feedback is delivered again").await;
    second.stop().await;
    assert_eq!(feedbacks(&collector.spans()).len(), 3);
    assert_eq!(segments(data.path()), Vec::<std::path::PathBuf>::new(), "what was delivered is gone");
}

#[tokio::test]
async fn feedback_goes_by_grpc_as_well() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let host = host(data.path(), &collector).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").start().await;
    host.feedback("", &[], "one").await.assert_ok(json!({"status": "Feedback received."}));
    collector.revive();
    assert_eq!(texts(&arrived(&collector, 1).await), ["one"]);
    host.stop().await;
}

#[tokio::test]
async fn each_delivery_of_a_feedback_is_the_same_span() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = host(data.path(), &away()).start().await;
    first.feedback("?flatten=true", &[], r#"{"score": 0.1}"#).await.assert_ok(json!({"status": "Feedback received."}));
    first.kill().await;
    fs::create_dir(copy.path().join("feedback")).unwrap();
    for file in segments(data.path()) {
        fs::copy(&file, copy.path().join("feedback").join(file.file_name().unwrap())).unwrap();
    }

    let mut spans = Vec::new();
    for data in [data.path(), copy.path()] {
        let collector = Collector::start();
        // Each process is an instance of its own, unless somebody names it.
        let host = host(data, &collector).env("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=one").start().await;
        spans.extend(arrived(&collector, 1).await);
        host.stop().await;
    }
    assert_eq!(spans[0], spans[1]);
    assert_eq!(spans[0].attributes["score"], json!(0.1));
    assert!(spans[0].attributes["feedback.id"].as_str().is_some_and(|id| id.len() == 36));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_collector_that_is_away_and_says_what_stays() {
    let data = tempfile::tempdir().unwrap();
    let collector = away();
    let first = host(data.path(), &collector).start().await;
    first.feedback("", &[], "one").await.assert_ok(json!({"status": "Feedback received."}));
    let exit = first.stop().await;
    assert!(exit.stderr.contains("stays in the data directory for the next start pending=1"), "{}", exit.stderr);

    let memory = TestHost::flow("run_returns").collector(&collector).start().await;
    memory.wrote("feedback: kept in memory until delivered (WEIR_DATA_DIR is not set)").await;
    let reply = memory.feedback("", &[], "one").await;
    assert_eq!(reply.header("x-feedback-durability"), Some("memory"));
    assert_eq!(status(&memory).await["durability"], json!("memory"));
    let exit = memory.stop().await;
    assert!(exit.stderr.contains("is lost: WEIR_DATA_DIR is not set pending=1"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_full_journal_refuses_feedback_and_nothing_else_and_loses_none() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let host = host(data.path(), &collector).env("WEIR_FEEDBACK_MAX_BYTES", "64KiB").start().await;
    let body = "x".repeat(7000);
    let mut accepted = 0;
    let refusal = loop {
        let reply = host.feedback("", &[], body.clone()).await;
        if reply.status != 200 {
            break reply;
        }
        accepted += 1;
    };
    assert!((5..10).contains(&accepted), "{accepted}");
    let code = &refusal.json()["error"]["innerError"]["code"];
    assert_eq!((refusal.status, code), (503, &json!("FeedbackStoreUnavailable")));
    assert!(refusal.header("retry-after").is_some_and(|it| it.parse::<u64>().is_ok()));
    let told = status(&host).await;
    assert_eq!((&told["pending"], &told["refused"]), (&json!(accepted), &json!(1)));
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));

    collector.revive();
    host.wrote("feedback is refused: it cannot be stored").await;
    arrived(&collector, accepted).await;
    host.wrote("feedback is delivered again").await;
    // The room is there a moment after the delivery.
    while host.feedback("", &[], body.clone()).await.status != 200 {}
    arrived(&collector, accepted + 1).await;
    host.stop().await;
}

#[tokio::test]
async fn a_torn_or_damaged_journal_costs_no_more_than_what_is_damaged() {
    let data = tempfile::tempdir().unwrap();
    let first = host(data.path(), &away()).start().await;
    for text in ["one", "damaged", "three", "torn"] {
        first.feedback("", &[], text).await.assert_ok(json!({"status": "Feedback received."}));
    }
    first.kill().await;
    let file = segments(data.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|it| it == b"damaged").unwrap();
    bytes[at] = b'D';
    bytes.truncate(bytes.len() - 3);
    fs::write(&file, bytes).unwrap();
    fs::write(data.path().join("feedback/00000000000000000099.journal"), b"weirjrnl\x02\0\0\0 of a newer version")
        .unwrap();

    let collector = Collector::start();
    let second = host(data.path(), &collector).start().await;
    assert_eq!(texts(&arrived(&collector, 2).await), ["one", "three"]);
    let told = status(&second).await;
    assert_eq!((&told["torn"], &told["corrupt"], &told["foreign"]), (&json!(1), &json!(1), &json!(1)));
    second.stop().await;
    assert_eq!(segments(data.path()).len(), 1, "the newer one is still there");
}

#[tokio::test]
async fn a_key_is_known_after_a_restart_as_long_as_its_feedback_waits() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let key = [("idempotency-key", "k-1")];
    let first = host(data.path(), &collector).start().await;
    first.feedback("", &key, "one").await.assert_ok(json!({"status": "Feedback received."}));
    first.kill().await;
    let second = host(data.path(), &collector).start().await;
    second.feedback("", &key, "one").await.assert_ok(json!({"status": "Feedback received."}));
    collector.revive();
    second.feedback("", &[], "two").await.assert_ok(json!({"status": "Feedback received."}));
    assert_eq!(texts(&arrived(&collector, 2).await), ["one", "two"]);
    // Also when it has been delivered.
    second.feedback("", &key, "one").await.assert_ok(json!({"status": "Feedback received."}));
    second.stop().await;
    assert_eq!(feedbacks(&collector.spans()).len(), 2);
}

#[tokio::test]
async fn a_data_directory_has_one_host_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let first = host(data.path(), &collector).start().await;
    let exit = host(data.path(), &collector).refuses().await;
    assert!(exit.told().contains("is used by another process; give each host a data directory of its own"), "{exit:?}");
    first.stop().await;
}
