//! The variables of OpenTelemetry's standard that are not about the way to a collector.

use std::collections::BTreeMap;

use harness::{Collector, FakeModel, TestHost};
use serde_json::json;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_span_holds_what_the_limits_let_it() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns")
        .collector(&collector)
        .env("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
        .env("OTEL_SPAN_EVENT_COUNT_LIMIT", "1")
        .start()
        .await;
    host.score(json!({"text": "ééééééé"})).await.assert_ok(json!({"text": "ééééééé"}));
    host.stop().await;
    let trace = collector.only_trace().await;
    assert_eq!(trace.spans.len(), 3);
    for span in &trace.spans {
        let events = span.events.iter().flat_map(|event| event.attributes.values());
        for value in span.attributes.values().chain(events) {
            assert!(value.as_str().is_none_or(|text| text.chars().count() <= 5), "{span:?}");
        }
        assert!(span.events.len() <= 1, "{span:?}");
    }
    let node = trace.spans.iter().find(|span| span.attributes.get("span_type") == Some(&json!("Funct")));
    assert_eq!(node.expect("the node's span").attributes["inputs"], json!("{\"tex"));
}

#[tokio::test]
async fn a_span_has_as_many_attributes_as_it_may() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("OTEL_ATTRIBUTE_COUNT_LIMIT", "3").start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;
    let counts: Vec<_> = collector.spans().iter().map(|span| span.attributes.len()).collect();
    assert_eq!(counts, [3, 3, 3]);
}

#[tokio::test]
async fn what_travels_with_requests_can_be_chosen() {
    for (propagators, is_continued, is_passed_on) in
        [("tracecontext", true, true), ("baggage", false, false), ("none", false, false)]
    {
        let (collector, model) = (Collector::start(), FakeModel::replies("hello").start());
        let host = TestHost::flow("llm_chats").model(&model).collector(&collector);
        let host = host.env("OTEL_PROPAGATORS", propagators).start().await;
        let headers = [("traceparent", PARENT), ("baggage", "user=alice")];
        let reply = host.score_with(&headers, r#"{"question": "hi"}"#).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        host.stop().await;
        let spans = collector.spans();
        let continued = spans.iter().all(|span| span.trace_id == PARENT[3..35]);
        assert_eq!(continued, is_continued, "{propagators}");
        let request = &model.requests()[0];
        assert_eq!(request.headers.contains_key("traceparent"), is_passed_on, "{propagators}");
        assert!(!request.headers.contains_key("baggage"), "{propagators}");
    }
}

#[tokio::test]
async fn who_is_told_of_is_said_with_everything_and_log_records_have_limits_of_their_own() {
    let collector = Collector::start();
    let host = TestHost::flow("log_writes")
        .collector(&collector)
        .env("OTEL_SERVICE_NAME", "chat")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,service.version=1.2,team=a%2Cb")
        .env("POD_NAME", "weir-0")
        .env("POD_NAMESPACE", "prod")
        .env("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1")
        .env("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
        .start()
        .await;
    let reply = host.score(json!({"message": "hello"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.stop().await;
    let spans = collector.spans();
    let resource = &spans[0].resource;
    let expected = [
        ("service.name", "chat"),
        ("service.version", "1.2"),
        ("team", "a,b"),
        ("k8s.pod.name", "weir-0"),
        ("k8s.namespace.name", "prod"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.name", "opentelemetry"),
    ];
    for (key, value) in expected {
        assert_eq!(resource.get(key), Some(&json!(value)), "{key}");
    }
    let mut rest: BTreeMap<_, _> = resource.clone();
    rest.retain(|key, _| !expected.iter().any(|(known, _)| known == key));
    let rest: Vec<_> = rest.keys().map(String::as_str).collect();
    assert_eq!(rest, ["host.name", "service.instance.id", "telemetry.sdk.version"]);
    let logs = collector.logs();
    assert!(!logs.is_empty() && logs.iter().all(|log| log.resource == *resource));
    // Its limits are those of log records, not of spans.
    assert!(logs.iter().all(|log| log.attributes.len() <= 1), "{logs:?}");
    let nodes: Vec<_> = logs.iter().filter_map(|log| log.attributes.get("node_name")).collect();
    assert!(!nodes.is_empty() && nodes.iter().all(|name| **name == json!("log_")), "{nodes:?}");
    assert!(spans.iter().any(|span| span.attributes.get("node_name") == Some(&json!("log_writes"))));
}

#[tokio::test]
async fn a_disabled_sdk_tells_nobody_and_serves() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("OTEL_SDK_DISABLED", "TRUE").start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    let exit = host.stop().await;
    assert_eq!(collector.heard().len(), 0);
    for signal in ["traces", "metrics", "logs"] {
        let line = format!("{signal}: sent nowhere (OTEL_SDK_DISABLED)");
        assert!(exit.stdout.contains(&line), "{line}\n{}", exit.stdout);
    }
}

#[tokio::test]
async fn metrics_are_told_since_the_last_time_if_that_is_asked_for() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns")
        .collector(&collector)
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .start()
        .await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    collector.metric_when("flow_request", |metric| metric.count() == 1).await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;
    // The collector keeps what was told last.
    assert_eq!(collector.metric("flow_request").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_at_once() {
    let exit = TestHost::flow("run_returns")
        .env("OTEL_PROPAGATORS", "tracecontext,b3")
        .env("OTEL_SPAN_LINK_COUNT_LIMIT", "-1")
        .env("OTEL_RESOURCE_ATTRIBUTES", "team")
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "often")
        .env("OTEL_LOG_LEVEL", "loud")
        .refuses()
        .await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    for problem in [
        "OTEL_PROPAGATORS: \"b3\" is not spoken here; write `tracecontext`, `baggage` or `none`",
        "OTEL_SPAN_LINK_COUNT_LIMIT: \"-1\" must be a whole number from 0 to 1000000",
        "OTEL_RESOURCE_ATTRIBUTES: \"team\" is no attribute; write NAME=VALUE, separated by commas",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: \"often\" is unknown; write one of: cumulative, delta, lowmemory",
        "OTEL_LOG_LEVEL: \"loud\" is unknown; write one of: none, error, warn, info, debug, verbose, trace, all",
    ] {
        assert!(exit.told().contains(problem), "{problem}\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_variable_without_effect_is_named() {
    let host = TestHost::flow("run_returns").env("OTEL_METRIC_EXPORT_TIMEOUT", "1000").start().await;
    let exit = host.stop().await;
    assert!(exit.stderr.contains("OTEL_METRIC_EXPORT_TIMEOUT has no effect here"), "{}", exit.stderr);
}
