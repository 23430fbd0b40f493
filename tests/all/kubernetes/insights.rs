//! The queries for Application Insights: every table, column, property and value that they name is one that the exporter sends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use harness::{FakeModel, Ingestion, TestHost};
use http::StatusCode;
use serde_json::{Value, json};

use super::{folder, names};

/// Tables of Application Insights by what they are made of, and their columns as Azure documents them, as far as anybody asks.
const TABLES: [(&str, &str, &[&str]); 6] = [
    ("RequestData", "requests", &["id", "name", "success", "resultCode", "duration"]),
    ("RemoteDependencyData", "dependencies", &["id", "name", "type", "success", "resultCode", "duration"]),
    ("ExceptionData", "exceptions", &["type", "outerMessage"]),
    ("MessageData", "traces", &["message", "severityLevel"]),
    ("EventData", "customEvents", &["name", "customMeasurements"]),
    ("MetricData", "customMetrics", &["name", "valueSum", "valueCount", "valueMin", "valueMax"]),
];
const OF_EVERY_TABLE: [&str; 7] =
    ["timestamp", "itemType", "itemCount", "operation_Id", "operation_ParentId", "cloud_RoleName", "customDimensions"];
/// Words of the language that are used.
const LANGUAGE: &[&str] = &[
    "let",
    "union",
    "where",
    "project",
    "order",
    "by",
    "asc",
    "desc",
    "summarize",
    "extend",
    "join",
    "kind",
    "inner",
    "leftouter",
    "on",
    "and",
    "or",
    "in",
    "away",
    "ago",
    "bin",
    "coalesce",
    "tostring",
    "todouble",
    "toint",
    "isnotempty",
    "percentile",
    "percentiles",
    "sum",
    "sumif",
    "count",
    "countif",
    "arg_max",
    "take_any",
    "false",
    "true",
    "left",
    "right",
];

/// A query without its comments, and in it the keys of properties, other texts and names.
#[derive(Debug, Default)]
struct Query {
    keys: BTreeSet<String>,
    measurements: BTreeSet<String>,
    texts: BTreeSet<String>,
    words: BTreeSet<String>,
    /// Names that it gives itself.
    own: BTreeSet<String>,
}

fn word(text: &str) -> &str {
    &text[..text.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len())]
}

fn read(text: &str) -> Query {
    let mut query = Query::default();
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let mut bag = None;
        for (name, keys) in [("customDimensions", &mut query.keys), ("customMeasurements", &mut query.measurements)] {
            let Some(behind) = rest.strip_prefix(name) else { continue };
            if let Some(behind) = behind.strip_prefix("[\"") {
                let (key, behind) = behind.split_once("\"]").expect("keys end");
                keys.insert(key.to_owned());
                bag = Some(behind);
            } else if let Some(behind) = behind.strip_prefix('.') {
                keys.insert(word(behind).to_owned());
                bag = Some(&behind[word(behind).len()..]);
            }
            query.words.insert(name.to_owned());
        }
        if let Some(behind) = bag {
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('"') {
            let (text, behind) = behind.split_once('"').expect("texts end");
            query.texts.insert(text.to_owned());
            rest = behind;
        } else if first.is_ascii_digit() {
            rest = &rest[word(rest).len()..];
        } else if first.is_alphabetic() || first == '_' {
            let found = word(rest);
            rest = &rest[found.len()..];
            let assigned = rest.trim_start().strip_prefix('=').is_some_and(|behind| !behind.starts_with(['=', '~']));
            // `kind=inner` is the language's own.
            if assigned && (found != "kind" || rest.starts_with(" =")) {
                query.own.insert(found.to_owned());
            } else {
                query.words.insert(found.to_owned());
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    query
}

/// What arrives of hosts that answer, fail and are judged: items by their tables.
async fn told() -> BTreeMap<&'static str, Vec<Value>> {
    let insights = Ingestion::start();
    let model = FakeModel::replies("one two three").start();
    let failing = FakeModel::echo().failing(StatusCode::SERVICE_UNAVAILABLE, 9).start();
    for (flow, model, status) in [("llm_chats", &model, 200), ("llm_node", &failing, 400)] {
        let host =
            TestHost::flow(flow).model(model).env("OTEL_METRIC_EXPORT_INTERVAL", "200").env("WEIR_LLM_RETRIES", "0");
        let host = host.env("PRT_CONFIG_OVERRIDE", "deployment.endpoint_name=e,deployment.deployment_name=d");
        let string = insights.connection_string("aaaaaaaa-1111-4111-8111-111111111111");
        let host = host.env("APPLICATIONINSIGHTS_CONNECTION_STRING", string).start().await;
        let reply = host.score(json!({"question": "hi"})).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        if let Some(token) = reply.header("x-feedback-token") {
            let headers = [("x-feedback-token", token), ("content-type", "application/json")];
            let judged = host.feedback("", &headers, r#"{"rating": "thumbs down", "comment": "no"}"#).await;
            assert_eq!(judged.status, 200, "{}", judged.text());
        }
        host.stop().await;
    }
    let mut tables = BTreeMap::<_, Vec<Value>>::new();
    for envelope in insights.envelopes() {
        let kind = envelope["data"]["baseType"].as_str().unwrap_or_default().to_owned();
        let table = TABLES.iter().find(|(of, ..)| *of == kind).unwrap_or_else(|| panic!("{kind} is in no table"));
        tables.entry(table.1).or_default().push(envelope["data"]["baseData"].clone());
    }
    tables
}

#[test]
fn what_a_query_names_is_found() {
    let query = read(
        "// no.one\nrequests | where name == \"a\" | project x = tostring(customDimensions[\"b.c\"]), customDimensions.d",
    );
    let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!((query.keys, query.texts, query.own), (set(&["b.c", "d"]), set(&["a"]), set(&["x"])));
    assert_eq!(query.words, set(&["requests", "where", "name", "project", "tostring", "customDimensions"]));
}

#[tokio::test]
async fn every_query_names_what_the_exporter_sends() {
    let told = told().await;
    let mut faults = Vec::new();
    let files = names(&folder().join("application-insights"));
    assert_eq!(files.len(), 6, "{files:?}");
    for file in files {
        let query =
            read(&fs::read_to_string(folder().join("application-insights").join(&file)).expect("it can be read"));
        let tables: Vec<_> = TABLES.iter().filter(|(_, table, _)| query.words.contains(*table)).collect();
        assert!(!tables.is_empty(), "{file} asks no table");
        let items: Vec<&Value> =
            tables.iter().flat_map(|(_, table, _)| told.get(table).into_iter().flatten()).collect();
        let has = |bag: &str, key: &str| items.iter().any(|item| item[bag].get(key).is_some());
        for key in query.keys.iter().filter(|key| !has("properties", key)) {
            faults.push(format!("{file}: nothing has the property {key:?}"));
        }
        for key in query.measurements.iter().filter(|key| !has("measurements", key)) {
            faults.push(format!("{file}: nothing has the measurement {key:?}"));
        }
        let is_value = |text: &str| {
            let of = |bag: &Value| bag.as_object().into_iter().flatten().any(|(_, value)| value == text);
            items.iter().any(|item| of(item) || of(&item["properties"]) || item["metrics"][0]["name"] == text)
        };
        // A trace id is anybody's own.
        let is_trace = |text: &str| text.len() == 32 && text.bytes().all(|it| it.is_ascii_hexdigit());
        for text in query.texts.iter().filter(|text| !is_value(text) && !is_trace(text)) {
            faults.push(format!("{file}: nothing says {text:?}"));
        }
        let known = |word: &str| {
            let of_tables = || tables.iter().any(|(_, table, columns)| *table == word || columns.contains(&word));
            // As the language names what nobody has named.
            let implied = || {
                word.strip_suffix('1').is_some_and(|of| query.own.contains(of))
                    || word.strip_prefix("percentile_duration_").is_some_and(|rest| rest.parse::<u8>().is_ok())
            };
            OF_EVERY_TABLE.contains(&word)
                || LANGUAGE.contains(&word)
                || query.own.contains(word)
                || of_tables()
                || implied()
        };
        for word in query.words.iter().filter(|word| !known(word)) {
            faults
                .push(format!("{file}: {word} is no column of {:?}", tables.iter().map(|it| it.1).collect::<Vec<_>>()));
        }
    }
    assert!(faults.is_empty(), "{}\n{told:#?}", faults.join("\n"));
}
