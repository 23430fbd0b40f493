//! Jinja templates as prompt flow renders them: jinja2 with `trim_blocks` and `keep_trailing_newline`, where an unknown
//! variable is empty and values print as Python prints them. Used by the plugins `prompt` and `llm`. Not what a
//! rendered text means: see the plugin `llm` for chats.
//!
//! A template has no loop without an end, but it can have one that takes too long. The host's deadline for the node
//! ends it; a count of steps here would be a second limit with a worse message.

mod chat_list;
mod filters;
mod json;
mod python;
mod texts;

use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use minijinja_contrib::pycompat;
use serde_json::Map;
use weir_sdk::NodeError;

pub use texts::unwrap_texts;

/// How a variable that is a list prints. Elsewhere (in loops, in filters, inside an object) it is the same list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// As Python prints it: `['a', 1]`.
    Python,
    /// One element per line, as prompt flow has it in chats with Azure OpenAI.
    Lines,
}

/// A template that could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// jinja2's name for the kind of error, such as `TemplateSyntaxError`.
    pub kind: &'static str,
    /// What is wrong, with the line.
    pub message: String,
}

/// Renders a template.
///
/// # Errors
///
/// The template is not well-formed, uses a filter, test or function that does not exist, or asks for something that
/// its values do not have.
pub fn render(
    template: &str,
    variables: &Map<String, serde_json::Value>,
    lists: Lists,
) -> Result<String, TemplateError> {
    let environment = environment();
    let variables = Value::from_pairs(variables.iter().map(|(name, value)| {
        let value = match lists {
            Lists::Python => Serde(value).into(),
            Lists::Lines => chat_list::value(value),
        };
        (name.clone(), value)
    }));
    Ok(environment.render_str(template, variables)?)
}

/// A value as Python's `str` prints it: `{'a': [True, None]}`.
pub fn python_str(value: &serde_json::Value) -> String {
    python::str(&Serde(value).into())
}

/// A value as Python's `json.dumps` writes it: in the order of its keys, ASCII only, with a blank behind `,` and `:`.
pub fn python_json(value: &serde_json::Value) -> String {
    json::dumps(&Serde(value).into())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_unknown_method_callback(pycompat::unknown_method_callback);
    // What minijinja prints differs from Python in small things: exponents, characters that do not print, a list's
    // lines.
    environment.set_formatter(|out, _, value| {
        if !value.is_undefined() {
            out.write_str(&python::str(value))?;
        }
        Ok(())
    });
    filters::add_to(&mut environment);
    // jinja2 has no such function: it prints all there is.
    environment.remove_global("debug");
    environment
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let message = match error.line() {
            Some(line) => format!("{what} (line {line})"),
            None => what,
        };
        Self { kind: jinja_name(error.kind()), message }
    }
}

/// jinja2's exception for a kind of error.
fn jinja_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::SyntaxError | ErrorKind::BadEscape | ErrorKind::InvalidDelimiter => "TemplateSyntaxError",
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => "TemplateAssertionError",
        ErrorKind::UndefinedError | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => "UndefinedError",
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => "TemplateNotFound",
        ErrorKind::CannotUnpack => "ValueError",
        ErrorKind::NonPrimitive
        | ErrorKind::NonKey
        | ErrorKind::InvalidOperation
        | ErrorKind::TooManyArguments
        | ErrorKind::MissingArgument
        | ErrorKind::BadSerialization => "TypeError",
        _ => "TemplateRuntimeError",
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, message } = self;
        write!(f, "Failed to render jinja template: {kind}: {message}. Please modify your prompt to fix the issue.")
    }
}

impl std::error::Error for TemplateError {}

impl From<TemplateError> for NodeError {
    fn from(error: TemplateError) -> Self {
        Self::user("JinjaTemplateError", error.to_string())
    }
}

#[cfg(test)]
mod tests;
