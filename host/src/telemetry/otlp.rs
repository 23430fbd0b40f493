//! OTLP: OpenTelemetry's own protocol, over HTTP and gRPC.
//!
//! What is set is in config.rs, what is said in encode.rs, how it is sent in http.rs and grpc.rs, over TLS as tls.rs has it.
//! Nothing here keeps anything or tries it again: see ../outbox.rs.

pub(crate) mod config;

use std::sync::Arc;

use opentelemetry_sdk::Resource;

use super::exporters::StartError;
use super::outbox::parcel::{Destination, Signal};
use crate::identity::Identity;
use config::Endpoint;

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
    _resource: &Resource,
    _identity: &Identity,
) -> Result<Arc<dyn Destination>, StartError> {
    let why = "not written yet".to_owned();
    Err(Unfit { signal: signal.as_str(), url: endpoint.shown(), variable: endpoint.decided_by(), why }.into())
}
