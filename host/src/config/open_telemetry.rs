//! OpenTelemetry's variable that is not telemetry's: what it logs of itself goes to the host's log.

use crate::setting::{self, Reader, Setting};

pub(super) static LOG_LEVEL: Setting = Setting::optional(
    "OTEL_LOG_LEVEL",
    "`WEIR_LOG`",
    "likewise for what telemetry says of itself: `none`, `error`, `warn`, `info`, `debug` or `verbose`",
);

const LEVELS: [(&str, &str); 8] = [
    ("none", "off"),
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("verbose", "trace"),
    ("trace", "trace"),
    ("all", "trace"),
];

/// Modules and crates that speak of telemetry.
const SPEAKERS: [&str; 5] = ["weir::telemetry", "opentelemetry", "opentelemetry_sdk", "opentelemetry-sdk", "tonic"];

/// The filter of the log, with what `OTEL_LOG_LEVEL` says of telemetry. What the filter itself says of it holds.
pub(super) fn with_log_level(reader: &mut Reader<'_>, filter: String) -> String {
    let Some(level) = reader.optional(&LOG_LEVEL, setting::one_of(&LEVELS)) else { return filter };
    let own = SPEAKERS.iter().filter(|speaker| !filter.contains(*speaker)).map(|speaker| format!("{speaker}={level}"));
    // Behind: of two that are equally exact the last one counts, and these are not in the filter.
    [filter.clone()].into_iter().chain(own).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Variables;

    #[track_caller]
    fn check(level: &str, filter: &str, expected: &str) {
        let variables = Variables(|name: &str| (name == LOG_LEVEL.variable).then(|| level.to_owned()));
        let mut reader = Reader::new(&variables);
        assert_eq!(with_log_level(&mut reader, filter.to_owned()), expected);
        assert_eq!(reader.finish().1.len(), usize::from(level == "loud"));
    }

    #[test]
    fn telemetry_has_a_level_of_its_own_unless_the_filter_names_it() {
        check("", "info", "info");
        check("loud", "info", "info");
        check(
            "None",
            "info",
            "info,weir::telemetry=off,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-sdk=off,tonic=off",
        );
        let filter = "warn,weir::telemetry=debug,opentelemetry=warn";
        check("verbose", filter, &format!("{filter},opentelemetry_sdk=trace,opentelemetry-sdk=trace,tonic=trace"));
    }
}
