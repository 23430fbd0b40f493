//! What is set about OTLP: where each signal goes and how, by the standard's variables and the original's own two.
//!
//! A signal's own variable wins over the general one, as a whole. An address in the general one gets the signal's path,
//! which is the standard's way and not the original's: that sent all signals to the address itself.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::outbox::parcel::Signal;
use super::super::propagation::decoded;
use super::tls::Certificates;
use crate::setting::{self, Reader, Setting};

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
        let with_token = reader.value(&AAD_AUTH_ENABLE, only_true);
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

/// The variables of all signals, or of one.
pub(crate) struct Variables {
    pub(crate) endpoint: Setting,
    protocol: Setting,
    headers: Setting,
    timeout: Setting,
    compression: Setting,
    insecure: Setting,
    certificate: Setting,
    client_key: Setting,
    client_certificate: Setting,
}

/// Those that hold for all signals.
pub(crate) static GENERAL: Variables = Variables {
    endpoint: Setting::optional(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "traces are printed, metrics sent nowhere",
        "where traces, metrics and logs go; each gets its path",
    ),
    protocol: Setting::new("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "how they go: `http/protobuf` or `grpc`"),
    headers: Setting::secret(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "none",
        "headers of each request, `NAME=VALUE,…`, percent-encoded; secret, since keys are among them",
    ),
    timeout: Setting::new("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "time for one attempt, in milliseconds"),
    compression: Setting::new("OTEL_EXPORTER_OTLP_COMPRESSION", "none", "`gzip` or `none`"),
    insecure: Setting::new(
        "OTEL_EXPORTER_OTLP_INSECURE",
        "false",
        "`true`: a `grpc` address without a scheme is spoken to in the clear, not over TLS",
    ),
    certificate: Setting::optional(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "whom the machine trusts",
        "PEM file of the authorities that are trusted; this and the next two are read anew when they change",
    ),
    client_key: Setting::optional("OTEL_EXPORTER_OTLP_CLIENT_KEY", "none", "PEM file of the key of this host"),
    client_certificate: Setting::optional(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "none",
        "PEM file of the certificate by which this host proves who it is, and of those above it",
    ),
};

/// Those of one signal: `of_signal!("TRACES", "traces")` begins with `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, "where traces
/// go, with the path". Without them the general ones hold.
macro_rules! of_signal {
    ($infix:literal, $signal:literal) => {
        Variables {
            endpoint: Setting::optional(
                concat!("OTEL_EXPORTER_OTLP_", $infix, "_ENDPOINT"),
                concat!("`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/", $signal, "`"),
                concat!("where ", $signal, " go, with the path"),
            ),
            protocol: of_signal!($infix, $signal, optional, "PROTOCOL", "how they go"),
            headers: of_signal!($infix, $signal, secret, "HEADERS", "their headers"),
            timeout: of_signal!($infix, $signal, optional, "TIMEOUT", "their time"),
            compression: of_signal!($infix, $signal, optional, "COMPRESSION", "how they are packed"),
            insecure: of_signal!($infix, $signal, optional, "INSECURE", "whether they go in the clear"),
            certificate: of_signal!($infix, $signal, optional, "CERTIFICATE", "which authorities are trusted"),
            client_key: of_signal!($infix, $signal, optional, "CLIENT_KEY", "the key they are sent with"),
            client_certificate: of_signal!($infix, $signal, optional, "CLIENT_CERTIFICATE", "its certificate"),
        }
    };
    ($infix:literal, $signal:literal, $kind:ident, $name:literal, $meaning:literal) => {
        Setting::$kind(
            concat!("OTEL_EXPORTER_OTLP_", $infix, "_", $name),
            concat!("`OTEL_EXPORTER_OTLP_", $name, "`"),
            concat!("of ", $signal, ": ", $meaning),
        )
    };
}

static TRACES: Variables = of_signal!("TRACES", "traces");
static METRICS: Variables = of_signal!("METRICS", "metrics");
static LOGS: Variables = of_signal!("LOGS", "logs");

static AAD_AUTH_ENABLE: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_AAD_AUTH_ENABLE",
    "false",
    "`true`: sends a token of this host's managed identity with each request",
);
static AAD_AUTH_SCOPE: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_AAD_AUTH_SCOPE",
    "https://management.azure.com/.default",
    "what that token is asked for",
);

const PROTOCOLS: [(&str, Protocol); 2] = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];
const COMPRESSIONS: [(&str, Compression); 2] = [("gzip", Compression::Gzip), ("none", Compression::None)];

/// What was set with [`Variables`].
struct Own {
    variables: &'static Variables,
    address: Option<String>,
    protocol: Option<Protocol>,
    headers: Option<HeaderMap>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
    insecure: Option<bool>,
    certificate: Option<File>,
    client_key: Option<File>,
    client_certificate: Option<File>,
}

impl Variables {
    fn of(signal: Signal) -> &'static Self {
        match signal {
            Signal::Traces => &TRACES,
            Signal::Metrics => &METRICS,
            Signal::Logs => &LOGS,
        }
    }

    fn read(&'static self, reader: &mut Reader<'_>) -> Own {
        let file =
            |setting: &'static Setting| move |text: &str| Ok(File { path: text.into(), variable: setting.variable });
        Own {
            variables: self,
            address: reader.optional(&self.endpoint, setting::text),
            protocol: reader.optional(&self.protocol, setting::one_of(&PROTOCOLS)),
            headers: reader.optional(&self.headers, headers),
            timeout: reader.optional(&self.timeout, milliseconds_up_to(MAX_TIMEOUT)),
            compression: reader.optional(&self.compression, setting::one_of(&COMPRESSIONS)),
            insecure: reader.optional(&self.insecure, only_true),
            certificate: reader.optional(&self.certificate, file(&self.certificate)),
            client_key: reader.optional(&self.client_key, file(&self.client_key)),
            client_certificate: reader.optional(&self.client_certificate, file(&self.client_certificate)),
        }
    }
}

impl Own {
    fn protocol(&self, general: &Self) -> Protocol {
        self.protocol.or(general.protocol).unwrap_or_default()
    }

    /// The signal's own address as it is, else the general one with the signal's path, else the standard's default; and the
    /// variable that says so.
    fn url(&self, reader: &mut Reader<'_>, signal: Signal, general: &Self) -> (String, Option<&'static str>) {
        let protocol = self.protocol(general);
        for given in [self, general] {
            let Some(base) = &given.address else { continue };
            let variable = given.variables.endpoint.variable;
            if let Err(problem) = is_address(base, protocol) {
                reader.complain_once(format!("{variable}: {problem}"));
                break;
            }
            let is_own = std::ptr::eq(given, self);
            let url = if is_own { base.clone() } else { address(base, protocol, signal) };
            return (url, Some(variable));
        }
        let base = match protocol {
            Protocol::HttpProtobuf => DEFAULT_HTTP,
            Protocol::Grpc => DEFAULT_GRPC,
        };
        (address(base, protocol, signal), None)
    }

    /// The files of certificates. One that cannot be used is a problem, and so is a key without its certificate.
    fn files(&self, reader: &mut Reader<'_>, general: &Self) -> Files {
        let certificate = self.client_certificate.as_ref().or(general.client_certificate.as_ref());
        let key = self.client_key.as_ref().or(general.client_key.as_ref());
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientFiles { certificate: certificate.clone(), key: key.clone() }),
            (None, None) => None,
            (Some(File { variable, .. }), None) => {
                let key = variable.replace("CERTIFICATE", "KEY");
                let problem = format!("{variable}: a certificate is of no use without its key; set {key}");
                reader.complain_once(problem);
                None
            }
            (None, Some(File { variable, .. })) => {
                let certificate = variable.replace("KEY", "CERTIFICATE");
                let problem = format!("{variable}: a key is of no use without its certificate; set {certificate}");
                reader.complain_once(problem);
                None
            }
        };
        let files = Files { authorities: self.certificate.clone().or_else(|| general.certificate.clone()), client };
        match Certificates::read(&files) {
            Ok(_) => files,
            Err(problems) => {
                problems.into_iter().for_each(|problem| reader.complain_once(problem));
                Files::default()
            }
        }
    }
}

/// The address of a signal below a base.
fn address(base: &str, protocol: Protocol, signal: Signal) -> String {
    match protocol {
        Protocol::HttpProtobuf => format!("{}/v1/{}", base.trim_end_matches('/'), signal.as_str()),
        Protocol::Grpc => base.to_owned(),
    }
}

/// gRPC takes an address without a scheme, and `INSECURE` says which it means.
fn is_address(url: &str, protocol: Protocol) -> Result<(), String> {
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    let is_bare = protocol == Protocol::Grpc && !url.contains("://");
    if (has_scheme || is_bare) && url.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some()) {
        return Ok(());
    }
    Err(format!("{:?} is no address; write http://HOST:PORT or https://HOST:PORT", shown(url)))
}

/// `NAME=VALUE,NAME=VALUE`, percent-encoded. A problem names no value: keys are among them.
fn headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (at, pair) in text.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty()) {
        let at = at + 1;
        let Some((name, value)) = pair.split_once('=') else {
            return Err(format!("the header at place {at} has no `=`; write NAME=VALUE, separated by commas"));
        };
        let name = name.trim();
        let Ok(name) = name.parse::<HeaderName>() else {
            return Err(format!("{name:?} is no name of a header"));
        };
        if OF_THE_PROTOCOL.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
            return Err(format!("the header {:?} is set by the protocol itself; leave it out", name.as_str()));
        }
        let Ok(mut value) = HeaderValue::from_str(&decoded(value.trim())) else {
            return Err(format!("the header {:?} has a value with a control character in it", name.as_str()));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What says how a message is to be read, and so is not the operator's.
const OF_THE_PROTOCOL: [&str; 8] =
    ["connection", "content-encoding", "content-length", "content-type", "expect", "host", "te", "transfer-encoding"];

/// By the standard only `true`, in any case, is true; whatever else is written is not.
fn only_true(text: &str) -> Result<bool, String> {
    Ok(text.eq_ignore_ascii_case("true"))
}

fn milliseconds_up_to(max: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let time = text.parse().ok().filter(|time| *time > 0).map(Duration::from_millis).filter(|time| *time <= max);
        time.ok_or_else(|| format!("{text:?} is no time; write whole milliseconds, from 1 to {}", max.as_millis()))
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
