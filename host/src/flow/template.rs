//! What a Jinja template uses, as far as a flow can be checked by it. Not rendering: plugins do that.

use std::collections::BTreeSet;

use minijinja::Environment;

/// Names that every template has.
const GLOBALS: [&str; 13] = [
    "range",
    "dict",
    "lipsum",
    "cycler",
    "joiner",
    "namespace",
    "debug",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
];

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotATemplate {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) message: String,
}

/// The names that a template takes from outside, in alphabetical order.
pub(super) fn variables(template: &str) -> Result<BTreeSet<String>, NotATemplate> {
    let environment = Environment::new();
    let parsed = environment.template_from_str(template).map_err(|error| NotATemplate {
        line: error.line().unwrap_or(1),
        message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    })?;
    let mut variables: BTreeSet<_> = parsed.undeclared_variables(false).into_iter().collect();
    variables.retain(|name| !GLOBALS.contains(&name.as_str()));
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &[&str]) {
        let found = variables(template).map_err(|fault| format!("{}: {}", fault.line, fault.message));
        assert_eq!(found, Ok(expected.iter().map(|name| (*name).to_owned()).collect()), "{template}");
    }

    #[test]
    fn names_from_outside_are_found() {
        check("It is {{ temperature }} outside", &["temperature"]);
        check("{{question}}\n{{-user.name | upper -}}", &["question", "user"]);
        check("{% for item in chat_history %}{{ item.inputs.question }}{% endfor %}", &["chat_history"]);
        check("{% if n > 1 and m is defined %}{{ x[k] }}{% endif %}", &["k", "m", "n", "x"]);
        check("![image]({{picture}})", &["picture"]);
    }

    #[test]
    fn what_the_template_makes_itself_is_not() {
        check("{% for user in users %}{{ user.name }} {{ loop.index }}{% endfor %}", &["users"]);
        check("{% set n = 1 %}{{ n }}", &[]);
        check("{# {{ temperature }} #}{% raw %}{{ temperature }}{% endraw %}", &[]);
        check("{{ 'temperature' }} {{ \"user\" }} {{ range(3) }}", &[]);
        check("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}", &[]);
    }

    #[test]
    fn what_is_no_template_is_told_with_its_line() {
        let fault = variables("hello\n{% if %}\n").expect_err("no condition");
        assert_eq!(fault.line, 2, "{fault:?}");
        variables("{{ temperature").expect_err("no end");
    }
}
