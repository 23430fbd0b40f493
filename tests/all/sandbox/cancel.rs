//! Runs that are given up: at the first moment, at the second, and so on, until they end by themselves. In the process of
//! the test, since from outside nobody can say when a run is in which moment.

use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use harness::{Act, FakeWire, TestHost, compile_cache, eventually, guest, origin};
use indexmap::IndexMap;
use serde_json::json;
use tokio::runtime::Handle;
use weir::assembly::{self, Settings as OfFlow};
use weir::boundary::outlet::Unbounded;
use weir::config::{Layers, Settings};
use weir::flow::value::Json;
use weir::folder::Folder;
use weir::sandbox::Threads;
use weir::sandbox::component::Workshop;
use weir::scheduler::{Nodes, Runner};
use weir::telemetry::Telemetry;

use super::limits::flow;

/// The most moments at which a run is given up: some never end, and each tick of the engine is a moment of theirs.
const MOMENTS: usize = 25;

/// Guests, with their inputs as JSON and how their nodes are written. Two more need something of the test's own: see below.
const GUESTS: &[(&str, &str, &str)] = &[
    ("run_returns", r#"{"a": 1}"#, ""),
    ("run_traps", "{}", ""),
    ("run_slow", r#"{"ms": 20}"#, ""),
    ("run_streams", r#"{"count": 50}"#, ""),
    ("limits_loops_forever", "{}", "limits: {timeout: 200ms}"),
    ("limits_fills_memory", r#"{"mib": 16}"#, "limits: {timeout: 200ms}"),
    ("limits_eats_memory", "{}", ""),
    ("limits_recurses", "{}", ""),
    ("limits_calls_forever", "{}", ""),
    ("limits_holds_resources", r#"{"count": 100000}"#, ""),
    ("limits_logs_much", r#"{"lines": 1000, "bytes": 100000}"#, ""),
    ("llm_chats", r#"{"connection": "offline", "question": "why?"}"#, "grants: {llm: [offline]}"),
    ("llm_relays", r#"{"connection": "offline", "question": "why?"}"#, "grants: {llm: [offline]}"),
    ("llm_relays_at_once", r#"{"connection": "offline", "question": "why?"}"#, "grants: {llm: [offline]}"),
    ("llm_streams_by_hand", r#"{"connection": "offline", "question": "why?"}"#, "grants: {llm: [offline]}"),
    ("nodes_calls_another", r#"{"node": "other"}"#, "grants: {nodes: [other]}"),
];

/// Those of them that wait in any case, for a time, for a turn, for a service or the disk: each has a moment at which it can be
/// given up. The others may end before anybody looks.
const WAITING: [&str; 4] = ["run_slow", "limits_loops_forever", "http_raw", "files_does"];

/// A host without a listener.
struct Rig {
    runner: Runner,
    workshop: Arc<Workshop>,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn of(name: &str, inputs: &str, node: &str, scratch: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!(
            "inputs: {{}}\noutputs: {{}}\nnodes:\n\
             - {{name: other, type: wasm, source: {{type: code, path: run_returns.wasm}}, inputs: {{a: 1}}}}\n\
             - name: bad\n  type: wasm\n  source: {{type: code, path: {name}.wasm}}\n  inputs: {inputs}\n  {node}\n"
        );
        fs::write(folder.path().join("flow.dag.yaml"), text).expect("the test's own folder can be written");
        for name in ["run_returns", name] {
            fs::copy(guest(name), folder.path().join(format!("{name}.wasm"))).expect("a guest can be copied");
        }
        let environment = |name: &str| match name {
            "OTEL_SDK_DISABLED" => Some("true".to_owned()),
            "WEIR_CACHE_DIR" => Some(compile_cache().to_string_lossy().into_owned()),
            "WEIR_SCRATCH_DIR" => Some(scratch.to_string_lossy().into_owned()),
            _ => None,
        };
        let layers = Layers { variables: &[], flags: &[], environment: &environment, file: None, deployment: None };
        let settings = Settings::read(&layers).expect("the defaults are good");
        let workshop = Arc::new(Workshop::open(settings.flows.components.clone()).expect("an engine"));
        let opened = Folder::open(folder.path()).expect("the folder is one");
        // Components are asked what they are, on a runtime of their own.
        let prepared = std::thread::scope(|scope| {
            let prepare = || {
                let of_flow = OfFlow { init: &IndexMap::new(), flows: &settings.flows, env: &|_| None };
                assembly::prepare(&opened, &workshop, &of_flow)
            };
            scope.spawn(prepare).join().expect("nothing panics there")
        });
        let telemetry = Telemetry::start(settings.telemetry).expect("telemetry that is off");
        let threads = Threads { io: Handle::current(), guests: Handle::current() };
        let runner = prepared.unwrap_or_else(|fault| panic!("{name}: {fault:?}")).runner(telemetry, threads);
        Self { runner, workshop, _folder: folder }
    }

    /// Runs the node until it has been polled so often, and then gives it up. Whether it ended before.
    async fn run(&self, inputs: &str, moments: usize) -> bool {
        let Runner { flow, nodes, .. } = &self.runner;
        let index = flow.find("bad").expect("it is there");
        let inputs = Json::parse(inputs).expect("inputs are JSON");
        let mut run = pin!(Nodes::run(nodes.clone(), index, inputs, origin(&self.runner), Unbounded::kept()));
        let mut polled = 0;
        poll_fn(|cx| {
            polled += 1;
            match run.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if polled == moments => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until no instance is left. One that another node called ends a moment later.
    async fn idle(&self, name: &str) {
        eventually(&format!("{name} to leave nothing behind"), async || {
            let pool = self.workshop.pool();
            pool.instances == 0 && pool.slots.iter().all(|(_, used, _)| *used == 0)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_be_given_up_at_every_moment() {
    let service = FakeWire::always(Act::Hold(Bytes::new()));
    let asks = json!({"requests": [{"scheme": "http", "authority": service.address().to_string(), "path": "/"}]});
    let asks = (asks.to_string(), format!("grants: {{http: ['{}']}}\n  limits: {{timeout: 200ms}}", service.origin()));
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let steps = [["write", "work/a", "x"], ["fill", "work/b", "2000000"], ["many", "work", "20"]];
    let writes = (json!({"steps": steps}).to_string(), "grants: {files: [{path: work, write: true}]}");
    let more = [("http_raw", asks.0.as_str(), asks.1.as_str()), ("files_does", writes.0.as_str(), writes.1)];
    let mut moments_of = BTreeMap::new();
    for (name, inputs, node) in GUESTS.iter().copied().chain(more) {
        let rig = Rig::of(name, inputs, node, scratch.path());
        let mut given_up = 0;
        for moments in 1..=MOMENTS {
            let ended = rig.run(inputs, moments).await;
            rig.idle(name).await;
            if ended {
                break;
            }
            given_up += 1;
        }
        moments_of.insert(name, given_up);
        drop(rig);
        let left = async || fs::read_dir(scratch.path()).is_ok_and(|mut files| files.next().is_none());
        eventually(&format!("what {name} wrote to be gone"), left).await;
    }
    assert!(service.connections() > 0, "the service was never asked");
    service.left(service.connections()).await;
    for name in WAITING {
        assert!(moments_of[name] > 0, "{name} was never given up: {moments_of:?}");
    }
}

/// How often a client goes away from each guest.
const CANCELS: usize = 100;

#[tokio::test]
async fn clients_that_go_away_at_any_moment_leave_nothing_behind() {
    for name in ["limits_loops_forever", "run_streams_endlessly", "limits_calls_forever", "run_traps"] {
        let host = TestHost::written("hostile", &flow(name, "timeout: 5s")).env("WEIR_MAX_CONCURRENCY", "32");
        let host = host.start().await;
        let mut chance = fastrand(harness::seed(7));
        for _ in 0..harness::cancels(CANCELS) / 10 {
            let clients = (0..10).map(|_| {
                let patience = Duration::from_micros(chance() % 20_000);
                let asked = host.score(json!({}));
                async move { _ = tokio::time::timeout(patience, asked).await }
            });
            join_all(clients).await;
        }
        host.idle().await;
        assert!(host.instances().await > 0.0, "no run of {name} had begun when its client left");
        let exit = host.stop().await;
        assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
    }
}

/// Numbers that look random, by xorshift.
fn fastrand(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.max(1);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
