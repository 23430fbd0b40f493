//! What a call of a node costs by where its instance comes from: made for it or ahead of it, or left by an earlier call.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use harness::{HostBuilder, TestHost, run};
use tempfile::TempDir;

use crate::Effort;
use crate::load::{self, Connection};
use crate::report::{Report, median};
use crate::sink::Sink;

/// CPU that one node more costs the original, in microseconds: the slope of its chains of 3 and 10 nodes, see chapters.rs.
const ORIGINAL: f64 = 26_000.0 / 7.0;

/// Between two requests that come one at a time: long enough to make an instance in.
const PAUSE: Duration = Duration::from_millis(100);

/// A node in Python that does nothing.
const STEP: &str = "from promptflow.core import tool\n\n\n@tool\ndef step(text: str) -> str:\n    return text\n";

/// What a flow runs, as its source says it.
struct Subject {
    name: &'static str,
    flow: String,
    /// Where it was built; none: there is nothing to build.
    folder: Option<TempDir>,
}

/// Two nodes of one kind, of which a request runs one or none.
fn flow(kind: &str) -> String {
    let mut flow = "inputs: {text: {type: string}, how: {type: string}}\noutputs: {}\nnodes:\n".to_owned();
    for how in ["fresh", "reuse"] {
        let when = format!("activate: {{when: '${{inputs.how}}', is: {how}}}, instances: {how}");
        writeln!(flow, "- {{name: {how}, {kind}, inputs: {{text: '${{inputs.text}}'}}, {when}}}")
            .expect("a string takes all");
    }
    flow
}

impl Subject {
    fn of_guest(name: &'static str, guest: &str) -> Self {
        let flow = flow(&format!("type: wasm, source: {{type: code, path: guests/{guest}.wasm}}"));
        Self { name, flow, folder: None }
    }

    async fn in_python() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flow = flow("type: python, source: {type: code, path: step.py}");
        for (file, text) in [("flow.dag.yaml", flow.as_str()), ("step.py", STEP)] {
            fs::write(folder.path().join(file), text).expect("the bench's own folder");
        }
        for verb in ["build", "check"] {
            let exit = run(&[verb, folder.path().to_str().expect("a path of text")]).await;
            assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
        }
        Self { name: "Python", flow, folder: Some(folder) }
    }

    /// A host that makes so many instances ahead.
    async fn host(&self, ahead: &str, sink: &Sink) -> TestHost {
        let host: HostBuilder = match &self.folder {
            Some(folder) => TestHost::folder(folder.path()),
            None => TestHost::written("bench", &self.flow),
        };
        host.env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.origin()).env("WEIR_INSTANCES_AHEAD", ahead).start().await
    }
}

/// A request that runs the node of which this is said, or none.
fn request(how: &str) -> Vec<u8> {
    load::request("/score", &serde_json::json!({"text": "lorem ipsum", "how": how}).to_string())
}

pub(crate) async fn measure(effort: Effort, sink: &Sink, report: &mut Report) {
    let subjects = [
        Subject::of_guest("tiny guest", "bench_tiny"),
        Subject::of_guest("Rust guest of the SDK", "text_step"),
        Subject::in_python().await,
    ];
    for subject in &subjects {
        let host = subject.host("0", sink).await;
        for how in ["fresh", "reuse"] {
            let (mut costs, mut ratios) = (Vec::new(), Vec::new());
            for _ in 0..effort.rounds {
                let with = cpu(&host, how, effort).await;
                let cost = with - cpu(&host, "none", effort).await;
                costs.push(cost);
                ratios.push(ORIGINAL / cost);
            }
            report.figure(format!("a call of a node, {}, {}: CPU", subject.name, named(how)), costs, "µs");
            report.figure(format!("the original's CPU of a node ÷ ours, {}, {}", subject.name, named(how)), ratios, "");
        }
        for how in ["none", "fresh", "reuse"] {
            one_at_a_time(&host, how, (subject.name, named(how)), effort, report).await;
        }
        host.stop().await;
        // Others are not made ahead.
        if subject.folder.is_some() {
            let host = subject.host("1", sink).await;
            one_at_a_time(&host, "fresh", (subject.name, "made ahead"), effort, report).await;
            host.stop().await;
        }
    }
}

async fn one_at_a_time(host: &TestHost, how: &str, (name, named): (&str, &str), effort: Effort, report: &mut Report) {
    let mut medians = Vec::new();
    for _ in 0..effort.rounds {
        medians.push(latency(host, how, effort).await);
    }
    report.figure(format!("one request at a time, {name}, {named}: p50"), medians, "µs");
}

fn named(how: &str) -> &'static str {
    match how {
        "fresh" => "made for it",
        "reuse" => "used again",
        _ => "no node run",
    }
}

/// CPU of one request under load, in microseconds.
async fn cpu(host: &TestHost, how: &str, effort: Effort) -> f64 {
    let request = request(how);
    load::run(host.address(), &request, 4, effort.time / 4).await;
    let before = host.processor_time();
    let load = load::run(host.address(), &request, 4, effort.time).await;
    (host.processor_time() - before).as_secs_f64() * 1e6 / load.requests as f64
}

/// Median time of requests with idle time between them, in microseconds.
async fn latency(host: &TestHost, how: &str, effort: Effort) -> f64 {
    let request = request(how);
    let mut connection = Connection::open(host.address()).await;
    let mut took = Vec::new();
    let end = Instant::now() + effort.time * 2;
    while Instant::now() < end || took.len() < 5 {
        let began = Instant::now();
        connection.ask(&request).await;
        took.push(began.elapsed().as_secs_f64() * 1e6);
        tokio::time::sleep(PAUSE).await;
    }
    median(&took)
}
