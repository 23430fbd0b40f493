//! What points say, and when there is one: over HTTP, against a collector.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Collector, FakeModel, Labels, TestHost, eventually};
use serde_json::json;

/// Fails with the code that its caller names.
const FAILS: &str = "
inputs: {code: {type: string}, other: {type: string, default: ''}}
outputs: {a: {type: object, reference: '${n.output}'}}
nodes:
- name: n
  type: wasm
  source: {type: code, path: guests/run_returns_user_error.wasm}
  inputs: {code: '${inputs.code}'}
";

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn each_request_to_a_flow_is_counted_once_whatever_became_of_it() {
    let collector = Collector::start();
    let key = "a-key-of-thirty-two-letters-00000";
    let host = TestHost::written("fails", FAILS).collector(&collector).env("WEIR_PRIMARY_KEY", key);
    let host = host.start().await;
    let bearer = format!("Bearer {key}");
    let known = ("authorization", bearer.as_str());
    assert_eq!(host.score_with(&[], "{}").await.status, 401);
    assert_eq!(host.score_with(&[known], "no JSON").await.status, 400);
    assert_eq!(host.score_with(&[known], r#"{"code": "TooLong"}"#).await.status, 400);
    assert_eq!(host.score_with(&[known, ("accept", "image/png")], "{}").await.status, 406);
    assert_eq!(host.score_with(&[known], vec![b' '; 5 << 20]).await.status, 413);
    host.stop().await;

    let counts = collector.metric("flow_request").counts();
    let request = |code, exception| {
        let flow = ("flow", "fails");
        (labels([flow, ("response_code", code), ("exception", exception), ("streaming", "False")]), 1)
    };
    let expected = [
        request("401", "Unauthenticated"),
        request("400", "JsonPayloadRequiredForMultipleInputFields"),
        request("400", "TooLong"),
        request("406", "NotAcceptable"),
        request("413", "BodyTooLarge"),
    ];
    assert_eq!(counts, expected.into());
    assert_eq!(collector.metric("flow_latency").label("response_type", "default").count(), 5);
    let reasons: BTreeMap<String, u64> = collector
        .metric("weir.request.refused")
        .counts()
        .into_iter()
        .map(|(labels, count)| (labels["reason"].clone(), count))
        .collect();
    assert_eq!(reasons, [("unauthenticated".to_owned(), 1), ("body_too_large".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_request_for_a_deployment_that_is_not_there_is_no_flows() {
    let deployment = "name: blue\nmodel: {path: f}\n";
    let collector = Collector::start();
    let host = TestHost::laid(&[("f", "inputs: {}\n")], &[("d.yaml", deployment)], "d.yaml");
    let host = host.collector(&collector).start().await;
    assert_eq!(host.score_with(&[("azureml-model-deployment", "green")], "{}").await.status, 404);
    assert_eq!(host.score_with(&[("azureml-model-deployment", "blue")], "{}").await.status, 200);
    host.stop().await;
    let counts = collector.metric("flow_request").counts();
    assert_eq!(counts.values().sum::<u64>(), 1, "{counts:?}");
    let (of_blue, _) = counts.first_key_value().expect("one request");
    assert_eq!((of_blue["response_code"].as_str(), of_blue["deployment"].as_str()), ("200", "blue"));
    // HTTP knows of both.
    let statuses: BTreeSet<String> = collector
        .metric("http.server.request.duration")
        .points
        .into_keys()
        .map(|labels| labels["http.response.status_code"].clone())
        .collect();
    assert_eq!(statuses, ["200".to_owned(), "404".to_owned()].into());
}

#[tokio::test]
async fn every_public_route_is_measured_and_no_path_is_a_label() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    for path in ["/health", "/version", "/swagger.json", "/", "/nowhere/123", "/nowhere/456"] {
        host.get(path).await;
    }
    host.score(json!({"text": "a"})).await;
    host.feedback("", &[], "1").await;
    host.stop().await;
    let points = collector.metric("http.server.request.duration").counts();
    let told: BTreeMap<(String, String), u64> = points
        .into_iter()
        .map(|(labels, count)| {
            let route = labels.get("http.route").cloned().unwrap_or_else(|| "none".to_owned());
            ((route, labels["http.response.status_code"].clone()), count)
        })
        .collect();
    let expected = [
        (("/", "200"), 1),
        (("/feedback", "200"), 1),
        (("/health", "200"), 1),
        (("/score", "200"), 1),
        (("/swagger.json", "200"), 1),
        (("/version", "200"), 1),
        (("none", "404"), 2),
    ];
    let expected = expected.map(|((route, status), count)| ((route.to_owned(), status.to_owned()), count));
    assert_eq!(told, expected.into());
    assert_eq!(collector.metric("http.server.active_requests").sum().abs(), 0.0);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_first_byte_and_no_last() {
    let model = FakeModel::replies("one two three").holding_streams_after(2).start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_relays").model(&model).collector(&collector).start().await;
    let mut stream = host.stream(json!({"question": "hi"})).await;
    stream.next().await.expect("a chunk");
    drop(stream);
    let gone = collector.metric_when("flow_request", |metric| metric.count() == 1).await;
    let flow = ("flow", "llm_relays");
    let request = [flow, ("response_code", "499"), ("exception", "ClientDisconnect"), ("streaming", "True")];
    assert_eq!(gone.counts(), [(labels(request), 1)].into());
    host.stop().await;
    let types: Vec<String> =
        collector.metric("flow_latency").points.into_keys().map(|labels| labels["response_type"].clone()).collect();
    assert_eq!(types, ["firstbyte"]);
    assert_eq!(collector.metric("flow_streaming_response_duration").count(), 0);
}

#[tokio::test]
async fn tokens_of_embeddings_count() {
    let model = FakeModel::echo().start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_embeds").model(&model).collector(&collector).start().await;
    let reply = host.score(json!({"texts": ["a b c"]})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.stop().await;
    let types: BTreeSet<String> =
        collector.metric("token_consumption").points.into_keys().map(|labels| labels["token_type"].clone()).collect();
    assert_eq!(types, ["prompt_tokens".to_owned(), "total_tokens".to_owned()].into());
}

#[tokio::test]
async fn a_hostile_guest_and_its_caller_cannot_make_labels() {
    let collector = Collector::start();
    let host = TestHost::written("fails", FAILS).collector(&collector).start().await;
    for n in 0..120 {
        let reply = host.score(json!({"code": format!("Code{n}")})).await;
        assert_eq!(reply.status, 400);
        let request = http::Request::builder().method(format!("M{n}").as_str()).uri(format!("/p{n}"));
        host.send(request.body(bytes::Bytes::new()).expect("a valid request")).await;
    }
    host.stop().await;
    for name in ["flow_request", "node_request"] {
        let counts = collector.metric(name).counts();
        assert_eq!(counts.values().sum::<u64>(), 120, "{name}: each is counted");
        assert_eq!(counts.len(), 51, "{name}: the first fifty by name, and the others");
        assert_eq!(collector.metric(name).label("exception", "_OTHER").count(), 70, "{name}");
    }
    let methods: BTreeSet<String> = collector
        .metric("http.server.request.duration")
        .points
        .into_keys()
        .map(|labels| labels["http.request.method"].clone())
        .collect();
    assert_eq!(methods, ["POST".to_owned(), "_OTHER".to_owned()].into());
}

#[tokio::test]
async fn what_the_host_is_doing_is_told_while_it_does_it() {
    let model = FakeModel::echo().gated().start();
    let host = TestHost::flow("llm_chats").model(&model).env("WEIR_MAX_CONCURRENCY", "1");
    let host = host.env("WEIR_MAX_QUEUE", "1").env("WEIR_MAX_QUEUE_WAIT", "1m").start().await;
    let ask = || host.score(json!({"question": "hi"}));
    let watch = async {
        model.requested(1).await;
        // The second one waits, once it has come so far.
        eventually("a request to wait", async || reads(&host, r#"weir_request_waiting{flow="llm_chats"}"#, 1.0).await)
            .await;
        assert_eq!(ask().await.status, 503);
        for (series, value) in [
            (r#"weir_request_running{flow="llm_chats"}"#, 1.0),
            (r#"weir_request_limit{flow="llm_chats"}"#, 1.0),
            (r#"weir_request_refused_total{flow="llm_chats",reason="queue_full"}"#, 1.0),
            ("weir_instance_active", 1.0),
            (r#"weir_pool_slot{resource="component",state="used"}"#, 1.0),
            (r#"http_server_active_requests{http_request_method="POST",url_scheme="http"}"#, 2.0),
            (r#"weir_connection_open{listener="public"}"#, 2.0),
            (r#"weir_connection_limit{listener="public"}"#, 1024.0),
            ("weir_feedback_pending", 0.0),
        ] {
            eventually(series, async || reads(&host, series, value).await).await;
        }
        model.release(2);
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), watch);
    assert_eq!((first.status, second.status), (200, 200));
    for (series, value) in [
        (r#"weir_request_running{flow="llm_chats"}"#, 0.0),
        ("weir_instance_active", 0.0),
        (r#"weir_node_memory_peak_bytes_count{flow="llm_chats",node="llm_chats"}"#, 2.0),
        (r#"weir_instantiation_duration_seconds_count{flow="llm_chats",node="llm_chats"}"#, 2.0),
    ] {
        eventually(series, async || reads(&host, series, value).await).await;
    }
    let text = host.get_admin("/metrics").await.text().to_owned();
    let memory = value(&text, r#"weir_node_memory_peak_bytes_sum{flow="llm_chats",node="llm_chats"}"#);
    assert!(memory.is_some_and(|bytes| bytes >= 2.0 * 65_536.0), "{memory:?}");
    let lookups =
        ["hit", "miss"].map(|it| value(&text, &format!("weir_compile_cache_lookup_total{{result=\"{it}\"}}")));
    assert!(lookups.iter().flatten().sum::<f64>() >= 1.0, "{lookups:?}");
}

/// Whether Prometheus would read this value now.
async fn reads(host: &TestHost, series: &str, expected: f64) -> bool {
    value(host.get_admin("/metrics").await.text(), series) == Some(expected)
}

/// The value of one series, which is written with its labels in the order of the alphabet.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
