//! Filters that jinja2 has in another form than minijinja, or that print a value as text.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, Value};

use crate::{json, python};

pub(crate) fn add_to(environment: &mut Environment<'_>) {
    minijinja_contrib::add_to_environment(environment);
    environment.add_filter("string", |value: &Value| python::str(value));
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("truncate", truncate);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
}

fn escape(value: &Value) -> Value {
    let mut text = String::new();
    for character in python::str(value).chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&#34;"),
            '\'' => text.push_str("&#39;"),
            _ => text.push(character),
        }
    }
    Value::from_safe_string(text)
}

/// `truncate(length=255, killwords=false, end='...', leeway=5)`; minijinja's takes no arguments by position.
#[expect(clippy::needless_pass_by_value, reason = "a filter's arguments by name have no other form")]
fn truncate(
    value: &Value,
    length: Option<usize>,
    kill_words: Option<bool>,
    end: Option<String>,
    arguments: Kwargs,
) -> Result<String, Error> {
    let text = python::str(value);
    let length = length.or(arguments.get("length")?).unwrap_or(255);
    let kill_words = kill_words.or(arguments.get("killwords")?).unwrap_or(false);
    let end = end.or(arguments.get("end")?).unwrap_or_else(|| "...".to_owned());
    let leeway = arguments.get::<Option<usize>>("leeway")?.unwrap_or(5);
    arguments.assert_all_used()?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = if kill_words { &kept } else { kept.rsplit_once(' ').map_or(&*kept, |(words, _)| words) };
    Ok(format!("{kept}{end}"))
}
