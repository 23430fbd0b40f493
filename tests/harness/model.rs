//! A model service inside the test that speaks OpenAI's API, also in Azure's form. What it answers is a function of
//! the request; how badly it behaves is the test's choice. The texts of its answers: see model/answer.rs.

mod answer;
mod script;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

pub use self::script::Script;
use crate::server::{Body, HangUp, Server, whole};
use crate::wait::until;

/// The key that the harness gives to hosts. To be searched for where it must not appear.
pub const KEY: &str = "sk-test-key-of-the-fake-model";

/// A model service that is listening.
pub struct FakeModel {
    server: Server,
    log: Arc<watch::Sender<Log>>,
    gate: Gate,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub path: String,
    /// Without `?`; empty if there is none.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Value,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Recorded>,
    /// How many requests were given up by the other side while they waited at the gate.
    abandoned: usize,
}

impl FakeModel {
    /// A model that answers with the last user message.
    pub fn echo() -> Script {
        Script::new(script::Answer::Echo)
    }

    /// A model that always answers this text.
    pub fn replies(text: impl Into<String>) -> Script {
        Script::new(script::Answer::Text(text.into()))
    }

    /// A chat model that always answers this message object, such as one with tool calls.
    pub fn message(message: Value) -> Script {
        Script::new(script::Answer::Message(message))
    }

    /// Starts what the script describes. It listens when this returns.
    fn start(script: Script) -> Self {
        let log = Arc::new(watch::Sender::new(Log::default()));
        let gate = Gate { permits: Arc::new(Semaphore::new(0)), log: Arc::clone(&log) };
        let service = Service { script: Arc::new(script), log: Arc::clone(&log), gate: gate.clone() };
        let server = Server::start(move |request| service.clone().handle(request));
        Self { server, log, gate }
    }

    /// The base of OpenAI's API, `…/v1`.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// Scheme and address alone: the base of Azure's API.
    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.log.borrow().requests.clone()
    }

    /// The requests, as soon as there are so many.
    pub async fn requested(&self, count: usize) -> Vec<Recorded> {
        until(&self.log, &format!("{count} requests to the model"), |log| {
            (log.requests.len() >= count).then(|| log.requests.clone())
        })
        .await
    }

    /// Lets so many requests through the gate (see [`Script::gated`] and [`Script::holding_streams_after`]).
    pub fn release(&self, requests: usize) {
        self.gate.permits.add_permits(requests);
    }

    /// Waits until so many requests were given up while they waited at the gate.
    pub async fn abandoned(&self, count: usize) {
        until(&self.log, &format!("{count} requests to the model to be given up"), |log| {
            (log.abandoned >= count).then_some(())
        })
        .await;
    }

    /// Breaks all connections and listens no more.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}

#[derive(Clone)]
struct Service {
    script: Arc<Script>,
    log: Arc<watch::Sender<Log>>,
    gate: Gate,
}

impl Service {
    async fn handle(self, request: Request<Bytes>) -> Result<Response<Body>, HangUp> {
        let recorded = record(&request);
        let (path, body) = (recorded.path.clone(), recorded.body.clone());
        let mut number = 0;
        self.log.send_modify(|log| {
            log.requests.push(recorded);
            number = log.requests.len();
        });
        if self.script.gated {
            self.gate.clone().pass().await;
        }
        if number <= self.script.hang_ups {
            return Err(HangUp);
        }
        if let Some((status, _)) = self.script.failing.filter(|(_, times)| number <= *times) {
            return Ok(failure(status, self.script.retry_after.as_deref()));
        }
        Ok(answer::respond(&self.script, &self.gate, &path, &body))
    }
}

/// Where requests wait for the test.
#[derive(Clone)]
struct Gate {
    permits: Arc<Semaphore>,
    log: Arc<watch::Sender<Log>>,
}

impl Gate {
    async fn pass(self) {
        let mut waiting = Waiting { log: self.log, through: false };
        self.permits.acquire().await.expect("the gate is never closed").forget();
        waiting.through = true;
    }
}

/// Counts a request as abandoned if it is dropped at the gate: the server drops a request whose client has gone.
struct Waiting {
    log: Arc<watch::Sender<Log>>,
    through: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.through {
            self.log.send_modify(|log| log.abandoned += 1);
        }
    }
}

fn record(request: &Request<Bytes>) -> Recorded {
    Recorded {
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers: request.headers().clone(),
        // Not JSON is recorded as null; weir sends JSON only.
        body: serde_json::from_slice(request.body()).unwrap_or_default(),
    }
}

fn failure(status: StatusCode, retry_after: Option<&str>) -> Response<Body> {
    let message = format!("the fake model was told to fail with {}", status.as_u16());
    let body = serde_json::json!({"error": {"message": message, "type": "fake", "param": null, "code": null}});
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(whole(body.to_string())).expect("status and headers are valid")
}
