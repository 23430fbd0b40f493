//! The table of instruments against a run's export by OTLP, against what Prometheus reads, and against the README.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Collector, FakeModel, Form, TestHost};
use http::StatusCode;
use serde_json::json;
use weir::boundary::Capability;
use weir::boundary::error::{NodeError, NodeFailure};
use weir::capability;
use weir::capability::files::Files;
use weir::capability::http::Http;
use weir::capability::llm::Llm;
use weir::capability::nodes::Nodes;
use weir::telemetry::names::{self, metric, metric::Instrument, metric::Kind};

use crate::readme;

/// A metric as Prometheus reads it.
#[derive(Debug, Default)]
pub(crate) struct Family {
    kind: String,
    help: String,
    /// Labels of each point, without the bound of a bucket.
    pub(crate) labels: Vec<BTreeSet<String>>,
    bounds: BTreeSet<String>,
}

/// Hosts that do everything there is to measure: what the collector has of them, and what Prometheus would read.
pub(crate) async fn everything() -> (Collector, BTreeMap<String, Family>) {
    let collector = Collector::start();
    let mut families = BTreeMap::new();

    let model = FakeModel::replies("one two three").start();
    let host = TestHost::flow("llm_relays").model(&model).collector(&collector).start().await;
    assert_eq!(host.score(json!({"question": "hi"})).await.status, 200);
    assert_eq!(host.stream(json!({"question": "hi"})).await.rest().await.len(), 3);
    assert_eq!(host.score_with(&[], vec![b' '; 5 << 20]).await.status, 413);
    collector.metric_when("weir.request.running", |metric| !metric.points.is_empty()).await;
    read(&mut families, host.get_admin("/metrics").await.text());
    host.stop().await;

    let host = TestHost::flow("run_traps").collector(&collector).env("WEIR_TAIL_RATIO", "0.5");
    let host =
        host.env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio").env("WEIR_TRACE_FORCED", "1/m").start().await;
    assert_eq!(host.score(json!({"message": "lost"})).await.status, 500);
    // Twice as many as in a minute may come at once.
    for _ in 0..3 {
        let forced = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
        assert_eq!(host.score_with(&forced, r#"{"message": "lost"}"#).await.status, 500);
    }
    // Of what failed, tail sampling decides at once.
    collector.metric_when("weir.sampling.spans", |metric| metric.count() > 0).await;
    read(&mut families, host.get_admin("/metrics").await.text());
    host.stop().await;

    // A service that is asked again in vain, and then not at all.
    let failing = FakeModel::echo().failing(StatusCode::SERVICE_UNAVAILABLE, 2).start();
    let host = TestHost::flow("llm_node").model(&failing).collector(&collector);
    let host = host.env("WEIR_LLM_RETRIES", "1").env("WEIR_BREAKER_FAILURES", "2").start().await;
    assert_eq!(host.score(json!({"question": "hi"})).await.status, 400);
    assert_eq!(host.score(json!({"question": "hi"})).await.status, 400);
    read(&mut families, host.get_admin("/metrics").await.text());
    host.stop().await;

    let host = TestHost::flow("llm_without_grant").model(&model).collector(&collector).start().await;
    host.score(json!({"question": "hi"})).await;
    read(&mut families, host.get_admin("/metrics").await.text());
    host.stop().await;

    // An instance that is used again.
    let flow = "inputs: {}\noutputs: {}\nnodes:\n\
                - {name: n, type: wasm, source: {type: code, path: guests/state_keeps.wasm}, instances: reuse}\n";
    let host = TestHost::written("reuse", flow).collector(&collector).start().await;
    for _ in 0..2 {
        assert_eq!(host.score(json!({})).await.status, 200);
    }
    read(&mut families, host.get_admin("/metrics").await.text());
    host.stop().await;
    (collector, families)
}

#[tokio::test]
async fn a_run_exports_what_is_promised_and_nothing_else() {
    let (collector, families) = everything().await;
    let mut faults = Vec::new();

    let promised: BTreeSet<&str> = metric::ALL.iter().map(|it| it.name).collect();
    let exported = collector.instruments();
    let exported: BTreeSet<&str> = exported.iter().map(String::as_str).collect();
    assert_eq!(exported, promised, "the instruments of a run, and of names/metric.rs");
    for instrument in metric::ALL {
        let found = collector.metric(instrument.name);
        let form = Form {
            kind: kind(instrument.kind),
            unit: instrument.unit.to_owned(),
            description: instrument.meaning.to_owned(),
            scope: scope(instrument).to_owned(),
        };
        assert_eq!(found.form, form, "{}", instrument.name);
        for (labels, point) in &found.points {
            let labels = labels.keys().cloned().collect();
            faults.extend(misfit(instrument, &labels, str::to_owned).map(|fault| format!("OTLP: {fault}")));
            assert_eq!(point.bounds, instrument.bounds, "{}", instrument.name);
        }
    }

    let read: BTreeSet<&str> = families.keys().map(String::as_str).filter(|name| *name != "target_info").collect();
    let promised: BTreeSet<String> = metric::ALL.iter().map(prometheus_name).collect();
    assert_eq!(read, promised.iter().map(String::as_str).collect(), "what Prometheus reads, and names/metric.rs");
    for instrument in metric::ALL {
        let family = &families[&prometheus_name(instrument)];
        let kind = match instrument.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!((family.kind.as_str(), family.help.as_str()), (kind, instrument.meaning), "{}", instrument.name);
        for labels in &family.labels {
            faults.extend(misfit(instrument, labels, prometheus_label).map(|fault| format!("Prometheus: {fault}")));
        }
        let infinite = (!instrument.bounds.is_empty()).then(|| "+Inf".to_owned());
        let bounds = instrument.bounds.iter().map(ToString::to_string).chain(infinite).collect();
        assert_eq!(family.bounds, bounds, "{}", instrument.name);
    }
    assert!(faults.is_empty(), "against names/metric.rs:\n{}", faults.join("\n"));
}

#[test]
fn the_readme_has_every_instrument_as_it_is() {
    let rows = readme::rows();
    let mut missing = Vec::new();
    for instrument in metric::ALL {
        let row = row(instrument);
        if !rows.contains(&row) {
            missing.push(format!("| {} |", row.join(" | ")));
        }
    }
    assert!(missing.is_empty(), "the README lacks:\n{}", missing.join("\n"));
    // And no other: a name with dots or an underscore whose row has a name for Prometheus beside it.
    let told = rows.iter().filter(|cells| cells.len() == 5).filter_map(|cells| readme::name(cells));
    let unknown: Vec<_> = told.filter(|name| metric::ALL.iter().all(|it| it.name != *name)).collect();
    assert!(unknown.is_empty(), "the README tells of metrics that there are not: {unknown:?}");
}

#[test]
fn the_readme_has_every_kind_of_trap_that_is_a_limit_and_every_capability() {
    use NodeFailure::{CallTooLarge, Calls, Cpu, Memory, Resources, Stack, Timeout};
    let row = |label: &str| {
        let rows = readme::rows().into_iter().find(|cells| cells.len() == 2 && readme::name(cells) == Some(label));
        rows.expect("the README has this label").remove(1)
    };
    let limits = [Memory, Cpu, Calls, CallTooLarge, Resources, Stack, Timeout];
    let limits = limits.map(|failure| NodeError::new(failure, "").trap().expect("a limit of the sandbox"));
    let named = limits.map(|limit| format!("`{limit}`")).join(", ");
    assert!(row("kind").ends_with(&format!("{named}, `stream_idle`")), "the README lacks {named}");
    let granted = [Llm::NAME, Http::NAME, capability::config::Settings::NAME, Nodes::NAME, Files::NAME];
    let named = granted.map(|name| format!("`{name}`")).join(", ");
    assert_eq!(row("capability"), format!("as flows grant it: {named}"));
}

#[test]
fn codes_that_callers_are_told_are_told_in_metrics_too() {
    let rows = readme::rows();
    let is_status = |cells: &&Vec<String>| cells.len() == 2 && cells[0].parse::<u16>().is_ok();
    let codes: Vec<&str> = rows
        .iter()
        .filter(is_status)
        .flat_map(|cells| cells[1].split(", "))
        .map(|code| code.trim_matches('`'))
        .collect();
    assert!(codes.len() > 20, "{codes:?}");
    let unknown: Vec<_> = codes.iter().filter(|code| names::code::known(code).is_none()).collect();
    assert!(unknown.is_empty(), "names/code.rs lacks {unknown:?}");
}

/// What is wrong with the labels of a point, by the names that they have there.
fn misfit(instrument: &Instrument, labels: &BTreeSet<String>, name: fn(&str) -> String) -> Option<String> {
    let always: BTreeSet<String> = instrument.labels.iter().map(|label| name(label)).collect();
    let allowed: BTreeSet<String> =
        always.iter().cloned().chain(instrument.sometimes.iter().map(|it| name(it))).collect();
    let fits = always.is_subset(labels) && labels.is_subset(&allowed);
    (!fits).then(|| format!("{}: a point has {labels:?}; promised are {always:?} of {allowed:?}", instrument.name))
}

fn row(instrument: &Instrument) -> Vec<String> {
    let quoted = |labels: &[&str]| labels.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let unit = if instrument.unit.is_empty() { String::new() } else { format!(", `{}`", instrument.unit) };
    let labels = match (quoted(instrument.labels), quoted(instrument.sometimes)) {
        (always, sometimes) if sometimes.is_empty() => always,
        (always, sometimes) if always.is_empty() => format!("perhaps {sometimes}"),
        (always, sometimes) => format!("{always}; perhaps {sometimes}"),
    };
    let labels = if labels.is_empty() { "none".to_owned() } else { labels };
    vec![
        format!("`{}`", instrument.name),
        format!("`{}`", prometheus_name(instrument)),
        format!("{}{unit}", kind(instrument.kind)),
        labels,
        instrument.meaning.to_owned(),
    ]
}

fn scope(instrument: &Instrument) -> &'static str {
    if instrument.name.contains('.') { names::CONVENTIONS_METER } else { names::METER }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::UpDownCounter => "up-down counter",
        Kind::Gauge => "gauge",
    }
}

/// As the rules of OpenTelemetry for Prometheus have it.
fn prometheus_name(instrument: &Instrument) -> String {
    let unit = match instrument.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let total = if instrument.kind == Kind::Counter { "_total" } else { "" };
    format!("{}{unit}{total}", instrument.name.replace('.', "_"))
}

fn prometheus_label(name: &str) -> String {
    name.replace('.', "_")
}

/// Adds what Prometheus would read.
fn read(families: &mut BTreeMap<String, Family>, text: &str) {
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
            continue;
        }
        let (name, labels) = sample(line);
        let base = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        let base = base.filter(|base| families.get(*base).is_some_and(|it| it.kind == "histogram")).unwrap_or(name);
        let family = families.get_mut(base).expect("its type comes before");
        family.bounds.extend(labels.iter().filter(|(name, _)| name == "le").map(|(_, bound)| bound.clone()));
        family.labels.push(labels.into_iter().map(|(name, _)| name).filter(|name| name != "le").collect());
    }
}

/// Name and labels of `name{label="value",…} 1`. None of the values here has a comma or a quote in it.
fn sample(line: &str) -> (&str, Vec<(String, String)>) {
    let (head, _) = line.rsplit_once(' ').expect("a sample has a value");
    let Some((name, labels)) = head.split_once('{') else { return (head, Vec::new()) };
    let pairs = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let pair =
        |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    (name, pairs.filter_map(pair).collect())
}
