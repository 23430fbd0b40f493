//! What is told, how much of it, and where to: read from the environment that prompt flow and OpenTelemetry define.
//!
//! Where something is sent over OTLP, and how, is in otlp/config.rs.

mod limits;
mod reading;
mod resource;

use std::path::PathBuf;

use super::azure_monitor;
use super::console::Terminal;
use super::content::Policy;
use super::exporters;
use super::exporters::chosen::{Addresses, Choice, Chosen, Exporter};
use super::feedback;
use super::logs::HostLog;
use super::names::dimension;
use super::otlp::config as otlp;
use super::outbox;
use super::propagation::{PROPAGATORS, Propagators};
use super::redaction::Redactor;
use super::sampler;
use super::spans::Dialects;
use crate::identity::Identity;
use crate::setting::{self, Reader, Setting};
pub(crate) use limits::Limits;
pub(crate) use reading::Reading;

/// Settings of telemetry.
#[derive(Debug)]
pub struct Config {
    /// Which exporters are on.
    pub(super) choice: Choice,
    /// Where each signal goes over OTLP.
    pub otlp: otlp::Config,
    /// The Application Insights resource that everything goes to, if there is one.
    pub app_insights: azure_monitor::Config,
    /// How much waits for exporters, and where.
    pub(super) outbox: outbox::Config,
    /// Of this host, for destinations that take its tokens.
    pub identity: Identity,
    /// Who is told of.
    pub resource: resource::Attributes,
    pub propagators: Propagators,
    pub limits: Limits,
    pub reading: Reading,
    pub content: Policy,
    pub dialects: Dialects,
    /// Masks what must be told to nobody. It learns the secrets of the host when they are known.
    pub redactor: Redactor,
    /// On every point of the eight metrics.
    pub common_dimensions: Vec<(String, String)>,
    /// Whether there are spans. Without, there are still metrics and feedbacks.
    pub tracing_enabled: bool,
    pub sampler: sampler::Config,
    /// Prints each finished trace, unless spans are sent somewhere.
    pub terminal: Option<Terminal>,
    /// The log of this process, which is told to whoever is told logs.
    pub host_log: Option<HostLog>,
    /// Where feedback is safe until it is delivered; none: in memory. For a host that takes feedback.
    pub data_dir: Option<PathBuf>,
    pub feedback: feedback::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            choice: Choice::default(),
            otlp: otlp::Config::default(),
            app_insights: azure_monitor::Config::default(),
            outbox: outbox::Config::default(),
            identity: Identity::from_env(&|_| None),
            resource: resource::Attributes::default(),
            propagators: Propagators::default(),
            limits: Limits::default(),
            reading: Reading::default(),
            content: Policy::default(),
            dialects: Dialects::default(),
            redactor: Redactor::by_default(),
            common_dimensions: Vec::new(),
            tracing_enabled: true,
            sampler: sampler::Config::default(),
            terminal: None,
            host_log: None,
            data_dir: None,
            feedback: feedback::Config::default(),
        }
    }
}

impl Config {
    /// Whoever asks for the trace here wants to see it here, and nowhere else.
    pub fn print_traces(&mut self, terminal: Terminal) {
        self.choice.traces = Chosen { exporters: vec![Exporter::Console], by: None };
        self.terminal = Some(terminal);
    }

    /// What goes where and which variable decided it, one line for each exporter of a signal.
    pub fn describe(&self) -> Vec<String> {
        exporters::lines(self)
    }

    /// Reads the settings.
    ///
    /// By the standard an empty variable is one that is not set. `terminal` and `host_log` are not set here: they
    /// belong to whoever has them; nor is `identity`, which comes of variables that are not ours.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let otlp = otlp::Config::read(reader);
        let given = |signal| otlp.given(signal).is_some();
        let app_insights = azure_monitor::Config::read(reader);
        let azure_monitor = app_insights.connected().is_some();
        let choice = Choice::read(reader, &Addresses { otlp: &given, azure_monitor });
        Self {
            app_insights,
            choice: if reader.value(&DISABLED, setting::only_true) {
                Choice::nothing(DISABLED.variable)
            } else {
                choice
            },
            otlp,
            outbox: outbox::Config::read(reader),
            identity: Identity::from_env(&|_| None),
            resource: resource::Attributes::read(reader),
            propagators: reader.value(&PROPAGATORS, Propagators::parse),
            limits: Limits::read(reader),
            reading: Reading::read(reader),
            content: Policy::read(reader),
            dialects: Dialects::read(reader),
            redactor: Redactor::read(reader),
            common_dimensions: reader.optional(&COMMON_DIMENSIONS, common_dimensions).unwrap_or_default(),
            tracing_enabled: !reader.value(&DISABLE_TRACING, setting::only_true),
            sampler: sampler::Config::read(reader),
            terminal: None,
            host_log: None,
            data_dir: reader.optional(&feedback::DATA_DIR, setting::path),
            feedback: feedback::Config::read(reader),
        }
    }
}

static DISABLED: Setting = Setting::new(
    "OTEL_SDK_DISABLED",
    "false",
    "`true`: nothing is told to anyone; feedback waits in the data directory",
);
static COMMON_DIMENSIONS: Setting =
    Setting::optional("PF_SERVING_METRICS_COMMON_DIMENSIONS", "none", "JSON object added to every point");
pub(super) static DISABLE_TRACING: Setting =
    Setting::new("PF_DISABLE_TRACING", "false", "`true`: no spans but those of feedback");

fn common_dimensions(text: &str) -> Result<Vec<(String, String)>, String> {
    let Ok(dimensions) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) else {
        return Err("not a JSON object; write {\"NAME\": \"VALUE\"}".to_owned());
    };
    for name in dimensions.keys() {
        // Prometheus knows letters, digits and underscores; other characters become one.
        let there = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        if dimension::ALL.contains(&there.as_str()) {
            return Err(format!("{name:?} is a dimension of its own; take another name"));
        }
        if there.is_empty()
            || there.starts_with(|c: char| c.is_ascii_digit())
            || there.starts_with("__")
            || there == "le"
        {
            return Err(format!(
                "{name:?} cannot be a label of Prometheus; begin with a letter, and do not write `le`"
            ));
        }
    }
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(dimensions.into_iter().map(|(name, value)| (name, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Content;

    fn read(env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        setting::read_from(env, Config::read)
    }

    #[test]
    fn tracing_and_content_have_one_switch_each() {
        for (value, expected) in [("true", false), ("TRUE", false), ("false", true), ("1", true), ("", true)] {
            assert_eq!(read(&[(DISABLE_TRACING.variable, value)]).unwrap().tracing_enabled, expected, "{value}");
        }
        assert_eq!(read(&[("WEIR_TRACE_CONTENT", "Full")]).unwrap().content, Policy::from(Content::Full));
        assert_eq!(read(&[]).unwrap().content, Policy::default());
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
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
            ("WEIR_TRACE_CONTENT", "some"),
            (COMMON_DIMENSIONS.variable, r#"{"flow": "x"}"#),
        ])
        .unwrap_err();
        assert_eq!(
            problems,
            [
                r#"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "collector:4318" is no address; write http://HOST:PORT or https://HOST:PORT"#,
                r#"WEIR_TRACE_CONTENT: "some" is unknown; write one of: none, truncated, full"#,
                r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: "flow" is a dimension of its own; take another name"#,
            ]
        );
        let problems = read(&[(COMMON_DIMENSIONS.variable, "[]")]).unwrap_err();
        assert_eq!(problems, [r#"PF_SERVING_METRICS_COMMON_DIMENSIONS: not a JSON object; write {"NAME": "VALUE"}"#]);
    }
}
