//! What guests say on their spans, and its bounds.

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLogRecord, SdkLoggerProvider};

use super::*;
use crate::telemetry::bound::{ATTRIBUTES, EVENTS, LOG_EVENTS, METRICS, TEXT};

/// The attributes that a guest's notes left on its span, beside the host's own.
fn noted(note: impl FnOnce(&NodeNotes)) -> BTreeMap<String, String> {
    let span = run(note);
    let before = run(|_| ());
    let known = texts(&before.attributes);
    texts(&span.attributes).into_iter().filter(|(key, _)| !known.contains_key(key)).collect()
}

fn run(note: impl FnOnce(&NodeNotes)) -> SpanData {
    let rig = Rig::new();
    let node = rig.node(&Context::new(), &Usage::default());
    note(&node.notes());
    node.finish("1");
    rig.span("chat")
}

#[test]
fn a_later_value_replaces_an_earlier_one() {
    let noted = noted(|notes| {
        notes.set_attribute("step", NoteValue::Integer(1));
        notes.set_attribute("done", NoteValue::Boolean(true));
        notes.set_attribute("step", NoteValue::Double(2.5));
    });
    assert_eq!(noted, labels([("step", "2.5"), ("done", "true")]));
}

#[test]
fn keys_of_the_host_are_left_out_and_counted() {
    for key in [
        "inputs",
        "output",
        "llm.usage.total_tokens",
        "gen_ai.x",
        "__computed__.x",
        "weir.x",
        "metrics.x",
        "",
        &"k".repeat(101),
    ] {
        let noted = noted(|notes| notes.set_attribute(key, NoteValue::Integer(1)));
        assert_eq!(noted, labels([("weir.notes_left_out", "1")]), "{key:?}");
    }
    let free = noted(|notes| notes.set_attribute("inputs_seen", NoteValue::Integer(1)));
    assert_eq!(free, labels([("inputs_seen", "1")]));
}

#[test]
fn there_are_only_so_many_attributes() {
    let noted = noted(|notes| {
        for n in 0..ATTRIBUTES + 3 {
            notes.set_attribute(&format!("k{n}"), NoteValue::Integer(0));
        }
        notes.set_attribute("k0", NoteValue::Integer(7));
    });
    assert_eq!(noted.len(), ATTRIBUTES + 1);
    assert_eq!(noted["weir.notes_left_out"], "3");
    assert_eq!(noted["k0"], "7", "one that is there can still be replaced");
}

#[test]
fn metrics_are_a_family_of_attributes_with_bounds_of_their_own() {
    let noted = noted(|notes| {
        assert!(notes.log_metric("accuracy", 0.25));
        assert!(notes.log_metric("accuracy", 0.5));
        for (name, value) in [("", 1.0), (&*"k".repeat(101), 1.0), ("nan", f64::NAN), ("inf", f64::INFINITY)] {
            assert!(!notes.log_metric(name, value), "{name:?}");
        }
        for n in 1..METRICS {
            assert!(notes.log_metric(&format!("m{n}"), 1.0));
        }
        assert!(!notes.log_metric("one_too_many", 1.0));
    });
    assert_eq!(noted.len(), METRICS + 1);
    assert_eq!((&*noted["metrics.accuracy"], &*noted["weir.notes_left_out"]), ("0.5", "5"));
}

#[test]
fn long_texts_are_cut() {
    let long = "é".repeat(TEXT);
    let noted = noted(|notes| notes.set_attribute("k", NoteValue::Text(long)));
    assert_eq!(noted["k"], format!("{}… [{} bytes]", "é".repeat(TEXT / 2), TEXT * 2));
}

#[test]
fn events_and_log_lines_are_kept_up_to_their_bounds() {
    let span = run(|notes| {
        for _ in 0..1000 {
            notes.add_event("tick", vec![("n".to_owned(), NoteValue::Integer(1))]);
            notes.log(LogLevel::Warn, "here", "careful");
        }
    });
    let count = |name: &str| span.events.iter().filter(|event| event.name == name).count();
    assert_eq!((count("tick"), count("log")), (EVENTS, LOG_EVENTS));
    let left_out = 2 * 1000 - EVENTS - LOG_EVENTS;
    assert_eq!(texts(&span.attributes)["weir.notes_left_out"], left_out.to_string());
    assert_eq!(
        span.events.last().unwrap().name,
        "promptflow.function.output",
        "the host's own event is not pushed out"
    );
    let log = span.events.iter().find(|event| event.name == "log").unwrap();
    let expected = [("log.severity", "warn"), ("log.message", "careful"), ("log.context", "here")];
    assert_eq!(texts(&log.attributes), labels(expected));
}

#[test]
fn attributes_of_an_event_have_the_same_bounds() {
    let span = run(|notes| {
        let attributes = [("inputs", 1), ("fine", 2)].map(|(key, n)| (key.to_owned(), NoteValue::Integer(n)));
        notes.add_event("tick", attributes.to_vec());
        notes.add_event("exception", Vec::new());
    });
    let tick = span.events.iter().find(|event| event.name == "tick").unwrap();
    assert_eq!(texts(&tick.attributes), labels([("fine", "2")]));
    assert!(!span.events.iter().any(|event| event.name == "exception"));
    assert_eq!(texts(&span.attributes)["weir.notes_left_out"], "2");
}

#[test]
fn notes_after_the_end_are_nothing() {
    let rig = Rig::new();
    let node = rig.node(&Context::new(), &Usage::default());
    let notes = node.notes();
    node.finish("1");
    notes.set_attribute("late", NoteValue::Integer(1));
    notes.log(LogLevel::Info, "", "late");
    drop(notes);
    let span = rig.span("chat");
    assert!(!texts(&span.attributes).contains_key("late"));
    assert!(!span.events.iter().any(|event| event.name == "log"));
}

#[test]
fn a_guest_knows_its_own_span() {
    let rig = Rig::new();
    let node = rig.node(&Context::new(), &Usage::default());
    assert_eq!(node.spans().traceparent(), propagation::traceparent(&node.context()));
    assert!(node.spans().traceparent().starts_with("00-"));
}

/// The log records that a node's run left, and its span.
fn logged(content: Content, note: impl FnOnce(&NodeNotes)) -> (Vec<SdkLogRecord>, SpanData) {
    let exporter = InMemoryLogExporter::default();
    let loggers = SdkLoggerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let rig = Rig::of(&Config { content: content.into(), ..Config::default() }, Some(loggers));
    let node = rig.node(&Context::new(), &Usage::default());
    let notes = node.notes();
    note(&notes);
    node.finish("1");
    notes.log(LogLevel::Info, "", "after the end");
    (exporter.get_emitted_logs().unwrap().into_iter().map(|it| it.record).collect(), rig.span("chat"))
}

fn body(record: &SdkLogRecord) -> String {
    match record.body() {
        Some(AnyValue::String(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn where_logs_are_exported_a_line_is_a_record_of_the_span_and_no_event() {
    let (records, span) = logged(Content::default(), |notes| notes.log(LogLevel::Critical, "here", "careful"));
    let [record] = &records[..] else { panic!("{records:?}") };
    let of = record.trace_context().unwrap();
    assert_eq!((of.trace_id, of.span_id), (span.span_context.trace_id(), span.span_context.span_id()));
    assert_eq!((record.severity_text(), record.severity_number()), (Some("CRITICAL"), Some(Severity::Fatal)));
    assert_eq!(body(record), "careful");
    let attributes: Vec<_> = record.attributes_iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    assert_eq!(attributes, [("node_name", "chat".into()), ("log.context", "here".into())]);
    assert!(span.start_time <= record.timestamp().unwrap() && record.timestamp().unwrap() <= span.end_time);
    assert!(!span.events.iter().any(|event| event.name == "log"));
}

#[test]
fn records_of_a_run_have_bounds_of_their_own_and_the_last_says_what_is_left_out() {
    let (records, span) = logged(Content::default(), |notes| {
        (0..LOG.lines + 5).for_each(|n| notes.log(LogLevel::Info, "", &n.to_string()));
    });
    assert_eq!(records.len(), LOG.lines + 1);
    assert_eq!(body(&records[LOG.lines - 1]), (LOG.lines - 1).to_string());
    assert_eq!(body(&records[LOG.lines]), "5 more lines of this node are left out");
    assert_eq!(texts(&span.attributes)["weir.notes_left_out"], "5");

    let long = "x".repeat(TEXT);
    let (records, _) = logged(Content::Full, |notes| (0..100).for_each(|_| notes.log(LogLevel::Info, "", &long)));
    assert_eq!(records.len(), LOG.bytes / TEXT + 1);
}

#[test]
fn a_line_is_masked_and_cut_and_without_content_only_counted() {
    let secret = "sk-0123456789";
    let line = format!("{} {secret} {}", "x".repeat(TEXT - 4), "y".repeat(TEXT));
    let told = |content| {
        let (records, _) = logged(content, |notes| {
            notes.redactor().learn([secret]);
            notes.log(LogLevel::Info, "", &line);
        });
        body(&records[0])
    };
    for content in [Content::Truncated, Content::Full] {
        let told = told(content);
        assert!(told.starts_with("xxx") && told.ends_with(" bytes]"), "{told}");
        assert!(!told.contains("sk-"), "half of a secret is a secret");
    }
    assert_eq!(told(Content::None), format!("[{} bytes]", line.len()));
}
