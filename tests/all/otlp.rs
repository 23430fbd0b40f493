//! OTLP over the wire: every way to a collector, and what becomes of what it answers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{Answer, Authority, Clients, Collector, HostBuilder, Protocol, TestHost, eventually};
use http::StatusCode;
use serde_json::{Value, json};

const BOTH: [Protocol; 2] = [Protocol::Http, Protocol::Grpc];

/// Spans of one request to the flow: of the request, the flow and its node.
const SPANS: usize = 3;

/// A host that sends spans, metrics and log records to a collector.
fn host(protocol: Protocol, collector: &Collector) -> HostBuilder {
    TestHost::flow("log_writes")
        .collector_by(protocol, collector)
        .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
        .env("WEIR_EXPORT_RETRY_MAX", "20ms")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn ask(host: &TestHost) {
    let reply = host.score(json!({"message": "hello"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// How the exporter of a signal is doing.
async fn status(host: &TestHost, signal: &str) -> Value {
    let reply = host.get_admin("/readyz?verbose").await;
    let exporters = reply.json()["exporters"].as_array().cloned().unwrap_or_default();
    exporters.into_iter().find(|it| it["signal"] == json!(signal)).expect("an exporter of the signal")
}

/// Returns when the spans of so many requests, their metrics and a log record have arrived.
async fn all_arrive(collector: &Collector, requests: usize) {
    collector.spans_when("the spans of all requests", |spans| spans.len() == requests * SPANS).await;
    collector.metric_when("flow_request", |metric| metric.count() == requests as u64).await;
    collector.logs_when("what the node logs", |logs| logs.iter().any(|log| !log.trace_id.is_empty())).await;
}

/// Where each signal comes in.
fn paths(protocol: Protocol) -> [&'static str; 3] {
    match protocol {
        Protocol::Http => ["/v1/traces", "/v1/metrics", "/v1/logs"],
        Protocol::Grpc => [
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ],
    }
}

/// All three signals arrive by the protocol, where they belong; packed, if they are to be.
#[track_caller]
fn check_came(collector: &Collector, protocol: Protocol, gzip: bool) {
    let heard = collector.heard();
    assert!(heard.iter().all(|it| it.protocol == protocol && it.gzip == gzip), "{heard:?}");
    for path in paths(protocol) {
        assert!(heard.iter().any(|it| it.path == path), "nothing came to {path}");
    }
    assert!(heard.iter().all(|it| paths(protocol).contains(&it.path.as_str())), "{heard:?}");
}

#[tokio::test]
async fn all_signals_go_by_both_protocols_plain_and_packed() {
    for protocol in BOTH {
        for (compression, gzip) in [("none", false), ("gzip", true)] {
            let collector = Collector::start();
            let builder = host(protocol, &collector)
                .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
                .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3Dcret,x-tenant=all")
                .env("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-tenant=metrics");
            let host = builder.start().await;
            ask(&host).await;
            all_arrive(&collector, 1).await;
            host.stop().await;
            check_came(&collector, protocol, gzip);
            for heard in collector.heard() {
                let header = |name: &str| heard.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
                let of_metrics = heard.path == paths(protocol)[1];
                let tenant = if of_metrics { "metrics" } else { "all" };
                assert_eq!(header("x-tenant").as_deref(), Some(tenant), "{heard:?}");
                assert_eq!(header("api-key").as_deref(), (!of_metrics).then_some("s=cret"), "{heard:?}");
                assert!(header("user-agent").is_some_and(|agent| agent.starts_with("weir/")), "{heard:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_collector_with_certificates_of_its_own_is_trusted_if_it_is_said_and_knows_its_clients() {
    let authority = Authority::new();
    let (certificate, key) = authority.client("host");
    for protocol in BOTH {
        for clients in [Clients::Any, Clients::Known] {
            let collector = Collector::start_tls(&authority, clients);
            let mut builder = host(protocol, &collector).env("OTEL_EXPORTER_OTLP_CERTIFICATE", text(&authority.file()));
            if clients == Clients::Known {
                builder = builder
                    .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", text(&certificate))
                    .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", text(&key));
            }
            let host = builder.start().await;
            ask(&host).await;
            all_arrive(&collector, 1).await;
            host.stop().await;
            check_came(&collector, protocol, false);
        }
    }
}

#[tokio::test]
async fn a_collector_that_is_not_trusted_is_told_nothing_and_requests_are_answered() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in BOTH {
        for clients in [Clients::Any, Clients::Known] {
            let collector = Collector::start_tls(&authority, clients);
            // Of the first the host does not know the authority, to the second it has nothing to show.
            let file = if clients == Clients::Any { stranger.file() } else { authority.file() };
            let host = host(protocol, &collector).env("OTEL_EXPORTER_OTLP_CERTIFICATE", text(&file)).start().await;
            ask(&host).await;
            eventually("the collector to count as away", async || {
                status(&host, "traces").await["state"] == json!("away")
            })
            .await;
            assert_eq!(collector.heard().len(), 0);
            host.stop().await;
        }
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_replaced_needs_no_new_start() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in BOTH {
        let collector = Collector::start_tls(&authority, Clients::Known);
        let (certificate, key) = stranger.client("host");
        let builder = host(protocol, &collector)
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", text(&authority.file()))
            .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", text(&certificate))
            .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", text(&key));
        let host = builder.start().await;
        ask(&host).await;
        eventually("the collector to count as away", async || status(&host, "traces").await["state"] == json!("away"))
            .await;
        let (good, its_key) = authority.client("host");
        fs::rename(its_key, &key).unwrap();
        fs::rename(good, &certificate).unwrap();
        all_arrive(&collector, 1).await;
        host.stop().await;
    }
}

#[tokio::test]
async fn each_signal_may_have_a_collector_and_a_protocol_of_its_own() {
    let authority = Authority::new();
    let (traces, metrics, logs) =
        (Collector::start(), Collector::start(), Collector::start_tls(&authority, Clients::Any));
    let builder = TestHost::flow("log_writes")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.address().to_string())
        .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
        .env("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true")
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("{}/v1/metrics", metrics.endpoint()))
        .env("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs.address().to_string())
        .env("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
        .env("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", text(&authority.file()));
    let host = builder.start().await;
    ask(&host).await;
    host.stop().await;
    let came = |collector: &Collector| {
        let mut came: Vec<_> = collector.heard().into_iter().map(|it| (it.path, it.protocol, it.gzip)).collect();
        came.dedup();
        came
    };
    assert_eq!(came(&traces), [(paths(Protocol::Grpc)[0].to_owned(), Protocol::Grpc, false)]);
    assert_eq!(came(&metrics), [("/v1/metrics".to_owned(), Protocol::Http, true)]);
    assert_eq!(came(&logs), [(paths(Protocol::Grpc)[2].to_owned(), Protocol::Grpc, false)]);
    assert_eq!(traces.spans().len(), SPANS);
}

#[tokio::test]
async fn over_http_a_proxy_is_asked_if_the_environment_names_one() {
    let collector = Collector::start();
    let builder = spans_alone(Protocol::Http, &collector)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318")
        .env("HTTP_PROXY", collector.endpoint());
    let host = builder.start().await;
    ask(&host).await;
    collector.spans_when("the spans", |spans| spans.len() == SPANS).await;
    host.stop().await;
    assert!(collector.heard().iter().all(|it| it.headers["host"] == "collector.invalid:4318"));
}

#[tokio::test]
async fn all_that_is_wrong_with_certificates_is_told_before_anything_is_served() {
    let (one, other) = (Authority::new(), Authority::new());
    let (certificate, _) = one.client("host");
    let (_, key) = other.client("host");
    let builder = TestHost::flow("run_returns")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4318")
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", "/absent.pem")
        .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", text(&certificate))
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", text(&key))
        .env("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", text(&key))
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "soon");
    let exit = builder.refuses().await;
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    for problem in [
        "OTEL_EXPORTER_OTLP_TIMEOUT: \"soon\" is no time".to_owned(),
        "OTEL_EXPORTER_OTLP_CERTIFICATE: \"/absent.pem\": it cannot be read: No such file or directory".to_owned(),
        format!("OTEL_EXPORTER_OTLP_CLIENT_KEY: {key:?}: it is not the key of {certificate:?}"),
        format!("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE: {key:?}: it holds no certificate"),
    ] {
        assert_eq!(exit.told().matches(&problem).count(), 1, "{problem}\n{}", exit.stderr);
    }
}

/// A host that sends spans alone, each batch in the order in which it is answered.
fn spans_alone(protocol: Protocol, collector: &Collector) -> HostBuilder {
    host(protocol, collector).env("OTEL_METRICS_EXPORTER", "none").env("OTEL_LOGS_EXPORTER", "none")
}

#[tokio::test]
async fn what_is_no_refusal_is_sent_again_until_it_is_taken() {
    let http = [
        Answer::Status(StatusCode::TOO_MANY_REQUESTS, Some("0")),
        Answer::Status(StatusCode::SERVICE_UNAVAILABLE, None),
        Answer::Status(StatusCode::UNAUTHORIZED, None),
        Answer::Status(StatusCode::FOUND, None),
        Answer::Page,
        Answer::Garbage,
        Answer::Cut,
    ];
    let grpc = [
        Answer::Grpc(14, "unavailable", None),
        Answer::Grpc(8, "full", Some(Duration::from_millis(1))),
        Answer::Grpc(16, "who are you", None),
        Answer::Status(StatusCode::BAD_GATEWAY, None),
        Answer::Page,
        Answer::Garbage,
        Answer::Cut,
    ];
    for (protocol, script) in [(Protocol::Http, http), (Protocol::Grpc, grpc)] {
        let collector = Collector::start();
        let answers = script.len();
        collector.script(script);
        let host = spans_alone(protocol, &collector).start().await;
        ask(&host).await;
        collector.spans_when("the spans", |spans| spans.len() == SPANS).await;
        eventually("the spans to count as sent", async || status(&host, "traces").await["sent"] == json!(SPANS)).await;
        let told = status(&host, "traces").await;
        assert_eq!((&told["state"], &told["lost"]), (&json!("ok"), &json!({})), "{told}");
        host.stop().await;
        assert_eq!(collector.spans().len(), SPANS);
        assert!(collector.heard().len() > answers, "{:?}", collector.heard().len());
    }
}

#[tokio::test]
async fn what_is_refused_is_counted_and_holds_up_nothing() {
    for (protocol, refusal) in [
        (Protocol::Http, Answer::Status(StatusCode::BAD_REQUEST, None)),
        (Protocol::Grpc, Answer::Grpc(3, "no such tenant", None)),
    ] {
        let collector = Collector::start();
        collector.script([refusal]);
        let host = spans_alone(protocol, &collector).start().await;
        ask(&host).await;
        collector.played().await;
        ask(&host).await;
        eventually("all spans to be sent or lost", async || {
            let told = status(&host, "traces").await;
            let count = |value: &Value| value.as_u64().unwrap_or_default();
            count(&told["sent"]) + count(&told["lost"]["refused"]) == 2 * SPANS as u64
        })
        .await;
        let told = status(&host, "traces").await;
        assert_eq!(told["sent"], json!(collector.spans().len()), "{told}");
        assert_ne!(told["lost"]["refused"], json!(null), "{told}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_partial_success_is_not_sent_again() {
    for protocol in BOTH {
        let collector = Collector::start();
        collector.script([Answer::Partial(1, "one of them is too old")]);
        let host = spans_alone(protocol, &collector).start().await;
        ask(&host).await;
        eventually("all spans to be sent or lost", async || {
            let told = status(&host, "traces").await;
            told["sent"] == json!(SPANS - 1) && told["lost"] == json!({"refused": 1})
        })
        .await;
        host.wrote("one of them is too old").await;
        host.stop().await;
        assert_eq!(collector.spans().len(), SPANS);
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_is_given_up_in_time() {
    for protocol in BOTH {
        let collector = Collector::start();
        collector.script([Answer::Silence]);
        let host = spans_alone(protocol, &collector).env("OTEL_EXPORTER_OTLP_TIMEOUT", "100").start().await;
        ask(&host).await;
        collector.played().await;
        // Twice, with the same ids: what was not answered may have been taken.
        let spans = collector.spans_when("the spans once more", |spans| spans.len() == 2 * SPANS).await;
        let ids = |spans: &[harness::Span]| {
            let mut ids: Vec<_> = spans.iter().map(|span| span.span_id.clone()).collect();
            ids.sort();
            ids.dedup();
            ids
        };
        assert_eq!(ids(&spans).len(), SPANS);
        host.stop().await;
    }
}
