//! What the terminal shows.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;

use super::*;
use crate::telemetry::tree::{Kind, Span, Status, Style, Trace, render};

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A span of a drawing: times in milliseconds since the start of the trace.
fn span(id: &str, parent: &str, name: &str, kind: Kind, at: (u64, u64), attributes: &[(&str, &str)]) -> Span {
    let time = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    Span {
        id: id.to_owned(),
        parent: Some(parent.to_owned()).filter(|it| !it.is_empty()),
        name: name.to_owned(),
        kind,
        start: time(at.0),
        end: time(at.1),
        status: Status::Ok,
        attributes: attributes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
    }
}

/// Two nodes side by side, one of which asks a model and one of which fails.
fn overlapping() -> Trace {
    let tokens = [
        ("gen_ai.request.model", "offline"),
        ("__computed__.cumulative_token_count.prompt", "9"),
        ("__computed__.cumulative_token_count.completion", "5"),
        ("__computed__.cumulative_token_count.total", "14"),
    ];
    let mut failing = span("d", "b", "classify", Kind::Internal, (4, 8), &[("error.type", "GuestTrap")]);
    failing.status = Status::Error("GuestTrap: it\u{1b}[2J trapped".to_owned());
    let spans = vec![
        span("e", "c", "openai_chat", Kind::Client, (4, 22), &tokens),
        span("c", "b", "summarize", Kind::Internal, (3, 23), &[]),
        failing,
        span("b", "a", "support_ticket", Kind::Internal, (1, 24), &[("span_type", "Flow")]),
        span("a", "caller", "POST /score", Kind::Server, (0, 24), &[("http.response.status_code", "200")]),
    ];
    Trace { id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), spans }
}

#[test]
fn a_person_sees_what_ran_beside_what_and_what_it_cost() {
    let drawn = render(&overlapping(), Style::Terminal { color: false });
    assert_eq!(
        drawn,
        "\
POST /score  200  24.0 ms  trace 4bf92f3577b34da6a3ce929d0e0e4736
└─ support_ticket     Completed     +1.0 ms    23.0 ms   ███████████████████████
   ├─ summarize       Completed     +3.0 ms    20.0 ms     ████████████████████
   │  └─ openai_chat  ok            +4.0 ms    18.0 ms      ██████████████████    offline  9+5=14 tokens
   └─ classify        Failed        +4.0 ms     4.0 ms      ████                  GuestTrap: it [2J trapped
"
    );
}

#[test]
fn a_test_sees_the_same_for_every_run() {
    assert_eq!(
        render(&overlapping(), Style::Stable),
        "\
server POST /score ok response_code=200
  flow support_ticket ok run_status=Completed
    node classify error run_status=Failed error.type=GuestTrap
    node summarize ok run_status=Completed
      rpc openai_chat ok model=offline prompt_tokens=9 completion_tokens=5 total_tokens=14
"
    );
}

#[test]
fn color_adds_nothing_but_color() {
    let plain = render(&overlapping(), Style::Terminal { color: false });
    let mut colored = render(&overlapping(), Style::Terminal { color: true });
    assert_ne!(plain, colored);
    for code in [0, 1, 2, 31, 32, 33, 36] {
        colored = colored.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, colored);
}

#[test]
fn each_root_is_printed_as_a_tree_of_its_own_once_it_is_whole() {
    let screen = Screen::default();
    let terminal = Some(Terminal { out: Box::new(screen.clone()), color: false });
    let telemetry = Telemetry::start(Config { terminal, ..Config::default() }).unwrap();
    assert_eq!(
        telemetry.describe(),
        [
            "traces: printed here (OTEL_EXPORTER_OTLP_ENDPOINT is not set)",
            "metrics: at /metrics of the admin listener",
            "logs: sent nowhere (OTEL_EXPORTER_OTLP_ENDPOINT is not set)",
            "feedback: kept in memory until delivered (WEIR_DATA_DIR is not set)",
        ]
    );
    let rig = Rig { telemetry, ..Rig::new() };
    let mut headers = http::HeaderMap::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", parent.parse().unwrap());
    let parent = Propagators::default().extract(&headers);

    // Two requests of one trace at the same time, and two feedbacks in between.
    let (first, second) = (rig.request(&parent), rig.request(&parent));
    rig.flow(&first.context(), &Usage::default()).finish("{}");
    rig.feedback(&parent, vec![KeyValue::new("feedback", "good")]);
    rig.feedback(&parent, vec![KeyValue::new("rating", 5), KeyValue::new("tone", "kind")]);
    rig.flow(&second.context(), &Usage::default()).fail("GuestTrap", "it trapped");
    second.finish(FinishRequest { status: 500, exception: "GuestTrap", message: "it trapped", ..rig.finish_request() });
    first.finish(rig.finish_request());
    rig.telemetry.stop(Duration::from_secs(10));

    let printed = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
    let firsts: Vec<Vec<&str>> = printed
        .lines()
        .map(|line| line.split_whitespace().filter(|word| !word.contains(['.', '█', '+']) && *word != "ms").collect())
        .collect();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(
        firsts,
        [
            &["promptflow-feedback", "good", "trace", id][..],
            &[],
            &["promptflow-feedback", "rating=5", "tone=kind", "trace", id],
            &[],
            &["POST", "/score", "500", "trace", id, "GuestTrap:", "it", "trapped"],
            &["└─", "chat_basic", "Failed", "GuestTrap:", "it", "trapped"],
            &[],
            &["POST", "/score", "200", "trace", id],
            &["└─", "chat_basic", "Completed"],
            &[],
        ]
    );
}
