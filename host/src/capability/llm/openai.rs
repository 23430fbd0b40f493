//! The backend for services that speak OpenAI's HTTP interface: OpenAI, Azure OpenAI, serverless endpoints, and the
//! many servers that imitate it.
//!
//! One client, with its own pool, for each connection. What a request and a reply look like is in openai/body.rs, which
//! URL and credential they need in openai/endpoint.rs, when to try again in openai/patience.rs, and what a failure is
//! called in openai/failure.rs. Redirects are not followed: the key goes to the address that the operator wrote.

pub mod body;
mod endpoint;
mod failure;
mod patience;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, sleep, timeout_at};

use self::endpoint::{Endpoint, Operation};
pub use self::failure::Refusal;
use self::failure::{Broken, Failure, Verdict};
pub use self::patience::Limits;
use self::patience::Stop;
use super::backend::{
    Backend, ChatReply, ChatRequest, ChatStream, CompletionReply, CompletionRequest, EmbeddingReply, EmbeddingRequest,
    Object, Outbound, Reply, resolve_model,
};
use crate::address::{self, Resolver};
use crate::boundary::error::{CallError, Pause};
use crate::boundary::facts::{Retry, Unasked};
use crate::capability::client;
use crate::capability::connection::{Connection, Problem};
use crate::capability::upstream::breaker::State;
use crate::capability::upstream::{self, Try};
use crate::chance::chance;
use crate::identity::Identity;

/// How much of a refusal's body is read, in bytes. Only its message is of use, and that is cut to 1 KiB.
const MAX_REFUSAL: usize = 64 * 1024;

/// A service that speaks OpenAI's interface.
#[derive(Clone)]
pub struct OpenAi(Arc<Service>);

struct Service {
    /// Name of the connection: what messages say in place of an address.
    name: String,
    endpoint: Endpoint,
    client: Client,
    limits: Limits,
    upstream: Arc<upstream::Upstream>,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("connection", &self.0.name).field("endpoint", &self.0.endpoint).finish()
    }
}

impl OpenAi {
    /// A backend for a connection of type `open_ai`, `azure_open_ai` or `serverless`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// The address or the key cannot be used in HTTP, or the machine has no root certificates for `https`.
    pub fn build(
        connection: &Connection,
        identity: &Identity,
        limits: Limits,
        upstream: Arc<upstream::Upstream>,
    ) -> Result<Self, Problem> {
        let problem = |what: String| Problem::new(&connection.origin, what).of(&connection.name);
        let endpoint = Endpoint::build(connection, identity).map_err(problem)?;
        let client = connecting(&endpoint.base, &limits).map_err(problem)?;
        Ok(Self(Arc::new(Service { name: connection.name.clone(), endpoint, client, limits, upstream })))
    }
}

impl Backend for OpenAi {
    fn provider(&self) -> &str {
        self.0.endpoint.provider()
    }

    fn server(&self) -> Option<(&str, u16)> {
        self.0.endpoint.server()
    }

    fn model(&self) -> Option<&str> {
        self.0.endpoint.model.as_deref()
    }

    fn upstream(&self) -> Option<&Arc<upstream::Upstream>> {
        Some(&self.0.upstream)
    }

    fn chat(&self, request: ChatRequest, outbound: Outbound) -> Reply<ChatReply> {
        let service = Arc::clone(&self.0);
        async move {
            let model = resolve_model(&request.model, service.endpoint.model.as_deref())?;
            service.ask(Operation::Chat, model, request.object(model)?, &outbound, body::chat_reply).await
        }
        .boxed()
    }

    fn stream_chat(&self, request: ChatRequest, outbound: Outbound) -> Reply<ChatStream> {
        let service = Arc::clone(&self.0);
        async move {
            let model = resolve_model(&request.model, service.endpoint.model.as_deref())?;
            let mut object = request.object(model)?;
            body::ask_for_stream(&mut object, service.endpoint.counts_streams());
            let (response, attempt) = service.send(Operation::Chat, model, &object, &outbound).await?;
            stream::open(service, response, attempt, outbound.deadline.into()).await
        }
        .boxed()
    }

    fn complete(&self, request: CompletionRequest, outbound: Outbound) -> Reply<CompletionReply> {
        let service = Arc::clone(&self.0);
        async move {
            let model = resolve_model(&request.model, service.endpoint.model.as_deref())?;
            service.ask(Operation::Completion, model, request.object(model)?, &outbound, body::completion_reply).await
        }
        .boxed()
    }

    fn embed(&self, request: EmbeddingRequest, outbound: Outbound) -> Reply<EmbeddingReply> {
        let service = Arc::clone(&self.0);
        async move {
            let model = resolve_model(&request.model, service.endpoint.model.as_deref())?;
            let mut object = request.object(model)?;
            body::ask_for_base64(&mut object);
            let read = |reply: &[u8]| body::embedding_reply(reply, request.inputs.len());
            service.ask(Operation::Embedding, model, object, &outbound, read).await
        }
        .boxed()
    }
}

impl Service {
    /// Sends a request, and understands the whole reply.
    async fn ask<T>(
        &self,
        operation: Operation,
        model: &str,
        object: Object,
        outbound: &Outbound,
        understand: impl FnOnce(&[u8]) -> Result<T, body::Wrong>,
    ) -> Result<T, CallError> {
        let (response, attempt) = self.send(operation, model, &object, outbound).await?;
        let reply = self.read(response, self.limits.max_reply, outbound.deadline.into()).await;
        let reply =
            reply.and_then(|reply| understand(&reply).map_err(|wrong| Broken::by_service(self.not_understood(wrong))));
        match reply {
            Ok(reply) => {
                attempt.succeeded();
                Ok(reply)
            }
            Err(broken) => Err(concluded(attempt, broken)),
        }
    }

    /// Sends a request, again if that may help, until the service accepts it.
    async fn send(
        &self,
        operation: Operation,
        model: &str,
        object: &Object,
        outbound: &Outbound,
    ) -> Result<(Response, Try), CallError> {
        let url = self.endpoint.url(operation, model);
        let body = Bytes::from(serde_json::to_vec(object).expect("an object of JSON values is JSON"));
        let headers = self.endpoint.headers(&outbound.headers);
        let deadline: Instant = outbound.deadline.into();
        outbound.tries.circuit(self.upstream.state().name());
        let mut attempt = self.upstream.begin().map_err(|refused| {
            outbound.tries.unasked(&self.name, Unasked::CircuitOpen);
            failure::circuit_open(&refused)
        })?;
        let mut tries = 0;
        loop {
            let failure = match self.attempt(url.clone(), headers.clone(), body.clone(), deadline, &mut attempt).await {
                Ok(response) => {
                    attempt.answered();
                    return Ok((response, attempt));
                }
                Err(failure) => failure,
            };
            match failure.verdict {
                Verdict::Answers => attempt.succeeded(),
                Verdict::Fails => attempt.failed(),
                Verdict::Nothing => drop(attempt),
            }
            match self.again(tries, &failure, deadline, outbound).await {
                Ok(next) => attempt = next,
                Err(stop) => {
                    stop.name().into_iter().for_each(|why| outbound.tries.stopped(why));
                    return Err(failure.after(tries));
                }
            }
            tries += 1;
        }
    }

    /// Waits until the next try, if there shall be one.
    async fn again(&self, tries: u32, failure: &Failure, deadline: Instant, outbound: &Outbound) -> Result<Try, Stop> {
        if let Some(Pause { after, .. }) = failure.error.pause {
            outbound.tries.asked(after);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let pause = self.limits.pause(tries, failure.again, left, chance())?;
        // It may have opened by this very failure.
        if self.upstream.state() == State::Open {
            return Err(Stop::Circuit);
        }
        if !self.upstream.may_retry() {
            outbound.tries.unasked(&self.name, Unasked::RetryBudget);
            return Err(Stop::Budget);
        }
        tracing::debug!(connection = %self.name, tries = tries + 1, ?pause, error = %failure.error, "retry scheduled");
        sleep(pause).await;
        let attempt = self.upstream.admit().map_err(|_| Stop::Circuit)?;
        let CallError { kind, status, .. } = failure.error;
        outbound.tries.again(Retry { connection: &self.name, code: kind.code(), status, pause });
        Ok(attempt)
    }

    async fn attempt(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        attempt: &mut Try,
    ) -> Result<Response, Failure> {
        let until = deadline.min(Instant::now() + self.limits.first_byte);
        let headers = match timeout_at(until, self.endpoint.authorize(headers)).await {
            Ok(Ok(headers)) => headers,
            Ok(Err(why)) => return Err(Failure::no_token(&self.name, &why)),
            Err(_) => return Err(Failure::silent(&self.name, Verdict::Nothing)),
        };
        attempt.asked();
        let request = self.client.post(url).headers(headers).body(body).send();
        let response = match timeout_at(until, request).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failure::transport(&self.name, &error)),
            // The caller's time is over: how much of it was the service's, whoever holds the try knows.
            Err(_) if until == deadline => return Err(Failure::silent(&self.name, Verdict::Nothing)),
            Err(_) => return Err(Failure::silent(&self.name, Verdict::Fails)),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let headers = response.headers().clone();
        // A refusal that breaks off is a refusal all the same.
        let body = self.read(response, MAX_REFUSAL, until).await.unwrap_or_default();
        let refusal = self.endpoint.redacted(Refusal::read(&body));
        Err(Failure::refused(status, &headers, &refusal))
    }

    /// Reads the body of a response, of which it takes no more than `limit` bytes.
    async fn read(&self, mut response: Response, limit: usize, deadline: Instant) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(&mut response, deadline).await? {
            if body.len() + piece.len() > limit {
                let error = failure::not_understood(&format!("the reply is larger than {limit} bytes"));
                return Err(Broken::by_us(error));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next bytes of a body, none at its end.
    async fn piece(&self, response: &mut Response, deadline: Instant) -> Result<Option<Bytes>, Broken> {
        let until = deadline.min(Instant::now() + self.limits.idle);
        match timeout_at(until, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(_)) => Err(Broken::by_service(failure::broken_off(&self.name))),
            Err(_) => Err(Broken { error: failure::stalled(&self.name), by_service: until < deadline }),
        }
    }

    /// The service answered with success, but not what was asked for.
    fn not_understood(&self, wrong: body::Wrong) -> CallError {
        match wrong {
            body::Wrong::Shape(expected) => failure::not_understood(expected),
            body::Wrong::Refusal(refusal) => failure::not_understood(self.endpoint.redacted(refusal).said()),
        }
    }
}

/// Tells what came of a try whose answer came to no good end.
fn concluded(attempt: Try, broken: Broken) -> CallError {
    if broken.by_service {
        attempt.failed();
    } else {
        attempt.succeeded();
    }
    broken.error
}

/// An HTTP client for one service.
fn connecting(base: &Url, limits: &Limits) -> Result<Client, String> {
    let mut builder = client::builder()
        .connect_timeout(limits.connect)
        .dns_resolver(Resolver::default())
        .pool_max_idle_per_host(limits.idle_connections);
    if base.scheme() == "http" {
        builder = client::without_certificates(builder);
    }
    if is_loopback(base) {
        // reqwest honours `HTTP_PROXY` and `HTTPS_PROXY`; a model on this machine is not behind one.
        builder = builder.no_proxy();
    }
    client::build(builder)
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    host == "localhost" || address::literal(host).is_some_and(|address| address.is_loopback())
}

/// What the service says it sends, without parameters; empty if it does not say.
fn media_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
