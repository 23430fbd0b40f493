//! Templates against what jinja2 makes of them. `tests/cases.py` writes the expectations.

use serde::Deserialize;
use serde_json::Map;

use super::*;

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    variables: Map<String, serde_json::Value>,
    #[serde(default)]
    lines: bool,
    /// The rendered text, or none and `error`, jinja2's exception.
    expected: Option<String>,
    error: Option<String>,
}

/// Where minijinja prints by itself, out of our reach: floats with an exponent that `~` joins to a text.
const KNOWN_DIFFERENCES: [&str; 2] = ["concatenates huge", "concatenates tiny"];

#[test]
fn templates_render_as_in_jinja2() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/cases.json")).expect("cases.json is JSON");
    let (known, same): (Vec<_>, Vec<_>) = cases.iter().partition(|case| KNOWN_DIFFERENCES.contains(&&*case.name));
    let wrong: Vec<String> = same.into_iter().filter_map(difference).collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let gone: Vec<&str> = known.iter().filter(|case| difference(case).is_none()).map(|case| &*case.name).collect();
    assert!(gone.is_empty(), "no longer different: {gone:?}");
}

fn difference(case: &Case) -> Option<String> {
    let lists = if case.lines { Lists::Lines } else { Lists::Python };
    let rendered = render(&case.template, &case.variables, lists);
    let (expected, found) = match (&case.expected, &rendered) {
        (Some(expected), Ok(text)) => (expected.clone(), text.clone()),
        (expected, rendered) => {
            let expected = expected.clone().or_else(|| case.error.clone()).unwrap_or_default();
            (expected, rendered.as_ref().map_or_else(|error| error.kind.to_owned(), Clone::clone))
        }
    };
    (expected != found).then(|| format!("{}\n  expected {expected:?}\n  found    {found:?}", case.name))
}

#[track_caller]
fn check_error(template: &str, expected: &str) {
    let error = render(template, &Map::new(), Lists::Python).expect_err("this template fails");
    assert_eq!(NodeError::from(error), NodeError::user("JinjaTemplateError", expected));
}

#[test]
fn a_failure_names_its_kind_and_line() {
    check_error(
        "a\n{{ missing.attribute }}",
        "Failed to render jinja template: UndefinedError: undefined value (line 2). \
         Please modify your prompt to fix the issue.",
    );
    check_error(
        "{{ 1 | no_such_filter }}",
        "Failed to render jinja template: TemplateAssertionError: filter no_such_filter is unknown (line 1). \
         Please modify your prompt to fix the issue.",
    );
}
