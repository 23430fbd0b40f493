//! What must hold whatever a guest does: its run ends as it should, and nobody else notices.
//!
//! ```no_run
//! use harness::Hostile;
//!
//! # async fn example() {
//! let message = "node \"bad\" did not finish within 300ms; raise `limits.timeout` of the node if it may take longer";
//! Hostile::guest_with("limits_loops_forever", "limits: {timeout: 300ms}").ends(504, "NodeTimeout", message).await;
//! # }
//! ```
//!
//! One flow has the guest as node `bad` and a harmless neighbour as node `good`; the input `bad` says which of them runs.
//! The guest is asked for several times, and each time, while it runs, others ask for the neighbour and for `/health`.
//! What is asserted of all guests: status and body of each reply; that every neighbour had its answer, and soon; the status
//! and `error.type` of the node's span, of its flow's and its request's; `node_request` and `flow_request`; that nothing
//! panicked; and that places, instances, connections, file descriptors and memory are back where they were.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::collector::{Collector, Span, Status};
use crate::host::{Exit, HostBuilder, TestHost};
use crate::http::Reply;
use crate::wait::eventually;

/// How often a guest is asked for after the first time, which fills caches and pools: enough that a leak of each run is
/// told from noise.
const TIMES: usize = 8;

/// How much more memory the process may have after further runs, in bytes. Allocators keep some. A guest that leaks with each of
/// [`TIMES`] runs what one may give, 4 MiB of output, has more; leaks that are smaller are for the soak.
const GROWTH: u64 = 24 << 20;

/// How many more file descriptors it may have, beside connections to the collector: those to services, of which there may be one
/// more for a while. A guest that leaks one with each run has more: if there are few runs, fewer are allowed.
const OPENED: usize = 2;

/// How long a neighbour may wait for its answer. Far more than it takes, since the machine may build beside the tests; far
/// less than guests run that nobody ends.
const NEIGHBOUR: Duration = Duration::from_secs(20);

/// A guest that does harm, and the world in which it is let loose.
#[must_use = "nothing runs before it is said how it must end"]
#[derive(Debug)]
pub struct Hostile {
    host: HostBuilder,
    times: usize,
    trap: Option<String>,
}

/// What was left behind, for what a test wants to know beyond the usual.
pub struct Aftermath {
    /// The reply to the last request for the guest.
    pub reply: Reply,
    /// How often the guest ran.
    pub runs: usize,
    /// How long neighbours have waited for their answers while it did, the longest last.
    pub waited: Vec<Duration>,
    pub collector: Collector,
    pub exit: Exit,
}

/// How the guest must end.
#[derive(Clone, Copy)]
enum Ending<'a> {
    Failure {
        status: u16,
        code: &'a str,
        error_type: &'a str,
        message: &'a str,
    },
    /// After so many chunks.
    Break {
        chunks: usize,
        code: &'a str,
        error_type: &'a str,
        message: &'a str,
    },
    Value(&'a dyn Fn(&Value) -> bool),
}

impl Hostile {
    /// A guest of `tests/guests` with no limits, grants or inputs but those that every node has.
    pub fn guest(name: &str) -> Self {
        Self::guest_with(name, "")
    }

    /// The same with further lines of its node in the flow file, such as `grants: {nodes: [good]}`.
    pub fn guest_with(name: &str, node: &str) -> Self {
        Self::guest_among(name, node, "")
    }

    /// The same with further nodes, as a list in YAML.
    pub fn guest_among(name: &str, node: &str, nodes: &str) -> Self {
        // None that waits for the next run, so that it shows what a run has left behind.
        let host = TestHost::written("hostile", &(flow(name, node) + nodes)).env("WEIR_INSTANCES_AHEAD", "0");
        Self { host, times: TIMES, trap: None }
    }

    /// Changes the host: its settings, the services around it.
    pub fn host(self, change: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self { host: change(self.host), ..self }
    }

    /// How often the guest is asked for after the first time; few for those of whom each time takes long.
    ///
    /// # Panics
    ///
    /// If it is not at all: what is left behind is what each further run adds.
    pub fn times(self, times: usize) -> Self {
        assert!(times > 0, "nothing would be compared");
        Self { times, ..self }
    }

    /// Each of its runs counts in `weir.node.trap` as one of this kind.
    pub fn trap(self, kind: &str) -> Self {
        Self { trap: Some(kind.to_owned()), ..self }
    }

    /// Lets it loose. Each of its runs must fail with this status, `innerError.code` and message.
    pub async fn ends(self, status: u16, code: &str, message: &str) -> Aftermath {
        self.check(Ending::Failure { status, code, error_type: code, message }).await
    }

    /// The same for a failure that the node has a name of its own for, which its span tells instead of `innerError.code`.
    pub async fn ends_as(self, status: u16, code: &str, error_type: &str, message: &str) -> Aftermath {
        self.check(Ending::Failure { status, code, error_type, message }).await
    }

    /// Lets it loose on clients that want a stream. Each of its runs must fail after so many chunks.
    pub async fn breaks(self, chunks: usize, code: &str, error_type: &str, message: &str) -> Aftermath {
        self.check(Ending::Break { chunks, code, error_type, message }).await
    }

    /// Lets it loose. Each of its runs must end well, with this output.
    pub async fn gives(self, output: Value) -> Aftermath {
        self.check(Ending::Value(&|given| *given == output)).await
    }

    /// The same for an output that is not always the same.
    pub async fn gives_such(self, output: impl Fn(&Value) -> bool) -> Aftermath {
        self.check(Ending::Value(&output)).await
    }

    async fn check(self, ending: Ending<'_>) -> Aftermath {
        let Self { host, times, trap } = self;
        let collector = Collector::start();
        let host = host.collector(&collector).start().await;
        let mut waited = Vec::new();
        let mut reply = attack(&host, ending, &mut waited).await;
        // Whatever goes to a collector goes there by now, over connections that stay open.
        collector.metric_when("node_request", |metric| metric.count() > 0).await;
        collector.span("bad").await;
        host.idle().await;
        let descriptors = || host.descriptors().saturating_sub(collector.connections());
        let before = (host.resident(), descriptors());
        for _ in 0..times {
            reply = attack(&host, ending, &mut waited).await;
        }
        host.idle().await;
        let opened = OPENED.min(times - 1);
        eventually("the descriptors to be back", async || descriptors() <= before.1 + opened).await;
        eventually("the memory to be back", async || host.resident() <= before.0 + GROWTH).await;
        let exit = host.stop().await;
        assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);

        waited.sort_unstable();
        let after = Aftermath { reply, runs: times + 1, waited, collector, exit };
        after.assert_told(ending);
        if let Some(kind) = trap {
            let traps = after.collector.metric("weir.node.trap").label("node", "bad");
            assert_eq!((traps.count(), traps.label("kind", &kind).count()), (after.runs as u64, after.runs as u64));
        }
        after
    }
}

impl Aftermath {
    /// The spans of the guest's runs.
    pub fn spans(&self) -> Vec<Span> {
        self.collector.spans().into_iter().filter(|span| span.name == "bad").collect()
    }

    /// What the telemetry says of the runs.
    fn assert_told(&self, ending: Ending<'_>) {
        let (runs, spans) = (self.spans(), self.collector.spans());
        assert_eq!(runs.len(), self.runs, "each run has one span");
        let requests = spans.iter().filter(|span| span.name == "POST /score").count();
        let flows = spans.iter().filter(|span| span.name == "hostile").count();
        let neighbours = spans.iter().filter(|span| span.name == "good");
        assert!(neighbours.clone().all(|span| !is_error(span)), "a neighbour is told as failed");
        assert_eq!(
            (requests, flows),
            (self.runs + neighbours.count(), requests),
            "each request has one span, as its flow"
        );

        let run_status = match ending {
            Ending::Failure { .. } | Ending::Break { .. } => "Failed",
            Ending::Value(_) => "Completed",
        };
        let mut node = self.collector.metric("node_request").label("node", "bad");
        // Of requests for the neighbour.
        node.points.retain(|labels, _| labels["run_status"] != "Bypassed");
        assert_eq!(node.count(), self.runs as u64, "each run counts once: {node:?}");
        assert_eq!(node.clone().label("run_status", run_status).count(), self.runs as u64, "{node:?}");
        let (status, error_type) = match ending {
            Ending::Failure { status, error_type, .. } => (status, error_type),
            // The status has left before.
            Ending::Break { error_type, .. } => (200, error_type),
            Ending::Value(_) => {
                assert!(!runs.iter().any(is_error), "{runs:?}");
                return;
            }
        };
        assert_eq!(node.clone().label("exception", error_type).count(), self.runs as u64, "{node:?}");
        let flow = self.collector.metric("flow_request").label("response_code", &status.to_string());
        assert_eq!(flow.label("exception", error_type).count(), self.runs as u64);
        for run in &runs {
            let above = spans.iter().filter(|span| span.trace_id == run.trace_id && span.name != "bad");
            let chain = above.filter(|span| ["hostile", "POST /score"].contains(&span.name.as_str()));
            for span in chain.chain([run]) {
                assert_eq!(span.attributes["error.type"], json!(error_type), "{}", span.name);
                assert!(is_error(span), "{}: {:?}", span.name, span.status);
            }
        }
    }
}

/// One run of the guest, and its neighbours meanwhile: how long they wait is added.
async fn attack(host: &TestHost, ending: Ending<'_>, waited: &mut Vec<Duration>) -> Reply {
    let over = AtomicBool::new(false);
    let guest = async {
        let reply = match ending {
            Ending::Break { chunks, code, message, .. } => broken(host, chunks, code, message).await,
            Ending::Failure { .. } | Ending::Value(_) => host.score(json!({"bad": true})).await,
        };
        over.store(true, Ordering::Relaxed);
        reply
    };
    let neighbours = async {
        loop {
            let asked = Instant::now();
            host.score(json!({"bad": false})).await.assert_ok(json!({"bad": null, "good": {"text": "fine"}}));
            assert_eq!(host.get("/health").await.status, 200);
            waited.push(asked.elapsed());
            assert!(asked.elapsed() < NEIGHBOUR, "a neighbour waited for {:?}", asked.elapsed());
            if over.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    let (reply, ()) = tokio::join!(guest, neighbours);
    match ending {
        Ending::Break { .. } => {}
        Ending::Value(expected) => {
            let body = reply.json();
            assert!(reply.status == 200 && expected(&body["bad"]) && body["good"].is_null(), "{}", reply.text());
        }
        Ending::Failure { status, code, message, .. } => {
            let root = if status < 500 { "UserError" } else { "SystemError" };
            let error = json!({
                "code": root, "message": message, "innerError": {"code": code}, "details": {"node": "bad"},
            });
            reply.assert_error(status, json!({"error": error}));
        }
    }
    reply
}

/// A stream that breaks after so many chunks: its last frame as a reply.
async fn broken(host: &TestHost, chunks: usize, code: &str, message: &str) -> Reply {
    let mut stream = host.stream(json!({"bad": true})).await;
    let frames = stream.rest().await;
    let Some((last, before)) = frames.split_last().filter(|(last, _)| last.event.as_deref() == Some("error")) else {
        panic!("no error at the end of {} frames with status {}", frames.len(), stream.status);
    };
    assert_eq!(before.iter().filter(|frame| frame.json().get("bad").is_some()).count(), chunks, "chunks");
    let error = &last.json()["error"];
    assert_eq!((&error["innerError"]["code"], &error["message"]), (&json!(code), &json!(message)));
    Reply { status: stream.status, headers: stream.headers, body: last.data.clone().into() }
}

fn is_error(span: &Span) -> bool {
    matches!(span.status, Status::Error(_))
}

fn flow(guest: &str, node: &str) -> String {
    let node: String = node.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "
inputs: {{bad: {{type: bool}}}}
outputs:
  bad: {{type: object, reference: '${{bad.output}}'}}
  good: {{type: object, reference: '${{good.output}}'}}
nodes:
- name: bad
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  activate: {{when: '${{inputs.bad}}', is: true}}
{node}- name: good
  type: wasm
  source: {{type: code, path: guests/run_returns.wasm}}
  activate: {{when: '${{inputs.bad}}', is: false}}
  inputs: {{text: fine}}
"
    )
}
