//! Which exporters are on, for each signal, and what decided it.

use std::fmt;

use crate::setting::{self, Reader, Setting};
use crate::telemetry::outbox::parcel::Signal;

pub(crate) static TRACES: Setting = Setting::optional(
    "OTEL_TRACES_EXPORTER",
    "those that have an address; without one traces are printed",
    "where traces go: `otlp`, `azuremonitor`, `console`, `none`, or several with commas",
);
pub(crate) static METRICS: Setting = Setting::optional(
    "OTEL_METRICS_EXPORTER",
    "those that have an address, and `prometheus`",
    "where metrics go: `otlp`, `azuremonitor`, `prometheus`, `console`, `none`, or several with commas",
);
pub(crate) static LOGS: Setting = Setting::optional(
    "OTEL_LOGS_EXPORTER",
    "those that have an address",
    "where log records go, beside standard error: `otlp`, `azuremonitor`, `console`, `none`, or several with commas",
);
/// Prompt flow's: its own exporters of traces are not to be started.
pub(crate) static TRACES_DISABLED: Setting = Setting::new(
    "PF_BUILTIN_TRACE_EXPORTERS_DISABLE",
    "false",
    "`true`: traces go nowhere that `OTEL_TRACES_EXPORTER` does not name",
);

/// What can be told to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exporter {
    Otlp,
    AzureMonitor,
    Prometheus,
    Console,
}

impl Exporter {
    const ALL: [Self; 4] = [Self::Otlp, Self::AzureMonitor, Self::Prometheus, Self::Console];

    /// As the standard's variables have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::AzureMonitor => "azuremonitor",
            Self::Prometheus => "prometheus",
            Self::Console => "console",
        }
    }

    fn tells(self, signal: Signal) -> bool {
        self != Self::Prometheus || signal == Signal::Metrics
    }
}

impl fmt::Display for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The exporters of one signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) exporters: Vec<Exporter>,
    /// The variable that names them; none: they follow from what else is set.
    pub(crate) by: Option<&'static str>,
}

impl Chosen {
    pub(crate) fn has(&self, exporter: Exporter) -> bool {
        self.exporters.contains(&exporter)
    }
}

/// The exporters of all signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) traces: Chosen,
    pub(crate) metrics: Chosen,
    pub(crate) logs: Chosen,
}

/// What else is set that decides.
pub(crate) struct Addresses<'a> {
    /// Whether OTLP has an address for a signal.
    pub(crate) otlp: &'a dyn Fn(Signal) -> bool,
    /// Whether Application Insights is connected.
    pub(crate) azure_monitor: bool,
}

impl Choice {
    pub(crate) fn read(reader: &mut Reader<'_>, addresses: &Addresses<'_>) -> Self {
        let disabled = reader.value(&TRACES_DISABLED, setting::only_true);
        let mut chosen = |signal, setting| {
            let named = reader.optional(setting, |text| named(text, signal, addresses));
            match named {
                Some(exporters) => Chosen { exporters, by: Some(setting.variable) },
                None if signal == Signal::Traces && disabled => {
                    Chosen { exporters: Vec::new(), by: Some(TRACES_DISABLED.variable) }
                }
                None => Chosen { exporters: implied(signal, addresses), by: None },
            }
        };
        Self {
            traces: chosen(Signal::Traces, &TRACES),
            metrics: chosen(Signal::Metrics, &METRICS),
            logs: chosen(Signal::Logs, &LOGS),
        }
    }

    pub(crate) fn of(&self, signal: Signal) -> &Chosen {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// Nothing is told to anyone, as this variable wants it.
    pub(crate) fn nothing(by: &'static str) -> Self {
        let none = || Chosen { exporters: Vec::new(), by: Some(by) };
        Self { traces: none(), metrics: none(), logs: none() }
    }
}

impl Default for Choice {
    /// Of a host for which nothing is set.
    fn default() -> Self {
        let addresses = Addresses { otlp: &|_| false, azure_monitor: false };
        let chosen = |signal| Chosen { exporters: implied(signal, &addresses), by: None };
        Self { traces: chosen(Signal::Traces), metrics: chosen(Signal::Metrics), logs: chosen(Signal::Logs) }
    }
}

/// Whoever has an address; where that is nobody, traces are shown to whoever started the host.
fn implied(signal: Signal, addresses: &Addresses<'_>) -> Vec<Exporter> {
    let mut exporters = Vec::new();
    exporters.extend((addresses.otlp)(signal).then_some(Exporter::Otlp));
    exporters.extend(addresses.azure_monitor.then_some(Exporter::AzureMonitor));
    match signal {
        Signal::Traces if exporters.is_empty() => exporters.push(Exporter::Console),
        // It costs nothing until it is asked for, on a port that is not public.
        Signal::Metrics => exporters.push(Exporter::Prometheus),
        Signal::Traces | Signal::Logs => {}
    }
    exporters
}

fn named(text: &str, signal: Signal, addresses: &Addresses<'_>) -> Result<Vec<Exporter>, String> {
    let mut exporters = Vec::new();
    let mut none = false;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("none") {
            none = true;
            continue;
        }
        let Some(exporter) = Exporter::ALL.into_iter().find(|it| word.eq_ignore_ascii_case(it.as_str())) else {
            let known: Vec<_> = Exporter::ALL.into_iter().filter(|it| it.tells(signal)).map(Exporter::as_str).collect();
            return Err(format!(
                "{word:?} is no exporter of {}; there are: {}, none",
                signal.as_str(),
                known.join(", ")
            ));
        };
        if !exporter.tells(signal) {
            return Err(format!("{exporter} has no {}; it is an exporter of metrics", signal.as_str()));
        }
        if exporter == Exporter::AzureMonitor && !addresses.azure_monitor {
            return Err("azuremonitor has no address; set APPLICATIONINSIGHTS_CONNECTION_STRING".to_owned());
        }
        if !exporters.contains(&exporter) {
            exporters.push(exporter);
        }
    }
    if none && !exporters.is_empty() {
        return Err(format!("{text:?} names `none` beside others; leave it out, or the others"));
    }
    Ok(exporters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Variables;

    /// The exporters of traces, metrics and logs, as words.
    #[track_caller]
    fn check(env: &[(&str, &str)], otlp: bool, azure_monitor: bool, expected: Result<[&str; 3], &str>) {
        let variables =
            Variables(|name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
        let mut reader = Reader::new(&variables);
        let choice = Choice::read(&mut reader, &Addresses { otlp: &|_| otlp, azure_monitor });
        let problems = reader.finish().1;
        let words = |chosen: &Chosen| chosen.exporters.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" ");
        match expected {
            Ok(expected) => {
                assert_eq!(problems, Vec::<String>::new());
                assert_eq!([&choice.traces, &choice.metrics, &choice.logs].map(words), expected, "{env:?}");
            }
            Err(problem) => assert_eq!(problems, [problem], "{env:?}"),
        }
    }

    #[test]
    fn who_has_an_address_is_told() {
        check(&[], false, false, Ok(["console", "prometheus", ""]));
        check(&[], true, false, Ok(["otlp", "otlp prometheus", "otlp"]));
        check(&[], false, true, Ok(["azuremonitor", "azuremonitor prometheus", "azuremonitor"]));
        check(&[], true, true, Ok(["otlp azuremonitor", "otlp azuremonitor prometheus", "otlp azuremonitor"]));
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let env = [(TRACES.variable, "Console, otlp,otlp"), (METRICS.variable, "none"), (LOGS.variable, "console")];
        check(&env, false, false, Ok(["console otlp", "", "console"]));
    }

    #[test]
    fn prompt_flows_switch_leaves_traces_to_those_that_are_named() {
        let off = (TRACES_DISABLED.variable, "True");
        check(&[off], true, false, Ok(["", "otlp prometheus", "otlp"]));
        check(&[off, (TRACES.variable, "otlp")], true, false, Ok(["otlp", "otlp prometheus", "otlp"]));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (name, value, problem) in [
            (
                TRACES.variable,
                "zipkin",
                "\"zipkin\" is no exporter of traces; there are: otlp, azuremonitor, console, none",
            ),
            (TRACES.variable, "prometheus", "prometheus has no traces; it is an exporter of metrics"),
            (
                METRICS.variable,
                "azuremonitor",
                "azuremonitor has no address; set APPLICATIONINSIGHTS_CONNECTION_STRING",
            ),
            (LOGS.variable, "none,otlp", "\"none,otlp\" names `none` beside others; leave it out, or the others"),
        ] {
            check(&[(name, value)], true, false, Err(&format!("{name}: {problem}")));
        }
    }
}
