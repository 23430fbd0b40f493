//! The Job of examples/kubernetes/batch: each of its pods is run as it would be, and all lines are done once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use harness::kubernetes::{manifests, named, render};
use harness::{HostBuilder, TestHost};
use serde_json::Value;

use super::folder;

/// How many lines there are: more than parts, and no multiple of them.
const LINES: usize = 21;

#[tokio::test]
async fn the_pods_of_the_job_run_each_line_once_and_one_that_was_evicted_goes_on() {
    let rendered = manifests(&render(&folder().join("batch")));
    let job = &named(&rendered, "Job", "weir-batch")["spec"];
    assert_eq!(job["completionMode"], "Indexed");
    let container = &job["template"]["spec"]["containers"][0];
    let shard = &container["env"].as_array().expect("variables")[0];
    let index = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
    assert_eq!((&shard["name"], &shard["valueFrom"]["fieldRef"]["fieldPath"]), (&"SHARD".into(), &index.into()));

    let home = tempfile::tempdir().expect("the machine has a temporary folder");
    let lines: String = (0..LINES).map(|line| format!("{{\"question\": \"question {line}\"}}\n")).collect();
    fs::write(home.path().join("questions.jsonl"), lines).expect("the test's own folder");
    let count = job["completions"].as_u64().expect("a number");
    for index in 0..count {
        run(container, home.path(), index).await;
    }
    let results = results(home.path());
    assert_eq!(results.keys().copied().collect::<Vec<_>>(), (0..LINES).collect::<Vec<_>>());
    assert!(results.values().all(|result| result["outputs"]["answer"].is_string()), "{results:?}");

    // As a pod that was evicted leaves it: half of a line, which the next one runs again.
    let file = home.path().join("results-3.jsonl");
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, &text[..text.len() - 10]).expect("the test's own folder");
    run(container, home.path(), 3).await;
    assert_eq!(self::results(home.path()).len(), LINES);
}

/// Runs what a pod of this index would: its arguments, with the volume in this folder.
async fn run(container: &Value, volume: &Path, index: u64) {
    let volume = volume.to_str().expect("a path of text");
    let arguments = container["args"].as_array().expect("arguments").iter().map(|it| it.as_str().expect("a text"));
    let arguments: Vec<_> = arguments
        .map(|it| it.replace("$(SHARD)", &index.to_string()).replace("/batch/", &format!("{volume}/")))
        .collect();
    assert_eq!(arguments[..2], ["run", "/flows/basic_chat"]);
    let host = TestHost::folder(folder().join("../basic-chat"));
    let exit = arguments[2..].iter().fold(host, HostBuilder::arg).start_verb("run").exit().await;
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
}

/// What all pods have written, by the number of the line.
fn results(volume: &Path) -> BTreeMap<usize, Value> {
    let files = fs::read_dir(volume).expect("the test's own folder").flatten().map(|entry| entry.path());
    let files =
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("results-")));
    let mut results = BTreeMap::new();
    for text in files.map(|file| fs::read_to_string(file).expect("it can be read")) {
        for line in text.lines() {
            let result: Value = serde_json::from_str(line).expect("a result is JSON");
            let number = result["line_number"].as_u64().and_then(|number| usize::try_from(number).ok());
            let before = results.insert(number.expect("a number"), result);
            assert_eq!(before, None, "a line was run twice");
        }
    }
    results
}
