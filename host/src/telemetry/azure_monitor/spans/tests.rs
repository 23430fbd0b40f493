use std::time::UNIX_EPOCH;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use serde_json::{Value as Json, json};

use super::*;

fn span(kind: SpanKind, status: Status, attributes: &[(&'static str, Value)]) -> SpanData {
    SpanData {
        span_context: context(7, 9),
        parent_span_id: SpanId::from(8),
        parent_span_is_remote: false,
        span_kind: kind,
        name: "a span".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH + Duration::from_millis(1500),
        attributes: pairs(attributes),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn context(trace: u128, span: u64) -> SpanContext {
    SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::SAMPLED, false, TraceState::NONE)
}

fn pairs(attributes: &[(&'static str, Value)]) -> Vec<KeyValue> {
    attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect()
}

fn told(span: &SpanData) -> Vec<Json> {
    let sender = Sender::of(&Resource::builder_empty().build());
    envelopes(span, &sender).iter().map(|it| serde_json::to_value(it).unwrap()).collect()
}

/// Some fields of an item's data, in the order of `fields`; null for none.
fn fields(envelope: &Json, fields: &[&str]) -> Vec<Json> {
    fields.iter().map(|field| envelope["data"]["baseData"][field].clone()).collect()
}

#[test]
fn a_request_has_an_address_and_succeeds_by_status_and_span() {
    let of = |status: Value| {
        vec![
            ("http.request.method", "POST".into()),
            ("http.route", "/score".into()),
            ("url.scheme", "http".into()),
            ("url.path", "/score".into()),
            ("server.address", "h".into()),
            ("server.port", 8080.into()),
            ("http.response.status_code", status),
        ]
    };
    let gone = [("http.request.method", "POST".into()), ("url.full", "https://h?q=1".into())];
    let address = "http://h:8080/score";
    for (attributes, status, expected) in [
        (of(200.into()), Status::Ok, json!(["POST /score", "200", true, address])),
        (of(200.into()), Status::error("a stream broke"), json!(["POST /score", "200", false, address])),
        (of(404.into()), Status::Unset, json!(["POST /score", "404", false, address])),
        (of(500.into()), Status::error("x"), json!(["POST /score", "500", false, address])),
        (of(307.into()), Status::Unset, json!(["POST /score", "307", true, address])),
        (gone.to_vec(), Status::Unset, json!(["POST /", "0", false, "https://h?q=1"])),
        (vec![], Status::Unset, json!(["a span", "0", true, null])),
    ] {
        let [envelope] = &told(&span(SpanKind::Server, status, &attributes))[..] else { panic!("one item") };
        assert_eq!(json!(fields(envelope, &["name", "responseCode", "success", "url"])), expected);
        assert_eq!(
            json!(fields(envelope, &["id", "duration", "properties"])),
            json!(["0000000000000009", "0.00:00:01.500", null])
        );
        assert_eq!(envelope["tags"]["ai.operation.name"], envelope["data"]["baseData"]["name"]);
        assert_eq!(envelope["tags"]["ai.operation.id"], format!("{:032x}", 7));
        assert_eq!(envelope["tags"]["ai.operation.parentId"], format!("{:016x}", 8));
    }
}

#[test]
fn a_dependency_has_a_type_and_a_target() {
    use SpanKind::{Client, Internal, Producer};
    let provider = || ("gen_ai.provider.name", Value::from("openai"));
    let server = || [("server.address", Value::from("api")), ("server.port", Value::from(8443))];
    let http = |url: &'static str| {
        vec![
            ("http.request.method", Value::from("GET")),
            ("url.full", url.into()),
            ("http.response.status_code", 200.into()),
        ]
    };
    let with = |mut attributes: Vec<(&'static str, Value)>, more: &[(&'static str, Value)]| {
        attributes.extend(more.iter().cloned());
        attributes
    };
    for (kind, attributes, expected) in [
        (Internal, vec![], json!(["InProc", null, "a span", null, "0"])),
        (Internal, vec![provider()], json!(["GenAI | openai", null, "a span", null, "0"])),
        (Client, vec![], json!(["N/A", null, "a span", null, "0"])),
        (Producer, vec![], json!(["N/A", null, "a span", null, "0"])),
        (Client, vec![provider()], json!(["GenAI | openai", "openai", "a span", null, "0"])),
        (Client, vec![("gen_ai.system", "old".into())], json!(["GenAI | old", "old", "a span", null, "0"])),
        (Client, with(vec![provider()], &server()), json!(["GenAI | openai", "api:8443", "a span", null, "0"])),
        (Client, http("https://h/v1/a?k=1"), json!(["HTTP", "h", "GET /v1/a", "https://h/v1/a?k=1", "200"])),
        (Client, http("http://h:80"), json!(["HTTP", "h", "GET /", "http://h:80", "200"])),
        (Client, http("https://u:p@h:80/x"), json!(["HTTP", "h:80", "GET /x", "https://u:p@h:80/x", "200"])),
        (Client, with(http("https://h/x"), &server()), json!(["HTTP", "api:8443", "GET /x", "https://h/x", "200"])),
        (
            Client,
            with(http("https://h/x"), &[provider()]),
            json!(["GenAI | openai", "h", "a span", "https://h/x", "200"]),
        ),
    ] {
        let [envelope] = &told(&span(kind.clone(), Status::Ok, &attributes))[..] else { panic!("one item") };
        let found = fields(envelope, &["type", "target", "name", "data", "resultCode"]);
        assert_eq!(json!(found), expected, "{kind:?} {attributes:?}");
    }
    for (status, success) in [(Status::Ok, true), (Status::Unset, true), (Status::error("x"), false)] {
        assert_eq!(fields(&told(&span(Internal, status, &[]))[0], &["success"]), [json!(success)]);
    }
}

#[test]
fn what_a_field_says_whole_is_not_said_again_and_all_else_is() {
    let long: &'static str = "ü".repeat(3000).leak();
    let url: Value = format!("http://h/{long}").into();
    for (kind, attributes, expected) in [
        (
            SpanKind::Internal,
            vec![("http.route", "/x".into()), ("thread.name", "t".into()), ("server.address", "h".into())],
            json!({"http.route": "/x", "thread.name": "t", "server.address": "h"}),
        ),
        (
            SpanKind::Server,
            vec![("http.request.method", "GET".into()), ("error.type", "500".into())],
            json!({"http.request.method": "GET", "error.type": "500"}),
        ),
        (
            SpanKind::Server,
            vec![("http.request.method", "GET".into()), ("url.full", url.clone())],
            json!({"url.full": format!("http://h/{long}")}),
        ),
        (
            SpanKind::Internal,
            vec![("session.id", "s".into()), ("enduser.id", "u".into()), ("enduser.pseudo.id", 7.into())],
            json!({"enduser.pseudo.id": "7"}),
        ),
        (SpanKind::Internal, vec![("session.id", long.into())], json!({"session.id": long})),
        (SpanKind::Internal, vec![("_MS.sampleRate", 25.0.into())], Json::Null),
    ] {
        let [envelope] = &told(&span(kind, Status::Ok, &attributes))[..] else { panic!("one item") };
        assert_eq!(envelope["data"]["baseData"]["properties"], expected, "{:?}", envelope["data"]["baseData"]);
    }
    let [envelope] =
        &told(&span(SpanKind::Server, Status::Ok, &[("http.request.method", "GET".into()), ("url.full", url)]))[..]
    else {
        panic!("one item")
    };
    assert_eq!(envelope["data"]["baseData"]["url"].as_str().map(|url| url.chars().count()), Some(2048));
}

#[test]
fn events_are_items_below_their_span() {
    let mut with_events = span(SpanKind::Internal, Status::Ok, &[("session.id", "s".into())]);
    let at = UNIX_EPOCH + Duration::from_secs(1);
    with_events.events.events = [
        (
            "exception",
            pairs(&[("exception.message", "m".into()), ("exception.stacktrace", "s".into()), ("k", 1.into())]),
        ),
        ("exception", vec![]),
        (
            "gen_ai.evaluation.result",
            pairs(&[("gen_ai.evaluation.score.value", 0.5.into()), ("gen_ai.evaluation.name", "n".into())]),
        ),
        ("a line", pairs(&[("payload", "{}".into()), ("n", 1.into())])),
    ]
    .into_iter()
    .map(|(name, attributes)| SpanEvent::new(name, at, attributes, 0))
    .collect();
    let told = told(&with_events);
    let data: Vec<_> = told[1..].iter().map(|it| it["data"].clone()).collect();
    let thrown = |message: &str| json!({"typeName": "Exception", "message": message, "hasFullStack": false});
    let mut first = thrown("m");
    first["hasFullStack"] = json!(true);
    first["stack"] = json!("s");
    assert_eq!(
        data,
        [
            json!({"baseType": "ExceptionData", "baseData": {"ver": 2, "exceptions": [first], "properties": {"k": "1"}}}),
            json!({"baseType": "ExceptionData", "baseData": {"ver": 2, "exceptions": [thrown("Exception")]}}),
            json!({"baseType": "EventData", "baseData": {
                "ver": 2, "name": "gen_ai.evaluation.result",
                "properties": {"gen_ai.evaluation.score.value": "0.5", "gen_ai.evaluation.name": "n"},
                "measurements": {"gen_ai.evaluation.score.value": 0.5}
            }}),
            json!({"baseType": "MessageData", "baseData": {
                "ver": 2, "message": "a line", "properties": {"payload": "{}", "n": "1"}
            }}),
        ]
    );
    for envelope in &told[1..] {
        assert_eq!(envelope["time"], "1970-01-01T00:00:01.000000Z");
        // What is judged, for an evaluation; else the span itself.
        let parent = if envelope["data"]["baseType"] == "EventData" { 8 } else { 9 };
        assert_eq!(envelope["tags"]["ai.operation.parentId"], format!("{parent:016x}"));
        assert_eq!(envelope["tags"]["ai.session.id"], "s");
    }
}

#[test]
fn a_sampled_span_says_for_how_many_it_stands_and_so_do_its_events() {
    for (rate, expected) in [
        (Value::from(25.0), json!(25.0)),
        (Value::from(25), json!(25.0)),
        (Value::from("12.5"), json!(12.5)),
        (Value::from(0.0), Json::Null),
        (Value::from(1000.0), Json::Null),
        (Value::from(f64::NAN), Json::Null),
    ] {
        let mut sampled = span(SpanKind::Internal, Status::Ok, &[("_MS.sampleRate", rate)]);
        sampled.events.events = vec![SpanEvent::new("a line", UNIX_EPOCH, vec![], 0)];
        let rates: Vec<_> = told(&sampled).iter().map(|it| it["sampleRate"].clone()).collect();
        assert_eq!(rates, [expected.clone(), expected]);
    }
}

#[test]
fn links_are_told_as_far_as_they_fit_into_a_property() {
    let mut linked = span(SpanKind::Internal, Status::Ok, &[]);
    linked.links.links = (1..=200).map(|number| Link::new(context(1, number), vec![], 0)).collect();
    let properties = &told(&linked)[0]["data"]["baseData"]["properties"];
    let links = properties["_MS.links"].as_str().unwrap();
    assert!(links.len() <= 8192, "{}", links.len());
    let links: Vec<Json> = serde_json::from_str(links).unwrap();
    assert_eq!(links.len(), MAX_LINKS);
    assert_eq!(links[0], json!({"operation_Id": format!("{:032x}", 1), "id": format!("{:016x}", 1)}));
}

#[test]
fn text_of_any_script_and_length_is_cut_and_never_breaks_the_mapping() {
    for text in ["é", "漢", "🦀", "e\u{301}", "\u{0}"] {
        let long: &'static str = text.repeat(300_000 / text.len()).leak();
        let mut spoken = span(
            SpanKind::Server,
            Status::Ok,
            &[
                ("output", long.into()),
                ("gen_ai.output.messages", long.into()),
                ("http.request.method", long.into()),
                ("http.route", long.into()),
                ("url.full", long.into()),
                ("client.address", long.into()),
                ("user_agent.original", long.into()),
            ],
        );
        spoken.name = long.into();
        spoken.events.events = vec![
            SpanEvent::new(long, UNIX_EPOCH, vec![], 0),
            SpanEvent::new(
                "exception",
                UNIX_EPOCH,
                pairs(&[("exception.type", long.into()), ("exception.stacktrace", long.into())]),
                0,
            ),
        ];
        for kind in [SpanKind::Server, SpanKind::Client, SpanKind::Internal] {
            spoken.span_kind = kind;
            let told = told(&spoken);
            let units = |text: &Json| text.as_str().map(|text| text.encode_utf16().count()).unwrap_or_default();
            let data = |at: usize| &told[at]["data"]["baseData"];
            assert!((1023..=1024).contains(&units(&data(0)["name"])));
            assert!((8191..=8192).contains(&units(&data(0)["properties"]["output"])));
            assert!(units(&data(0)["properties"]["gen_ai.output.messages"]) > 70_000);
            assert!((32_767..=32_768).contains(&units(&data(1)["message"])));
            assert!((32_767..=32_768).contains(&units(&data(2)["exceptions"][0]["stack"])));
            assert!((1023..=1024).contains(&units(&data(2)["exceptions"][0]["typeName"])));
        }
    }
}
