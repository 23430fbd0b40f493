//! One endpoint of several hosts, behind a balancer that knows nothing but TCP: hosts come, go, are killed and replaced under
//! load, and nothing that was answered is lost.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use harness::{Collector, Reply, Span, TestHost, attempt, eventually};
use http::Request;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How many clients ask at the same time.
const CLIENTS: usize = 8;

/// How many requests are served between two events.
const BETWEEN: usize = 60;

/// Passes each connection on to one of the hosts that are ready, in turn; to the next one, if nobody listens there.
struct Balancer {
    address: SocketAddr,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    /// What accepts; its end is that of all connections.
    _task: JoinSet<()>,
}

impl Balancer {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let ready = Arc::new(Mutex::new(Vec::<SocketAddr>::new()));
        let (hosts, mut task) = (Arc::clone(&ready), JoinSet::new());
        #[expect(clippy::disallowed_methods, reason = "the balancer of a test needs no scheduler")]
        task.spawn(async move {
            let mut connections = JoinSet::new();
            for turn in 0.. {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let hosts = hosts.lock().expect("no panic").clone();
                connections.spawn(async move {
                    for host in hosts.iter().cycle().skip(turn % hosts.len()).take(hosts.len()) {
                        if let Ok(mut host) = TcpStream::connect(host).await {
                            // A host that is killed breaks them, as it should.
                            _ = copy_bidirectional(&mut client, &mut host).await;
                            return;
                        }
                    }
                });
            }
        });
        Self { address, ready, _task: task }
    }

    fn add(&self, host: &TestHost) {
        self.ready.lock().expect("no panic").push(host.address());
    }

    fn remove(&self, host: &TestHost) {
        self.ready.lock().expect("no panic").retain(|ready| *ready != host.address());
    }

    /// Takes out those that answer no probe any more.
    fn remove_all_but(&self, host: &TestHost) {
        self.ready.lock().expect("no panic").retain(|ready| *ready == host.address());
    }

    /// As Kubernetes does: told to end, taken out once it is no longer ready, waited for.
    async fn drain(&self, host: TestHost) {
        host.terminate();
        eventually("the host to be not ready", async || host.get_admin("/readyz").await.status == 503).await;
        self.remove(&host);
        let exit = host.ended().await;
        assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    }
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    /// The trace of each request that was answered, and how many were before it.
    answered: Mutex<BTreeMap<String, usize>>,
    /// The traces of those that were rated, and whose rating was accepted.
    rated: Mutex<Vec<String>>,
    /// Requests that had no answer: their connection broke.
    broken: AtomicUsize,
    over: AtomicBool,
}

impl Seen {
    fn count(&self) -> usize {
        self.answered.lock().expect("no panic").len()
    }

    /// Lets so many more be served.
    async fn serve(&self, more: usize) {
        let goal = self.count() + more;
        eventually("requests to be served", async || self.count() >= goal).await;
    }

    /// Asks and rates until it is over; asks again when a connection broke.
    async fn ask(self: Arc<Self>, endpoint: SocketAddr, client: usize) {
        for number in 0.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let text = format!("request {number} of {client}");
            let reply = self.send(endpoint, "/score", &[], json!({"text": text}).to_string()).await;
            reply.assert_ok(json!({"text": text}));
            let header = |name: &str| reply.header(name).expect("each reply has it").to_owned();
            let (trace, token) = (header("x-trace-id"), header("x-feedback-token"));
            self.answer(trace.clone());
            // By whichever host: they share the key of the tokens.
            let body = format!("{{\"number\": {number}}}");
            let rated = self.send(endpoint, "/feedback", &[("x-feedback-token", &token)], body).await;
            rated.assert_ok(json!({"status": "Feedback received."}));
            self.rated.lock().expect("no panic").push(trace);
        }
    }

    fn answer(&self, trace: String) {
        let mut answered = self.answered.lock().expect("no panic");
        let before = answered.len();
        answered.insert(trace, before);
    }

    async fn send(&self, endpoint: SocketAddr, path: &str, headers: &[(&str, &str)], body: String) -> Reply {
        loop {
            let request =
                headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
            match attempt(endpoint, request.body(Bytes::from(body.clone())).expect("a valid request")).await {
                Some(reply) => return reply,
                None => _ = self.broken.fetch_add(1, Ordering::SeqCst),
            }
        }
    }

    fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

/// Starts hosts as the pods of one Deployment: with a data directory each, and one key for all.
struct Pods {
    home: TempDir,
    collector: Collector,
}

impl Pods {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(home.path().join("key"), [7; 32]).expect("the test's own folder can be written");
        Self { home, collector: Collector::start() }
    }

    /// A pod with the volume of this name, ready to serve.
    async fn start(&self, volume: &str) -> TestHost {
        let path = |name: &str| self.home.path().join(name).display().to_string();
        let host = TestHost::flow("run_returns").collector(&self.collector).arg("--data-dir").arg(path(volume));
        let host = host.env("WEIR_FEEDBACK_TOKEN_KEY_FILE", path("key")).env("WEIR_DRAIN_DELAY", "300ms");
        let host = host.env("WEIR_FEEDBACK_RATE", "none").env("WEIR_FEEDBACK_RATE_TOTAL", "none");
        let host = host.env("OTEL_RESOURCE_ATTRIBUTES", format!("k8s.pod.name={volume}")).start().await;
        eventually("the host to be ready", async || host.get_admin("/readyz").await.status == 200).await;
        host
    }
}

fn pod(span: &Span) -> &str {
    span.resource["k8s.pod.name"].as_str().expect("each host was given a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_come_go_and_are_killed_under_load_and_nothing_that_was_answered_is_lost() {
    let (pods, balancer, seen) = (Pods::new(), Balancer::start().await, Arc::new(Seen::default()));
    let first = pods.start("first").await;
    balancer.add(&first);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        #[expect(clippy::disallowed_methods, reason = "the clients of a test need no scheduler")]
        clients.spawn(Arc::clone(&seen).ask(balancer.address, client));
    }
    seen.serve(BETWEEN).await;

    // Scale up.
    let until_one = seen.count();
    let second = pods.start("second").await;
    balancer.add(&second);
    seen.serve(BETWEEN).await;

    // A rolling update: the new one is ready before the old one goes.
    let third = pods.start("third").await;
    balancer.add(&third);
    balancer.drain(first).await;
    seen.serve(BETWEEN).await;
    assert_eq!(seen.broken(), 0, "no host was killed yet");

    // A node of the cluster is gone; its pod comes back with its volume.
    second.kill().await;
    let until_kill = seen.count();
    seen.serve(BETWEEN).await;
    balancer.remove_all_but(&third);
    let again = pods.start("second").await;
    balancer.add(&again);
    seen.serve(BETWEEN).await;
    let broken = seen.broken();
    assert!(broken <= 2 * CLIENTS, "{broken} requests broke: more than waited for the host that was killed");

    // Scale down.
    balancer.drain(third).await;
    seen.serve(BETWEEN).await;
    assert_eq!(seen.broken(), broken, "nothing breaks but by a kill");
    seen.over.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("every request was served");
    }
    again.stop().await;

    let spans = pods.collector.spans();
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let traced: BTreeMap<_, _> = named("POST /score").map(|span| (span.trace_id.clone(), pod(span))).collect();
    let answered = seen.answered.lock().expect("no panic").clone();
    let untold: Vec<_> = answered.iter().filter(|(trace, _)| !traced.contains_key(*trace)).collect();
    let by_others = untold.iter().filter(|(_, before)| **before < until_one || **before > until_kill).count();
    assert_eq!(by_others, 0, "only what a killed host has not yet exported is without spans");
    let told_by: BTreeMap<&str, usize> = traced.values().fold(BTreeMap::new(), |mut told, pod| {
        *told.entry(*pod).or_default() += 1;
        told
    });
    assert_eq!(told_by.keys().copied().collect::<Vec<_>>(), ["first", "second", "third"], "all have served");

    let rated = seen.rated.lock().expect("no panic").clone();
    let judged: BTreeMap<_, usize> = named("promptflow-feedback").fold(BTreeMap::new(), |mut judged, span| {
        *judged.entry(span.trace_id.clone()).or_default() += 1;
        judged
    });
    let lost: Vec<_> = rated.iter().filter(|trace| !judged.contains_key(*trace)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "a feedback that was accepted is in the trace of its request");
    println!(
        "{} answered by {told_by:?}, {broken} broken by the kill and sent again, {} of them without spans; {} feedbacks, all told",
        answered.len(),
        untold.len(),
        rated.len()
    );
}
