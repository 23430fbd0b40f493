//! Good and hostile nodes mixed, for long: memory, file descriptors, threads and instances stay where they were.
//!
//! The run in `make test` is short. `WEIR_TEST_SOAK=20000` makes so many requests, and `WEIR_TEST_PLOT=FILE` draws what
//! was seen as an SVG; tests/SOAK.md has the picture of a long one.

use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::stream;
use harness::plot::{Series, draw};
use harness::{Collector, FakeModel, TestHost};
use serde_json::json;

/// Requests, if nobody says otherwise: enough that each kind comes several times.
const REQUESTS: usize = 600;

/// So many at the same time.
const CLIENTS: usize = 8;

/// How often memory is looked at.
const SAMPLES: usize = 60;

/// A run of this length has filled its caches and pools after this share of it; from then on nothing may grow.
const SETTLED: f64 = 0.4;

/// How much more memory there may be at the end than when all was settled, in bytes, since allocators keep some. What leaks less
/// than this share of it with each request is not seen: 45 KiB of the usual [`REQUESTS`], and 4 KiB, a page, of 7200.
const GROWTH: f64 = 16.0 * 1024.0 * 1024.0;

/// A kind of node: its name, guest, what else its node says, and the status of a request that runs it.
type Kind = (&'static str, &'static str, &'static str, u16);

/// Good ones stand more than once: they are most of what a host does.
const KINDS: &[Kind] = &[
    ("returns", "run_returns", "inputs: {text: fine}", 200),
    (
        "asks",
        "llm_chats",
        "inputs: {connection: open_ai_connection, question: hi}\ngrants: {llm: [open_ai_connection]}",
        200,
    ),
    ("loops", "limits_loops_forever", "limits: {timeout: 50ms}", 504),
    ("eats", "limits_eats_memory", "limits: {memory: 32MiB}", 500),
    ("returns_again", "run_returns", "inputs: {text: fine}", 200),
    ("traps", "run_traps", "", 500),
    ("streams", "run_streams_endlessly", "", 500),
    ("wrong", "run_returns_wrong_json", "", 500),
    ("calls_itself", "nodes_calls_another", "inputs: {node: calls_itself}\ngrants: {nodes: [calls_itself]}", 500),
    ("fails", "run_returns_user_error", "", 400),
];

fn flow() -> String {
    let mut flow =
        "inputs: {kind: {type: string}}\noutputs: {kind: {type: string, reference: '${inputs.kind}'}}\nnodes:\n"
            .to_owned();
    for (name, guest, node, _) in KINDS {
        flow += &format!("- name: {name}\n  type: wasm\n  source: {{type: code, path: guests/{guest}.wasm}}\n");
        flow += &format!("  activate: {{when: '${{inputs.kind}}', is: {name}}}\n");
        node.lines().for_each(|line| flow += &format!("  {line}\n"));
    }
    flow
}

/// What the process has at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    requests: usize,
    resident: u64,
    descriptors: usize,
    threads: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_and_hostile_nodes_mixed_leave_nothing_behind() {
    let (collector, model) = (Collector::start(), FakeModel::echo().start());
    let host = TestHost::written("soak", &flow()).collector(&collector).model(&model).start().await;
    let ask = async |number: usize| {
        let (kind, _, _, status) = KINDS[number % KINDS.len()];
        let reply = host.score(json!({"kind": kind})).await;
        assert_eq!(reply.status, status, "{kind}: {}", reply.text());
    };

    let requests = harness::soak(REQUESTS);
    let each = requests.div_ceil(SAMPLES);
    let mut samples = Vec::new();
    for part in 0..SAMPLES {
        stream::iter(part * each..(part + 1) * each).map(&ask).buffer_unordered(CLIENTS).collect::<()>().await;
        samples.push(Sample {
            requests: (part + 1) * each,
            resident: host.resident(),
            descriptors: host.descriptors(),
            threads: host.threads(),
        });
    }
    host.idle().await;
    assert!(host.instances().await > 0.0, "no run has begun");
    host.get("/health").await;
    let exit = host.stop().await;
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
    if let Some(path) = harness::picture() {
        plot(&path, &samples);
    }

    let settled = &samples[(SAMPLES as f64 * SETTLED) as usize..];
    let memory: Vec<_> = settled.iter().map(|sample| (sample.requests as f64, sample.resident as f64)).collect();
    let grown = slope(&memory) * (settled[settled.len() - 1].requests - settled[0].requests) as f64;
    assert!(grown < GROWTH, "memory grew by {grown} bytes: {samples:?}");
    let (before, after) = settled.split_at(settled.len() / 2);
    let most = |samples: &[Sample], of: fn(&Sample) -> u64| samples.iter().map(of).max();
    // As many connections as there are clients may be open at the moment of a sample, and as many threads wait for the disk.
    for of in [|sample: &Sample| sample.descriptors as u64, |sample: &Sample| sample.threads] {
        let allowed = most(before, of).map(|most| most + CLIENTS as u64);
        assert!(most(after, of) <= allowed, "descriptors or threads grew: {samples:?}");
    }
}

/// How steep the line is that fits best, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |part: fn((f64, f64)) -> f64| points.iter().copied().map(part).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut together, mut alone) = (0.0, 0.0);
    for point in points {
        together += (point.0 - x) * (point.1 - y);
        alone += (point.0 - x) * (point.0 - x);
    }
    together / alone
}

fn plot(path: &Path, samples: &[Sample]) {
    let series = |name: &str, value: fn(&Sample) -> f64| Series {
        name: name.to_owned(),
        points: samples.iter().map(|sample| (sample.requests as f64, value(sample))).collect(),
    };
    let memory = series("resident set, MiB", |sample| sample.resident as f64 / 1_048_576.0);
    let descriptors = series("file descriptors", |sample| sample.descriptors as f64);
    draw(path, "Good and hostile nodes mixed", ("requests", ""), &[memory, descriptors]);
}
