//! What becomes of a value by the declared type of its input: Python's conversions.

use harness::TestHost;

use super::table::{Row, better, check, ok, same, user};

const FLOW: &str = "
inputs:
  int: {type: int, default: 1}
  double: {type: double, default: 0.5}
  bool: {type: bool, default: true}
  string: {type: string, default: s}
  list: {type: list, default: [1]}
  object: {type: object, default: {a: 1}}
  secret: {type: secret, default: x}
outputs:
  int: {type: int, reference: '${inputs.int}'}
  double: {type: double, reference: '${inputs.double}'}
  bool: {type: bool, reference: '${inputs.bool}'}
  string: {type: string, reference: '${inputs.string}'}
  list: {type: list, reference: '${inputs.list}'}
  object: {type: object, reference: '${inputs.object}'}
  secret: {type: string, reference: '${inputs.secret}'}
nodes: []
";

/// By name of type: the default as the reply has it.
const DEFAULTS: [(&str, &str); 7] = [
    ("int", "1"),
    ("double", "0.5"),
    ("bool", "true"),
    ("string", "\"s\""),
    ("list", "[1]"),
    ("object", "{\"a\":1}"),
    ("secret", "\"x\""),
];

fn body(kind: &str, value: &str) -> String {
    format!("{{\"{kind}\": {value}}}")
}

fn becomes(kind: &str, value: &str, expected: &str) -> Row {
    let of = |(name, default): (&str, &str)| format!("\"{name}\":{}", if name == kind { expected } else { default });
    let reply = format!("{{{}}}", DEFAULTS.map(of).join(","));
    same(&format!("{value} for {kind}"), body(kind, value), ok(&reply))
}

fn message(kind: &str) -> String {
    format!(
        "The input for flow is incorrect. The value for flow input '{kind}' does not match the expected type '{kind}'. \
         Please change flow input type or adjust the input value in your input data."
    )
}

fn refused(kind: &str, value: &str) -> Row {
    same(&format!("{value} for {kind}"), body(kind, value), user(400, "InputTypeError", &message(kind)))
}

#[tokio::test]
async fn values_are_brought_to_the_types_of_their_inputs() {
    let host = TestHost::written("typed", FLOW).start().await;
    let parse = "Failed to parse the flow input. The value for flow input 'list' was interpreted as JSON string since its \
                 type is 'list'. However, the value is invalid for JSON parsing. Error details: expected value at line 1 \
                 column 1. Please make sure your inputs are properly formatted.";
    let finite = "The input for flow is incorrect. The value for flow input 'double' is not a finite number, which its type \
                  'double' requires here. Please adjust the input value in your input data.";
    let no_number = "JSON has no such number, so that neither a node nor the client could be given it";
    check(
        &host,
        [
            becomes("int", "7", "7"),
            becomes("int", "4.9", "4"),
            becomes("int", r#""7""#, "7"),
            becomes("int", "true", "1"),
            refused("int", r#""abc""#),
            refused("int", "null"),
            refused("int", "{}"),
            becomes("double", "2.25", "2.25"),
            becomes("double", "3", "3.0"),
            becomes("double", r#""3.5""#, "3.5"),
            refused("double", r#""abc""#),
            refused("double", "[]"),
            better("nan", body("double", r#""nan""#), user(400, "InputTypeError", finite), no_number),
            better("inf", body("double", r#""inf""#), user(400, "InputTypeError", finite), no_number),
            becomes("bool", "false", "false"),
            becomes("bool", r#""FALSE""#, "false"),
            refused("bool", "1"),
            refused("bool", r#""yes""#),
            refused("bool", "null"),
            becomes("string", "123", r#""123""#),
            becomes("string", "null", r#""None""#),
            becomes("string", r#"[1, "a"]"#, r#""[1, 'a']""#),
            becomes("string", r#"{"a": 1}"#, r#""{'a': 1}""#),
            becomes("list", r#"["a"]"#, r#"["a"]"#),
            becomes("list", r#""[1]""#, "[1]"),
            refused("list", r#""{}""#),
            refused("list", "{}"),
            refused("list", "5"),
            same("text for list", body("list", r#""words""#), user(400, "InputTypeError", parse)),
            becomes("object", r#"{"b":null}"#, r#"{"b":null}"#),
            becomes("object", r#""{\"b\":1}""#, r#"{"b":1}"#),
            becomes("object", r#""plain""#, r#""plain""#),
            becomes("object", "5", "5"),
            becomes("secret", r#"{"k":5}"#, r#"{"k":5}"#),
        ],
    )
    .await;
}
