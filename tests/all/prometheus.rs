//! What Prometheus reads: by its own tool, and by a Prometheus that answers questions about a host.

use harness::prometheus::{Prometheus, check};
use harness::{FakeModel, TestHost};
use serde_json::json;

const SCORES: usize = 20;

#[tokio::test]
async fn promtool_finds_no_fault() {
    let model = FakeModel::replies("one two three").start();
    let dimensions = r#"{"region": "eu", "cost center": "7 \"a\""}"#;
    let host = TestHost::flow("llm_relays").model(&model).env("PF_SERVING_METRICS_COMMON_DIMENSIONS", dimensions);
    let host = host.start().await;
    host.score(json!({"question": "hi"})).await;
    host.stream(json!({"question": "hi"})).await.rest().await;
    let metrics = host.get_admin("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(check(metrics.text()), Ok(()));
    for line in [
        "# TYPE flow_request_total counter",
        "# TYPE flow_latency histogram",
        "region=\"eu\"",
        r#"cost_center="7 \"a\"""#,
        "target_info{",
        "service_name=\"promptflow\"",
    ] {
        assert!(metrics.text().contains(line), "{line}\n{}", metrics.text());
    }
    assert!(!metrics.text().contains("otel_scope"), "the scope would make new series with every version");
}

#[tokio::test]
async fn promtool_would_find_faults() {
    let faults = check("# TYPE requests counter\nrequests 1\n").expect_err("it has no help, and no _total");
    assert!(faults.contains("requests"), "{faults}");
}

#[tokio::test]
async fn a_prometheus_answers_what_an_operator_asks() {
    let model = FakeModel::replies("one two three").start();
    let host = TestHost::flow("llm_chats").model(&model).start().await;
    let prometheus = Prometheus::reading(host.admin()).await;
    for _ in 0..SCORES {
        assert_eq!(host.score(json!({"question": "hi"})).await.status, 200);
    }
    assert_eq!(host.score_with(&[], "[]").await.status, 400);

    let all =
        |count: usize| move |found: &std::collections::BTreeMap<_, f64>| found.values().sum::<f64>() == count as f64;
    prometheus.query_when("sum(flow_request_total)", all(SCORES + 1)).await;
    assert_eq!(prometheus.last_error().await, "");

    // The quantile lies between the bounds of the buckets.
    let quantile = "histogram_quantile(0.9, sum by (le, flow) (flow_latency_bucket{response_code=\"200\"}))";
    let found = prometheus.query(quantile).await;
    let (labels, millis) = found.first_key_value().expect("a quantile");
    assert_eq!(labels.get("flow").map(String::as_str), Some("llm_chats"));
    assert!(*millis > 0.0 && *millis < 60_000.0, "{millis}");

    // And over time, as dashboards ask.
    for _ in 0..SCORES {
        assert_eq!(host.score(json!({"question": "hi"})).await.status, 200);
    }
    let p95 = "histogram_quantile(0.95, sum by (le, flow) (rate(flow_latency_bucket{response_code=\"200\"}[1m])))";
    let found = prometheus.query_when(p95, |found| found.values().any(|value| *value > 0.0)).await;
    assert_eq!(found.len(), 1, "{found:?}");

    let wrong = prometheus.query("sum by (response_code) (flow_request_total{response_code!=\"200\"})").await;
    assert_eq!(wrong.values().copied().collect::<Vec<_>>(), [1.0]);
    let tokens = prometheus.query("sum(token_consumption_total{token_type=\"total_tokens\"})").await;
    assert!(tokens.values().sum::<f64>() > 0.0);
    host.stop().await;
}

#[tokio::test]
async fn many_may_read_at_once_and_ask_for_less() {
    let host = TestHost::flow("run_returns").start().await;
    host.score(json!({"text": "a"})).await;
    let reads = (0..16).map(|_| host.get_admin("/metrics"));
    for read in futures_util::future::join_all(reads).await {
        assert!(read.status == 200 && read.text().contains("flow_request_total{"), "{}", read.text());
    }
    let ask = |headers: &[(&str, &str)]| {
        let mut request = http::Request::get("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        harness::attempt(host.admin(), request.body(bytes::Bytes::new()).expect("a valid request"))
    };
    let zipped = ask(&[("accept-encoding", "gzip")]).await.expect("an answer");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*zipped.body), &mut text).expect("it is gzip");
    assert!(text.contains("# TYPE flow_request_total counter"), "{text}");
    let refused = ask(&[("accept", "application/json")]).await.expect("an answer");
    assert_eq!(refused.status, 406);
    // Metrics are the operator's.
    assert_eq!(host.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn dimensions_that_prometheus_cannot_take_are_refused_at_start() {
    for (dimensions, told) in [
        (r#"{"1st": "a"}"#, "\"1st\""),
        (r#"{"response-code": "a"}"#, "\"response-code\""),
        (r#"{"le": "a"}"#, "\"le\""),
        (r#"{"": "a"}"#, "\"\""),
    ] {
        let host = TestHost::flow("run_returns").env("PF_SERVING_METRICS_COMMON_DIMENSIONS", dimensions);
        let exit = host.refuses().await;
        let told = format!("PF_SERVING_METRICS_COMMON_DIMENSIONS: {told}");
        assert!(exit.status.code() == Some(2) && exit.told().contains(&told), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn whoever_names_other_exporters_has_no_page_of_metrics() {
    for (list, status) in [("none", 404), ("otlp,console", 404), ("prometheus", 200), ("otlp, prometheus", 200)] {
        let host = TestHost::flow("run_returns").env("OTEL_METRICS_EXPORTER", list);
        let host = host.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").start().await;
        assert_eq!(host.get_admin("/metrics").await.status, status, "{list}");
        host.kill().await;
    }
}
