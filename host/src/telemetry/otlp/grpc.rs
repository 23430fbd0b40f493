//! OTLP over gRPC: one unary call for each parcel, over one connection.
//!
//! A parcel is a message as it will be sent, so the codec passes bytes. A failure counts as a collector's word only if a
//! status of gRPC has come over the connection: tonic makes up statuses as well, of broken connections, of web pages that
//! proxies answer with, of what it cannot read.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Request, Status};

use super::super::outbox::parcel::{Outcome, Parcel, Signal};
use super::answer;
use super::config::{Compression, Endpoint};
use super::tls::{Certificates, Renewed};
use super::token::Token;

/// See http.rs.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends to one address.
#[derive(Debug)]
pub(super) struct Grpc {
    headers: HeaderMap,
    timeout: Duration,
    compression: Compression,
    token: Option<Token>,
    connection: Renewed<Connection>,
}

/// A connection that is made when it is first needed: only on a runtime can it be.
#[derive(Clone)]
struct Connection {
    to: tonic::transport::Endpoint,
    made: Arc<Mutex<Option<Channel>>>,
}

impl Connection {
    fn channel(&self) -> Channel {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get_or_insert_with(|| self.to.connect_lazy()).clone()
    }
}

impl Grpc {
    /// # Errors
    /// The address or the certificates cannot be used.
    pub(super) fn new(endpoint: &Endpoint, token: Option<Token>) -> Result<Self, String> {
        let url = match (endpoint.url.contains("://"), endpoint.insecure) {
            (true, _) => endpoint.url.clone(),
            (false, true) => format!("http://{}", endpoint.url),
            (false, false) => format!("https://{}", endpoint.url),
        };
        let connection = Renewed::new(&endpoint.tls, move |certificates| connection(&url, certificates))?;
        let (headers, timeout, compression) = (endpoint.headers.clone(), endpoint.timeout, endpoint.compression);
        Ok(Self { headers, timeout, compression, token, connection })
    }

    /// One attempt; whoever calls sees to the time.
    pub(super) async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let mut headers = self.headers.clone();
        if let Some(token) = &self.token {
            match token.header().await {
                Ok(value) => _ = headers.insert(header::AUTHORIZATION, value),
                Err(why) => return Outcome::Later { after: None, why },
            }
        }
        let mut request = Request::new(parcel.body.clone());
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        request.set_timeout(self.timeout);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let channel = Listening { channel: self.connection.get().channel(), heard: Arc::clone(&heard) };
        let mut client = Client::new(channel)
            .max_decoding_message_size(answer::MAX_ANSWER)
            .accept_compressed(CompressionEncoding::Gzip);
        if self.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        if let Err(error) = client.ready().await {
            return Outcome::Later { after: None, why: format!("no connection: {}", cause(&error)) };
        }
        let result = client.unary(request, PathAndQuery::from_static(method(parcel.signal)), Plain).await;
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match result {
            Ok(response) => answer::taken(parcel, response.into_inner())
                .unwrap_or_else(|_| Outcome::Later { after: None, why: "the answer cannot be read".to_owned() }),
            Err(status) => heard.meaning(&status),
        }
    }
}

fn connection(url: &str, certificates: &Certificates) -> Result<Connection, String> {
    let to = Channel::from_shared(url.to_owned()).map_err(|error| format!("it is no address: {error}"))?;
    let mut to = to.user_agent(super::USER_AGENT).map_err(|error| cause(&error))?.connect_timeout(CONNECT);
    if url.starts_with("https://") {
        // tonic takes the provider of the process. That somebody has installed one already serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut tls = match &certificates.authorities {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            // By itself tonic trusts nobody.
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        if let Some(client) = &certificates.client {
            tls = tls.identity(Identity::from_pem(&client.certificate, &client.key));
        }
        to = to.tls_config(tls).map_err(|error| cause(&error))?;
    }
    Ok(Connection { to, made: Arc::default() })
}

fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// What has come over the connection, as it was before tonic made a status of it.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// The status of HTTP, of whatever was not gRPC.
    other: Option<(StatusCode, Option<Duration>)>,
    /// Whether there was a status of gRPC.
    status: bool,
}

impl Heard {
    fn meaning(&self, status: &Status) -> Outcome {
        match self.other {
            Some((StatusCode::PAYLOAD_TOO_LARGE, _)) => {
                Outcome::TooLarge { why: format!("HTTP {}", StatusCode::PAYLOAD_TOO_LARGE) }
            }
            Some((status, after)) => Outcome::Later { after, why: format!("HTTP {status}: no gRPC is spoken there") },
            None if self.status => answer::grpc(status),
            None => Outcome::Later { after: None, why: format!("no answer: {}", cause(status)) },
        }
    }
}

/// A channel whose answers are looked at.
#[derive(Clone)]
struct Listening {
    channel: Channel,
    heard: Arc<Mutex<Heard>>,
}

impl Service<http::Request<Body>> for Listening {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (answer, heard) = (self.channel.call(request), Arc::clone(&self.heard));
        Box::pin(async move {
            let answer = answer.await?;
            hear(&heard, |heard| {
                let content = answer.headers().get(header::CONTENT_TYPE);
                heard.status |= answer.headers().contains_key(Status::GRPC_STATUS);
                if !content.is_some_and(|content| content.as_bytes().starts_with(b"application/grpc")) {
                    heard.other = Some((answer.status(), answer::pause(answer.headers(), SystemTime::now())));
                }
            });
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let trailers = frame.trailers_ref();
                    if trailers.is_some_and(|trailers| trailers.contains_key(Status::GRPC_STATUS)) {
                        hear(&heard, |heard| heard.status = true);
                    }
                    frame
                }))
            }))
        })
    }
}

fn hear(heard: &Mutex<Heard>, what: impl FnOnce(&mut Heard)) {
    what(&mut heard.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// The innermost cause says what has happened; what is around it says where, which is known.
fn cause(error: &(dyn Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| (*error).source()).last();
    answer::brief(&innermost.map_or_else(String::new, ToString::to_string))
}

#[cfg(test)]
mod tests;
