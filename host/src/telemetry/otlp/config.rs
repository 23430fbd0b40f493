//! What is set about OTLP: where each signal goes and how, by the standard's variables and the original's own two.
//!
//! A signal's own variable wins over the general one, as a whole. An address in the general one gets the signal's path,
//! which is the standard's way and not the original's: that sent all signals to the address itself.

mod variables;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::super::outbox::parcel::Signal;
use crate::setting::{self, Reader};
pub(in crate::telemetry) use variables::GENERAL;
use variables::{AAD_AUTH_ENABLE, AAD_AUTH_SCOPE, Variables, address};

/// What is set about OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    traces: Endpoint,
    metrics: Endpoint,
    logs: Endpoint,
}

/// Where one signal is sent, and how.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The whole address, with the path of the signal if there is one.
    pub(crate) url: String,
    pub(crate) protocol: Protocol,
    /// The variable that gives the address; none: it is the standard's default, where nothing is sent unless an exporter is
    /// asked for by name.
    pub(crate) variable: Option<&'static str>,
    /// With each request. Their values are marked as secret.
    pub(crate) headers: HeaderMap,
    /// For one attempt, from the connection to the end of the answer.
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    /// Of an address without a scheme: whether it is spoken to in the clear.
    pub(crate) insecure: bool,
    pub(crate) tls: Files,
    /// What a token of this host's identity is asked for; none: no token is sent.
    pub(crate) scope: Option<String>,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The original's default, and the standard's.
    #[default]
    HttpProtobuf,
    Grpc,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::Grpc => "grpc",
        }
    }
}

/// How bodies are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
}

/// Files of certificates in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Whose certificates are trusted; none: whom the machine trusts.
    pub(crate) authorities: Option<File>,
    /// How this host proves who it is.
    pub(crate) client: Option<ClientFiles>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    pub(crate) certificate: File,
    pub(crate) key: File,
}

/// A file, and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) variable: &'static str,
}

/// The standard's collector, on this machine.
const DEFAULT_HTTP: &str = "http://localhost:4318";
const DEFAULT_GRPC: &str = "http://localhost:4317";

/// The standard's.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that may be given to one attempt: a parcel that is on its way so long keeps all others.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

impl Config {
    /// Reads the settings, and whatever files of certificates they name: one that cannot be used is told with all else
    /// that is wrong.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        // The general ones first: each signal may have its own.
        let general = GENERAL.read(reader);
        let with_token = reader.value(&AAD_AUTH_ENABLE, setting::only_true);
        let scope = Some(reader.value(&AAD_AUTH_SCOPE, setting::text)).filter(|_| with_token);
        let mut endpoint = |signal| {
            let variables = Variables::of(signal);
            let own = variables.read(reader);
            let (url, variable) = own.url(reader, signal, &general);
            let tls = own.files(reader, &general);
            Endpoint {
                url,
                variable,
                protocol: own.protocol(&general),
                headers: own.headers.or_else(|| general.headers.clone()).unwrap_or_default(),
                timeout: own.timeout.or(general.timeout).unwrap_or(TIMEOUT),
                compression: own.compression.or(general.compression).unwrap_or_default(),
                insecure: own.insecure.or(general.insecure).unwrap_or_default(),
                tls,
                scope: scope.clone(),
            }
        };
        Self { traces: endpoint(Signal::Traces), metrics: endpoint(Signal::Metrics), logs: endpoint(Signal::Logs) }
    }

    /// Where a signal would go, given or not.
    pub(crate) fn endpoint(&self, signal: Signal) -> &Endpoint {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// Where a signal goes; none, if no address is given for it.
    pub(crate) fn given(&self, signal: Signal) -> Option<&Endpoint> {
        Some(self.endpoint(signal)).filter(|endpoint| endpoint.variable.is_some())
    }
}

impl Default for Config {
    fn default() -> Self {
        let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs].map(Endpoint::of);
        Self { traces, metrics, logs }
    }
}

impl Endpoint {
    /// The standard's default for a signal.
    fn of(signal: Signal) -> Self {
        Self {
            url: address(DEFAULT_HTTP, Protocol::HttpProtobuf, signal),
            protocol: Protocol::HttpProtobuf,
            variable: None,
            headers: HeaderMap::new(),
            timeout: TIMEOUT,
            compression: Compression::None,
            insecure: false,
            tls: Files::default(),
            scope: None,
        }
    }

    /// The variable that gives the address, or could.
    pub(crate) fn decided_by(&self) -> &'static str {
        self.variable.unwrap_or(GENERAL.endpoint.variable)
    }

    /// The address without what may be secret in it: user, password, query.
    pub(crate) fn shown(&self) -> String {
        shown(&self.url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Endpoint")
            .field("url", &self.shown())
            .field("protocol", &self.protocol)
            .field("variable", &self.variable)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("insecure", &self.insecure)
            .field("tls", &self.tls)
            .field("scope", &self.scope)
            .finish()
    }
}

/// An address without what may be secret in it: user, password, query.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests;
