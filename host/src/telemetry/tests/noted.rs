//! What guests say on their spans, and its bounds.

use super::*;
use crate::telemetry::spans::notes::{MAX_ATTRIBUTES, MAX_EVENTS, MAX_LOG_LINES, MAX_METRICS, MAX_TEXT};

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
        for n in 0..MAX_ATTRIBUTES + 3 {
            notes.set_attribute(&format!("k{n}"), NoteValue::Integer(0));
        }
        notes.set_attribute("k0", NoteValue::Integer(7));
    });
    assert_eq!(noted.len(), MAX_ATTRIBUTES + 1);
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
        for n in 1..MAX_METRICS {
            assert!(notes.log_metric(&format!("m{n}"), 1.0));
        }
        assert!(!notes.log_metric("one_too_many", 1.0));
    });
    assert_eq!(noted.len(), MAX_METRICS + 1);
    assert_eq!((&*noted["metrics.accuracy"], &*noted["weir.notes_left_out"]), ("0.5", "5"));
}

#[test]
fn long_texts_are_cut() {
    let long = "é".repeat(MAX_TEXT);
    let noted = noted(|notes| notes.set_attribute("k", NoteValue::Text(long)));
    assert_eq!(noted["k"], format!("{}… [{} bytes]", "é".repeat(MAX_TEXT / 2), MAX_TEXT * 2));
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
    assert_eq!((count("tick"), count("log")), (MAX_EVENTS, MAX_LOG_LINES));
    let left_out = 2 * 1000 - MAX_EVENTS - MAX_LOG_LINES;
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
    assert_eq!(node.notes().traceparent(), propagation::traceparent(&node.context()));
    assert!(node.notes().traceparent().starts_with("00-"));
}
