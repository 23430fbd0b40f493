//! A behaviour as a folder: `tests/flows/<behaviour>/`. Add the folder and its line in `tests/all/scenarios.rs`, get a
//! test.
//!
//! | file | is |
//! | --- | --- |
//! | `flow.dag.yaml`, `flow.flex.yaml` or a `.prompty` | the flow; guests of `tests/guests` are in it as `guests/<name>.wasm` |
//! | `request.json` | the body that is posted to `/score` |
//! | `reply.json` | the body of the reply, whole, status 200 or not: the trace says which |
//! | `reply.sse` | instead of `reply.json`: the client asks for a stream, and this is what it reads |
//! | `trace.txt` | the trace, whole, as the stable rendering writes it |
//! | `model.txt` | what the model behind `open_ai_connection` answers; without it, an echo of the question |
//!
//! With `WEIR_UPDATE=1` the expectations are written instead of compared. Read the difference before you commit it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::collector::Collector;
use crate::guests::guest;
use crate::host::TestHost;
use crate::model::FakeModel;
use crate::trace;

/// Where the scenarios are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");

/// One test for each scenario, named as its folder, and one that no folder is left out.
///
/// `scenarios! { run_returns }` becomes
///
/// ```text
/// #[tokio::test]
/// async fn run_returns() { harness::scenario::run("run_returns").await; }
///
/// #[test]
/// fn every_folder_of_flows_is_tested() { … }
/// ```
#[macro_export]
macro_rules! scenarios {
    ($($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::scenario::run(stringify!($name)).await;
            }
        )+

        #[test]
        fn every_folder_of_flows_is_tested() {
            assert_eq!($crate::scenario::all(), std::collections::BTreeSet::from([$(stringify!($name).to_owned()),+]));
        }
    };
}

/// The folder of a scenario.
pub fn folder(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Names of all scenarios.
pub fn all() -> BTreeSet<String> {
    let entries = fs::read_dir(FOLDER).expect("tests/flows can be read");
    let entries = entries.map(|entry| entry.expect("tests/flows can be read"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|entry| entry.file_name().into_string().expect("names of scenarios are ASCII")).collect()
}

/// Runs a scenario and compares the reply and the trace with its files.
///
/// # Panics
///
/// If they differ; the message has both.
pub async fn run(name: &str) {
    let scenario = folder(name);
    let request = text(&scenario.join("request.json"));
    let model = match fs::read_to_string(scenario.join("model.txt")) {
        Ok(answer) => FakeModel::replies(answer.trim_end()).start(),
        Err(_) => FakeModel::echo().start(),
    };
    let collector = Collector::start();
    let host = TestHost::flow(name).model(&model).collector(&collector).start().await;

    if scenario.join("reply.sse").exists() {
        let mut stream = host.stream_with(&[], request).await;
        if stream.status != 200 {
            let reply = stream.whole().await;
            panic!("status {} instead of a stream: {}", reply.status, reply.text());
        }
        let mut frames = String::new();
        while let Some(frame) = stream.next().await {
            let event = frame.event.map(|event| format!("event: {event}\n")).unwrap_or_default();
            write!(frames, "{event}data: {}\n\n", frame.data).expect("a string takes all text");
        }
        compare(&scenario.join("reply.sse"), &frames);
    } else {
        let reply = host.score_with(&[], request).await;
        compare(&scenario.join("reply.json"), &pretty(&reply.json()));
    }
    compare(&scenario.join("trace.txt"), &trace::stable(&collector.only_trace().await));
    host.stop().await;
}

/// Copies a flow folder and puts the guests that it names beside its files, as weir takes no file from elsewhere.
pub(crate) fn copy_with_guests(from: &Path, to: &Path) {
    copy(from, to);
    add_guests(&flow_text(to), to);
}

/// Writes a flow folder of one file, and puts the guests that it names beside it.
pub(crate) fn write_with_guests(flow: &str, to: &Path) {
    fs::create_dir_all(to).expect("a flow folder can be made");
    let file = match flow {
        prompty if prompty.starts_with("---") => "chat.prompty",
        flex if flex.contains("entry:") => "flow.flex.yaml",
        _ => "flow.dag.yaml",
    };
    fs::write(to.join(file), flow).expect("a flow file can be written");
    add_guests(flow, to);
}

/// The text of the flow file of a folder; of a folder without one, nothing.
pub fn flow_text(folder: &Path) -> String {
    let files = ["flow.dag.yaml", "flow.flex.yaml"].map(|name| fs::read_to_string(folder.join(name)));
    files.into_iter().find_map(Result::ok).unwrap_or_default()
}

fn add_guests(flow: &str, to: &Path) {
    for name in guests_in(flow) {
        let guests = to.join("guests");
        fs::create_dir_all(&guests).expect("a copy can be written");
        fs::copy(guest(name), guests.join(format!("{name}.wasm"))).expect("a guest can be copied");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a copy can be written");
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("no folder {}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("a scenario's folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Names of the guests in the text of a flow: whatever stands as `guests/<name>.wasm`.
fn guests_in(flow: &str) -> BTreeSet<&str> {
    let names = flow.split("guests/").skip(1).filter_map(|rest| rest.split_once(".wasm")).map(|(name, _)| name);
    names.filter(|name| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())).collect()
}

/// Compares with a file, or writes it if that was asked for.
#[track_caller]
fn compare(file: &Path, actual: &str) {
    if std::env::var_os("WEIR_UPDATE").is_some() {
        fs::write(file, actual).expect("an expectation can be written");
        return;
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs (WEIR_UPDATE=1 writes it anew)\n── expected ──\n{expected}── actual ──\n{actual}────",
        file.display()
    );
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON can be written") + "\n"
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{} cannot be read: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_of_a_flow_are_those_that_its_text_names() {
        let flow = "path: guests/run_returns.wasm\n# guests/ are components\npath: guests/run_slow.wasm\n";
        assert_eq!(guests_in(flow), BTreeSet::from(["run_returns", "run_slow"]));
    }
}
