//! A trace as text that is the same for every run: for tests, which compare it whole.

use std::collections::HashMap;
use std::fmt::Write;

use super::{Role, Span, Status, Trace};
use crate::telemetry::names::{attribute, semconv};

pub(super) fn render(trace: &Trace) -> String {
    let children = trace.children();
    let mut text = String::new();
    for span in in_order(trace.roots()) {
        branch(&mut text, span, &children, 0);
    }
    text
}

fn branch(text: &mut String, span: &Span, children: &HashMap<&str, Vec<&Span>>, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
    text.push_str(&line(span));
    text.push('\n');
    for child in in_order(children.get(span.id.as_str()).cloned().unwrap_or_default()) {
        branch(text, child, children, depth + 1);
    }
}

/// By name, and equal names by all that is written of them.
fn in_order(mut spans: Vec<&Span>) -> Vec<&Span> {
    spans.sort_by_cached_key(|span| (span.name.clone(), line(span)));
    spans
}

fn line(span: &Span) -> String {
    let role = span.role();
    let mut line = format!("{} {} {}", role.word(), span.name, status(span));
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={value}");
        }
    };
    match role {
        Role::Server => add("response_code", span.attribute(semconv::HTTP_STATUS)),
        Role::Flow | Role::Node => add("run_status", Some(span.run_status())),
        Role::Rpc => {
            add("model", span.model());
            add("status", span.attribute(semconv::HTTP_STATUS));
        }
        Role::Guest => {}
        Role::Feedback => add("feedback", span.attribute("feedback")),
    }
    add("output_type", span.attribute(attribute::OUTPUT_TYPE));
    add("prompt_tokens", span.attribute(attribute::CUMULATIVE_PROMPT));
    add("completion_tokens", span.attribute(attribute::CUMULATIVE_COMPLETION));
    add("total_tokens", span.attribute(attribute::CUMULATIVE_TOTAL));
    add("error.type", span.attribute(semconv::ERROR_TYPE));
    line
}

fn status(span: &Span) -> &'static str {
    match span.status {
        Status::Unset => "unset",
        Status::Ok => "ok",
        Status::Error(_) => "error",
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Flow => "flow",
            Self::Node => "node",
            Self::Guest => "guest",
            Self::Rpc => "rpc",
            Self::Feedback => "feedback",
        }
    }
}
