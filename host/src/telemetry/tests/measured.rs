//! Metrics: when a point is recorded, and what it says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry_sdk::metrics::data::Metric;

use super::*;

#[track_caller]
fn check<const N: usize>(rig: &Rig, metric: &str, expected: &[Point; N]) {
    assert_eq!(rig.points(metric), expected, "{metric}");
}

/// A request with this end; gives the status of its span.
fn finished(rig: &Rig, finish: FinishRequest<'_>) -> Status {
    rig.request(&Context::new()).finish(finish);
    rig.span("POST /score").status
}

fn request_labels(code: &str, streaming: &str) -> BTreeMap<String, String> {
    labels([("flow", "chat-basic"), ("response_code", code), ("streaming", streaming)])
}

fn and<const N: usize>(mut some: BTreeMap<String, String>, more: [(&str, &str); N]) -> BTreeMap<String, String> {
    some.append(&mut labels(more));
    some
}

#[test]
fn a_request_is_counted_once_and_timed() {
    let rig = Rig::new();
    assert_eq!(finished(&rig, rig.finish_request()), Status::Ok);
    let ok = request_labels("200", "False");
    check(&rig, "flow_request", &[(and(ok.clone(), [("exception", "")]), 1)]);
    check(&rig, "flow_latency", &[(and(ok, [("response_type", "default")]), 1)]);
    check(&rig, "flow_streaming_response_duration", &[]);
}

#[test]
fn a_stream_is_timed_to_its_first_and_to_its_last_byte() {
    let rig = Rig::new();
    let first_byte = Some(Duration::from_millis(3));
    let status = finished(&rig, FinishRequest { streaming: true, first_byte, ..rig.finish_request() });
    assert_eq!(status, Status::Ok);
    let ok = request_labels("200", "True");
    let latencies = ["firstbyte", "lastbyte"].map(|it| (and(ok.clone(), [("response_type", it)]), 1));
    check(&rig, "flow_latency", &latencies);
    check(&rig, "flow_streaming_response_duration", &[(labels([("flow", "chat-basic")]), 1)]);
}

#[test]
fn a_stream_that_breaks_off_has_no_last_byte() {
    let rig = Rig::new();
    let first_byte = Some(Duration::from_millis(3));
    let broken = FinishRequest { streaming: true, first_byte, exception: "GuestTrap", ..rig.finish_request() };
    let status = finished(&rig, FinishRequest { message: "it trapped", ..broken });
    assert_eq!(status, Status::error("GuestTrap: it trapped"));
    let failed = request_labels("200", "True");
    check(&rig, "flow_request", &[(and(failed.clone(), [("exception", "GuestTrap")]), 1)]);
    check(&rig, "flow_latency", &[(and(failed, [("response_type", "firstbyte")]), 1)]);
    check(&rig, "flow_streaming_response_duration", &[]);
}

#[test]
fn a_wrong_request_is_counted_but_no_error_of_the_server() {
    let rig = Rig::new();
    let status = finished(&rig, FinishRequest { status: 400, exception: "InputTypeError", ..rig.finish_request() });
    assert_eq!(status, Status::Unset);
    check(&rig, "flow_request", &[(and(request_labels("400", "False"), [("exception", "InputTypeError")]), 1)]);
}

#[test]
fn a_client_that_goes_away_is_a_499_that_nobody_saw() {
    let rig = Rig::new();
    let gone = FinishRequest { status: 499, exception: "ClientDisconnect", ..rig.finish_request() };
    assert_eq!(finished(&rig, gone), Status::error("Execution cancelled."));
    assert!(!texts(&rig.span("POST /score").attributes).contains_key("http.response.status_code"));
    check(&rig, "flow_request", &[(and(request_labels("499", "False"), [("exception", "ClientDisconnect")]), 1)]);
}

#[test]
fn a_node_is_counted_by_how_it_ended() {
    let rig = Rig::new();
    let node = || rig.node(&Context::new(), &Usage::default());
    node().finish("1");
    node().fail("GuestTrap", "it trapped", None);
    drop(node());
    rig.telemetry.node_bypassed(&rig.flow, &rig.node);
    let run = |status, exception| {
        let point = [("flow", "chat-basic"), ("node", "chat"), ("run_status", status), ("exception", exception)];
        (labels(point), 1)
    };
    let mut runs =
        [run("Completed", ""), run("Failed", "GuestTrap"), run("Canceled", "Cancelled"), run("Bypassed", "")];
    runs.sort();
    check(&rig, "node_request", &runs);
    // What did not run took no time.
    let timed = ["Canceled", "Completed", "Failed"];
    check(
        &rig,
        "node_latency",
        &timed.map(|status| (labels([("flow", "chat-basic"), ("node", "chat"), ("run_status", status)]), 1)),
    );
}

#[test]
fn a_call_is_counted_with_what_it_spent() {
    let rig = Rig::new();
    let usage = Usage::default();
    rig.rpc(&Context::new(), &usage, chat()).finish(&chat_reply());
    rig.rpc(&Context::new(), &usage, chat()).fail("RateLimited", "slow down");
    drop(rig.rpc(&Context::new(), &usage, chat()));
    let call = labels([("flow", "chat-basic"), ("node", "chat"), ("api_call", "openai_chat")]);
    check(&rig, "rpc_request", &["", "Cancelled", "RateLimited"].map(|it| (and(call.clone(), [("exception", it)]), 1)));
    check(&rig, "rpc_latency", &[(call, 3)]);
    let spent = |token_type, count| {
        let point = [("flow", "chat-basic"), ("node", "chat"), ("llm_engine", "gpt"), ("token_type", token_type)];
        (labels(point), count)
    };
    check(
        &rig,
        "token_consumption",
        &[spent("completion_tokens", 5), spent("prompt_tokens", 9), spent("total_tokens", 14)],
    );
}

#[test]
fn a_model_is_measured_as_the_conventions_want_it() {
    let rig = Rig::new();
    rig.rpc(&Context::new(), &Usage::default(), chat()).finish(&chat_reply());
    rig.rpc(&Context::new(), &Usage::default(), RpcRequest::new(RpcKind::Function, "")).finish(&RpcReply::default());
    let call = labels([
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt"),
        ("gen_ai.response.model", "gpt-2026"),
        ("server.address", "api.example.com"),
        ("server.port", "443"),
    ]);
    check(&rig, "gen_ai.client.operation.duration", &[(call.clone(), 1)]);
    let tokens = ["input", "output"].map(|it| (and(call.clone(), [("gen_ai.token.type", it)]), 1));
    check(&rig, "gen_ai.client.token.usage", &tokens);
}

#[test]
fn common_dimensions_are_on_every_point() {
    let region = [("region".to_owned(), "eu".to_owned())];
    let rig = Rig::with(&Config { common_dimensions: region.to_vec(), tracing_enabled: false, ..Config::default() });
    rig.request(&Context::new()).finish(rig.finish_request());
    rig.node(&Context::new(), &Usage::default()).finish("1");
    rig.rpc(&Context::new(), &Usage::default(), chat()).finish(&chat_reply());
    for metric in ["flow_request", "flow_latency", "node_request", "node_latency", "rpc_request", "token_consumption"] {
        let points = rig.points(metric);
        assert!(!points.is_empty(), "{metric}");
        for (labels, _) in points {
            assert_eq!(labels.get("region").map(String::as_str), Some("eu"), "{metric}");
        }
    }
}

#[test]
fn names_from_outside_cannot_make_labels_of_any_size() {
    let rig = Rig::new();
    rig.node(&Context::new(), &Usage::default()).fail(&"x".repeat(10_000), "", None);
    let (labels, _) = rig.points("node_request").pop().unwrap();
    assert_eq!(labels["exception"].len(), 128);
}

#[test]
fn whoever_chooses_names_cannot_make_series_without_end() {
    let rig = Rig::new();
    for n in 0..200 {
        let name = format!("made-up-{n}");
        rig.node(&Context::new(), &Usage::default()).fail(&name, "", None);
        rig.request(&Context::new()).finish(FinishRequest { status: 500, exception: &name, ..rig.finish_request() });
        let reply = RpcReply { model: name.clone(), ..chat_reply() };
        rig.rpc(&Context::new(), &Usage::default(), RpcRequest { model: name.clone(), ..chat() }).finish(&reply);
        let own = rig.telemetry.http_request(&name, "1.1");
        own.finish(None, 404);
    }
    for (metric, label) in [
        ("node_request", "exception"),
        ("flow_request", "exception"),
        ("token_consumption", "llm_engine"),
        ("gen_ai.client.operation.duration", "gen_ai.request.model"),
        ("gen_ai.client.operation.duration", "gen_ai.response.model"),
        ("http.server.request.duration", "http.request.method"),
    ] {
        let values: BTreeSet<String> =
            rig.points(metric).into_iter().map(|(labels, _)| labels[label].clone()).collect();
        assert!(values.len() <= 51 && values.contains("_OTHER"), "{metric}: {values:?}");
    }
    // What weir itself says is still told.
    rig.request(&Context::new()).finish(FinishRequest { status: 503, exception: "Overloaded", ..rig.finish_request() });
    let told = rig.points("flow_request").into_iter().any(|(labels, _)| labels["exception"] == "Overloaded");
    assert!(told);
    // Another deployment has places of its own.
    let other = rig.telemetry.of_deployment(Some("chat"), Some("green"));
    other.request(rig.request_start(&Context::new())).finish(FinishRequest {
        status: 500,
        exception: "its-own",
        ..rig.finish_request()
    });
    let told = rig.points("flow_request").into_iter().any(|(labels, _)| labels["exception"] == "its-own");
    assert!(told);
}

#[test]
fn a_request_that_was_refused_is_counted_by_reason() {
    let rig = Rig::new();
    let refused = FinishRequest { status: 503, exception: "Overloaded", ..rig.finish_request() };
    finished(&rig, FinishRequest { refused: Some(Refused::QueueFull), ..refused });
    check(&rig, "flow_request", &[(and(request_labels("503", "False"), [("exception", "Overloaded")]), 1)]);
    check(&rig, "weir.request.refused", &[(labels([("flow", "chat-basic"), ("reason", "queue_full")]), 1)]);
}

#[test]
fn a_request_to_no_flow_is_in_no_metric_of_a_flow() {
    let rig = Rig::new();
    finished(&rig, FinishRequest { flow: None, status: 404, exception: "DeploymentNotFound", ..rig.finish_request() });
    check(&rig, "flow_request", &[]);
    check(&rig, "flow_latency", &[]);
}

#[test]
fn a_stream_of_a_model_is_timed_chunk_by_chunk() {
    let rig = Rig::new();
    let mut call = rig.rpc(&Context::new(), &Usage::default(), chat());
    (0..5).for_each(|_| call.chunk());
    call.finish(&chat_reply());
    let mut asked = labels([
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt"),
        ("server.address", "api.example.com"),
        ("server.port", "443"),
    ]);
    check(&rig, "gen_ai.client.operation.time_to_first_chunk", &[(asked.clone(), 1)]);
    check(&rig, "gen_ai.client.operation.time_per_output_chunk", &[(asked.clone(), 4)]);
    asked.append(&mut labels([("gen_ai.response.model", "gpt-2026")]));
    check(&rig, "gen_ai.client.operation.duration", &[(asked, 1)]);
}

#[test]
fn what_a_run_of_a_node_took_is_told_however_it_ended() {
    let rig = Rig::new();
    for finish in [|node: NodeSpan| node.finish("1"), |node: NodeSpan| drop(node)] {
        let node = rig.node(&Context::new(), &Usage::default());
        let used = node.used();
        used.instantiated(Duration::from_micros(80));
        used.memory(1 << 20);
        used.memory(1 << 16);
        finish(node);
    }
    let node = labels([("flow", "chat-basic"), ("node", "chat")]);
    check(&rig, "weir.instantiation.duration", &[(node.clone(), 2)]);
    check(&rig, "weir.node.memory.peak", &[(node.clone(), 2)]);
    // A run that never had an instance has none to tell of.
    drop(rig.node(&Context::new(), &Usage::default()));
    check(&rig, "weir.instantiation.duration", &[(node.clone(), 2)]);

    rig.node(&Context::new(), &Usage::default()).trapped("unreachable");
    check(&rig, "weir.node.trap", &[(and(node.clone(), [("kind", "unreachable")]), 1)]);
    rig.telemetry.denied(&FlowId::new("chat-basic"), &NodeId::new("chat"), "llm");
    check(&rig, "weir.capability.denial", &[(and(node, [("capability", "llm")]), 1)]);
}

#[test]
fn a_request_over_http_is_active_until_it_ends() {
    let rig = Rig::new();
    let active = labels([("http.request.method", "GET"), ("url.scheme", "http")]);
    let first = rig.telemetry.http_request("GET", "1.1");
    let second = rig.telemetry.http_request("GET", "1.1");
    check(&rig, "http.server.active_requests", &[(active.clone(), 2)]);
    first.finish(Some("/health"), 200);
    second.give_up(Some("/score"), None);
    check(&rig, "http.server.active_requests", &[(active.clone(), 0)]);
    let ended = and(active, [("network.protocol.version", "1.1")]);
    let (ok, gone) = (
        and(ended.clone(), [("http.route", "/health"), ("http.response.status_code", "200")]),
        and(ended, [("http.route", "/score"), ("error.type", "ClientDisconnect")]),
    );
    let mut expected = [(ok, 1), (gone, 1)];
    expected.sort();
    check(&rig, "http.server.request.duration", &expected);
}

#[test]
fn what_the_host_does_now_is_asked_when_somebody_looks() {
    let rig = Rig::new();
    let asked = Arc::new(AtomicU64::new(0));
    let asking = asked.clone();
    rig.telemetry.watch_pool(move || {
        let used = asking.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Pool { instances: used, waiting: 2, slots: vec![("memory", Slots { used: 3, all: 10 })], resident: 7 })
    });
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let slot = |state| labels([("resource", "memory"), ("state", state)]);
    check(&rig, "weir.pool.slot", &[(slot("free"), 7), (slot("used"), 3)]);
    assert!(asked.load(Ordering::Relaxed) > 0);
    let queue = Queue {
        flow: rig.flow.clone(),
        endpoint: None,
        deployment: Some("blue".to_owned()),
        running: 2,
        waiting: 1,
        limit: 4,
    };
    rig.telemetry.watch_queues(move || vec![queue.clone()]);
    check(&rig, "weir.request.running", &[(labels([("flow", "chat-basic"), ("deployment", "blue")]), 2)]);
    rig.telemetry.watch_host();
    check(&rig, "weir.build.info", &[(labels([("version", env!("CARGO_PKG_VERSION"))]), 1)]);
}

#[test]
fn the_instruments_are_those_of_the_article_with_the_intended_bounds() {
    let rig = Rig::new();
    rig.request(&Context::new()).finish(rig.finish_request());
    let first_byte = Some(Duration::ZERO);
    rig.request(&Context::new()).finish(FinishRequest { streaming: true, first_byte, ..rig.finish_request() });
    rig.node(&Context::new(), &Usage::default()).finish("1");
    rig.rpc(&Context::new(), &Usage::default(), chat()).finish(&chat_reply());
    let exported = rig.exported();
    let scope = exported.scope_metrics().find(|it| it.scope().name() == "promptflow standard metrics").unwrap();
    let mut names: Vec<&str> = scope.metrics().map(Metric::name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "flow_latency",
            "flow_request",
            "flow_streaming_response_duration",
            "node_latency",
            "node_request",
            "rpc_latency",
            "rpc_request",
            "token_consumption",
        ]
    );
    for metric in scope.metrics() {
        if let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() {
            let bounds: Vec<f64> = histogram.data_points().next().unwrap().bounds().collect();
            assert_eq!(bounds, names::metric::LATENCY_BOUNDS, "{}", metric.name());
        }
    }
}
