//! Aggregation nodes: after all lines, over what they gave; never while serving.

use super::*;

const FLOW: &str = "
inputs: {question: {type: double}, weight: {type: int, default: 1}}
outputs:
  line: {type: object, reference: '${line.output}'}
  good: {type: int, reference: '${count.output}'}
nodes:
- name: line
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {grade: '${inputs.question}'}
- name: high
  type: wasm
  source: {path: guests/run_returns.wasm}
  inputs: {grade: '${inputs.question}'}
  activate: {when: '${inputs.question}', is: 1}
- name: count
  type: wasm
  source: {path: guests/context_logs_metrics.wasm}
  aggregation: true
  inputs: {grades: '${line.output.grade}'}
- name: seen
  type: wasm
  source: {path: guests/run_returns.wasm}
  reduce: true
  inputs: {high: '${high.output}', weights: '${inputs.weight}', good: '${count.output}', unit: points}
";

fn run(sheet: &Sheet, flow: &str) -> Running {
    sheet.prepare(TestHost::written("graded", flow), 2).start_verb("run")
}

/// What was printed of the aggregation: one JSON object.
fn aggregated(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|_| panic!("no JSON: {:?}\n{}", exit.stdout, exit.stderr))
}

#[tokio::test]
async fn metrics_and_outputs_are_those_of_all_completed_lines_also_after_a_resumed_run() {
    let sheet = Sheet::new("{\"q\": 1}\n{\"q\": \"none\"}\n{\"q\": 0.25}\n");
    let exit = run(&sheet, FLOW).exit().await;
    check(&exit, 1, &["2 of 3 lines completed; 1 failed", "  line_number 1: InputTypeError: "]);
    assert_eq!(
        aggregated(&exit),
        json!({
            "metrics": {"good": 1.0, "accuracy": 0.5},
            "outputs": {
                "count": 1,
                "seen": {"high": [{"grade": 1.0}, null], "weights": [1, 1], "good": 1, "unit": "points"},
            },
        })
    );
    let outputs = |line: u64| sheet.results()[&line]["outputs"].clone();
    assert_eq!(outputs(0), json!({"line": {"grade": 1.0}}), "what an aggregation node gives is no output of a line");

    sheet.write_data("{\"q\": 1}\n{\"q\": 0.75}\n{\"q\": 0.25}\n{\"q\": 1}\n");
    let exit = run(&sheet, FLOW).exit().await;
    check(&exit, 0, &["4 of 4 lines completed, 2 of them before; 0 failed"]);
    let again = aggregated(&exit);
    assert_eq!(again["metrics"], json!({"good": 3.0, "accuracy": 0.75}));
    let high = json!([{"grade": 1.0}, null, null, {"grade": 1.0}]);
    assert_eq!((&again["outputs"]["count"], &again["outputs"]["seen"]["high"]), (&json!(3), &high));

    // With nothing left to run, the aggregation still does.
    let exit = run(&sheet, FLOW).exit().await;
    check(&exit, 0, &["4 of 4 lines completed, 4 of them before; 0 failed"]);
    assert_eq!(aggregated(&exit), again);
}

#[tokio::test]
async fn shards_run_apart_and_are_aggregated_together() {
    let text = "{\"q\": 1}\n{\"q\": 0.75}\n{\"q\": 0.25}\n{\"q\": 1}\n";
    let mut results = String::new();
    for (shard, lines) in [("0/3", 2), ("1/3", 1), ("2/3", 1)] {
        let sheet = Sheet::new(text);
        let exit = sheet
            .prepare(TestHost::written("graded", FLOW), 2)
            .arg("--shard")
            .arg(shard)
            .start_verb("run")
            .exit()
            .await;
        let left = format!("shard {shard}: nothing is aggregated yet; put the results of all shards into one file");
        check(&exit, 0, &[&format!("{lines} of {lines} lines completed; 0 failed"), &left]);
        assert_eq!(exit.stdout, "", "nothing of a part is told as if it were of the whole");
        results.push_str(&sheet.written());
    }
    let whole = Sheet::new(text);
    whole.write_results(&results);
    let exit = run(&whole, FLOW).exit().await;
    check(&exit, 0, &["4 of 4 lines completed, 4 of them before; 0 failed"]);
    assert_eq!(aggregated(&exit)["metrics"], json!({"good": 3.0, "accuracy": 0.75}));
}

#[tokio::test]
async fn what_names_no_shard_is_refused_with_an_example() {
    let sheet = Sheet::new("{\"q\": 1}\n");
    let exit =
        sheet.prepare(TestHost::written("graded", FLOW), 2).arg("--shard").arg("3/3").start_verb("run").exit().await;
    check(&exit, 2, &["invalid value '3/3' for '--shard <I/N>'", "0/4 to 3/4 are the parts of four"]);
}

#[tokio::test]
async fn an_aggregation_node_that_fails_is_named_and_the_lines_stay_done() {
    let sheet = Sheet::new("{\"q\": 1}\n");
    let flow = FLOW.replace("context_logs_metrics", "run_traps");
    let exit = run(&sheet, &flow).exit().await;
    check(&exit, 1, &["1 of 1 lines completed; 0 failed", "error: aggregation failed: node \"count\" trapped\n"]);
    assert_eq!((exit.stdout.as_str(), sheet.results().len()), ("", 1));
}

#[tokio::test]
async fn aggregation_nodes_that_cannot_run_keep_data_from_being_run_and_nothing_else() {
    let sheet = Sheet::new("{\"q\": 1}\n");
    let mean =
        "- {name: mean, type: csharp, source: {path: mean.cs}, aggregation: true, inputs: {x: '${line.output}'}}\n";
    let flow = format!("{FLOW}{mean}");
    let exit = run(&sheet, &flow).exit().await;
    let wanted = [
        "node \"mean\": csharp nodes are not served by this version",
        "error: the aggregation nodes of the flow cannot be run, for the reasons above\n",
    ];
    check(&exit, 2, &wanted);
    assert_eq!(exit.stdout, "");
    assert!(!sheet.path("out.jsonl").exists(), "no line was run");

    let host = TestHost::written("graded", &flow).start().await;
    host.score(json!({"question": 1})).await.assert_ok(json!({"line": {"grade": 1.0}}));
}

#[tokio::test]
async fn a_request_runs_no_aggregation_node() {
    let collector = Collector::start();
    let host = TestHost::written("graded", FLOW).collector(&collector).start().await;
    host.score(json!({"question": 0.5})).await.assert_ok(json!({"line": {"grade": 0.5}}));
    host.stop().await;
    let runs = collector.metric("node_request").counts();
    let nodes: BTreeSet<_> = runs.keys().map(|labels| labels["node"].clone()).collect();
    assert_eq!(nodes, BTreeSet::from(["line", "high"].map(str::to_owned)));
}
