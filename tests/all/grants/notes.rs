//! What guests write on their spans to pose as somebody else, to break a line, or to fill a store of metrics.

use harness::{Collector, TestHost};
use serde_json::{Value, json};

/// A host of a node that puts on its span what requests say.
fn host() -> harness::HostBuilder {
    let flow = "
inputs:
  attributes: {type: list, default: []}
  events: {type: list, default: []}
  metrics: {type: list, default: []}
  lines: {type: list, default: []}
  many: {type: int, default: 0}
outputs: {answer: {type: object, reference: '${notes.output}'}}
nodes:
- name: notes
  type: wasm
  source: {type: code, path: guests/context_notes_anything.wasm}
  inputs: {attributes: '${inputs.attributes}', events: '${inputs.events}', metrics: '${inputs.metrics}',
           lines: '${inputs.lines}', many: '${inputs.many}'}
";
    TestHost::written("writes", flow)
}

/// Names that are the host's, OpenTelemetry's or a back end's, and names that are more than a name.
const POSING: [&str; 34] = [
    "service.name",
    "service.instance.id",
    "trace_id",
    "span_id",
    "traceparent",
    "telemetry.sdk.name",
    "http.route",
    "http.response.status_code",
    "url.full",
    "server.address",
    "client.address",
    "error.type",
    "exception.message",
    "inputs",
    "output",
    "span_type",
    "promptflow.run",
    "llm.usage.total_tokens",
    "__computed__.cumulative_token_count.total",
    "gen_ai.usage.input_tokens",
    "weir.deployment",
    "metrics.accuracy",
    "line_run_id",
    "request_id",
    "microsoft.client.ip",
    "enduser.id",
    "db.system",
    "new\nline",
    "esc\u{1b}[31m",
    "nul\0",
    "right\u{202e}left",
    "line\u{2028}end",
    "",
    "   ",
];

#[tokio::test]
async fn a_guest_cannot_pose_as_the_host_nor_break_a_line_of_its_span() {
    let collector = Collector::start();
    let host = host().collector(&collector).start().await;
    let long = "x".repeat(101);
    let mut names: Vec<&str> = POSING.to_vec();
    names.push(&long);
    let attributes: Vec<_> = names.iter().map(|name| (*name, "posing")).collect();
    let mine = [("guest.index", "a\nb\u{1b}[31m\0"), ("größe", "1"), ("a/b:c@d", "2")];
    let attributes: Vec<_> = attributes.into_iter().chain(mine).collect();
    let events: Vec<_> = names.iter().copied().chain(["guest.event"]).collect();
    host.score(json!({"attributes": attributes, "events": events})).await.assert_ok(json!({"answer": true}));
    host.stop().await;

    let trace = collector.only_trace().await;
    let span = trace.span("notes");
    assert!(!span.attributes.values().any(|value| value == "posing"), "{:?}", span.attributes);
    assert!(!span.events.iter().any(|event| names.contains(&event.name.as_str())), "{:?}", span.events);
    // What is nobody else's is there, whatever it says.
    assert_eq!(span.attributes["guest.index"], json!("a\nb\u{1b}[31m\0"));
    assert_eq!((&span.attributes["größe"], &span.attributes["a/b:c@d"]), (&json!("1"), &json!("2")));
    assert_eq!(span.events.iter().filter(|event| event.name == "guest.event").count(), 1);
    let left_out = i64::try_from(2 * names.len()).expect("few");
    assert_eq!(span.attributes["weir.notes_left_out"], json!(left_out));
    // Name, kind and parent are the host's.
    assert_eq!((span.name.as_str(), span.kind), ("notes", "internal"));
}

#[tokio::test]
async fn what_a_guest_writes_breaks_no_line_of_the_terminal() {
    let host = host().start().await;
    let lines =
        ["a\n2026-01-01T00:00:00Z ERROR weir: forged", "esc \u{1b}[2J\u{1b}]0;title\u{7}", "cr\rover", "nul \0 end"];
    let attributes = [("guest.text", "esc \u{1b}[2J")];
    host.score(json!({"lines": lines, "attributes": attributes})).await.assert_ok(json!({"answer": true}));
    let exit = host.stop().await;
    for text in [&exit.stdout, &exit.stderr] {
        assert!(!text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{7}'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z")), "{text}");
    }
}

#[tokio::test]
async fn a_guest_makes_no_series_of_metrics_and_a_bounded_span() {
    let collector = Collector::start();
    let host = host().collector(&collector).start().await;
    for round in 0..3 {
        let metrics: Vec<_> = (0..50).map(|n| format!("metric.{round}.{n}")).collect();
        host.score(json!({"metrics": metrics, "many": 30_000})).await.assert_ok(json!({"answer": true}));
    }
    host.stop().await;

    let spans = collector.spans();
    let spans: Vec<_> = spans.iter().filter(|span| span.name == "notes").collect();
    assert_eq!(spans.len(), 3);
    for span in spans {
        let of = |prefix: &str| span.attributes.keys().filter(|key| key.starts_with(prefix)).count();
        assert_eq!((of("many."), of("metrics.")), (32, 64));
        assert_eq!(span.events.iter().filter(|event| event.name.starts_with("many.")).count(), 32);
        assert!(span.attributes["weir.notes_left_out"].as_u64().is_some_and(|count| count > 89_000));
    }
    // Of all that, no instrument and no label.
    for name in collector.instruments() {
        assert!(!name.starts_with("many") && !name.starts_with("metric"), "{name}");
    }
    let runs = collector.metric("node_request");
    let series = runs.points.len();
    assert!(series <= 3, "{series} series of node_request");
}

#[tokio::test]
async fn the_environment_and_the_arguments_of_the_host_are_not_there() {
    let flow = super::flow("files_does", "").replace("inputs:\n", "environment_variables: {GREETING: hi}\ninputs:\n");
    let host = TestHost::written("grants", &flow)
        .env("CANARY_SECRET", "canary-of-the-host")
        .env("OPENAI_API_KEY", "canary-key")
        .start()
        .await;
    let steps: Value = json!([["env"], ["args"], ["read", "/proc/self/environ"], ["list", "/"], ["list", "."]]);
    let told = super::outcomes(&host, steps).await;
    let gone = super::files::NOT_GRANTED;
    assert_eq!(told, ["", "", gone, gone, gone]);
    host.stop().await;
}
