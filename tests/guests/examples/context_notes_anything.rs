//! Puts on its span whatever it is given.

use weir_sdk::{context, log, node};

/// Sets attributes, adds events, tells metrics and logs lines of these names and texts; and of each so `many` more, each with
/// a name of its own.
#[node(uses = ["context"])]
fn context_notes_anything(
    attributes: Vec<(String, String)>,
    events: Vec<String>,
    metrics: Vec<String>,
    lines: Vec<String>,
    many: Option<u32>,
) -> bool {
    for (key, value) in attributes {
        context::set_attribute(&key, value);
    }
    for name in events {
        context::add_event(&name, [(name.as_str(), name.as_str().into())]);
    }
    for name in metrics {
        context::log_metric(&name, 1.0);
    }
    for line in lines {
        log::info(&line);
        println!("{line}");
    }
    for n in 0..many.unwrap_or_default() {
        context::set_attribute(&format!("many.{n}"), i64::from(n));
        context::add_event(&format!("many.{n}"), []);
        context::log_metric(&format!("many.{n}"), f64::from(n));
    }
    true
}
