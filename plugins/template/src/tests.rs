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

/// What opens a shell or a file in jinja2 without a sandbox. Nothing of it is there: it is empty, or fails.
#[test]
fn classic_payloads_find_nothing() {
    let variables = serde_json::json!({"text": "x", "object": {"a": [1]}, "list": [{"b": null}]});
    let serde_json::Value::Object(variables) = variables else { panic!("variables are an object") };
    for payload in [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text.__class__.__base__.__subclasses__()[40]('/etc/passwd').read() }}",
        "{{ ''['__cl' ~ 'ass__'] }}",
        "{{ text | attr('__class__') }}",
        "{{ object.__init__.__globals__ }}",
        "{{ object.keys.__globals__ }}",
        "{{ self.__init__.__globals__.__builtins__.open('/etc/passwd').read() }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ config.__class__.from_envvar('PATH') }}",
        "{{ request.application.__globals__ }}",
        "{{ get_flashed_messages.__globals__ }}",
        "{{ url_for.__globals__ }}",
        "{{ range.__init__ }}",
        "{{ [].append.__self__ }}",
        "{{ ''.format.__func__ }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{{ '%s' % text.__class__ }}",
        "{{ text | map('__class__') | list }}",
        "{{ list | map(attribute='__class__') | list }}",
        "{{ object | tojson | attr('__class__') }}",
        "{% include '/etc/passwd' %}",
        "{% include ['/etc/passwd', 'x'] ignore missing %}",
        "{% import '/etc/passwd' as x %}{{ x }}",
        "{% from '/etc/passwd' import x %}{{ x }}",
        "{% extends '/etc/passwd' %}",
        "{{ import('os') }}",
        "{{ eval('1') }}{{ exec('1') }}",
        "{{ open('/etc/passwd').read() }}",
        "{{ environ('PATH') }}{{ env }}",
        "{{ debug() }}",
    ] {
        let Ok(text) = render(payload, &variables, Lists::Python) else { continue };
        let harmless = text.replace(['[', ']', ',', ' '], "").replace("None", "");
        assert!(harmless.is_empty() || harmless == "{0.__class__}", "{payload} gives {text:?}");
    }
}
