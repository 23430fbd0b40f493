//! `wasi:http/outgoing-handler`: plain HTTP services. Granted by the address of the service, or by a connection, whose
//! key the host then adds.
//!
//! What a grant may say is in http/asked.rs and http/pattern.rs, how a connection's service knows us in http/service.rs,
//! and how a request is sent in http/client.rs. Redirects are not followed: a guest that follows one makes a request,
//! which needs its grant. The trace context stays in the host unless the grant says otherwise, since who is called may be
//! anyone.

mod asked;
mod client;
pub mod pattern;
mod rule;
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
use http::{HeaderMap, HeaderName, Method};
use reqwest::Url;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{RequestOptions, WasiBody};

pub use self::asked::names;
use self::asked::{Asked, Place, Terms};
use self::client::{Client, Exceeded, Idle, Sending};
use self::pattern::Pattern;
pub use self::rule::Rule;
use self::service::Service;
use crate::address::{Allowed, Guarded};
use crate::boundary::denial::shown;
use crate::boundary::error::{CallError, CallErrorKind};
use crate::boundary::facts::{HttpRequest, RpcKind, RpcReply, RpcRequest, RpcServer};
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::quota::Turn;
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
    services: Vec<(Service, Terms)>,
    patterns: Vec<(Pattern, Terms)>,
    client: Client,
}

/// Headers that tell of a trace. Those that a guest sets are left out: a service would take them for the host's word.
const TRACE: [HeaderName; 3] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate"), HeaderName::from_static("baggage")];

impl Capability for Http {
    const NAME: &'static str = "http";
    const INTERFACE: &'static str = "wasi:http/outgoing-handler";
    type Config = Config;
    type Grant = Grant;
    type Rule = Rule;

    fn build(config: Config) -> Self {
        Self(config)
    }

    fn connections(ask: Ask<'_>) -> Vec<String> {
        let connection = |asked: Asked| match asked.place {
            Place::Address(_) => None,
            Place::Connection(connection) => Some(connection),
        };
        asked::read(ask).0.into_iter().filter_map(connection).collect()
    }

    fn grant(&self, ask: Ask<'_>, rules: &Rules<Rule>) -> Result<Option<Grant>, Vec<AskError>> {
        let (mut services, mut patterns) = (Vec::new(), Vec::new());
        let (asks, mut errors) = asked::read(ask);
        let named = |name: &str| asks.iter().any(|asked| matches!(&asked.place, Place::Connection(it) if it == name));
        // Where a grant says more of a node's own connection, that counts.
        for name in ask.connections.iter().filter(|name| !named(name)) {
            match self.service(name) {
                Ok(Some(service)) => match rule::of_own(name, rules) {
                    Some(terms) => services.push((service, terms)),
                    // What a node asks a model for is another capability's affair.
                    None if self.is_model(name) => {}
                    None => errors.push(rules.exceeded(Self::NAME, &format!("connection {name:?}"))),
                },
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        errors.extend(asks.iter().filter_map(|asked| rule::check(asked, rules).err()));
        for Asked { place, terms } in asks {
            match place {
                Place::Address(pattern) => patterns.push((pattern, terms)),
                Place::Connection(name) => match self.service(&name) {
                    Ok(Some(service)) => services.push((service, terms)),
                    // A node's own connection may be of use for something else.
                    Ok(None) if ask.connections.contains(&&*name) => {}
                    Ok(None) => errors.push(without_address(&name)),
                    Err(error) => errors.push(error),
                },
            }
        }
        errors.extend(service::no_two_alike(services.iter().map(|(service, _)| service)).err().map(unusable));
        if !errors.is_empty() {
            return Err(errors);
        }
        if services.is_empty() && patterns.is_empty() {
            return Ok(None);
        }
        let mut allowed = self.0.allowed.clone();
        services.iter().for_each(|(service, _)| service.allow(&mut allowed));
        patterns.iter().for_each(|(pattern, _)| pattern.allow(&mut allowed));
        let mut https = services.iter().map(|(service, _)| service.is_https());
        let https = https.any(|is| is) || patterns.iter().any(|(pattern, _)| pattern.is_https());
        let services_hosts = services.iter().filter_map(|(service, _)| service.host());
        let written = services_hosts.chain(patterns.iter().filter_map(|(pattern, _)| pattern.host()));
        let guard = Guarded::new(allowed).knowing(written.map(str::to_owned).collect());
        let all_written = patterns.iter().all(|(pattern, _)| pattern.host().is_some());
        let client = Client::new(guard, https, if all_written { Idle::Kept } else { Idle::Closed });
        if ask.grant.is_some() {
            // A node that asks for it should not learn at its first request that there are no certificates. One that
            // only has a connection of its own may never send any.
            client.open().map_err(|problem| vec![unusable(problem)])?;
        }
        Ok(Some(Grant { services, patterns, client }))
    }

    fn rule(entry: &str) -> Result<Rule, String> {
        Rule::read(entry)
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::link(linker)
    }
}

impl Http {
    fn is_model(&self, connection: &str) -> bool {
        self.0.connections.get(connection).is_ok_and(|connection| connection.kind.is_model())
    }

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

fn unusable(problem: impl fmt::Display) -> AskError {
    AskError::Unusable(format!("grants.{}: {problem}", Http::NAME))
}

fn without_address(connection: &str) -> AskError {
    unusable(format_args!("connection {connection:?} has no address of its own; name the address"))
}

impl Grant {
    /// The connection whose service a URL belongs to, none if it is granted by its address; and whether the service is
    /// told of the trace.
    ///
    /// # Errors
    /// If it is not granted.
    fn find(&self, url: &Url, method: &Method, pass: &Pass) -> Result<(Option<&Service>, bool), CallError> {
        let (node, address) = (pass.node.as_str(), url.origin().ascii_serialization());
        let refused = |what: String| {
            let message = format!("node {node:?} may not send {what}");
            CallError::new(CallErrorKind::NotGranted, message)
        };
        let other_method = |terms: &Terms| {
            let (method, methods) = (shown(method.as_str()), &terms.methods);
            refused(format!("{method} to {address}, of which its grant has {methods}; add it to the `methods` there"))
        };
        // What is a connection's is granted by the connection alone, so that it is clear what is sent with its key.
        if let Some((service, terms)) = self.services.iter().find(|(service, _)| service.covers(url)) {
            let granted = terms.methods.hold(method).then_some((Some(service), terms.trace_context));
            return granted.ok_or_else(|| other_method(terms));
        }
        let covering = || self.patterns.iter().filter(|(pattern, _)| pattern.covers(url)).map(|(_, terms)| terms);
        let mut granting = covering().filter(|terms| terms.methods.hold(method)).peekable();
        if granting.peek().is_some() {
            return Ok((None, granting.any(|terms| terms.trace_context)));
        }
        Err(match covering().next() {
            Some(terms) => other_method(terms),
            None => refused(format!("this request to {address}; add it to `grants.http` of the node")),
        })
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
    turn: Turn,
    /// Which part of it was too large, if it fails for that.
    exceeded: Exceeded,
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
    fn new(request: http::Request<WasiBody>, options: RequestOptions, turn: Turn) -> Self {
        let (head, body) = request.into_parts();
        // Read once: the URL that is held against the grant is the one that is sent.
        let url = Url::parse(&head.uri.to_string()).ok();
        // A user and a password in it would become a header that nobody granted.
        let url = url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
        let exceeded = Exceeded::default();
        Self { method: head.method, url, headers: head.headers, body, options, turn, exceeded }
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
        let Self { method, url, mut headers, body, options, turn, exceeded } = self;
        if turn.beyond {
            let message = format!(
                "node {:?} has made its {} requests; raise `limits.requests` of the node if it may make more",
                pass.node.as_str(),
                turn.bounds.requests
            );
            return Err(CallError::new(CallErrorKind::Exhausted, message));
        }
        let Some(mut url) = url.filter(|_| method != Method::CONNECT) else {
            return Err(CallError::new(
                CallErrorKind::InvalidRequest,
                "expected a request to a URL with a host and without credentials, and not by CONNECT",
            ));
        };
        let (service, traced) = grant.find(&url, &method, &pass)?;
        TRACE.iter().for_each(|name| _ = headers.remove(name));
        if traced {
            // Not baggage: it can hold whatever the caller's system puts there.
            headers.extend(
                TRACE.iter().take(2).filter_map(|name| Some((name.clone(), pass.trace_headers.get(name)?.clone()))),
            );
        }
        let closed = |_| CallError::new(CallErrorKind::Internal, "internal error");
        // Until its head is there: a guest that reads no body before it has all heads would wait for itself.
        let _place = turn.at_once.acquire_owned().await.map_err(closed)?;
        let mut attempt = service.map(|service| watched::begin(service.upstream(), &pass)).transpose()?;
        if let Some(service) = service {
            service.authenticate(&mut url, &mut headers).await?;
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        let (max_body, deadline) = (turn.bounds.body, pass.deadline.into());
        let sending = Sending { request, body, options, max_body, deadline, exceeded };
        match grant.client.send(sending, &mut attempt).await {
            Ok(pieces) => Ok(watched::watched(attempt, pieces.boxed()).boxed()),
            Err(failure) => Err(watched::failed(attempt, failure)),
        }
    }
}
