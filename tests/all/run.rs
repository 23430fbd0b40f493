//! `weir run --data`: a flow over a data set, and how a run that was broken off goes on.

mod aggregation;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use harness::{Collector, Exit, FakeModel, HostBuilder, Running, TestHost};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a data file and, later, the results.
struct Sheet(TempDir);

impl Sheet {
    fn new(data: &str) -> Self {
        let sheet = Self(tempfile::tempdir().expect("a temporary folder"));
        sheet.write_data(data);
        sheet
    }

    /// Lines with a column `q` each.
    fn questions(count: usize) -> Self {
        Self::new(&(0..count).map(|n| format!("{{\"q\": \"question {n}\"}}\n")).collect::<String>())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write_data(&self, data: &str) {
        fs::write(self.path("data.jsonl"), data).expect("a file can be written");
    }

    /// The results, as they stand in the file.
    fn written(&self) -> String {
        fs::read_to_string(self.path("out.jsonl")).expect("there are results")
    }

    fn write_results(&self, results: &str) {
        fs::write(self.path("out.jsonl"), results).expect("a file can be written");
    }

    /// What became of each line, by its number.
    fn results(&self) -> BTreeMap<u64, Value> {
        let text = self.written();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a result is JSON"));
        rows.map(|row| (row["line_number"].as_u64().expect("a result has a line_number"), row)).collect()
    }

    /// `weir run --data` of the flow `llm_chats`, one line at a time unless said otherwise.
    fn run(&self, model: &FakeModel, concurrency: usize) -> Running {
        self.prepare(TestHost::flow("llm_chats").model(model), concurrency).start_verb("run")
    }

    fn prepare(&self, host: HostBuilder, concurrency: usize) -> HostBuilder {
        let file = |file: &str| self.path(file).to_str().expect("a path of text").to_owned();
        host.arg("--data")
            .arg(file("data.jsonl"))
            .arg("--output")
            .arg(file("out.jsonl"))
            .arg("--column-mapping")
            .arg("question=${data.q}")
            .arg("--concurrency")
            .arg(concurrency.to_string())
    }
}

#[track_caller]
fn check(exit: &Exit, code: i32, wanted: &[&str]) {
    assert_eq!(exit.status.code(), Some(code), "{}", exit.stderr);
    for wanted in wanted {
        assert!(exit.stderr.contains(wanted), "nothing of {wanted:?} in\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn every_line_is_answered_and_only_failed_ones_are_run_again() {
    let model = FakeModel::replies("one two").start();
    let sheet = Sheet::new("{\"q\": \"a\"}\n{\"q\": \n\n{\"question\": \"b\"}\n{\"q\": \"c\"}\n");
    let exit = sheet.run(&model, 4).exit().await;
    let no_column = r#"input "question": no column "q" in this line; it has question"#;
    let wanted =
        ["2 of 4 lines completed; 2 failed; ", " tokens\n", "  line_number 1: InvalidDataLine: not JSON", no_column];
    check(&exit, 1, &wanted);
    check(&exit, 1, &["error: 2 of 4 lines failed; the same command runs those again\n"]);
    assert_eq!(exit.stdout, "");

    let results = sheet.results();
    assert_eq!(results.keys().copied().collect::<Vec<_>>(), [0, 1, 3, 4]);
    assert_eq!(results[&0]["inputs"], json!({"question": "a"}));
    assert_eq!(results[&0]["outputs"]["answer"], json!("one two"));
    assert_eq!(results[&3]["error"], json!({"code": "ColumnNotFound", "message": no_column}));

    sheet.write_data("{\"q\": \"a\"}\n{\"q\": \"now\"}\n\n{\"q\": \"b\"}\n{\"q\": \"c\"}\n{\"q\": \"more\"}\n");
    check(&sheet.run(&model, 4).exit().await, 0, &["5 of 5 lines completed, 2 of them before; 0 failed"]);
    assert_eq!(sheet.results().len(), 5);
    assert_eq!(model.requests().len(), 5, "each line has asked once");

    sheet.write_data("{\"q\": \"another\"}\n");
    check(&sheet.run(&model, 4).exit().await, 2, &["the result of line_number 0 was made of other inputs than "]);
    assert_eq!(sheet.results().len(), 5);
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_was() {
    let model = FakeModel::replies("yes").gated().start();
    let sheet = Sheet::questions(3);
    let run = sheet.run(&model, 1);
    model.requested(1).await;
    model.release(1);
    // With one line at a time, the second begins when the result of the first has been written.
    model.requested(2).await;
    run.kill().await;
    assert_eq!(sheet.results().keys().copied().collect::<Vec<_>>(), [0]);
    // Killed a moment later, it would have begun to write the second.
    let mut results = OpenOptions::new().append(true).open(sheet.path("out.jsonl")).expect("there are results");
    results.write_all(br#"{"line_number":1,"inputs":{"quest"#).expect("results can be written");

    let run = sheet.run(&model, 1);
    model.release(3);
    check(&run.exit().await, 0, &["3 of 3 lines completed, 1 of them before"]);
    assert_eq!(sheet.results().len(), 3);
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_ends_the_lines_that_run() {
    let model = FakeModel::replies("yes").gated().start();
    let sheet = Sheet::questions(5);
    let run = sheet.run(&model, 2);
    model.requested(2).await;
    run.terminate();
    run.wrote("no more lines are started").await;
    model.release(2);
    check(
        &run.exit().await,
        1,
        &["2 of 5 lines completed", "stopped before 3 of 5 lines were run; the same command goes on"],
    );
    assert_eq!(sheet.results().len(), 2);

    let run = sheet.run(&model, 3);
    model.requested(5).await;
    run.terminate();
    run.wrote("no more lines are started").await;
    run.terminate();
    check(&run.exit().await, 1, &["given up; the same command goes on"]);
    assert_eq!(sheet.results().len(), 2);
}

#[tokio::test]
async fn every_line_is_a_request_with_a_trace_of_its_own() {
    let collector = Collector::start();
    let sheet = Sheet::new("{\"q\": {\"a\": [1]}}\n{\"q\": 2}\n{\"q\": 3}\n");
    let flow = "
inputs: {question: {type: object}}
outputs: {same: {type: object, reference: '${returns.output}'}}
nodes:
- name: returns
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {question: '${inputs.question}'}
";
    let host = TestHost::written("three", flow).collector(&collector);
    check(&sheet.prepare(host, 2).start_verb("run").exit().await, 0, &["3 of 3 lines completed; 0 failed\n"]);
    assert_eq!(sheet.results()[&0]["outputs"], json!({"same": {"question": {"a": [1]}}}));

    let spans = collector.spans();
    assert_eq!(spans.len(), 6, "a flow and a node for each line");
    let ids: BTreeSet<_> = spans.iter().map(|span| span.trace_id.clone()).collect();
    let requests: BTreeSet<_> = spans.iter().map(|span| span.attributes["line_run_id"].to_string()).collect();
    assert_eq!((ids.len(), requests.len()), (3, 3));
}

#[tokio::test]
async fn a_node_that_fails_is_named_once() {
    for (guest, code, message) in [
        ("run_returns_user_error", "QuestionTooLong", "node \"fails\": a question has at most 10 bytes"),
        ("run_traps", "GuestTrap", "node \"fails\" trapped"),
    ] {
        let sheet = Sheet::new("{\"q\": 1}\n");
        let flow = format!(
            "
inputs: {{question: {{type: int}}}}
outputs: {{answer: {{type: object, reference: '${{fails.output}}'}}}}
nodes:
- name: fails
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
"
        );
        let exit = sheet.prepare(TestHost::written("failing", &flow), 1).start_verb("run").exit().await;
        check(&exit, 1, &[&format!("  line_number 0: {code}: {message}\n")]);
        assert_eq!(sheet.results()[&0]["error"], json!({"code": code, "message": message}));
    }
}

#[tokio::test]
async fn without_an_output_the_results_are_on_standard_output() {
    let sheet = Sheet::new("{\"question\": \"a\"}\n{\"question\": \"b\"}\n");
    let exit = harness::run(&["run", &example(), "--data", &text(&sheet.path("data.jsonl"))]).await;
    check(&exit, 0, &["2 of 2 lines completed; 0 failed; "]);
    let rows: Vec<Value> = exit.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let questions: BTreeSet<_> = rows.iter().map(|row| row["inputs"]["question"].to_string()).collect();
    assert_eq!(questions, BTreeSet::from(["\"a\"", "\"b\""].map(str::to_owned)));
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_anything_runs() {
    let sheet = Sheet::new("{\"question\": \"a\"}\n");
    let (data, notes) = (text(&sheet.path("data.jsonl")), text(&sheet.path("notes.txt")));
    fs::write(&notes, "dear diary").expect("a file can be written");
    let example = example();
    for (arguments, wanted) in [
        (&["--output", &notes][..], "notes.txt: line 1 is not a result of `weir run`, so the file is left as it is"),
        (&["--output", &data], "data.jsonl: is the data; give another file"),
        (&["--column-mapping", "question=${data.q}"], "has a column \"q\"; it has question"),
        (&["--column-mapping", "q=1"], "the flow has no input \"q\"; it has question, chat_history"),
        (&["--concurrency", "65"], "65 is not in 1..=64"),
        (&["--input", "question=b"], "cannot be used with"),
    ] {
        let exit = harness::run(&[&["run", &example, "--data", &data], arguments].concat()).await;
        check(&exit, 2, &[wanted]);
        assert_eq!(exit.stdout, "");
    }
    assert_eq!(fs::read_to_string(notes).expect("it is still there"), "dear diary");
}

fn example() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/basic-chat").to_owned()
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}
