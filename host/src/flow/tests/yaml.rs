//! The darker corners of YAML: what is refused, and which value is meant where a reader might mean another.

use super::*;

/// What a default is that is written like this.
#[track_caller]
fn check_value(written: &str, expected: &str) {
    let flow = flow(&format!("inputs:\n  a:\n    type: object\n    default: {written}\n"));
    let default = flow.inputs()["a"].default.as_ref().map(ToString::to_string);
    assert_eq!(default.as_deref(), Some(expected), "{written}");
}

#[test]
fn values_are_those_of_yaml_1_2_and_keep_their_digits() {
    for (written, expected) in [
        // The Norway problem, and its kin.
        ("no", r#""no""#),
        ("Yes", r#""Yes""#),
        ("on", r#""on""#),
        ("TRUE", "true"),
        ("1:30", r#""1:30""#),
        ("2001-01-01", r#""2001-01-01""#),
        ("2001-01-01T00:00:00Z", r#""2001-01-01T00:00:00Z""#),
        ("=", r#""=""#),
        ("0777", "777"),
        ("0o17", "15"),
        ("0xff", "255"),
        ("0b1", "1"),
        ("1_000", "1000"),
        ("+1", "1"),
        (".5", "0.5"),
        ("1e3", "1000.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("!!int \"3\"", "3"),
        ("!!binary aGk=", r#""hi""#),
        ("\"a\\x00\\u2028b\"", "\"a\\u0000\u{2028}b\""),
        ("|\n      a\n      b", r#""a\nb\n""#),
        ("{? x : 1, 2: y, ~: z, true: w}", r#"{"x":1,"2":"y","null":"z","true":"w"}"#),
    ] {
        check_value(written, expected);
    }
    for wrong in ["1e400", "-.inf", ".NaN"] {
        check(
            &format!("inputs: {{a: {{type: object, default: {wrong}}}}}\n"),
            &["1:37: input \"a\": JSON has no such number, so no node could be given it"],
        );
    }
}

/// The text is refused with this message, and nothing else is said.
#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let problems = parse(text).expect_err(text);
    let messages: Vec<_> = problems.problems().iter().map(|problem| &*problem.message).collect();
    assert_eq!(messages, [expected], "{text:?}");
}

#[test]
fn no_tag_makes_anything_but_a_value() {
    for tag in [
        "!!python/object/apply:os.system",
        "!!python/object/new:subprocess.Popen",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!ruby/object:Gem::Requirement",
        "!!java.net.URL",
        "!!js/function",
        "!<tag:yaml.org,2002:python/object>",
        "!secret",
        "!include",
        "!env",
        "!!set",
        "!!omap",
    ] {
        check_refused(&format!("name: {tag} x\n"), &format!("not valid YAML: unsupported tag `{tag}`"));
    }
    check_refused(
        "%TAG ! tag:yaml.org,2002:python/\n---\nname: !object x\n",
        "not valid YAML: unsupported tag `!object`",
    );
    check_refused("name: !!timestamp 2001-01-01\n", "not valid YAML: cannot deserialize tagged scalar into string");
    check_refused("name: !!int x\n", "not valid YAML: invalid u64");
}

#[test]
fn what_is_no_text_of_one_document_is_pointed_at() {
    for (text, expected) in [
        ("name:\n\t- 1", "tabs disallowed within this context (block indentation)"),
        ("name: \"\0\"", "unexpected character: `\\u{0}'"),
        ("name: \u{1}", "unexpected character: `\\u{1}'"),
        ("\u{c}name: a", "unexpected character: `\\u{c}'"),
        ("name: a\n\u{feff}inputs: {}", "a BOM must not appear inside a document"),
        ("name: a\n---\nname: b", "only single YAML document expected but multiple found"),
        ("? [1]\n: 2", "a key must be text"),
        ("{a: 1}: 2", "a key must be text"),
        ("name: &a {<<: *a}", "Recursive reference not allowed here"),
        ("name: *gone", "reference to unknown value"),
        ("name: \"x", "unclosed quote"),
        ("name: \"\\ud800\"", "while parsing a quoted scalar, found high surrogate without following low surrogate"),
    ] {
        check_refused(text, &format!("not valid YAML: {expected}"));
    }
    check_refused("name: a\nname: b", "key `name` appears more than once");
    check_refused("inputs: {a: {type: int, type: string}}", "key `type` appears more than once");
}

#[test]
fn bombs_of_every_kind_end_early() {
    let anchors = (0..101).map(|n| format!("- &a{n} x\n")).collect::<String>();
    let merges = (0..101).map(|n| format!("k{n}: {{<<: *a}}\n")).collect::<String>();
    let aliases = "- *a\n".repeat(101);
    for text in [
        format!("x:\n{anchors}"),
        format!("a: &a {{x: 1}}\n{merges}"),
        format!("- &a x\n{aliases}"),
        format!("x: {}", "[".repeat(33)),
        "- ".repeat(33) + "x",
        "? ".repeat(33) + "x",
        "x: 1\n---\n".repeat(10_000),
        format!("x: [{}]", "1,".repeat(60_000)),
        format!("x: {}", "9".repeat(1 << 20)),
        format!("x: '{}'", "y".repeat(200 << 10).repeat(6)),
    ] {
        let problems = parse(&text).expect_err("a bomb is refused");
        let [problem] = problems.problems() else { panic!("{}", problems.plain()) };
        assert_eq!(problem.code, "InvalidYaml", "{}", &text[..40]);
        assert!(problem.message.len() < 1024, "{} bytes are told", problem.message.len());
    }
}

#[test]
fn as_many_ways_as_there_are_lead_through_a_flow_and_each_node_is_looked_at_once() {
    // Each layer has two nodes, and each of them takes both of the one before: 2^249 paths through the largest flow.
    let layers = 249;
    let node = |name: &str, inputs: &str| {
        format!("- {{name: {name}, type: wasm, source: {{path: echo.wasm}}, inputs: {{{inputs}}}}}\n")
    };
    let mut text = "outputs: {o: {type: string, reference: '${a248.output}'}}\nnodes:\n".to_owned();
    for layer in 0..layers {
        let inputs = match layer {
            0 => "x: 1".to_owned(),
            _ => format!("x: '${{a{0}.output}}', y: '${{b{0}.output}}'", layer - 1),
        };
        text += &node(&format!("a{layer}"), &inputs);
        text += &node(&format!("b{layer}"), &inputs);
    }
    assert_eq!(flow(&text).nodes().count(), 2 * layers);
    // The same, in a circle.
    let circle = text.replace("x: 1", "x: '${b248.output}'");
    let problems = parse(&circle).expect_err("a circle");
    assert!(problems.problems().iter().all(|problem| problem.code == "NodeCircularDependency"), "{}", problems.plain());
}
