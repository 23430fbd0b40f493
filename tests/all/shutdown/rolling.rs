//! A rolling restart under load, behind a client that retries nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use harness::{RawClient, eventually};

/// A balancer in front of hosts: it sends to those that are ready, keeps connections, and retries nothing.
#[derive(Default)]
struct Balancer {
    ready: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    served: AtomicUsize,
    over: AtomicBool,
}

impl Balancer {
    async fn start(&self) -> TestHost {
        let host = TestHost::flow("run_returns").env("WEIR_DRAIN_DELAY", "500ms").start().await;
        self.ready.lock().expect("no panic").push(host.address());
        host
    }

    /// Stops a host, and sends it nothing more as soon as it says that it is not ready.
    async fn stop(&self, host: TestHost) {
        host.terminate();
        eventually("the host to be not ready", async || host.get_admin("/readyz").await.status == 503).await;
        self.ready.lock().expect("no panic").retain(|ready| *ready != host.address());
        let exit = host.ended().await;
        assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    }

    fn pick(&self) -> SocketAddr {
        let ready = self.ready.lock().expect("no panic");
        ready[self.turn.fetch_add(1, Ordering::Relaxed) % ready.len()]
    }

    /// Sends requests until it is over. Each of them must be served.
    async fn send(self: Arc<Self>, sender: usize) {
        let mut connections = HashMap::new();
        let mut number = 0;
        while !self.over.load(Ordering::SeqCst) {
            let host = self.pick();
            let text = format!("request {number} of {sender}");
            number += 1;
            let mut connection = match connections.remove(&host) {
                Some(connection) => connection,
                None => RawClient::connect(host).await,
            };
            let length = text.len();
            connection.send(format!("POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{text}")).await;
            let reply = connection.answer().await;
            reply.assert_ok(json!({"text": text}));
            if reply.header("connection") != Some("close") {
                connections.insert(host, connection);
            }
            self.served.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn serve(&self, more: usize) {
        let goal = self.served.load(Ordering::Relaxed) + more;
        eventually("requests to be served", async || self.served.load(Ordering::Relaxed) >= goal).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_request_of_a_client_that_retries_nothing() {
    let balancer = Arc::new(Balancer::default());
    let (first, second) = (balancer.start().await, balancer.start().await);
    #[expect(clippy::disallowed_methods, reason = "the clients of a test need no scheduler")]
    let senders: Vec<_> = (0..8).map(|sender| tokio::spawn(balancer.clone().send(sender))).collect();
    balancer.serve(100).await;
    balancer.stop(first).await;
    balancer.serve(100).await;
    let third = balancer.start().await;
    balancer.serve(100).await;
    balancer.stop(second).await;
    balancer.serve(100).await;
    balancer.over.store(true, Ordering::SeqCst);
    for sender in senders {
        sender.await.expect("no request was lost");
    }
    third.stop().await;
}
