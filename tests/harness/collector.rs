//! An OTLP receiver inside the test: what a host has exported, as plain values. Both protocols come in on one port.
//!
//! Spans are kept as they arrive. Of metrics the last value of each label set is kept, since they are cumulative.

mod answers;
mod logs;
mod metrics;
mod protocol;
mod spans;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

pub use self::answers::Answer;
pub use self::logs::Log;
pub use self::metrics::{Form, Labels, Metric, Point};
pub use self::protocol::Protocol;
use self::protocol::{Export, reply};
pub use self::spans::{Event, Span, Status, Trace};
use crate::certificates::{Authority, Clients};
use crate::server::{Body, HangUp, Server};
use crate::wait::until;

/// A collector that is listening.
pub struct Collector {
    server: Server,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<watch::Sender<State>>,
}

#[derive(Default)]
struct State {
    /// None: everything is taken.
    refuse: Option<StatusCode>,
    refused: usize,
    /// How the next exports are answered.
    script: VecDeque<Answer>,
    heard: Vec<Heard>,
    spans: Vec<Span>,
    metrics: metrics::Latest,
    logs: Vec<Log>,
}

impl Collector {
    /// Starts a collector. It listens when this returns.
    pub fn start() -> Self {
        Self::listening(None)
    }

    /// Starts one that is spoken to over TLS, with a certificate of this authority.
    pub fn start_tls(authority: &Authority, clients: Clients) -> Self {
        Self::listening(Some(authority.server(clients)))
    }

    fn listening(tls: Option<Arc<ServerConfig>>) -> Self {
        let state = Arc::new(watch::Sender::new(State::default()));
        let server = serve((Ipv4Addr::LOCALHOST, 0).into(), tls.clone(), &state);
        Self { server, tls, state }
    }

    /// After [`Collector::kill`], listens again on the same address. It still has what it received before.
    pub fn revive(&mut self) {
        self.server = serve(self.server.address(), self.tls.clone(), &self.state);
    }

    /// Value for `OTEL_EXPORTER_OTLP_ENDPOINT`, for either protocol.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address())
    }

    /// The address without a scheme.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many connections there are to it, over HTTP/1.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Answers the next exports so, one after the other, whatever their signal.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.send_modify(|state| state.script.extend(answers));
    }

    /// Waits until the script has been played.
    pub async fn played(&self) {
        until(&self.state, "the script to be played", |state| state.script.is_empty().then_some(())).await;
    }

    /// How all exports so far came.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.borrow().heard.clone()
    }

    /// How the exports came, as soon as they fulfil a condition.
    pub async fn heard_when(&self, what: &str, condition: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        until(&self.state, what, |state| condition(&state.heard).then(|| state.heard.clone())).await
    }

    /// From now on refuses everything with this status (gRPC: `UNAVAILABLE`), as a collector does that is overloaded.
    pub fn refuse(&self, status: StatusCode) {
        self.state.send_modify(|state| state.refuse = Some(status));
    }

    /// Takes everything again.
    pub fn accept(&self) {
        self.state.send_modify(|state| state.refuse = None);
    }

    /// Waits until an export has been refused.
    pub async fn refused(&self) {
        until(&self.state, "an export to be refused", |state| (state.refused > 0).then_some(())).await;
    }

    /// Breaks all connections and listens no more. What was received stays.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// All spans so far, in the order in which they arrived.
    pub fn spans(&self) -> Vec<Span> {
        self.state.borrow().spans.clone()
    }

    /// The spans so far, as soon as they fulfil a condition.
    pub async fn spans_when(&self, what: &str, condition: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        until(&self.state, what, |state| condition(&state.spans).then(|| state.spans.clone())).await
    }

    /// The trace of this id (32 hex digits) as soon as its spans hang together: there is a root, and no span's parent
    /// is still missing.
    pub async fn trace(&self, id: &str) -> Trace {
        self.trace_when(id, |_| true).await
    }

    /// As [`Collector::trace`], but waits also until the trace fulfils a condition.
    pub async fn trace_when(&self, id: &str, condition: impl Fn(&Trace) -> bool) -> Trace {
        until(&self.state, &format!("trace {id} to be complete"), |state| {
            let trace = Trace::of(&state.spans, id);
            (trace.is_connected() && condition(&trace)).then_some(trace)
        })
        .await
    }

    /// The first trace that is complete. For tests that send one request and no trace context.
    pub async fn only_trace(&self) -> Trace {
        until(&self.state, "a complete trace", |state| {
            let trace = Trace::of(&state.spans, &state.spans.first()?.trace_id);
            trace.is_connected().then_some(trace)
        })
        .await
    }

    /// The first span of this name, as soon as it has ended; its parents need not have.
    pub async fn span(&self, name: &str) -> Span {
        until(&self.state, &format!("a span {name:?}"), |state| {
            state.spans.iter().find(|span| span.name == name).cloned()
        })
        .await
    }

    /// What is known of an instrument now: all label sets with their last values.
    ///
    /// Metrics arrive a little after the reply. Stop the host first, which delivers them, or use
    /// [`Collector::metric_when`].
    pub fn metric(&self, name: &str) -> Metric {
        self.state.borrow().metrics.get(name)
    }

    /// An instrument as soon as it fulfils a condition.
    pub async fn metric_when(&self, name: &str, condition: impl Fn(&Metric) -> bool) -> Metric {
        until(&self.state, &format!("metric {name} to fulfil the condition"), |state| {
            Some(state.metrics.get(name)).filter(&condition)
        })
        .await
    }

    /// Names of all instruments that have a value, sorted.
    pub fn instruments(&self) -> Vec<String> {
        self.state.borrow().metrics.names()
    }

    /// Everything that has arrived so far, as text: for what must be nowhere in it.
    pub fn everything(&self) -> String {
        let state = self.state.borrow();
        format!("{:?} {:?} {:?}", state.spans, state.metrics, state.logs)
    }

    /// All log records so far, in the order in which they arrived.
    pub fn logs(&self) -> Vec<Log> {
        self.state.borrow().logs.clone()
    }

    /// The log records so far, as soon as they fulfil a condition.
    pub async fn logs_when(&self, what: &str, condition: impl Fn(&[Log]) -> bool) -> Vec<Log> {
        until(&self.state, what, |state| condition(&state.logs).then(|| state.logs.clone())).await
    }
}

/// How an export came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub path: String,
    pub headers: HeaderMap,
    pub protocol: Protocol,
    /// Whether it was packed by gzip.
    pub gzip: bool,
}

fn serve(address: SocketAddr, tls: Option<Arc<ServerConfig>>, state: &Arc<watch::Sender<State>>) -> Server {
    let received = Arc::clone(state);
    Server::start_with(address, tls, move |request| receive(Arc::clone(&received), request))
}

async fn receive(state: Arc<watch::Sender<State>>, request: Request<Bytes>) -> Result<Response<Body>, HangUp> {
    let protocol = Protocol::of(&request);
    let heard = Heard {
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
        protocol,
        gzip: protocol.is_packed(&request),
    };
    let mut scripted = None;
    state.send_modify(|state| {
        state.heard.push(heard);
        scripted = state.script.pop_front();
    });
    if let Some(answer) = scripted.as_ref().filter(|answer| !answer.takes()) {
        return answer.clone().give(protocol).await;
    }
    let refusal = state.borrow().refuse;
    if let Some(status) = refusal {
        state.send_modify(|state| state.refused += 1);
        return Ok(reply(protocol, status));
    }
    let Some(export) = Export::decode(protocol, &request) else { return Ok(reply(protocol, StatusCode::BAD_REQUEST)) };
    state.send_modify(|state| match export {
        Export::Traces(traces) => state.spans.extend(spans::read(traces)),
        Export::Metrics(metrics) => state.metrics.replace(metrics),
        Export::Logs(logs) => state.logs.extend(logs::read(logs)),
    });
    match scripted {
        Some(answer) => answer.give(protocol).await,
        None => Ok(reply(protocol, StatusCode::OK)),
    }
}
