//! Variables of prompt flow and OpenTelemetry that mean something else here, or nothing: told at start, so that nobody looks for their effect.

use crate::setting::{Reader, Setting};

/// Prompt flow's level of the log, by name or number; comes after `WEIR_LOG`.
pub static LOGGING_LEVEL: Setting = Setting::optional(
    "PF_LOGGING_LEVEL",
    "`WEIR_LOG`",
    "likewise, as prompt flow writes it: `DEBUG`, `WARNING`, `20`, …",
);

/// What has no effect here, and what has.
const WITHOUT_EFFECT: [(&str, &str); 16] = [
    ("PROMPTFLOW_SERVING_ENGINE", "there is one engine"),
    ("PROMPTFLOW_WORKER_NUM", "one process serves all requests; WEIR_MAX_CONCURRENCY says how many at a time"),
    ("PROMPTFLOW_WORKER_THREADS", "one process serves all requests; WEIR_MAX_CONCURRENCY says how many at a time"),
    ("PROMPTFLOW_CONNECTION_PROVIDER", "connections come from files and the environment; see WEIR_CONNECTIONS"),
    ("PF_CONNECTION_PROVIDER", "connections come from files and the environment; see WEIR_CONNECTIONS"),
    ("PF_HTTP_CONNECTION_PROVIDER_ENDPOINT", "connections come from files and the environment; see WEIR_CONNECTIONS"),
    (
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "metrics are read into an outbox at once; OTEL_EXPORTER_OTLP_TIMEOUT is for sending",
    ),
    ("OTEL_BSP_EXPORT_TIMEOUT", "spans go into an outbox at once; OTEL_EXPORTER_OTLP_TIMEOUT is for sending"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "log records go into an outbox at once; OTEL_EXPORTER_OTLP_TIMEOUT is for sending"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "points have no exemplars"),
    ("OTEL_CONFIG_FILE", "settings come from the environment and from weir.yaml"),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "there is no exporter for Zipkin; its collector takes OTLP"),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", "there is no exporter for Jaeger; its collector takes OTLP"),
    ("PF_LONG_RUNNING_LOGGING_INTERVAL", "how long a node runs is on its span"),
    ("PF_LOG_FORMAT", "the log has one form; see WEIR_LOG"),
    ("PF_LOG_DATETIME_FORMAT", "the log has one form; see WEIR_LOG"),
];

/// The level of the log, as `WEIR_LOG` has it.
pub(super) fn log_level(reader: &mut Reader<'_>) -> Option<String> {
    reader.optional(&LOGGING_LEVEL, |text| {
        let level = match text.to_ascii_uppercase().as_str() {
            "CRITICAL" | "FATAL" | "ERROR" | "50" | "40" => "error",
            "WARNING" | "WARN" | "30" => "warn",
            "INFO" | "20" => "info",
            "DEBUG" | "10" => "debug",
            _ => return Err(format!("{text:?} is no level; write DEBUG, INFO, WARNING, ERROR or CRITICAL")),
        };
        Ok(level.to_owned())
    })
}

/// What is worth knowing of the variables that are set.
pub fn notes(get: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let set = WITHOUT_EFFECT.iter().filter(|(name, _)| get(name).is_some_and(|value| value != "local"));
    set.map(|(name, instead)| format!("{name} has no effect here: {instead}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Variables;

    #[test]
    fn levels_are_those_of_pythons_log() {
        for (text, level) in [("warning", Some("warn")), ("10", Some("debug")), ("", None), ("loud", None)] {
            let variables = Variables(|name: &str| (name == LOGGING_LEVEL.variable).then(|| text.to_owned()));
            let mut reader = Reader::new(&variables);
            assert_eq!(log_level(&mut reader).as_deref(), level, "{text}");
            assert_eq!(reader.finish().1.len(), usize::from(text == "loud"));
        }
    }

    #[test]
    fn only_what_is_set_is_worth_a_note() {
        let get = |name: &str| match name {
            "PROMPTFLOW_CONNECTION_PROVIDER" => Some("local".to_owned()),
            "PROMPTFLOW_SERVING_ENGINE" => Some("fastapi".to_owned()),
            _ => None,
        };
        assert_eq!(notes(&get), ["PROMPTFLOW_SERVING_ENGINE has no effect here: there is one engine"]);
    }
}
