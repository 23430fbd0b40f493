//! Log records: what the host and its guests write arrives with the ids of the span in which it was written, once.

use std::collections::BTreeMap;

use harness::{Collector, FakeModel, Log, TestHost};
use http::StatusCode;
use serde_json::{Value, json};

/// A `traceparent` of a trace of a test's own; `n` is one digit.
fn parent(n: u8) -> (String, String) {
    let trace = format!("{n}").repeat(32);
    (format!("00-{trace}-00000000000000{n}{n}-01"), trace)
}

fn with_body(logs: &[Log], body: &str) -> Vec<Log> {
    logs.iter().filter(|log| log.body == body).cloned().collect()
}

#[tokio::test]
async fn a_line_of_a_guest_is_a_record_of_its_nodes_span_and_no_event_of_it() {
    let collector = Collector::start();
    let host = TestHost::flow("log_writes").collector(&collector).start().await;
    host.score(json!({"message": "hello"})).await.assert_ok(json!({"answer": null}));
    host.stop().await;

    let trace = collector.only_trace().await;
    let node = trace.spans.iter().find(|span| span.attributes.contains_key("node_name")).expect("the node's span");
    let logs: Vec<Log> = collector.logs().into_iter().filter(|log| log.attributes.contains_key("node_name")).collect();
    let told: Vec<_> = logs.iter().map(|log| (&*log.severity, log.body.as_str().unwrap_or_default())).collect();
    let expected = [
        ("TRACE", "trace hello"),
        ("DEBUG", "debug hello"),
        ("INFO", "info hello"),
        ("WARN", "warn hello"),
        ("ERROR", "error hello"),
        ("CRITICAL", "critical hello"),
        ("INFO", "stdout hello"),
        ("WARN", "stderr hello"),
    ];
    assert_eq!(told, expected);
    for log in &logs {
        assert_eq!((&log.trace_id, &log.span_id), (&node.trace_id, &node.span_id), "{log:?}");
        assert_eq!(log.attributes["node_name"], json!("log_writes"));
        assert_eq!(log.resource["service.name"], json!("promptflow"));
    }
    assert_eq!(logs[5].attributes["log.context"], json!("guest"));
    assert!(!trace.spans.iter().flat_map(|span| &span.events).any(|event| event.name == "log"));
}

#[tokio::test]
async fn where_no_logs_are_exported_a_line_of_a_guest_is_an_event() {
    let collector = Collector::start();
    let host = TestHost::flow("log_writes").collector(&collector).env("OTEL_LOGS_EXPORTER", "none").start().await;
    host.score(json!({"message": "hello"})).await.assert_ok(json!({"answer": null}));
    host.stop().await;
    let trace = collector.only_trace().await;
    let events = trace.spans.iter().flat_map(|span| &span.events).filter(|event| event.name == "log");
    assert_eq!((events.count(), collector.logs()), (8, vec![]));
}

#[tokio::test]
async fn without_content_only_that_there_was_a_line_is_told() {
    let collector = Collector::start();
    let host = TestHost::flow("log_writes").collector(&collector).env("WEIR_TRACE_CONTENT", "none").start().await;
    host.score(json!({"message": "my secret wish"})).await.assert_ok(json!({"answer": null}));
    host.stop().await;
    let lines = with_body(&collector.logs(), "[20 bytes]");
    assert!(!lines.is_empty(), "{:?}", collector.logs());
    assert!(!collector.everything().contains("secret wish"));
}

#[tokio::test]
async fn lines_of_requests_at_the_same_time_have_the_ids_of_their_own() {
    let collector = Collector::start();
    let host = TestHost::flow("log_writes").collector(&collector).start().await;
    let ask = async |n: u8| {
        let (parent, _) = parent(n);
        host.score_with(&[("traceparent", &parent)], json!({"message": n.to_string()}).to_string()).await
    };
    let replies = tokio::join!(ask(1), ask(2), ask(3), ask(4), ask(5), ask(6));
    assert_eq!([replies.0.status, replies.5.status], [200, 200]);
    host.stop().await;
    for n in 1..=6 {
        let (_, trace) = parent(n);
        let of_trace: Vec<Value> =
            collector.logs().into_iter().filter(|log| log.trace_id == trace).map(|log| log.body).collect();
        assert_eq!(of_trace.len(), 8, "{of_trace:?}");
        assert!(of_trace.iter().all(|body| body.as_str().is_some_and(|body| body.ends_with(&format!(" {n}")))));
    }
}

#[tokio::test]
async fn a_line_of_the_host_has_the_ids_of_the_call_in_which_it_was_written() {
    let model = FakeModel::echo().failing(StatusCode::SERVICE_UNAVAILABLE, 1).retry_after("1").start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_node").model(&model).collector(&collector).env("WEIR_LOG", "debug").start().await;
    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
    host.stop().await;

    let trace = collector.only_trace().await;
    let call = trace.span("openai_chat");
    let logs = with_body(&collector.logs(), "retry scheduled");
    let [line] = &logs[..] else { panic!("{:?}", collector.logs()) };
    assert_eq!((&line.trace_id, &line.span_id), (&call.trace_id, &call.span_id));
    assert_eq!((&*line.severity, &line.attributes["tries"]), ("DEBUG", &json!(1)));
    assert!(line.attributes["exception.message"].is_string(), "{line:?}");
    assert!(!line.scope.is_empty());
}

#[tokio::test]
async fn a_line_about_a_feedback_has_the_ids_of_what_it_is_about() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    let tell = async |n: u8| {
        let (parent, _) = parent(n);
        host.feedback("?flatten=true", &[("traceparent", &parent)], "no JSON").await
    };
    let replies = tokio::join!(tell(7), tell(8));
    assert_eq!([replies.0.status, replies.1.status], [200, 200]);
    host.stop().await;
    let logs = with_body(&collector.logs(), "feedback to be flattened is not JSON; it is kept as text");
    let mut traces: Vec<&str> = logs.iter().map(|log| &*log.trace_id).collect();
    traces.sort_unstable();
    assert_eq!(traces, [parent(7).1, parent(8).1]);
}

#[tokio::test]
async fn what_carries_telemetry_away_tells_nothing_of_itself() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).env("WEIR_LOG", "trace").start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    // If sending were told, this would never stand still; so it is also a test that the host can stop.
    host.stop().await;
    let mut by_source: BTreeMap<String, usize> = BTreeMap::new();
    for log in collector.logs() {
        *by_source.entry(log.scope).or_default() += 1;
    }
    let ours = |source: &str| {
        let name = source.split("::").next().unwrap_or_default();
        ["weir", "wasmtime", "wasmtime_wasi", "wasmtime_wasi_http", "promptflow"].contains(&name)
    };
    assert!(by_source.keys().all(|source| ours(source)), "{by_source:?}");
    assert!(by_source.contains_key("weir::server::drain"), "what the host says is told: {by_source:?}");
}

#[tokio::test]
async fn a_feedback_that_is_a_score_is_a_record_of_the_span_that_was_judged() {
    let collector = Collector::start();
    let host = TestHost::flow("run_returns").collector(&collector).start().await;
    let (parent, trace) = parent(9);
    let reply = host.feedback("", &[("traceparent", &parent)], r#"{"score": 0.5, "comment": "so so"}"#).await;
    assert_eq!(reply.status, 200);
    let is_evaluation = |log: &&Log| log.event == "gen_ai.evaluation.result";
    let logs = collector.logs_when("an evaluation", |logs| logs.iter().any(|log| is_evaluation(&log))).await;
    host.stop().await;
    let evaluations: Vec<&Log> = logs.iter().filter(is_evaluation).collect();
    let [log] = &evaluations[..] else { panic!("{logs:?}") };
    assert_eq!((&*log.trace_id, &*log.span_id), (&*trace, "0000000000000099"));
    assert_eq!(log.attributes["gen_ai.evaluation.score.value"], json!(0.5));
    assert_eq!(log.attributes["gen_ai.evaluation.explanation"], json!("so so"));
}

#[tokio::test]
async fn metrics_and_log_records_are_printed_for_people() {
    let host = TestHost::flow("log_writes")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_METRICS_EXPORTER", "console")
        .env("OTEL_LOGS_EXPORTER", "console")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .start()
        .await;
    let (parent, trace) = parent(1);
    let reply = host.score_with(&[("traceparent", &parent)], r#"{"message": "two\nlines"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    host.wrote(&format!("error two\\nlines node_name=log_writes trace={trace} span=")).await;
    host.wrote("flow_request").await;
    host.wrote("1  exception=\"\" flow=log_writes response_code=200 streaming=False").await;
    host.stop().await;
}
