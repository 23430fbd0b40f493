//! What is told arrives, though its collector is away, refuses or is slow, and the host is started anew meanwhile; or it is
//! counted. And no request is held up by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use harness::{Collector, HostBuilder, Ingestion, Protocol, TestHost, eventually};
use http::StatusCode;
use serde_json::{Value, json};

/// Spans of one request to the flow: of the request, the flow and its node.
const SPANS: usize = 3;

fn host(data: &Path, collector: &Collector) -> HostBuilder {
    TestHost::flow("run_returns")
        .collector(collector)
        .arg("--data-dir")
        .arg(data.display().to_string())
        .env("WEIR_EXPORT_RETRY_MAX", "20ms")
}

/// The trace id of a request, by its number.
fn trace(number: usize) -> String {
    format!("{:032x}", number + 1)
}

/// Sends the requests of these numbers, each with a trace of its own.
async fn ask(host: &TestHost, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let parent = format!("00-{}-00000000000000aa-01", trace(number));
        let reply = host.score_with(&[("traceparent", &parent)], json!({"text": "a"}).to_string()).await;
        reply.assert_ok(json!({"text": "a"}));
    }
}

/// Returns when all spans of so many requests have arrived.
async fn all_arrive(collector: &Collector, requests: usize) {
    let what = format!("the spans of {requests} requests");
    let spans = collector.spans_when(&what, |spans| spans.len() >= requests * SPANS).await;
    let mut by_trace: BTreeMap<String, usize> = BTreeMap::new();
    for span in spans.into_iter().filter(|span| span.name != "promptflow-feedback") {
        *by_trace.entry(span.trace_id).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = (0..requests).map(|number| (trace(number), SPANS)).collect();
    assert_eq!(by_trace, expected);
}

/// How the exporter of traces is doing.
async fn traces(host: &TestHost) -> Value {
    let reply = host.get_admin("/readyz?verbose").await;
    let exporters = reply.json()["exporters"].as_array().cloned().unwrap_or_default();
    exporters.into_iter().find(|it| it["signal"] == json!("traces")).expect("an exporter of traces")
}

/// Returns when so many spans wait in the data directory.
async fn spooled(host: &TestHost, spans: usize) {
    eventually("spans to be spooled", async || traces(host).await["spooled"] == json!(spans)).await;
}

fn away() -> Collector {
    let mut collector = Collector::start();
    collector.kill();
    collector
}

#[tokio::test]
async fn spans_outlast_an_absence_of_the_collector_and_a_new_start_of_the_host() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let first = host(data.path(), &collector).start().await;
    ask(&first, 0..20).await;
    spooled(&first, 20 * SPANS).await;
    let told = traces(&first).await;
    assert_eq!((&told["state"], &told["sent"], &told["lost"]), (&json!("away"), &json!(0), &json!({})));
    first.wrote("telemetry cannot be sent; it is kept and tried again").await;
    ask(&first, 20..25).await;
    let exit = first.stop().await;
    assert!(exit.stderr.contains("telemetry that could not be sent stays in the data directory"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("telemetry is lost"), "{}", exit.stderr);

    let second = host(data.path(), &collector).start().await;
    second.wrote("telemetry of an earlier process waits to be sent").await;
    ask(&second, 25..30).await;
    spooled(&second, 30 * SPANS).await;
    second.kill().await;

    let third = host(data.path(), &collector).start().await;
    // A host that has not tried yet has nothing to tell when it is taken.
    third.wrote("telemetry cannot be sent; it is kept and tried again").await;
    collector.revive();
    all_arrive(&collector, 30).await;
    third.wrote("telemetry is taken again").await;
    ask(&third, 30..31).await;
    all_arrive(&collector, 31).await;
    third.stop().await;
    all_arrive(&collector, 31).await;
}

#[tokio::test]
async fn while_the_collector_is_away_a_trace_is_on_disk_as_soon_as_it_is_whole() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    // Two requests fill a batch, and tell that the collector is away; the third alone would wait for a minute.
    let host = |collector: &Collector| {
        let host = host(data.path(), collector).env("OTEL_BSP_SCHEDULE_DELAY", "60000");
        host.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", (2 * SPANS).to_string())
    };
    let first = host(&collector).start().await;
    ask(&first, 0..2).await;
    spooled(&first, 2 * SPANS).await;
    ask(&first, 2..3).await;
    spooled(&first, 3 * SPANS).await;
    first.kill().await;
    collector.revive();
    let second = host(&collector).start().await;
    all_arrive(&collector, 3).await;
    second.stop().await;
}

#[tokio::test]
async fn metrics_of_the_absence_arrive_as_well() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let host = host(data.path(), &collector).start().await;
    ask(&host, 0..5).await;
    spooled(&host, 5 * SPANS).await;
    collector.revive();
    collector.metric_when("flow_request", |metric| metric.count() == 5).await;
    host.stop().await;
}

#[tokio::test]
async fn what_a_collector_refuses_for_now_is_sent_again() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::UNAUTHORIZED] {
            let data = tempfile::tempdir().unwrap();
            let collector = Collector::start();
            collector.refuse(status);
            let host = host(data.path(), &collector).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name()).start().await;
            ask(&host, 0..3).await;
            collector.refused().await;
            spooled(&host, 3 * SPANS).await;
            collector.accept();
            all_arrive(&collector, 3).await;
            host.stop().await;
        }
    }
}

#[tokio::test]
async fn without_a_data_directory_what_waits_is_in_memory() {
    let mut collector = away();
    let flow = TestHost::flow("run_returns").collector(&collector).env("WEIR_EXPORT_RETRY_MAX", "20ms");
    let host = flow.start().await;
    ask(&host, 0..10).await;
    eventually("spans to wait", async || traces(&host).await["in_memory"] == json!(10 * SPANS)).await;
    collector.revive();
    all_arrive(&collector, 10).await;
    collector.kill();
    ask(&host, 10..12).await;
    let exit = host.stop().await;
    let lost = exit.stderr.lines().find(|line| line.contains("telemetry is lost") && line.contains("traces"));
    let lost = lost.unwrap_or_else(|| panic!("the end does not say what is lost: {}", exit.stderr));
    assert!(lost.contains("unsent") && lost.contains(&format!("items={}", 2 * SPANS)), "{lost}");
}

#[tokio::test]
async fn what_a_full_spool_gives_up_is_counted_to_the_last_span() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let long = "x".repeat(3000);
    let host = host(data.path(), &collector).env("WEIR_SPOOL_MAX_BYTES", "1MiB").start().await;
    let mut requests = 0;
    while traces(&host).await["lost"] == json!({}) {
        for _ in 0..20 {
            host.score(json!({"text": long})).await.assert_ok(json!({"text": long}));
        }
        requests += 20;
    }
    eventually("all spans to be kept or counted", async || {
        let told = traces(&host).await;
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        count(&told["spooled"]) + count(&told["lost"]["spool_full"]) == requests * SPANS as u64
    })
    .await;
    let lost = traces(&host).await["lost"]["spool_full"].as_u64().unwrap();
    host.wrote("telemetry is lost").await;
    collector.revive();
    let left = usize::try_from(requests).unwrap() * SPANS - usize::try_from(lost).unwrap();
    collector.spans_when("what was kept", |spans| spans.len() == left).await;
    let metric = collector.metric_when("weir.exporter.lost", |metric| metric.count() >= lost).await;
    assert_eq!(metric.label("signal", "traces").label("reason", "spool_full").count(), lost);
    host.stop().await;
}

#[tokio::test]
async fn a_data_directory_that_fails_costs_nothing_but_its_shelter() {
    let data = tempfile::tempdir().unwrap();
    let mut collector = away();
    let host = host(data.path(), &collector).start().await;
    fs::remove_dir_all(data.path().join("spool/otlp-traces")).unwrap();
    ask(&host, 0..10).await;
    eventually("spans to wait", async || traces(&host).await["in_memory"] == json!(10 * SPANS)).await;
    host.wrote("telemetry cannot be spooled, and waits in memory").await;
    collector.revive();
    all_arrive(&collector, 10).await;
    host.stop().await;
}

#[tokio::test]
async fn a_destination_that_is_away_keeps_nothing_from_another_and_gets_everything_later() {
    let data = tempfile::tempdir().unwrap();
    let (collector, mut insights) = (Collector::start(), Ingestion::start());
    let resource = insights.connection_string("aaaaaaaa-1111-4111-8111-111111111111");
    insights.kill();
    let host = || {
        let host = host(data.path(), &collector).env("WEIR_FEEDBACK_RETRY_MAX", "20ms");
        host.env("APPLICATIONINSIGHTS_CONNECTION_STRING", &resource)
    };
    let first = host().start().await;
    ask(&first, 0..5).await;
    first.feedback("", &[], "good").await.assert_ok(json!({"status": "Feedback received."}));
    all_arrive(&collector, 5).await;
    collector.span("promptflow-feedback").await;
    let exit = first.stop().await;
    assert!(exit.stderr.contains("exporter=\"azuremonitor\" signal=\"traces\" items="), "{}", exit.stderr);
    assert!(exit.stderr.contains("stays in the data directory for the next start pending=1"), "{}", exit.stderr);

    insights.revive();
    let second = host().start().await;
    let spans = |envelopes: &[Value]| {
        let types = envelopes.iter().map(|it| it["data"]["baseType"].clone());
        types.filter(|it| *it == json!("RequestData") || *it == json!("RemoteDependencyData")).count()
    };
    insights.envelopes_when("all spans and the feedback", |all| spans(all) == 5 * SPANS + 1).await;
    second.stop().await;
    assert_eq!(spans(&insights.envelopes()), 5 * SPANS + 1, "nothing is told twice");
    all_arrive(&collector, 5).await;
}

#[tokio::test]
async fn an_operator_sees_what_is_told_to_whom_and_how_that_goes() {
    let data = tempfile::tempdir().unwrap();
    let collector = away();
    let running = host(data.path(), &collector).start().await;
    ask(&running, 0..1).await;
    spooled(&running, SPANS).await;
    let config = |admin: String| host(data.path(), &collector).env("WEIR_ADMIN_LISTEN", admin).start_verb("config");
    let told = config(running.admin().to_string()).exit().await.stdout;
    let endpoint = collector.endpoint();
    for line in [
        format!("traces: otlp (http/protobuf) to {endpoint}/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT)"),
        "metrics: at /metrics of the admin listener".to_owned(),
        format!("the host at {}:", running.admin()),
        "  traces by otlp: away: no connection".to_owned(),
    ] {
        assert!(told.contains(&line), "{line:?} is not in\n{told}");
    }
    assert!(told.contains(&format!("; 0 sent, {SPANS} waiting, 0 lost")), "{told}");
    let admin = running.admin().to_string();
    running.kill().await;
    let told = config(admin.clone()).exit().await.stdout;
    assert!(told.contains(&format!("no host answers at {admin}")), "{told}");
}
