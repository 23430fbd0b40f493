//! The real Prometheus: what it makes of metrics that it reads from a host.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tempfile::TempDir;

use crate::debian;
use crate::host::process::Process;
use crate::http::attempt;
use crate::wait::eventually;

/// A Prometheus that reads the metrics of a host, ten times a second.
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _home: TempDir,
}

/// What `promtool check metrics` says of a text: nothing, if there is nothing to say.
///
/// # Panics
///
/// If it cannot be had.
pub fn check(metrics: &str) -> Result<(), String> {
    let mut promtool = Command::new(folder().join("promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool starts");
    // The end of its input is told by dropping it.
    let mut input = promtool.stdin.take().expect("it was asked for");
    let text = metrics.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = promtool.wait_with_output().expect("promtool ends");
    writer.join().expect("nothing panics there").expect("promtool reads all of it");
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() && said.is_empty() {
        return Ok(());
    }
    Err(format!("promtool ended with {}: {}", output.status, String::from_utf8_lossy(&said)))
}

/// What `promtool check rules` says of a file of rules.
///
/// # Errors
///
/// If it finds a fault.
pub fn check_rules(rules: &str) -> Result<String, String> {
    let home = tempfile::tempdir().expect("the machine has a temporary folder");
    let file = home.path().join("rules.yaml");
    std::fs::write(&file, rules).expect("the test's own folder can be written");
    let file = file.to_str().expect("a path of text");
    promtool(&["check", "rules", "--lint-fatal", file])
}

/// Lets `promtool test rules` hold rules against cases of its own form, but for `rule_files`, which is put there.
///
/// # Errors
///
/// What it says, if a case does not come out.
pub fn test_rules(rules: &str, cases: &str) -> Result<(), String> {
    let home = tempfile::tempdir().expect("the machine has a temporary folder");
    std::fs::write(home.path().join("rules.yaml"), rules).expect("the test's own folder can be written");
    let file = home.path().join("cases.yaml");
    std::fs::write(&file, format!("rule_files: [rules.yaml]\n{cases}")).expect("the test's own folder can be written");
    promtool(&["test", "rules", file.to_str().expect("a path of text")]).map(drop)
}

fn promtool(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(folder().join("promtool")).args(arguments).output().expect("promtool starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

impl Prometheus {
    /// Starts one that reads `/metrics` of this address.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn reading(host: SocketAddr) -> Self {
        let home = tempfile::tempdir().expect("the machine has a temporary folder");
        let config = home.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\n\
             scrape_configs: [{{job_name: weir, static_configs: [{{targets: [\"{host}\"]}}]}}]\n"
        );
        std::fs::write(&config, text).expect("the test's own folder can be written");
        let mut command = Command::new(folder().join("prometheus"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", home.path().join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        let process = Process::spawn(command);
        // The system chooses a port, and it says which.
        let address = process.said("msg=\"Listening on\" address=").await.parse().expect("an address");
        let prometheus = Self { address, _process: process, _home: home };
        eventually("Prometheus to be ready", async || prometheus.get("/-/ready").await.is_some()).await;
        prometheus
    }

    /// What it answers to a query: values by their labels, `__name__` among them.
    pub async fn query(&self, query: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let Some(answer) = self.get(&path).await else { return BTreeMap::new() };
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let labels = |series: &Value| -> BTreeMap<String, String> {
            let labels = series["metric"].as_object().into_iter().flatten();
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        };
        let value = |series: &Value| series["value"][1].as_str().and_then(|text| text.parse().ok());
        series.iter().filter_map(|it| Some((labels(it), value(it)?))).collect()
    }

    /// The same, as soon as the answer fulfils a condition.
    pub async fn query_when(
        &self,
        query: &str,
        condition: impl Fn(&BTreeMap<BTreeMap<String, String>, f64>) -> bool,
    ) -> BTreeMap<BTreeMap<String, String>, f64> {
        let mut found = BTreeMap::new();
        eventually(&format!("Prometheus to answer {query}"), async || {
            found = self.query(query).await;
            condition(&found)
        })
        .await;
        found
    }

    /// What is wrong with reading the host; empty if nothing is.
    pub async fn last_error(&self) -> String {
        let answer = self.get("/api/v1/targets").await.unwrap_or_default();
        answer["data"]["activeTargets"][0]["lastError"].as_str().unwrap_or("not read yet").to_owned()
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let request = Request::get(path).body(Bytes::new()).expect("a path that was encoded is valid");
        let reply = attempt(self.address, request).await.filter(|reply| reply.status == 200)?;
        Some(serde_json::from_slice(&reply.body).unwrap_or_default())
    }
}

/// The folder with `prometheus` and `promtool`, which are fetched if need be.
fn folder() -> PathBuf {
    debian::programs("prometheus", &["prometheus", "promtool"])
}

/// As it stands in a query of a URL.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}
