//! What is told, how much of it, and where to: read from the environment that prompt flow and OpenTelemetry define.
//!
//! Whether and where something is sent is decided here. How it is sent is left to OpenTelemetry's crates, which read
//! the rest of the standard variables by themselves: headers, timeout, compression and `INSECURE` of
//! `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`.

use std::path::PathBuf;

use super::content::Content;
use super::feedback;
use super::names::{self, dimension};
use super::printer::Terminal;
use super::redaction::Redactor;
use super::sampler::{UNSAMPLED, UNSAMPLED_WORDS, Unsampled};
use crate::setting::{self, Reader, Setting};

/// Settings of telemetry.
#[derive(Debug)]
pub struct Config {
    /// Where spans go; none: nowhere but perhaps to the terminal.
    pub traces: Option<Endpoint>,
    /// Where metrics go; none: nowhere.
    pub metrics: Option<Endpoint>,
    /// `service.name` of everything that is sent.
    pub service_name: String,
    pub content: Content,
    /// Masks what must be told to nobody. It learns the secrets of the host when they are known.
    pub redactor: Redactor,
    /// On every point of the eight metrics.
    pub common_dimensions: Vec<(String, String)>,
    /// Whether there are spans. Without, there are still metrics and feedbacks.
    pub tracing_enabled: bool,
    pub unsampled: Unsampled,
    /// Prints each finished trace, unless spans are sent somewhere.
    pub terminal: Option<Terminal>,
    /// Where feedback is safe until it is delivered; none: in memory. For a host that takes feedback.
    pub data_dir: Option<PathBuf>,
    pub feedback: feedback::Config,
}

/// Where one signal is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The whole address, with the path of the signal if there is one.
    pub url: String,
    pub protocol: Protocol,
    /// The variable that said so.
    pub variable: &'static str,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The original's default, and the standard's.
    #[default]
    HttpProtobuf,
    Grpc,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            traces: None,
            metrics: None,
            service_name: names::SERVICE.to_owned(),
            content: Content::default(),
            redactor: Redactor::by_default(),
            common_dimensions: Vec::new(),
            tracing_enabled: true,
            unsampled: Unsampled::default(),
            terminal: None,
            data_dir: None,
            feedback: feedback::Config::default(),
        }
    }
}

impl Config {
    /// Reads the settings.
    ///
    /// By the standard an empty variable is one that is not set. `terminal` is not set here: it belongs to whoever has
    /// one.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        // The general ones first: each signal may have its own.
        let base = reader.optional(&ENDPOINT, given);
        let protocol = reader.value(&PROTOCOL, setting::one_of(&PROTOCOLS));
        Self {
            traces: TRACES.endpoint(reader, base.as_deref(), protocol),
            metrics: METRICS.endpoint(reader, base.as_deref(), protocol),
            service_name: service_name(reader),
            content: reader.value(&CONTENT, setting::one_of(&CONTENTS)),
            redactor: Redactor::read(reader),
            common_dimensions: reader.optional(&COMMON_DIMENSIONS, common_dimensions).unwrap_or_default(),
            tracing_enabled: !reader.value(&DISABLE_TRACING, only_true),
            unsampled: reader.value(&UNSAMPLED, setting::one_of(&UNSAMPLED_WORDS)),
            terminal: None,
            data_dir: reader.optional(&feedback::DATA_DIR, setting::path),
            feedback: feedback::Config::read(reader),
        }
    }
}

pub(super) static ENDPOINT: Setting = Setting::optional(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "traces are printed, metrics sent nowhere",
    "where traces and metrics go; its kin `OTEL_EXPORTER_OTLP_*` as the standard has them",
);
static PROTOCOL: Setting =
    Setting::new("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "how they go: `http/protobuf` or `grpc`");
static SERVICE_NAME: Setting = Setting::optional("OTEL_SERVICE_NAME", "`promptflow`", "who is told of");
static RESOURCE_ATTRIBUTES: Setting =
    Setting::optional("OTEL_RESOURCE_ATTRIBUTES", "none", "likewise, `service.name=NAME,…`");
static CONTENT: Setting = Setting::new(
    "WEIR_TRACE_CONTENT",
    "truncated",
    "`none`, `truncated` (to 4 KiB) or `full` inputs and outputs on spans",
);
static COMMON_DIMENSIONS: Setting =
    Setting::optional("PF_SERVING_METRICS_COMMON_DIMENSIONS", "none", "JSON object added to every point");
pub(super) static DISABLE_TRACING: Setting =
    Setting::new("PF_DISABLE_TRACING", "false", "`true`: no spans but those of feedback");

const PROTOCOLS: [(&str, Protocol); 2] = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];
const CONTENTS: [(&str, Content); 3] =
    [("none", Content::None), ("truncated", Content::Truncated), ("full", Content::Full)];

/// The variables of one signal, and its path below the base endpoint.
struct Signal {
    endpoint: Setting,
    protocol: Setting,
    path: &'static str,
}

static TRACES: Signal = Signal {
    endpoint: Setting::optional(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/traces`",
        "where traces go, with the path",
    ),
    protocol: Setting::optional("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "`OTEL_EXPORTER_OTLP_PROTOCOL`", "how traces go"),
    path: "v1/traces",
};

static METRICS: Signal = Signal {
    endpoint: Setting::optional(
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics`",
        "where metrics go, with the path",
    ),
    protocol: Setting::optional(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "`OTEL_EXPORTER_OTLP_PROTOCOL`",
        "how metrics go",
    ),
    path: "v1/metrics",
};

impl Signal {
    /// The address of the signal as it is, else the base with the signal's path, which is the standard's way and not
    /// the original's: that sent all signals to the base itself.
    fn endpoint(&'static self, reader: &mut Reader<'_>, base: Option<&str>, protocol: Protocol) -> Option<Endpoint> {
        let protocol = reader.optional(&self.protocol, setting::one_of(&PROTOCOLS)).unwrap_or(protocol);
        let own = reader.optional(&self.endpoint, |url| is_address(url, protocol).map(|()| url.to_owned()));
        if let Some(url) = own {
            return Some(Endpoint { url, protocol, variable: self.endpoint.variable });
        }
        let base = base?;
        if let Err(problem) = is_address(base, protocol) {
            reader.complain_once(format!("{}: {problem}", ENDPOINT.variable));
            return None;
        }
        let url = match protocol {
            Protocol::HttpProtobuf => format!("{}/{}", base.trim_end_matches('/'), self.path),
            Protocol::Grpc => base.to_owned(),
        };
        Some(Endpoint { url, protocol, variable: ENDPOINT.variable })
    }
}

/// gRPC takes an address without a scheme, and OTEL_EXPORTER_OTLP_INSECURE says which it means.
fn is_address(url: &str, protocol: Protocol) -> Result<(), String> {
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    let is_bare = protocol == Protocol::Grpc && !url.contains("://");
    if (has_scheme || is_bare) && url.parse::<http::Uri>().is_ok() {
        return Ok(());
    }
    Err(format!("{url:?} is no address; write http://HOST:PORT or https://HOST:PORT"))
}

fn service_name(reader: &mut Reader<'_>) -> String {
    let own = reader.optional(&SERVICE_NAME, given);
    let attributes = reader.optional(&RESOURCE_ATTRIBUTES, given);
    let of_resource = || {
        let mut pairs = attributes.as_ref()?.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| key.trim() == "service.name").map(|(_, value)| value.trim().to_owned())
    };
    own.or_else(of_resource).unwrap_or_else(|| names::SERVICE.to_owned())
}

fn common_dimensions(text: &str) -> Result<Vec<(String, String)>, String> {
    let Ok(dimensions) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) else {
        return Err("not a JSON object; write {\"NAME\": \"VALUE\"}".to_owned());
    };
    if let Some(name) = dimensions.keys().find(|name| dimension::ALL.contains(&name.as_str())) {
        return Err(format!("{name:?} is a dimension of its own; take another name"));
    }
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(dimensions.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// By the standard only `true`, in any case, is true; whatever else is written is not.
fn only_true(text: &str) -> Result<bool, String> {
    Ok(text.eq_ignore_ascii_case("true"))
}

fn given(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let env = setting::Variables(|name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let mut reader = Reader::new(&env);
        let config = Config::read(&mut reader);
        let (_, problems) = reader.finish();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    #[track_caller]
    fn check_endpoints(env: &[(&str, &str)], traces: Option<(&str, Protocol)>, metrics: Option<(&str, Protocol)>) {
        let config = read(env).unwrap();
        let told = |it: &Option<Endpoint>| it.as_ref().map(|it| (it.url.clone(), it.protocol));
        let expected = |it: Option<(&str, Protocol)>| it.map(|(url, protocol)| (url.to_owned(), protocol));
        assert_eq!((told(&config.traces), told(&config.metrics)), (expected(traces), expected(metrics)), "{env:?}");
    }

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_set() {
        check_endpoints(&[], None, None);
        check_endpoints(&[(ENDPOINT.variable, "")], None, None);
    }

    #[test]
    fn a_base_endpoint_gets_the_path_of_each_signal() {
        use Protocol::HttpProtobuf as Http;
        for base in ["http://c:4318", "http://c:4318/"] {
            let expected = (Some(("http://c:4318/v1/traces", Http)), Some(("http://c:4318/v1/metrics", Http)));
            check_endpoints(&[(ENDPOINT.variable, base)], expected.0, expected.1);
        }
        check_endpoints(
            &[(ENDPOINT.variable, "https://c/otlp")],
            Some(("https://c/otlp/v1/traces", Http)),
            Some(("https://c/otlp/v1/metrics", Http)),
        );
    }

    #[test]
    fn an_endpoint_of_a_signal_is_taken_as_it_is() {
        use Protocol::HttpProtobuf as Http;
        check_endpoints(&[(TRACES.endpoint.variable, "http://c/x")], Some(("http://c/x", Http)), None);
        check_endpoints(
            &[(METRICS.endpoint.variable, "http://m/x/"), (ENDPOINT.variable, "http://c")],
            Some(("http://c/v1/traces", Http)),
            Some(("http://m/x/", Http)),
        );
    }

    #[test]
    fn grpc_has_no_paths_and_may_be_chosen_for_one_signal() {
        use Protocol::{Grpc, HttpProtobuf as Http};
        check_endpoints(
            &[(ENDPOINT.variable, "http://c:4317"), (PROTOCOL.variable, "GRPC")],
            Some(("http://c:4317", Grpc)),
            Some(("http://c:4317", Grpc)),
        );
        check_endpoints(
            &[
                (ENDPOINT.variable, "http://c"),
                (PROTOCOL.variable, "grpc"),
                (METRICS.protocol.variable, "http/protobuf"),
            ],
            Some(("http://c", Grpc)),
            Some(("http://c/v1/metrics", Http)),
        );
        check_endpoints(
            &[(TRACES.endpoint.variable, "c:4317"), (PROTOCOL.variable, "grpc")],
            Some(("c:4317", Grpc)),
            None,
        );
    }

    #[test]
    fn the_service_is_promptflow_unless_the_environment_says_otherwise() {
        for (env, expected) in [
            (&[][..], "promptflow"),
            (&[(RESOURCE_ATTRIBUTES.variable, "a=b, service.name = chat")][..], "chat"),
            (&[(RESOURCE_ATTRIBUTES.variable, "service.name=chat"), (SERVICE_NAME.variable, "mine")][..], "mine"),
        ] {
            assert_eq!(read(env).unwrap().service_name, expected, "{env:?}");
        }
    }

    #[test]
    fn tracing_and_content_have_one_switch_each() {
        for (value, expected) in [("true", false), ("TRUE", false), ("false", true), ("1", true), ("", true)] {
            assert_eq!(read(&[(DISABLE_TRACING.variable, value)]).unwrap().tracing_enabled, expected, "{value}");
        }
        for (value, expected) in [("none", Content::None), ("Full", Content::Full), ("", Content::Truncated)] {
            assert_eq!(read(&[(CONTENT.variable, value)]).unwrap().content, expected, "{value}");
        }
    }

    #[test]
    fn common_dimensions_are_texts_in_their_order() {
        let config = read(&[(COMMON_DIMENSIONS.variable, r#"{"region": "eu", "cell": 7, "canary": true}"#)]).unwrap();
        let expected = [("region", "eu"), ("cell", "7"), ("canary", "true")];
        assert_eq!(config.common_dimensions, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(&[
            (TRACES.endpoint.variable, "collector:4318"),
            (METRICS.endpoint.variable, "ftp://collector"),
            (PROTOCOL.variable, "http/json"),
            (CONTENT.variable, "some"),
            (COMMON_DIMENSIONS.variable, r#"{"flow": "x"}"#),
        ])
        .unwrap_err();
        assert_eq!(
            problems,
            [
                r#"OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is unknown; write one of: http/protobuf, grpc"#,
                r#"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector:4318" is no address; write http://HOST:PORT or https://HOST:PORT"#,
                r#"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "ftp://collector" is no address; write http://HOST:PORT or https://HOST:PORT"#,
                r#"WEIR_TRACE_CONTENT: "some" is unknown; write one of: none, truncated, full"#,
                r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: "flow" is a dimension of its own; take another name"#,
            ]
        );
        let problems = read(&[(COMMON_DIMENSIONS.variable, "[]")]).unwrap_err();
        assert_eq!(problems, [r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: not a JSON object; write {"NAME": "VALUE"}"#]);
    }
}
