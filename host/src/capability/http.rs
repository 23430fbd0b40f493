//! `wasi:http/outgoing-handler`: plain HTTP services. Granted by the address of the service, or by a connection, whose
//! key the host then adds.
//!
//! What a grant may say is in http/pattern.rs, how a connection's service knows us in http/service.rs, and how a
//! request is sent in http/client.rs. Redirects are not followed: a guest that follows one makes a request, which needs
//! its grant. The trace context stays in the host, since who is called may be anyone.

mod client;
mod pattern;
mod service;
#[cfg(test)]
mod tests;
mod watched;
mod wit;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method};
use reqwest::Url;
use serde::Deserialize;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{RequestOptions, WasiBody};

use self::client::Client;
use self::pattern::Pattern;
use self::service::Service;
use crate::address::Allowed;
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::{HttpRequest, RpcKind, RpcReply, RpcRequest, RpcServer};
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::{Capability, Lend, Pass, StreamCall};
use crate::capability::connection::{Connection, Connections};
use crate::capability::upstream::Upstreams;

/// The connections whose services nodes may use, and what the operator allows beside public addresses.
#[derive(Debug, Default)]
pub struct Config {
    pub connections: Connections,
    /// Addresses inside the operator's network that granted hosts may lead to.
    pub allowed: Allowed,
    /// Whether services of connections are asked.
    pub upstreams: Upstreams,
}

/// Serves `wasi:http/outgoing-handler`, and `wasi:http/types`, which it is made of.
#[derive(Debug)]
pub struct Http(Config);

/// Where a node may send requests.
#[derive(Debug)]
pub struct Grant {
    services: Vec<Service>,
    patterns: Vec<Pattern>,
    client: Client,
}

/// One entry of `grants.http`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Pattern(String),
    Connection(Named),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    connection: String,
}

impl Capability for Http {
    const NAME: &'static str = "http";
    const INTERFACE: &'static str = "wasi:http/outgoing-handler";
    type Config = Config;
    type Grant = Grant;

    fn build(config: Config) -> Self {
        Self(config)
    }

    fn connections(ask: Ask<'_>) -> Vec<String> {
        let connection = |entry| match entry {
            Entry::Pattern(_) => None,
            Entry::Connection(Named { connection }) => Some(connection),
        };
        entries(ask).unwrap_or_default().into_iter().filter_map(connection).collect()
    }

    fn grant(&self, ask: Ask<'_>) -> Result<Option<Grant>, AskError> {
        let mut services = Vec::new();
        let mut patterns = Vec::new();
        for name in ask.connections {
            services.extend(self.service(name)?);
        }
        for entry in entries(ask)? {
            match entry {
                Entry::Pattern(text) => patterns.push(Pattern::parse(&text).map_err(unusable)?),
                Entry::Connection(Named { connection }) if ask.connections.contains(&&*connection) => {}
                Entry::Connection(Named { connection }) => {
                    services.push(self.service(&connection)?.ok_or_else(|| without_address(&connection))?);
                }
            }
        }
        if services.is_empty() && patterns.is_empty() {
            return Ok(None);
        }
        service::no_two_alike(&services).map_err(unusable)?;
        let mut allowed = self.0.allowed.clone();
        services.iter().for_each(|service| service.allow(&mut allowed));
        patterns.iter().for_each(|pattern| pattern.allow(&mut allowed));
        let client =
            Client::new(allowed, services.iter().any(Service::is_https) || patterns.iter().any(Pattern::is_https));
        if ask.grant.is_some() {
            // A node that asks for it should not learn at its first request that there are no certificates. One that
            // only has a connection of its own may never send any.
            client.open().map_err(unusable)?;
        }
        Ok(Some(Grant { services, patterns, client }))
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::link(linker)
    }
}

impl Http {
    /// The service of a connection; none if that has no address.
    fn service(&self, name: &str) -> Result<Option<Service>, AskError> {
        let connection: &Connection = self.0.connections.get(name).map_err(|unknown| AskError::Unknown {
            what: "connection",
            name: unknown.name,
            known: unknown.known.join(", "),
        })?;
        Service::of(connection, self.0.connections.identity(), &self.0.upstreams)
            .map_err(|problem| AskError::Unusable(problem.to_string()))
    }
}

fn entries(ask: Ask<'_>) -> Result<Vec<Entry>, AskError> {
    let Some(text) = ask.grant else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|_| AskError::NotUnderstood {
        capability: Http::NAME,
        expected: "a list of addresses such as https://api.example.com, and of {connection: NAME}",
        found: text.to_owned(),
    })
}

fn unusable(problem: impl fmt::Display) -> AskError {
    AskError::Unusable(format!("grants.{}: {problem}", Http::NAME))
}

fn without_address(connection: &str) -> AskError {
    unusable(format_args!("connection {connection:?} has no address of its own; name the address"))
}

impl Grant {
    /// The connection whose service a URL belongs to; none if it is granted by its address.
    ///
    /// # Errors
    /// If it is not granted.
    fn find(&self, url: &Url, pass: &Pass) -> Result<Option<&Service>, CallError> {
        if let Some(service) = self.services.iter().find(|service| service.covers(url)) {
            return Ok(Some(service));
        }
        if self.patterns.iter().any(|pattern| pattern.covers(url)) {
            return Ok(None);
        }
        let (node, address) = (pass.node.as_str(), url.origin().ascii_serialization());
        Err(CallError::new(
            CallErrorKind::NotGranted,
            format!("node {node:?} may not send this request to {address}; add it to `grants.http` of the node"),
        ))
    }
}

/// An HTTP request of a guest. The reply is its head and then its body, piece by piece.
#[derive(Debug)]
pub struct Request {
    method: Method,
    /// None: what the guest made is no URL for us.
    url: Option<Url>,
    headers: HeaderMap,
    body: WasiBody,
    options: RequestOptions,
}

/// A piece of a reply.
#[derive(Debug)]
pub enum Piece {
    Head(http::response::Parts),
    Body(Bytes),
    Trailers(HeaderMap),
}

/// What has been seen of a reply.
#[derive(Debug, Default)]
pub struct Seen {
    status: u16,
    bytes: usize,
}

impl Request {
    pub fn new(request: http::Request<WasiBody>, options: RequestOptions) -> Self {
        let (head, body) = request.into_parts();
        // Read once: the URL that is held against the grant is the one that is sent.
        let url = Url::parse(&head.uri.to_string()).ok();
        // A user and a password in it would become a header that nobody granted.
        let url = url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
        Self { method: head.method, url, headers: head.headers, body, options }
    }

    /// The URL as a trace may show it: queries hold keys, and what people wrote.
    fn shown(&self) -> String {
        let Some(mut url) = self.url.clone() else { return String::new() };
        url.set_query(None);
        url.set_fragment(None);
        url.into()
    }
}

impl StreamCall for Request {
    const API_CALL: &'static str = "http.request";
    type Capability = Http;
    type Item = Piece;
    type Seen = Seen;

    fn request_facts(&self, _: Option<&Grant>) -> RpcRequest {
        let (method, url) = (self.method.to_string(), self.shown());
        let server = self.url.as_ref().and_then(|url| {
            let address = url.host_str()?.to_owned();
            Some(RpcServer { address, port: url.port_or_known_default() })
        });
        RpcRequest {
            kind: RpcKind::Function,
            inputs: serde_json::json!({"method": method, "url": url}).to_string(),
            server,
            http: Some(HttpRequest { method, url }),
            ..RpcRequest::default()
        }
    }

    fn see(seen: &mut Seen, piece: &Piece) {
        match piece {
            Piece::Head(head) => seen.status = head.status.as_u16(),
            Piece::Body(bytes) => seen.bytes += bytes.len(),
            Piece::Trailers(_) => {}
        }
    }

    fn reply_facts(Seen { status, bytes }: Seen) -> RpcReply {
        RpcReply {
            output: serde_json::json!({"status": status, "bytes": bytes}).to_string(),
            http_status: Some(status),
            ..RpcReply::default()
        }
    }

    /// Many guests do not read a body that they have no use for. The service has answered all the same.
    fn left_facts(seen: Seen) -> Option<RpcReply> {
        (seen.status != 0).then(|| Self::reply_facts(seen))
    }

    async fn run(
        self,
        grant: Arc<Grant>,
        pass: Pass,
    ) -> Result<BoxStream<'static, Result<Piece, CallError>>, CallError> {
        let Self { method, url, mut headers, body, options } = self;
        let Some(mut url) = url.filter(|_| method != Method::CONNECT) else {
            return Err(CallError::new(
                CallErrorKind::InvalidRequest,
                "expected a request to a URL with a host and without credentials, and not by CONNECT",
            ));
        };
        let service = grant.find(&url, &pass)?;
        let attempt = service.map(|service| watched::begin(service.upstream(), &pass)).transpose()?;
        if let Some(service) = service {
            service.authenticate(&mut url, &mut headers).await?;
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(client::outgoing(body));
        match grant.client.send(request, options, pass.deadline.into()).await {
            Ok(pieces) => Ok(watched::watched(attempt, pieces.boxed()).boxed()),
            Err(error) => {
                watched::failed(attempt, &error);
                Err(error)
            }
        }
    }
}
