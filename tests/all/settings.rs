//! Settings: where they come from, that all faults are told at once, and that what is documented holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use harness::TestHost;
use serde_json::{Value, json};
use weir::config::documented;

use crate::readme;

/// What `weir config --json` says with these settings: value and origin by name.
async fn config(host: harness::HostBuilder) -> BTreeMap<String, (Value, String)> {
    let exit = host.arg("--json").start_verb("config").exit().await;
    assert!(exit.status.success(), "{}", exit.stderr);
    let lines = exit.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // After the settings it says what they lead to.
    let settings = lines.filter(|line| line.get("name").is_some());
    settings.map(|line| (text(&line["name"]), (line["value"].clone(), text(&line["origin"])))).collect()
}

#[tokio::test]
async fn flags_come_before_the_environment_before_the_file_before_the_deployment() {
    let deployment = "name: blue\nmodel: {path: f}\nrequest_settings: {max_concurrent_requests_per_instance: 7}\n\
                      environment_variables: {WEIR_MAX_QUEUE: 1, WEIR_STREAM_KEEP_ALIVE: 1s, BUILD_INFO: built}\n";
    let file =
        "max: {queue: 2, queue_wait: 5ms}\nstream_keep_alive: 2s\nenvironment_variables: {OTEL_SERVICE_NAME: chat}\n";
    let files = [("d.yaml", deployment), ("weir.yaml", file)];
    let host = TestHost::laid(&[("f", "inputs: {}\n")], &files, "d.yaml");
    let path = host.path().with_file_name("weir.yaml").display().to_string();
    let blue = host.path().display().to_string();
    let host = host.env("WEIR_STREAM_KEEP_ALIVE", "3s").env("WEIR_MAX_QUEUE_WAIT", "6ms");
    let host = host.arg("--config").arg(&path).arg("--set").arg("max_queue_wait=7ms");
    let found = config(host).await;
    for (name, value, origin) in [
        ("WEIR_MAX_QUEUE_WAIT", "7ms", "--set".to_owned()),
        ("WEIR_STREAM_KEEP_ALIVE", "3s", "environment WEIR_STREAM_KEEP_ALIVE".to_owned()),
        ("WEIR_MAX_QUEUE", "2", format!("{path}:1")),
        ("OTEL_SERVICE_NAME", "chat", format!("{path}:3")),
        ("WEIR_MAX_CONCURRENCY", "7", format!("{blue}: request_settings.max_concurrent_requests_per_instance")),
        ("BUILD_INFO", "built", format!("{blue}: environment_variables.BUILD_INFO")),
        ("PF_LINE_TIMEOUT_SEC", "300", "default".to_owned()),
    ] {
        assert_eq!(found.get(name), Some(&(json!(value), origin)), "{name}");
    }
}

#[tokio::test]
async fn every_fault_of_flags_environment_and_file_is_told_at_once() {
    let file = "lisen: 127.0.0.1:80\nmax_queue: -1\n";
    let host = TestHost::laid(&[("f", "inputs: {}\n")], &[("weir.yaml", file)], "f");
    let path = host.path().with_file_name("weir.yaml").display().to_string();
    let host = host.arg("--config").arg(&path).arg("--set").arg("max_que=1").env("PF_LINE_TIMEOUT_SEC", "soon");
    let exit = host.refuses().await;
    assert_eq!(exit.status.code(), Some(2));
    for told in [
        "unknown setting `lisen`",
        "help: did you mean `listen`?",
        "PF_LINE_TIMEOUT_SEC: \"soon\" is no time; write whole seconds, such as 300, of at most 3600",
        "--set: there is no setting `max_que`; did you mean `max_queue`?",
    ] {
        assert!(exit.told().contains(told), "{told}\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn what_a_secret_is_nobody_is_told() {
    for found in documented().iter().filter(|found| found.setting.secret) {
        let name = found.setting.variable;
        // Some have a form.
        let (secret, before) = match name {
            _ if name.contains("CONNECTION_STRING") => ("aaaaaaaa-1111-4111-8111-111111111111", "InstrumentationKey="),
            _ if name.contains("INSIGHTS") => ("aaaaaaaa-1111-4111-8111-111111111111", ""),
            _ if name.ends_with("_HEADERS") => ("a-secret-of-thirty-two-letters-00", "api-key="),
            _ => ("a-secret-of-thirty-two-letters-00", ""),
        };
        let host = TestHost::laid(&[("f", "inputs: {}\n")], &[], "f").env(name, format!("{before}{secret}"));
        let exit = host.start_verb("config").exit().await;
        let line = exit.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line.contains("(set, not shown)") && !exit.stdout.contains(secret), "{name}: {}", exit.stdout);
    }
}

#[tokio::test]
async fn the_readme_has_every_status_with_its_codes() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README can be read");
    let document = TestHost::written("nothing", "inputs: {}\n").start().await.get("/swagger.json").await.json();
    let mut told = BTreeMap::new();
    for path in ["/score", "/feedback"] {
        for (status, response) in document["paths"][path]["post"]["responses"].as_object().expect("responses") {
            let name = response["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
            let description = document["components"]["responses"][name]["description"].as_str().unwrap_or_default();
            if let Some((_, codes)) = description.split_once("`innerError.code`: ") {
                told.insert(status.clone(), codes.to_owned());
            }
        }
    }
    assert!(told.len() > 10, "{told:?}");
    for (status, codes) in told {
        let row = format!("| {status} | {codes} |");
        assert!(readme.contains(&row), "the README lacks {row}");
    }
}

#[tokio::test]
async fn a_flow_sees_no_setting_of_the_host() {
    let flow = "
inputs: {}
outputs: {a: {type: string, reference: '${n.output}'}}
environment_variables: {WEIR_PRIMARY_KEY: its own}
nodes:
- name: n
  type: wasm
  source: {path: guests/config_reads.wasm}
  inputs: {keys: [WEIR_PRIMARY_KEY]}
  grants: {config: [WEIR_PRIMARY_KEY]}
";
    let key = "a-key-of-thirty-two-letters-00000";
    let host = TestHost::written("curious", flow).env("WEIR_PRIMARY_KEY", key).start().await;
    let reply = host.score_with(&[("authorization", &format!("Bearer {key}"))], "{}").await;
    assert!(reply.status == 200 && reply.text().contains("its own"), "{}", reply.text());
}

/// The tables of the README that have the columns variable and default.
#[test]
fn the_readme_has_every_setting_with_its_real_default() {
    let rows: BTreeMap<String, String> = readme::rows()
        .into_iter()
        .filter_map(|cells| {
            let name = readme::name(&cells)?;
            let is_setting =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '0'..='9'));
            (is_setting && cells.len() >= 3).then(|| Some((name.to_owned(), cells.last()?.clone()))).flatten()
        })
        .collect();
    let mut missing = Vec::new();
    for found in documented() {
        let setting = found.setting;
        let expected = match setting.default {
            "" => setting.absent.to_owned(),
            default => format!("`{default}`"),
        };
        if rows.get(setting.variable) != Some(&expected) {
            missing.push(format!("| `{}` | {} | {expected} |", setting.variable, setting.meaning));
        }
    }
    assert!(missing.is_empty(), "the README lacks, or has with another default:\n{}", missing.join("\n"));
}
