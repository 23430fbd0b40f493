//! What is masked, and that nothing else is.

use std::time::SystemTime;

use opentelemetry::trace::{Event, SpanContext, SpanId, SpanKind};
use opentelemetry::{InstrumentationScope, Value};
use proptest::prelude::*;

use super::*;
use crate::setting::Variables;

fn read(patterns: &str, keys: &str) -> Result<Redactor, Vec<String>> {
    let (patterns, keys) = (patterns.to_owned(), keys.to_owned());
    let variables = Variables(move |name: &str| match name {
        "WEIR_REDACT_PATTERNS" => Some(patterns.clone()),
        "WEIR_REDACT_KEYS" => Some(keys.clone()),
        _ => None,
    });
    let mut reader = Reader::new(&variables);
    let redactor = Redactor::read(&mut reader);
    let (_, problems) = reader.finish();
    if problems.is_empty() { Ok(redactor) } else { Err(problems) }
}

#[track_caller]
fn check(redactor: &Redactor, text: &str, expected: &str) {
    assert_eq!(redactor.text(text), expected, "{text}");
}

#[test]
fn secrets_of_the_host_are_masked_wherever_they_turn_up() {
    let redactor = Redactor::default();
    check(&redactor, "sk-0123456789", "sk-0123456789");
    redactor.clone().learn(["sk-0123456789", "sk-0123456789-and-more", "short", " ", "quo\"te\\d-secret"]);
    check(&redactor, "with sk-0123456789, and short", "with ******, and short");
    check(&redactor, "sk-0123456789-and-more", "******");
    check(&redactor, "sk-0123456789sk-0123456789", "************");
    check(&redactor, r#"{"a":"quo\"te\\d-secret"}"#, r#"{"a":"******"}"#);
    check(&redactor, "quo\"te\\d-secret", "******");
    assert!(!format!("{redactor:?}").contains("0123456789"));
}

#[test]
fn members_named_like_keys_are_masked() {
    let redactor = Redactor::by_default();
    for (text, expected) in [
        (r#"{"api_key":"abc","question":"why"}"#, r#"{"api_key":"******","question":"why"}"#),
        (r#"{"API-Key" : "a\"b\\", "x": 1}"#, r#"{"API-Key" : "******", "x": 1}"#),
        (
            r#"{"apikey":"", "password": 1234, "secret": null}"#,
            r#"{"apikey":"******", "password": "******", "secret": null}"#,
        ),
        (r#"{"authorization":["Bearer x", {"a": "]"}], "b": 2}"#, r#"{"authorization":"******", "b": 2}"#),
        (r#"{"secret": true}"#, r#"{"secret": true}"#),
        (r#"{"keys": "api_key", "my_api_key": "k"}"#, r#"{"keys": "api_key", "my_api_key": "k"}"#),
        // Quoted, as JSON in JSON.
        (r#""{\"password\":\"a\\\"b\",\"q\":\"w\"}""#, r#""{\"password\":\"******\",\"q\":\"w\"}""#),
        (r#""{\"password\":\"ends with \\\\\",\"q\":\"w\"}""#, r#""{\"password\":\"******\",\"q\":\"w\"}""#),
        // Cut in the middle.
        (r#"{"q":"w","password":"abc"#, r#"{"q":"w","password":"******""#),
        (r#"{"password":["abc","d"#, r#"{"password":"******""#),
        // In the middle of something else.
        (r#"sent {"password": "abc"} to it"#, r#"sent {"password": "******"} to it"#),
        ("", ""),
    ] {
        check(&redactor, text, expected);
    }
}

#[test]
fn patterns_of_the_operator_are_masked() {
    let lines = read("\\b\\d{4}-\\d{4}\\b\n  [a-z]+@example\\.com", "none").unwrap();
    check(
        &lines,
        r#"{"card":"1234-5678","by":"ann@example.com","password":"seen"}"#,
        r#"{"card":"******","by":"******","password":"seen"}"#,
    );
    let list = read(r#"["\\d{4}", "[,\n]x"]"#, "pin").unwrap();
    check(&list, "1234,x", "************");
    check(&list, r#"{"PIN":"1"}"#, r#"{"PIN":"******"}"#);
}

#[test]
fn what_is_wrong_is_told_all_at_once() {
    let problems = read("a(\nb*\nfine", "api key").unwrap_err();
    assert_eq!(
        problems,
        [
            "WEIR_REDACT_PATTERNS: \"a(\" is no regular expression: unclosed group; \
             \"b*\" matches even where there is nothing; let it ask for a sign at least",
            "WEIR_REDACT_KEYS: \"api key\" is no name; write up to 64 letters, digits, `_` and `-`, such as api_key",
        ]
    );
}

#[test]
fn attributes_named_like_keys_are_masked_in_any_family() {
    let redactor = Redactor::by_default();
    redactor.learn(["sk-0123456789"]);
    for (key, value, expected) in [
        ("password", Value::from("abc"), Value::from("******")),
        ("feedback.api_key", "abc".into(), "******".into()),
        ("note", "about sk-0123456789".into(), "about ******".into()),
        (
            "note",
            Value::Array(vec![StringValue::from("sk-0123456789")].into()),
            Value::Array(vec![StringValue::from("******")].into()),
        ),
        ("secret", 7.into(), 7.into()),
    ] {
        let mut attribute = KeyValue::new(key, value);
        redactor.attribute(&mut attribute);
        assert_eq!(attribute.value, expected, "{key}");
    }
}

proptest! {
    #[test]
    fn json_stays_json_and_a_secret_is_nowhere(
        before in "[a-z\"\\\\{}\\[\\],: é]{0,12}",
        secret in "[A-Z0-9\"\\\\]{8,20}",
        times in 0_usize..4,
    ) {
        let object = serde_json::json!({"before": before, "password": secret, "after": [1, {"api-key": secret}]});
        let text = (0..times).fold(object.to_string(), |text, _| serde_json::Value::from(text).to_string());
        let redactor = Redactor::by_default();
        let told = redactor.text(&text).into_owned();
        let expected = serde_json::json!({"before": before, "password": MASK, "after": [1, {"api-key": MASK}]});
        let expected = (0..times).fold(expected.to_string(), |text, _| serde_json::Value::from(text).to_string());
        // What stands before may itself look like the member; then less is left, but never the secret.
        if !before.contains('"') {
            prop_assert_eq!(&told, &expected);
        }
        let again = redactor.text(&told).into_owned();
        prop_assert_eq!(again, told);
    }
}

/// A span with these attributes, and the same of two events.
fn span(attributes: &[KeyValue], events: [&[KeyValue]; 2]) -> SpanData {
    let mut span = SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "node".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: attributes.to_vec(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    };
    let event = |attributes: &[KeyValue]| Event::new("told", SystemTime::UNIX_EPOCH, attributes.to_vec(), 0);
    span.events.events = events.map(event).to_vec();
    span
}

/// A redactor that finds something in everything that may be found, also in its own mask.
fn strict() -> Redactor {
    let redactor = read("a[0-9]\n\\*{3}", KEYS.default).unwrap();
    redactor.learn(["sk-0123456789"]);
    redactor
}

proptest! {
    /// What attributes and events share is searched once, and nothing is told for that which would not be told otherwise.
    #[test]
    fn a_text_that_is_told_twice_is_masked_twice(
        shared in prop::collection::vec("[a-b0-1\".:]{0,6}|.{0,2}sk-0123456789.{0,2}|\\{\"password\": \"abc\"\\}|\\*{6}", 4),
        chosen in prop::collection::vec((0_usize..5, 0_usize..5), 9),
    ) {
        const NAMES: [&str; 5] = ["inputs", "password", "feedback.api_key", "a.b", "api_key.told"];
        let mut texts: Vec<Value> = shared.into_iter().map(|text| Value::from(Arc::<str>::from(text))).collect();
        texts.push(MASK.into());
        let told: Vec<KeyValue> =
            chosen.into_iter().map(|(name, text)| KeyValue::new(NAMES[name], texts[text].clone())).collect();
        let (attributes, first, second) = (&told[..3], &told[3..6], &told[6..]);
        let redactor = strict();
        let mut masked = span(attributes, [first, second]);
        redactor.span(&mut masked);
        // Each by itself, from a text that nobody else has.
        let alone = |attribute: &KeyValue| {
            let mut alone = KeyValue::new(attribute.key.clone(), attribute.value.as_str().into_owned());
            redactor.attribute(&mut alone);
            alone
        };
        let expected: Vec<KeyValue> = told.iter().map(alone).collect();
        let events = masked.events.events.iter().flat_map(|event| &event.attributes);
        let found: Vec<KeyValue> = masked.attributes.iter().chain(events).cloned().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_name_is_that_of_a_key_by_its_last_part(name in "(api_key|Password|a|é|\\.){0,4}") {
        let last = name.rsplit('.').next().unwrap();
        let expected = ["apikey", "password"].contains(&last.to_lowercase().replace('_', "").as_str());
        let mut attribute = KeyValue::new(name, "told");
        Redactor::by_default().attribute(&mut attribute);
        prop_assert_eq!(attribute.value == Value::from(MASK), expected);
    }
}

/// How long a text of 4 KiB takes, with nothing in it to be masked.
#[test]
fn a_text_without_secrets_costs_little() {
    let text = r#"{"question": "why is the sky so blue, and what holds it up?", "history": []}"#.repeat(54);
    let many: Vec<String> = (0..50).map(|n| format!("sk-{n:032}")).collect();
    let (nothing, usual) = (Redactor::default(), Redactor::by_default());
    usual.learn(many.iter().map(String::as_str));
    for redactor in [&nothing, &usual] {
        let started = std::time::Instant::now();
        for _ in 0..1000 {
            assert!(matches!(redactor.text(&text), Cow::Borrowed(_)));
        }
        let each = started.elapsed() / 1000;
        // Far above what it takes, also without optimisation: some 10 ns, and some 100 µs.
        assert!(each < std::time::Duration::from_millis(20), "{each:?}");
    }
}
