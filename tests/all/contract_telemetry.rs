//! What is promised of spans: the names in `telemetry::names`, the tables of the README, and what a run exports are one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use harness::{Collector, FakeModel, FakeService, HostBuilder, Span, TestHost, readme};
use http::{Response, StatusCode};
use serde_json::json;
use weir::boundary::facts::bound;
use weir::telemetry::names::{self, On, Promise};

use crate::grants;

/// Names that flows and people give: notes and metrics of the tests' guests, and members of a flattened feedback.
const GIVEN: [&str; 3] = ["guest.", "metrics.", "said_"];

/// One of everything that a node can do, with all parameters that are told.
const EVERYTHING: &str = "
inputs:
  question: {type: string}
  conversation_id: {type: string}
  url: {type: string}
outputs:
  prompt: {type: string, reference: '${prompt.output}'}
  chat: {type: object, reference: '${chat.output}'}
  completes: {type: object, reference: '${completes.output}'}
  embeds: {type: object, reference: '${embeds.output}'}
  gets: {type: object, reference: '${gets.output}'}
  calls: {type: object, reference: '${calls.output}'}
  notes: {type: object, reference: '${notes.output}'}
  measures: {type: object, reference: '${measures.output}'}
  writes: {type: object, reference: '${writes.output}'}
  parts: {type: object, reference: '${parts.output}'}
nodes:
- name: prompt
  type: prompt
  source: {type: code, path: hello.jinja2}
  inputs: {question: '${inputs.question}'}
- name: chat
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  inputs:
    connection: open_ai_connection
    question: '${prompt.output}'
    parameters: {temperature: 0.5, top_p: 0.9, frequency_penalty: 0.1, presence_penalty: 0.1, max_tokens: 64, seed: 7, n: 2, stop: END, response_format: {type: text}}
  grants: {llm: [open_ai_connection]}
- name: completes
  type: wasm
  source: {type: code, path: guests/llm_completes.wasm}
  inputs: {connection: open_ai_connection, prompt: '${inputs.question}'}
  grants: {llm: [open_ai_connection]}
- name: embeds
  type: wasm
  source: {type: code, path: guests/llm_embeds.wasm}
  inputs: {connection: open_ai_connection, texts: [a, b]}
  grants: {llm: [open_ai_connection]}
- name: gets
  type: wasm
  source: {type: code, path: guests/http_gets.wasm}
  inputs: {url: '${inputs.url}'}
  grants: {http: ['ORIGIN']}
- name: calls
  type: wasm
  source: {type: code, path: guests/nodes_calls_another.wasm}
  inputs: {node: callee, other_inputs: {connection: open_ai_connection, question: again}}
  grants: {nodes: [callee]}
- name: callee
  type: wasm
  source: {type: code, path: guests/llm_chats.wasm}
  activate: {when: never, is: run by itself}
  grants: {llm: [open_ai_connection]}
- name: notes
  type: wasm
  source: {type: code, path: guests/context_sets_notes.wasm}
- name: measures
  type: wasm
  source: {type: code, path: guests/context_logs_metrics.wasm}
  inputs: {grades: [1, 0]}
- name: writes
  type: wasm
  source: {type: code, path: guests/log_writes.wasm}
  inputs: {message: '${inputs.question}'}
- name: parts
  type: wasm
  source: {type: code, path: guests/context_opens_spans.wasm}
  inputs:
    steps: [[start, a, Tool], [chat, x], [end, 0, done], [start, b, Retrieval], [iterated, 1], [start, c], [fail, 2, E, no], [start many, 300]]
  grants: {llm: [open_ai_connection]}
";

/// What all attributes may be.
fn attributes() -> Vec<&'static Promise> {
    let tables = [names::attribute::PROMISED, names::semconv::PROMISED, names::gen_ai_content::PROMISED];
    tables.into_iter().chain([names::open_inference::PROMISED]).flatten().collect()
}

#[test]
fn the_readme_has_every_span_attribute_and_event() {
    let spans = names::SPANS.iter().map(|(on, named, kind, is)| format!("| {} | {named} | {kind} | {is} |", on.word()));
    readme::check_rows("| span | named after | kind | is |", spans);
    readme::check_rows("| attribute | on | is |", attributes().into_iter().map(Promise::row));
    readme::check_rows("| event | on | its payload is |", names::event::PROMISED.iter().map(Promise::row));
}

#[test]
fn every_kind_of_span_is_promised_once() {
    let kinds: Vec<On> = names::SPANS.iter().map(|row| row.0).collect();
    assert_eq!(kinds, On::SPANS);
    let mut names: Vec<&str> = attributes().iter().map(|it| it.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a name has two rows");
}

/// What was exported, by where it stood.
#[derive(Default)]
struct Seen {
    attributes: BTreeMap<On, BTreeSet<String>>,
    events: BTreeMap<On, BTreeSet<String>>,
    faults: Vec<String>,
}

impl Seen {
    fn see(&mut self, span: &Span) {
        let text = |key: &str| span.attributes.get(key).and_then(|it| it.as_str());
        let (span_type, origin) = (text("span_type"), text("weir.span.origin"));
        let Some(on) = On::of(&span.name, span.kind, span_type, origin) else {
            self.faults.push(format!("no span is promised like {} {} {span_type:?}", span.kind, span.name));
            return;
        };
        if span.scope != "promptflow" {
            self.faults.push(format!("{}: its tracer is {}", span.name, span.scope));
        }
        let kept = |name: &&String| !GIVEN.iter().any(|given| name.starts_with(given));
        self.attributes.entry(on).or_default().extend(span.attributes.keys().filter(kept).cloned());
        let events = span.events.iter().filter(|event| kept(&&event.name));
        for event in events {
            self.events.entry(on).or_default().insert(event.name.clone());
            self.attributes.entry(On::Event).or_default().extend(event.attributes.keys().cloned());
        }
    }

    /// What was seen and is not promised there, and what is promised and was seen nowhere.
    fn compare(&mut self, promised: &[&Promise], seen: impl Fn(&Self) -> &BTreeMap<On, BTreeSet<String>>) {
        let mut faults = Vec::new();
        for (on, names) in seen(self) {
            let unknown =
                names.iter().filter(|name| !promised.iter().any(|it| it.name == **name && it.on.contains(on)));
            faults.extend(unknown.map(|name| format!("{name} is on {} and not promised there", on.word())));
        }
        for promise in promised {
            if !seen(self).values().any(|names| names.contains(promise.name)) {
                faults.push(format!("{} is promised and was never seen", promise.name));
            }
        }
        self.faults.extend(faults);
    }
}

/// The tests' flows on hosts of their own, told to one collector.
/// A node that writes a file.
const WRITES: &str = "
inputs: {}
outputs: {answer: {type: object, reference: '${writes.output}'}}
nodes:
- name: writes
  type: wasm
  source: {type: code, path: guests/files_does.wasm}
  inputs: {steps: [[write, work/a.txt, hello]]}
  grants: {files: [{path: work, write: true}]}
";

struct Story {
    collector: Collector,
    model: FakeModel,
    settings: &'static [(&'static str, &'static str)],
}

impl Story {
    fn with(settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { collector: Collector::start(), model: FakeModel::replies("one two").start(), settings }
    }

    async fn start(&self, host: HostBuilder) -> TestHost {
        self.start_with(&self.model, host).await
    }

    async fn start_with(&self, model: &FakeModel, host: HostBuilder) -> TestHost {
        let host = host.model(model).collector(&self.collector);
        self.settings.iter().fold(host, |host, (name, value)| host.env(*name, *value)).start().await
    }

    /// One of everything that ends well, but for a service that says no.
    async fn everything(&self) {
        let no = FakeService::start(|_| Response::builder().status(404).body(Bytes::new()).expect("a response"));
        let flow = EVERYTHING.replace("ORIGIN", &no.origin());
        let host = TestHost::written("everything", &flow).file("hello.jinja2", "Hello {{question}}");
        let host = self.start(host).await;
        let inputs = json!({"question": "why", "conversation_id": "c-1", "url": format!("{}/x", no.origin())});
        let headers = [("x-request-id", "r-1"), ("user-agent", "contract")];
        let reply = host.score_with(&headers, inputs.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let score = r#"{"name": "tone", "score": 0.5, "label": "good", "comment": "fine"}"#;
        assert_eq!(host.feedback("", &[], score).await.status, 200);
        let many: serde_json::Map<_, _> = (0..80).map(|n| (format!("said_{n}"), json!(n))).collect();
        assert_eq!(host.feedback("?flatten=true", &[], json!(many).to_string()).await.status, 200);
        host.stop().await;
    }

    /// Streams, failures, a flex flow and a prompty.
    async fn others(&self) {
        let host = self.start(TestHost::flow("llm_node")).await;
        let mut stream = host.stream(json!({"question": "why"})).await;
        assert_eq!(stream.status, 200);
        stream.rest().await;
        host.stop().await;
        for (flow, status) in
            [("run_traps", 500), ("llm_without_grant", 500), ("flex_calls_nodes", 200), ("prompty_answers", 200)]
        {
            let host = self.start(TestHost::flow(flow)).await;
            let request = std::fs::read(harness::scenario::folder(flow).join("request.json")).expect("a request");
            let reply = host.score_with(&[], request).await;
            assert_eq!(reply.status, status, "{flow}: {}", reply.text());
            host.stop().await;
        }
        let reuse = "inputs: {}\noutputs: {}\nnodes:\n\
                     - {name: n, type: wasm, source: {type: code, path: guests/state_keeps.wasm}, instances: reuse}\n";
        let host = self.start(TestHost::written("reuse", reuse)).await;
        for _ in 0..2 {
            assert_eq!(host.score(json!({})).await.status, 200);
        }
        host.stop().await;
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let writes = TestHost::written("files", WRITES).env("WEIR_SCRATCH_DIR", scratch.path().to_string_lossy());
        let host = self.start(writes).await;
        host.score(json!({})).await.assert_ok(json!({"answer": ["done"]}));
        host.stop().await;
    }

    /// A service that has no room, and is asked again in vain.
    async fn refused(&self) {
        let host = self.start(TestHost::written("asks", &grants::flow("http_raw", ""))).await;
        let requests = vec![grants::raw("GET", "http://127.0.0.1:1", "/"); bound::CALLS + 1];
        assert_eq!(host.score(json!({"requests": requests})).await.status, 200);
        host.stop().await;
        let model = FakeModel::echo().failing(StatusCode::TOO_MANY_REQUESTS, 2).retry_after("1").start();
        let host = self.start_with(&model, TestHost::flow("llm_node").env("WEIR_LLM_RETRIES", "1")).await;
        assert_eq!(host.score(json!({"question": "why"})).await.status, 400);
        host.stop().await;
    }

    fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        self.collector.spans().iter().for_each(|span| seen.see(span));
        seen
    }
}

#[tokio::test]
async fn what_is_exported_is_promised_and_what_is_promised_is_exported() {
    let story = Story::with(&[
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true"),
        ("WEIR_TRACE_DIALECTS", "openinference"),
        // Else lines of nodes are records, and no events.
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    story.everything().await;
    story.others().await;
    story.refused().await;
    let mut seen = story.seen();
    seen.compare(&attributes(), |seen| &seen.attributes);
    seen.compare(&names::event::PROMISED.iter().collect::<Vec<_>>(), |seen| &seen.events);
    assert!(seen.faults.is_empty(), "{}", seen.faults.join("\n"));
}

#[tokio::test]
async fn by_default_nothing_is_said_three_times() {
    let story = Story::with(&[]);
    story.everything().await;
    let seen = story.seen();
    let opted = names::gen_ai_content::PROMISED.iter().chain(names::open_inference::PROMISED);
    let told: Vec<_> = opted.filter(|it| seen.attributes.values().any(|names| names.contains(it.name))).collect();
    assert!(told.is_empty(), "{told:?}");
    assert!(seen.faults.is_empty(), "{}", seen.faults.join("\n"));
}

#[tokio::test]
async fn a_model_is_told_who_asks_for_which_run() {
    let story = Story::with(&[("PF_USER_AGENT", "app/1.0")]);
    story.everything().await;
    let recorded = &story.model.requests()[0];
    let header = |name: &str| recorded.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("x-ms-useragent"), concat!("weir/", env!("CARGO_PKG_VERSION"), " app/1.0"));
    let run: serde_json::Value = serde_json::from_str(header("ms-azure-ai-promptflow")).expect("JSON");
    let expected =
        json!({"execution_target": "dag", "run_mode": "Test", "flow_id": "everything", "root_run_id": "r-1"});
    assert_eq!(run, expected);
    assert!(!recorded.headers.contains_key("ms-azure-ai-promptflow-called-from"), "it is not Azure's");
}
