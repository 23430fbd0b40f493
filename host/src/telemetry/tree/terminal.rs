//! A trace as a person wants to see it: what ran, when, beside what, how long, and what it cost.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::{Role, Span, Status, Trace};
use crate::telemetry::names::{attribute, semconv};

/// Width of the bars, in characters.
const BAR: usize = 24;
/// Longest message or name that is shown, in characters.
const TEXT: usize = 160;

pub(super) fn render(trace: &Trace, color: bool) -> String {
    let children = trace.children();
    let mut text = String::new();
    for root in in_order(trace.roots()) {
        text.push_str(&head(trace, root, color));
        let mut rows = Vec::new();
        below(root, "", &children, &mut rows);
        let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or_default();
        for row in rows {
            text.push_str(&line(&row, width, root, color));
        }
    }
    text
}

/// A span with its branch drawn before its name.
struct Row<'a> {
    label: String,
    span: &'a Span,
}

fn below<'a>(span: &Span, indent: &str, children: &HashMap<&str, Vec<&'a Span>>, rows: &mut Vec<Row<'a>>) {
    let spans = in_order(children.get(span.id.as_str()).cloned().unwrap_or_default());
    let last = spans.len().saturating_sub(1);
    for (at, child) in spans.into_iter().enumerate() {
        let (branch, further) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        rows.push(Row { label: format!("{indent}{branch}{}", clean(&child.name)), span: child });
        below(child, &format!("{indent}{further}"), children, rows);
    }
}

fn in_order(mut spans: Vec<&Span>) -> Vec<&Span> {
    spans.sort_by(|one, other| (one.start, &one.name).cmp(&(other.start, &other.name)));
    spans
}

/// The first line: what was asked, what became of it, how long it took, and the id by which to find it again.
fn head(trace: &Trace, root: &Span, color: bool) -> String {
    let mut parts = vec![Paint::Bold.on(&clean(&root.name), color)];
    match root.role() {
        Role::Server => parts.push(word(root, root.attribute(semconv::HTTP_STATUS).unwrap_or("-"), color)),
        Role::Feedback => parts.extend(judgement(root)),
        Role::Flow | Role::Node | Role::Guest | Role::Rpc => parts.push(word(root, outcome(root), color)),
    }
    if root.role() != Role::Feedback {
        parts.push(time(root.duration()));
    }
    parts.push(Paint::Dim.on(&format!("trace {}", trace.id), color));
    parts.extend(failure(root).map(|message| Paint::Red.on(&message, color)));
    format!("{}\n", parts.join("  "))
}

/// What a feedback says: its text, or what it was flattened to.
fn judgement(feedback: &Span) -> Vec<String> {
    if let Some(text) = feedback.attribute(attribute::FEEDBACK) {
        return vec![clean(text)];
    }
    let said = feedback.attributes.iter().filter(|(key, _)| key != attribute::FEEDBACK_ID);
    said.map(|(key, value)| clean(&format!("{key}={value}"))).collect()
}

fn line(row: &Row<'_>, width: usize, root: &Span, color: bool) -> String {
    let span = row.span;
    let offset = span.start.duration_since(root.start).unwrap_or_default();
    let columns = [
        format!("{:width$}", row.label),
        word(span, &format!("{:9}", outcome(span)), color),
        Paint::Dim.on(&format!("{:>10}", format!("+{}", time(offset))), color),
        format!("{:>9}", time(span.duration())),
        bar(root, span, color),
        notes(span, color),
    ];
    format!("{}\n", columns.join("  ").trim_end())
}

/// How a span ended, in the word that its metrics use.
fn outcome(span: &Span) -> &'static str {
    match (span.role(), &span.status) {
        (Role::Guest | Role::Rpc | Role::Server | Role::Feedback, Status::Ok | Status::Unset) => "ok",
        _ => span.run_status(),
    }
}

fn word(span: &Span, text: &str, color: bool) -> String {
    let paint = match (span.run_status(), &span.status) {
        // Nothing failed here: the client went away, or what it asked was wrong.
        ("Canceled", _) | (_, Status::Unset) => Paint::Yellow,
        (_, Status::Error(_)) => Paint::Red,
        (_, Status::Ok) => Paint::Green,
    };
    paint.on(text, color)
}

/// Model and tokens of a call; what went wrong.
fn notes(span: &Span, color: bool) -> String {
    let mut parts = Vec::new();
    if span.role() == Role::Rpc {
        parts.extend(span.model().map(clean));
        let count = |key| span.attribute(key);
        if let (Some(prompt), Some(completion), Some(total)) = (
            count(attribute::CUMULATIVE_PROMPT),
            count(attribute::CUMULATIVE_COMPLETION),
            count(attribute::CUMULATIVE_TOTAL),
        ) {
            parts.push(format!("{prompt}+{completion}={total} tokens"));
        }
    }
    parts.extend(failure(span).map(|message| Paint::Red.on(&message, color)));
    parts.join("  ")
}

fn failure(span: &Span) -> Option<String> {
    match &span.status {
        Status::Error(message) => Some(clean(message)),
        Status::Ok | Status::Unset => None,
    }
}

/// Where in the root's time a span lies; at least one character, so that nothing is invisible.
fn bar(root: &Span, span: &Span, color: bool) -> String {
    let whole = root.duration().as_secs_f64().max(f64::MIN_POSITIVE);
    let at = |time: SystemTime| {
        let share = time.duration_since(root.start).unwrap_or_default().as_secs_f64() / whole;
        // In range: a share is neither negative nor, after `min`, more than one.
        (share.min(1.0) * BAR as f64).round() as usize
    };
    let from = at(span.start).min(BAR - 1);
    let to = at(span.end).max(from + 1);
    let filled = Paint::Cyan.on(&"█".repeat(to - from), color);
    format!("{}{filled}{}", " ".repeat(from), " ".repeat(BAR - to))
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// A text of someone else on one line of a terminal: no control characters, which could redraw it, and not for ever.
fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(TEXT).map(|it| if it.is_control() { ' ' } else { it }).collect();
    if text.chars().nth(TEXT).is_some() {
        clean.push('…');
    }
    clean
}

#[derive(Clone, Copy)]
enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Paint {
    fn on(self, text: &str, color: bool) -> String {
        if !color || text.trim().is_empty() {
            return text.to_owned();
        }
        let code = match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Cyan => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
