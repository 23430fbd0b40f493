//! What dashboards, alerts and the autoscaler ask Prometheus: each expression is one for promtool, and what it asks for is what
//! hosts tell that have done everything, or what Kubernetes adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use harness::prometheus::{check_rules, test_rules};
use serde_json::{Value, json};

use super::{folder, names};
use crate::metrics::promised::everything;

/// Labels of the target: a ServiceMonitor sets them. And the bounds of a histogram.
const OF_THE_TARGET: [&str; 4] = ["pod", "namespace", "le", "job"];
/// Labels that a metric of ours has only behind an endpoint, which `everything` has not.
const SOMETIMES: [&str; 2] = ["deployment", "endpoint"];

/// Expressions by where they stand.
fn expressions() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in names(&folder().join("dashboards")) {
        let board = dashboard(&file);
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{file}: {} {}", panel["title"], target["refId"]);
                let expression = target["expr"].as_str().expect("an expression");
                // What Grafana puts in.
                let expression = expression.replace("$__rate_interval", "5m").replace("$flow", ".*");
                found.insert(place, expression.replace("$deployment", ".*").replace("$pod", ".*"));
            }
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            if let Some(query) = variable["query"]["query"].as_str() {
                let asked = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (metric, label) =
                    asked.and_then(|asked| asked.split_once(", ")).expect("label_values(METRIC, LABEL)");
                found
                    .insert(format!("{file}: variable {}", variable["name"]), format!("count by ({label}) ({metric})"));
            }
        }
    }
    for (group, rule) in rules()["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules").iter().map(move |rule| (&group["name"], rule)))
    {
        found.insert(format!("{group}: {}", rule["alert"]), rule["expr"].as_str().expect("an expression").to_owned());
    }
    let scaled = component("keda/scaledobject.yaml");
    let query = &scaled["spec"]["triggers"][0]["metadata"]["query"];
    found.insert("keda".to_owned(), query.as_str().expect("a query").to_owned());
    found
}

fn dashboard(file: &str) -> Value {
    let text = fs::read_to_string(folder().join("dashboards").join(file)).expect("it can be read");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn component(path: &str) -> Value {
    let text = fs::read_to_string(folder().join("components").join(path)).expect("it can be read");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands in the PrometheusRule, as a file of rules has it.
fn rules() -> Value {
    component("prometheus/prometheusrule.yaml")["spec"].clone()
}

/// Metrics that an expression asks for, each with the labels that it names of them: by matchers of their own, by groupings of the
/// whole expression.
fn asked(expression: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (mut metrics, mut grouped) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    let mut rest = expression;
    let mut last = String::new();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = rest[1..].find('"').expect("texts end") + 2;
            rest = &rest[end..];
        } else if first == '{' {
            let (matchers, behind) = rest[1..].split_once('}').expect("matchers end");
            let labels = matchers.split("\",").filter_map(|matcher| matcher.split(['=', '!']).next());
            metrics.entry(last.clone()).or_default().extend(labels.map(|label| label.trim().to_owned()));
            rest = behind;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind.trim_start();
            if ["by", "on"].contains(&word) {
                let (labels, behind) = rest[1..].split_once(')').expect("groupings end");
                grouped.extend(labels.split(',').map(|label| label.trim().to_owned()));
                rest = behind;
            } else if !rest.starts_with('(') && !rest.starts_with("by ") && !["and", "or", "unless"].contains(&word) {
                metrics.entry(word.to_owned()).or_default();
                word.clone_into(&mut last);
            }
        } else if first.is_ascii_digit() {
            let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '.').unwrap_or(rest.len());
            rest = &rest[end..];
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    for labels in metrics.values_mut() {
        labels.extend(grouped.iter().cloned());
    }
    metrics
}

#[test]
fn what_is_asked_is_found_in_an_expression() {
    let labels = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<BTreeSet<_>>();
    let expression = "histogram_quantile(0.9, sum by (le, a) (rate(m_bucket{b=~\"x,y\",c!=\"d\"}[5m]))) / n > 2.5";
    let expected = [("m_bucket".to_owned(), labels(&["le", "a", "b", "c"])), ("n".to_owned(), labels(&["le", "a"]))];
    assert_eq!(asked(expression), expected.into());
}

#[tokio::test]
async fn every_panel_alert_and_scaler_asks_for_what_hosts_tell() {
    let (_, families) = everything().await;
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for (place, expression) in expressions() {
        let metrics = asked(&expression);
        assert!(!metrics.is_empty(), "{place}: {expression}");
        for (metric, labels) in metrics {
            let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
            let family = families.get(&metric).or_else(|| plain.and_then(|plain| families.get(plain)));
            let Some(family) = family else {
                faults.push(format!("{place}: no host tells of {metric}"));
                continue;
            };
            used.insert(plain.filter(|plain| families.contains_key(*plain)).unwrap_or(metric.as_str()).to_owned());
            let told: BTreeSet<&String> = family.labels.iter().flatten().collect();
            let usual =
                |label: &&String| OF_THE_TARGET.contains(&label.as_str()) || SOMETIMES.contains(&label.as_str());
            for label in labels.iter().filter(|label| !told.contains(label) && !usual(label)) {
                faults.push(format!("{place}: {metric} has no label {label:?}, only {told:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // And the other way round: whoever looks at the dashboards sees everything.
    let told: BTreeSet<String> = families.keys().filter(|name| *name != "target_info").cloned().collect();
    let unseen: Vec<_> = told.difference(&used).collect();
    assert!(unseen.is_empty(), "on no dashboard and in no alert: {unseen:?}");
}

#[test]
fn promtool_takes_every_expression_and_rule() {
    let rules: Vec<_> = expressions()
        .into_values()
        .enumerate()
        .map(|(number, expression)| json!({"record": format!("panel:{number}"), "expr": expression}))
        .collect();
    let count = rules.len();
    assert!(count > 60, "{count}");
    let all = json!({"groups": [{"name": "panels", "rules": rules}]});
    assert!(check_rules(&all.to_string()).is_ok_and(|said| said.contains(&format!("{count} rules found"))));
    let said = check_rules(&self::rules().to_string()).expect("rules that promtool takes");
    assert!(said.contains("SUCCESS"), "{said}");
    let wrong = all.to_string().replacen("sum by", "sum bye", 1);
    assert!(check_rules(&wrong).is_err());
}

#[test]
fn every_alert_comes_when_it_should_and_not_before() {
    let cases = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("all/kubernetes/alerts.yaml"));
    let cases = cases.expect("it can be read");
    // Annotations are texts for people; cases would have to repeat them.
    let mut bare = rules();
    for group in bare["groups"].as_array_mut().expect("groups") {
        for rule in group["rules"].as_array_mut().expect("rules") {
            rule.as_object_mut().expect("a rule").remove("annotations");
        }
    }
    let said = test_rules(&bare.to_string(), &cases);
    assert_eq!(said, Ok(()));
    // Each alert has a case in which it comes.
    for alert in
        rules()["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules"))
    {
        let name = alert["alert"].as_str().expect("a name");
        let comes = cases.split("alertname: ").any(|case| {
            case.starts_with(&format!("{name}\n"))
                && case.split("eval_time").next().is_some_and(|it| it.contains("exp_labels"))
        });
        assert!(comes, "no case in which {name} comes");
        assert!(alert["labels"]["severity"].is_string() && alert["annotations"]["summary"].is_string(), "{alert}");
    }
}

#[test]
fn panels_have_places_of_their_own_and_dashboards_their_variables() {
    for file in names(&folder().join("dashboards")) {
        let board = dashboard(&file);
        let text = board.to_string();
        let mut cells = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().expect("panels") {
            assert!(ids.insert(panel["id"].to_string()), "{file}: {}", panel["title"]);
            let number = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(number("x") + number("w") <= 24, "{file}: {}", panel["title"]);
            for (x, y) in (number("x")..number("x") + number("w"))
                .flat_map(|x| (number("y")..number("y") + number("h")).map(move |y| (x, y)))
            {
                assert!(cells.insert((x, y)), "{file}: {} lies on another", panel["title"]);
            }
        }
        for variable in board["templating"]["list"].as_array().expect("variables") {
            let name = variable["name"].as_str().expect("a name");
            assert!(text.contains(&format!("${name}")) || text.contains(&format!("${{{name}}}")), "{file}: {name}");
        }
    }
    let rule = folder().join("components/prometheus/kustomization.yaml");
    assert!(fs::read_to_string(rule).is_ok_and(|text| text.contains("prometheusrule.yaml")));
}
