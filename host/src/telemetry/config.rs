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
    /// On every point of the eight metrics.
    pub common_dimensions: Vec<(String, String)>,
    /// Whether there are spans. Without, there are still metrics and feedbacks.
    pub tracing_enabled: bool,
    /// Prints each finished trace, unless spans are sent somewhere.
    pub terminal: Option<Terminal>,
    /// Where feedback is safe until it is delivered; none: in memory.
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
            common_dimensions: Vec::new(),
            tracing_enabled: true,
            terminal: None,
            data_dir: None,
            feedback: feedback::Config::default(),
        }
    }
}

impl Config {
    /// Reads the settings; `get` gives the value of an environment variable.
    ///
    /// By the standard an empty variable is one that is not set. `terminal`, `data_dir` and `feedback` are not set here: they
    /// belong to whoever has a terminal, or takes feedback.
    ///
    /// # Errors
    /// All that is wrong, one sentence each.
    pub fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut reader = Reader { get, problems: Vec::new() };
        let config = Self {
            traces: reader.endpoint(&TRACES),
            metrics: reader.endpoint(&METRICS),
            service_name: reader.service_name(),
            content: reader.content(),
            common_dimensions: reader.common_dimensions(),
            tracing_enabled: !reader.get(DISABLE_TRACING).is_some_and(|value| value.eq_ignore_ascii_case("true")),
            terminal: None,
            data_dir: None,
            feedback: feedback::Config::default(),
        };
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

pub(super) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(super) const DISABLE_TRACING: &str = "PF_DISABLE_TRACING";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const CONTENT: &str = "WEIR_TRACE_CONTENT";
const COMMON_DIMENSIONS: &str = "PF_SERVING_METRICS_COMMON_DIMENSIONS";

/// The variables of one signal, and its path below the base endpoint.
struct Signal {
    endpoint: &'static str,
    protocol: &'static str,
    path: &'static str,
}

const TRACES: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    path: "v1/traces",
};

const METRICS: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    path: "v1/metrics",
};

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The address of the signal as it is, else the base with the signal's path, which is the standard's way and not
    /// the original's: that sent all signals to the base itself.
    fn endpoint(&mut self, signal: &Signal) -> Option<Endpoint> {
        let protocol = self.protocol(signal);
        let (variable, url) = match (self.get(signal.endpoint), self.get(ENDPOINT)) {
            (Some(url), _) => (signal.endpoint, url),
            (None, Some(base)) => (ENDPOINT, base),
            (None, None) => return None,
        };
        // gRPC takes an address without a scheme, and OTEL_EXPORTER_OTLP_INSECURE says which it means.
        let has_scheme = url.starts_with("http://") || url.starts_with("https://");
        if !(has_scheme || protocol == Protocol::Grpc && !url.contains("://")) || url.parse::<http::Uri>().is_err() {
            self.problems
                .push(format!("{variable}: {url:?} is no address; write http://HOST:PORT or https://HOST:PORT"));
            return None;
        }
        let url = match (protocol, variable) {
            (Protocol::HttpProtobuf, ENDPOINT) => format!("{}/{}", url.trim_end_matches('/'), signal.path),
            _ => url,
        };
        Some(Endpoint { url, protocol, variable })
    }

    fn protocol(&mut self, signal: &Signal) -> Protocol {
        for variable in [signal.protocol, PROTOCOL] {
            let Some(value) = self.get(variable) else { continue };
            match value.to_ascii_lowercase().as_str() {
                "http/protobuf" => return Protocol::HttpProtobuf,
                "grpc" => return Protocol::Grpc,
                _ => {
                    let problem = format!("{variable}: {value:?} is not spoken here; write http/protobuf or grpc");
                    // The general variable is read once for each signal.
                    if !self.problems.contains(&problem) {
                        self.problems.push(problem);
                    }
                    break;
                }
            }
        }
        Protocol::default()
    }

    fn service_name(&self) -> String {
        let of_resource = || {
            let attributes = self.get(RESOURCE_ATTRIBUTES)?;
            let mut pairs = attributes.split(',').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| key.trim() == "service.name").map(|(_, value)| value.trim().to_owned())
        };
        self.get(SERVICE_NAME).or_else(of_resource).unwrap_or_else(|| names::SERVICE.to_owned())
    }

    fn content(&mut self) -> Content {
        let Some(value) = self.get(CONTENT) else { return Content::default() };
        match value.to_ascii_lowercase().as_str() {
            "none" => Content::None,
            "truncated" => Content::Truncated,
            "full" => Content::Full,
            _ => {
                self.problems.push(format!("{CONTENT}: {value:?} is unknown; write none, truncated or full"));
                Content::default()
            }
        }
    }

    fn common_dimensions(&mut self) -> Vec<(String, String)> {
        let Some(text) = self.get(COMMON_DIMENSIONS) else { return Vec::new() };
        let Ok(dimensions) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text) else {
            self.problems.push(format!("{COMMON_DIMENSIONS}: not a JSON object; write {{\"NAME\": \"VALUE\"}}"));
            return Vec::new();
        };
        for name in dimensions.keys().filter(|name| dimension::ALL.contains(&name.as_str())) {
            self.problems.push(format!("{COMMON_DIMENSIONS}: {name:?} is a dimension of its own; take another name"));
        }
        let text = |value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        dimensions.into_iter().map(|(name, value)| (name, text(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        Config::from_env(&|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
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
        check_endpoints(&[(ENDPOINT, "")], None, None);
    }

    #[test]
    fn a_base_endpoint_gets_the_path_of_each_signal() {
        use Protocol::HttpProtobuf as Http;
        for base in ["http://c:4318", "http://c:4318/"] {
            let expected = (Some(("http://c:4318/v1/traces", Http)), Some(("http://c:4318/v1/metrics", Http)));
            check_endpoints(&[(ENDPOINT, base)], expected.0, expected.1);
        }
        check_endpoints(
            &[(ENDPOINT, "https://c/otlp")],
            Some(("https://c/otlp/v1/traces", Http)),
            Some(("https://c/otlp/v1/metrics", Http)),
        );
    }

    #[test]
    fn an_endpoint_of_a_signal_is_taken_as_it_is() {
        use Protocol::HttpProtobuf as Http;
        check_endpoints(&[(TRACES.endpoint, "http://c/x")], Some(("http://c/x", Http)), None);
        check_endpoints(
            &[(METRICS.endpoint, "http://m/x/"), (ENDPOINT, "http://c")],
            Some(("http://c/v1/traces", Http)),
            Some(("http://m/x/", Http)),
        );
    }

    #[test]
    fn grpc_has_no_paths_and_may_be_chosen_for_one_signal() {
        use Protocol::{Grpc, HttpProtobuf as Http};
        check_endpoints(
            &[(ENDPOINT, "http://c:4317"), (PROTOCOL, "GRPC")],
            Some(("http://c:4317", Grpc)),
            Some(("http://c:4317", Grpc)),
        );
        check_endpoints(
            &[(ENDPOINT, "http://c"), (PROTOCOL, "grpc"), (METRICS.protocol, "http/protobuf")],
            Some(("http://c", Grpc)),
            Some(("http://c/v1/metrics", Http)),
        );
        check_endpoints(&[(TRACES.endpoint, "c:4317"), (PROTOCOL, "grpc")], Some(("c:4317", Grpc)), None);
    }

    #[test]
    fn the_service_is_promptflow_unless_the_environment_says_otherwise() {
        for (env, expected) in [
            (&[][..], "promptflow"),
            (&[(RESOURCE_ATTRIBUTES, "a=b, service.name = chat")][..], "chat"),
            (&[(RESOURCE_ATTRIBUTES, "service.name=chat"), (SERVICE_NAME, "mine")][..], "mine"),
        ] {
            assert_eq!(read(env).unwrap().service_name, expected, "{env:?}");
        }
    }

    #[test]
    fn tracing_and_content_have_one_switch_each() {
        for (value, expected) in [("true", false), ("TRUE", false), ("false", true), ("1", true), ("", true)] {
            assert_eq!(read(&[(DISABLE_TRACING, value)]).unwrap().tracing_enabled, expected, "{value}");
        }
        for (value, expected) in [("none", Content::None), ("Full", Content::Full), ("", Content::Truncated)] {
            assert_eq!(read(&[(CONTENT, value)]).unwrap().content, expected, "{value}");
        }
    }

    #[test]
    fn common_dimensions_are_texts_in_their_order() {
        let config = read(&[(COMMON_DIMENSIONS, r#"{"region": "eu", "cell": 7, "canary": true}"#)]).unwrap();
        let expected = [("region", "eu"), ("cell", "7"), ("canary", "true")];
        assert_eq!(config.common_dimensions, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(&[
            (TRACES.endpoint, "collector:4318"),
            (METRICS.endpoint, "ftp://collector"),
            (PROTOCOL, "http/json"),
            (CONTENT, "some"),
            (COMMON_DIMENSIONS, r#"{"flow": "x"}"#),
        ])
        .unwrap_err();
        assert_eq!(
            problems,
            [
                r#"OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is not spoken here; write http/protobuf or grpc"#,
                r#"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector:4318" is no address; write http://HOST:PORT or https://HOST:PORT"#,
                r#"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "ftp://collector" is no address; write http://HOST:PORT or https://HOST:PORT"#,
                r#"WEIR_TRACE_CONTENT: "some" is unknown; write none, truncated or full"#,
                r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: "flow" is a dimension of its own; take another name"#,
            ]
        );
        let problems = read(&[(COMMON_DIMENSIONS, "[]")]).unwrap_err();
        assert_eq!(problems, [r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: not a JSON object; write {"NAME": "VALUE"}"#]);
    }
}
