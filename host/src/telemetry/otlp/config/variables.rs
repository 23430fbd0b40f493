//! The variables of OTLP, of all signals or of one, and what is set in them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{ClientFiles, Compression, DEFAULT_GRPC, DEFAULT_HTTP, File, Files, MAX_TIMEOUT, Protocol, shown};
use crate::setting::{self, Reader, Setting};
use crate::telemetry::otlp::tls::Certificates;
use crate::telemetry::outbox::parcel::Signal;
use crate::telemetry::propagation::decoded;

/// The variables of all signals, or of one.
pub(in crate::telemetry) struct Variables {
    pub(in crate::telemetry) endpoint: Setting,
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
pub(in crate::telemetry) static GENERAL: Variables = Variables {
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

pub(super) static AAD_AUTH_ENABLE: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_AAD_AUTH_ENABLE",
    "false",
    "`true`: sends a token of this host's managed identity with each request",
);
pub(super) static AAD_AUTH_SCOPE: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_AAD_AUTH_SCOPE",
    "https://management.azure.com/.default",
    "what that token is asked for",
);

const PROTOCOLS: [(&str, Protocol); 2] = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];
const COMPRESSIONS: [(&str, Compression); 2] = [("gzip", Compression::Gzip), ("none", Compression::None)];

/// What was set with [`Variables`].
pub(super) struct Own {
    pub(super) variables: &'static Variables,
    pub(super) address: Option<String>,
    pub(super) protocol: Option<Protocol>,
    pub(super) headers: Option<HeaderMap>,
    pub(super) timeout: Option<Duration>,
    pub(super) compression: Option<Compression>,
    pub(super) insecure: Option<bool>,
    pub(super) certificate: Option<File>,
    pub(super) client_key: Option<File>,
    pub(super) client_certificate: Option<File>,
}

impl Variables {
    pub(super) fn of(signal: Signal) -> &'static Self {
        match signal {
            Signal::Traces => &TRACES,
            Signal::Metrics => &METRICS,
            Signal::Logs => &LOGS,
        }
    }

    pub(super) fn read(&'static self, reader: &mut Reader<'_>) -> Own {
        let file =
            |setting: &'static Setting| move |text: &str| Ok(File { path: text.into(), variable: setting.variable });
        Own {
            variables: self,
            address: reader.optional(&self.endpoint, setting::text),
            protocol: reader.optional(&self.protocol, setting::one_of(&PROTOCOLS)),
            headers: reader.optional(&self.headers, headers),
            timeout: reader.optional(&self.timeout, milliseconds_up_to(MAX_TIMEOUT)),
            compression: reader.optional(&self.compression, setting::one_of(&COMPRESSIONS)),
            insecure: reader.optional(&self.insecure, setting::only_true),
            certificate: reader.optional(&self.certificate, file(&self.certificate)),
            client_key: reader.optional(&self.client_key, file(&self.client_key)),
            client_certificate: reader.optional(&self.client_certificate, file(&self.client_certificate)),
        }
    }
}

impl Own {
    pub(super) fn protocol(&self, general: &Self) -> Protocol {
        self.protocol.or(general.protocol).unwrap_or_default()
    }

    /// The signal's own address as it is, else the general one with the signal's path, else the standard's default; and the
    /// variable that says so.
    pub(super) fn url(
        &self,
        reader: &mut Reader<'_>,
        signal: Signal,
        general: &Self,
    ) -> (String, Option<&'static str>) {
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
    pub(super) fn files(&self, reader: &mut Reader<'_>, general: &Self) -> Files {
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
pub(super) fn address(base: &str, protocol: Protocol, signal: Signal) -> String {
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

fn milliseconds_up_to(max: Duration) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let time = text.parse().ok().filter(|time| *time > 0).map(Duration::from_millis).filter(|time| *time <= max);
        time.ok_or_else(|| format!("{text:?} is no time; write whole milliseconds, from 1 to {}", max.as_millis()))
    }
}
