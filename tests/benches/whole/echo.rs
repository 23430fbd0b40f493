//! What there is to compare with: a server of the same libraries that reads JSON and writes it, in a process of its own. It has
//! the nodes of a chain as well, called as functions: no sandbox, no spans, no flow file.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How this program is told to be it.
pub(crate) const VERB: &str = "echo";

/// Nodes of the chain at `/native`.
pub(crate) const NODES: usize = 10;

/// Serves until it is killed.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/score", post(echo)).route("/native", post(native));
        axum::serve(listener, routes).await.expect("it serves");
    });
}

async fn echo(body: Bytes) -> impl IntoResponse {
    let value: Value = serde_json::from_slice(&body).expect("the load is JSON");
    ([(CONTENT_TYPE, "application/json")], serde_json::to_vec(&value).expect("JSON can be written"))
}

/// The guest of the SDK ten times, as text_step.rs has it: each reads its input as JSON and writes its output.
async fn native(body: Bytes) -> impl IntoResponse {
    #[derive(Deserialize, Serialize)]
    struct Text {
        text: String,
    }
    let mut inputs = body.to_vec();
    for _ in 0..NODES {
        let Text { text } = serde_json::from_slice(&inputs).expect("the load is JSON");
        inputs = serde_json::to_vec(&Text { text: text + "." }).expect("JSON can be written");
    }
    ([(CONTENT_TYPE, "application/json")], inputs)
}

/// The process of it. Dropping it ends it.
pub(crate) struct Echo {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Echo {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program).arg(VERB).stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    /// Time on a processor that it has taken.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.child.id())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it can be ended");
    }
}

/// Time on processors of a process, in ticks of a hundredth of a second.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields = stat.rsplit(") ").next().expect("fields behind the name").split(' ');
    let ticks: u64 = fields.skip(11).take(2).map(|it| it.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
