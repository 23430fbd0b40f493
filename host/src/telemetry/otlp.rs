//! OTLP: OpenTelemetry's own protocol, over HTTP and gRPC.
//!
//! What is set is in config.rs, what is said in encode.rs, how it is sent in http.rs and grpc.rs, and what an answer means
//! in answer.rs. Nothing here keeps anything or tries it again: see ../outbox.rs.

pub mod answer;
pub(crate) mod config;
mod encode;
mod grpc;
mod http;
mod tls;
mod token;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;

use super::exporters::StartError;
use super::outbox::parcel::{Destination, Encode, Log, Outcome, Parcel, Signal, Transmit};
use crate::identity::Identity;
use crate::secret::Secret;
use config::{Endpoint, Protocol};
pub use encode::Encoder;
use token::Token;

const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// A shorter value of a header is no key, but may be part of any word.
const SHORTEST_SECRET: usize = 6;

/// Why an endpoint cannot be sent to, whatever its collector does.
#[derive(Debug, thiserror::Error)]
#[error("cannot send {signal} to {url:?}, as {variable} asks: {why}")]
pub struct Unfit {
    signal: &'static str,
    url: String,
    variable: &'static str,
    why: String,
}

/// Where one signal goes. Reaches nobody yet. `identity` is for an endpoint that takes tokens.
///
/// # Errors
/// No client can be made for the endpoint.
pub(crate) fn destination(
    signal: Signal,
    endpoint: &Endpoint,
    resource: &Resource,
    identity: &Identity,
) -> Result<Arc<dyn Destination>, StartError> {
    let token = endpoint.scope.clone().map(|scope| Token { identity: identity.clone(), scope });
    let way = match endpoint.protocol {
        Protocol::HttpProtobuf => http::Http::new(endpoint, token).map(Box::new).map(Way::Http),
        Protocol::Grpc => grpc::Grpc::new(endpoint, token).map(Box::new).map(Way::Grpc),
    };
    let unfit = |why| Unfit { signal: signal.as_str(), url: endpoint.shown(), variable: endpoint.decided_by(), why };
    let way = way.map_err(unfit)?;
    let secrets = endpoint.headers.values().filter_map(|value| value.to_str().ok());
    // Of `Bearer KEY`, the key.
    let secrets = secrets.filter_map(|value| value.rsplit(' ').next()).filter(|key| key.len() >= SHORTEST_SECRET);
    let secrets = secrets.map(Secret::new).collect();
    Ok(Arc::new(Collector {
        encoder: Encoder::new(resource),
        timeout: endpoint.timeout,
        way,
        secrets,
        identity: identity.clone(),
    }))
}

/// A collector at the other end.
#[derive(Debug)]
struct Collector {
    encoder: Encoder,
    /// For one attempt, whatever takes it.
    timeout: Duration,
    way: Way,
    /// What no answer may bring into the log.
    secrets: Vec<Secret>,
    identity: Identity,
}

#[derive(Debug)]
enum Way {
    Http(Box<http::Http>),
    Grpc(Box<grpc::Grpc>),
}

impl Encode for Collector {
    fn spans(&self, spans: &[SpanData]) -> Vec<Parcel> {
        self.encoder.spans(spans)
    }

    fn metrics(&self, metrics: &ResourceMetrics) -> Vec<Parcel> {
        encode::metrics(metrics)
    }

    fn logs(&self, logs: &[Log]) -> Vec<Parcel> {
        self.encoder.logs(logs)
    }
}

impl Transmit for Collector {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome> {
        let attempt = async move {
            match &self.way {
                Way::Http(http) => http.attempt(parcel).await,
                Way::Grpc(grpc) => grpc.attempt(parcel).await,
            }
        };
        let late = || Outcome::Later { after: None, why: format!("no answer within {:?}", self.timeout) };
        async move {
            let outcome = tokio::time::timeout(self.timeout, attempt).await.unwrap_or_else(|_| late());
            self.without_secrets(outcome)
        }
        .boxed()
    }

    fn halve(&self, parcel: &Parcel) -> Option<[Parcel; 2]> {
        encode::halve(parcel)
    }
}

impl Collector {
    /// Some services quote the key that they refuse.
    fn without_secrets(&self, mut outcome: Outcome) -> Outcome {
        let why = outcome.why_mut();
        *why = self.secrets.iter().fold(self.identity.strike(why), |why, secret| secret.strike(&why));
        outcome
    }
}

/// Packed quickly rather than small: requests need the processor more than the network needs the bytes.
fn gzip(bytes: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    // A vector takes everything.
    let written = packed.write_all(bytes).and_then(|()| packed.finish());
    written.map(Bytes::from).expect("a vector takes everything")
}

#[cfg(test)]
mod tests;
