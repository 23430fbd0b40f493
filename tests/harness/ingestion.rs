//! Application Insights inside the test: the ingestion endpoint, which keeps what it takes and answers as the test wants.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::{Body, HangUp, Server, whole};
use crate::wait::until;

/// How the next export is answered. Only [`Ingest::Take`] takes anything, and [`Ingest::Partly`] what it does not name.
#[derive(Clone, Debug)]
pub enum Ingest {
    Take,
    /// Items by their index, each with the status and message that it is refused with.
    Partly(Vec<(usize, u16, &'static str)>),
    /// A status, without a word.
    Status(u16),
    /// The same, with `Retry-After`.
    RetryAfter(u16, String),
    /// 307 to this address.
    Redirect(String),
    /// A status, with something that is no answer of the service.
    Garbage(u16),
    /// The connection is closed.
    HangUp,
    /// So much later, the next answer.
    Slow(Duration),
    /// 400 for every export that has this text in it: one item spoils it for the others.
    Poisoned(&'static str),
    /// 413 for every export with more items than this.
    AtMost(usize),
}

/// An ingestion endpoint that is listening.
pub struct Ingestion {
    server: Server,
    state: Arc<watch::Sender<State>>,
}

#[derive(Default)]
struct State {
    /// For the next exports; when there are none left, everything is taken, or as the standing rule says.
    script: VecDeque<Ingest>,
    standing: Option<Ingest>,
    /// Exports that came, taken or not: how many items each had, and its `Authorization`.
    exports: Vec<(usize, Option<String>)>,
    /// What was taken.
    envelopes: Vec<Value>,
}

impl Ingestion {
    /// Starts an endpoint, which takes everything. It listens when this returns.
    pub fn start() -> Self {
        let state = Arc::new(watch::Sender::new(State::default()));
        let received = Arc::clone(&state);
        let server = Server::start(move |request| receive(Arc::clone(&received), request));
        Self { server, state }
    }

    /// Breaks all connections and listens no more. What was received stays.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// After [`Ingestion::kill`], listens again on the same address.
    pub fn revive(&mut self) {
        let received = Arc::clone(&self.state);
        self.server = Server::start_on(self.server.address(), move |request| receive(Arc::clone(&received), request));
    }

    /// A connection string that leads here, with this key.
    pub fn connection_string(&self, key: &str) -> String {
        format!("InstrumentationKey={key};IngestionEndpoint={}/", self.endpoint())
    }

    /// The address, without a path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Answers the next exports like this, one each.
    pub fn answers(&self, script: impl IntoIterator<Item = Ingest>) {
        self.state.send_modify(|state| state.script.extend(script));
    }

    /// From now on answers every export like this, once the script is over.
    pub fn always(&self, ingest: Ingest) {
        self.state.send_modify(|state| state.standing = Some(ingest));
    }

    /// What was taken so far, in the order in which it came.
    pub fn envelopes(&self) -> Vec<Value> {
        self.state.borrow().envelopes.clone()
    }

    /// What was taken, as soon as it fulfils a condition.
    pub async fn envelopes_when(&self, what: &str, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        until(&self.state, what, |state| condition(&state.envelopes).then(|| state.envelopes.clone())).await
    }

    /// The first item of this kind and name (of messages: with this text), as soon as it is there.
    pub async fn envelope(&self, kind: &str, name: &str) -> Value {
        until(&self.state, &format!("{kind} {name:?}"), |state| {
            state.envelopes.iter().find(|it| it["data"]["baseType"] == kind && title(it) == name).cloned()
        })
        .await
    }

    /// Waits until there were so many exports, taken or not; how many items each had.
    pub async fn exports(&self, count: usize) -> Vec<usize> {
        until(&self.state, &format!("{count} exports"), |state| {
            (state.exports.len() >= count).then(|| state.exports.iter().map(|(items, _)| *items).collect())
        })
        .await
    }

    /// The `Authorization` of each export so far.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        self.state.borrow().exports.iter().map(|(_, authorization)| authorization.clone()).collect()
    }
}

/// What an item is known by.
pub fn title(envelope: &Value) -> &str {
    let data = &envelope["data"]["baseData"];
    let names = [&data["name"], &data["message"], &data["metrics"][0]["name"], &data["exceptions"][0]["typeName"]];
    names.into_iter().find_map(Value::as_str).unwrap_or_default()
}

async fn receive(state: Arc<watch::Sender<State>>, request: Request<Bytes>) -> Result<Response<Body>, HangUp> {
    let is_gzip = request.headers().get(CONTENT_ENCODING).is_some_and(|it| it == "gzip");
    let mut body = Vec::new();
    let read = if is_gzip { GzDecoder::new(&request.body()[..]).read_to_end(&mut body).is_ok() } else { false };
    let items: Option<Vec<Value>> = serde_json::from_slice(&body).ok().filter(|_| read);
    let is_tracked = request.uri().path() == "/v2.1/track" && request.method() == "POST";
    let Some(items) = items.filter(|_| is_tracked) else { return Ok(answer(400, &[], 0, 0, &[])) };

    let authorization = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let mut next = Ingest::Take;
    state.send_modify(|state| {
        state.exports.push((items.len(), authorization));
        next = state.script.pop_front().or_else(|| state.standing.clone()).unwrap_or(Ingest::Take);
    });
    if let Ingest::Slow(time) = next {
        tokio::time::sleep(time).await;
        next = Ingest::Take;
    }
    let count = items.len();
    let text = String::from_utf8_lossy(&body);
    let take = |kept: Vec<Value>| state.send_modify(|state| state.envelopes.extend(kept));
    Ok(match next {
        Ingest::Poisoned(poison) if text.contains(poison) => answer(400, &[], count, 0, &[]),
        Ingest::AtMost(most) if count > most => answer(413, &[], count, 0, &[]),
        Ingest::Take | Ingest::Slow(_) | Ingest::Poisoned(_) | Ingest::AtMost(_) => {
            take(items);
            answer(200, &[], count, count, &[])
        }
        Ingest::Partly(faults) => {
            let faults: Vec<_> = faults.into_iter().filter(|(index, ..)| *index < count).collect();
            let is_fault = |at: &usize| faults.iter().any(|(index, ..)| index == at);
            take(items.into_iter().enumerate().filter(|(at, _)| !is_fault(at)).map(|(_, item)| item).collect());
            answer(206, &[], count, count - faults.len(), &faults)
        }
        Ingest::Status(status) => answer(status, &[], count, 0, &[]),
        Ingest::RetryAfter(status, after) => answer(status, &[(RETRY_AFTER, after)], count, 0, &[]),
        Ingest::Redirect(address) => answer(307, &[(LOCATION, address)], count, 0, &[]),
        Ingest::Garbage(status) => {
            let mut response = Response::new(whole("<html>welcome to the hotel</html>"));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            response
        }
        Ingest::HangUp => return Err(HangUp),
    })
}

fn answer(
    status: u16,
    headers: &[(http::HeaderName, String)],
    received: usize,
    accepted: usize,
    faults: &[(usize, u16, &str)],
) -> Response<Body> {
    let errors: Vec<_> = faults
        .iter()
        .map(|(index, status, message)| json!({"index": index, "statusCode": status, "message": message}))
        .collect();
    let body = json!({"itemsReceived": received, "itemsAccepted": accepted, "errors": errors});
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value of a header"));
    }
    response
}
