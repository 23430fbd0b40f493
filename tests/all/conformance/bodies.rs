//! What a body is taken for: inputs by name, or the one input as text; what is missing, and what is not asked for.

use harness::TestHost;

use super::table::{better, check, ok, same, user};

const ONE: &str = "
inputs: {text: {type: string}}
outputs: {text: {type: string, reference: '${inputs.text}'}}
nodes: []
";

const MANY: &str = "
inputs:
  question: {type: string}
  times: {type: int, default: 2}
outputs:
  question: {type: string, reference: '${inputs.question}'}
  times: {type: int, reference: '${inputs.times}'}
nodes: []
";

const OPTIONAL: &str = "
inputs: {times: {type: int, default: 2}, name: {type: string, default: Jo}}
outputs:
  times: {type: int, reference: '${inputs.times}'}
  name: {type: string, reference: '${inputs.name}'}
nodes: []
";

const NONE: &str = "
inputs: {}
outputs: {five: {type: int, reference: 5}}
nodes: []
";

/// The original answers 500 with what Python said of the body.
const PYTHON: &str = "a body of the wrong form is the caller's fault, and Python's words for it help nobody";

#[tokio::test]
async fn of_a_flow_with_one_input() {
    let host = TestHost::written("one", ONE).start().await;
    let no_object = "the request body must be a JSON object with the flow's inputs: ['text']";
    let missing = "Required input fields ['text'] are missing in request data";
    let not_text = "the request body is not UTF-8 text";
    let no_number = "the request body is not valid JSON: JSON has neither NaN nor Infinity; write null in their place";
    let deep = format!(r#"{{"text": {}{}}}"#, "[".repeat(100), "]".repeat(100));
    let too_deep = "the request body is not valid JSON: nested deeper than 64 levels";
    check(
        &host,
        [
            same("an object", r#"{"text": "hello"}"#, ok(r#"{"text":"hello"}"#)),
            same("an empty text", r#"{"text": ""}"#, ok(r#"{"text":""}"#)),
            same("unknown keys are ignored", r#"{"zzz": {"a": [1]}, "text": "a"}"#, ok(r#"{"text":"a"}"#)),
            same("of keys that occur twice the last counts", r#"{"text": "a", "text": "b"}"#, ok(r#"{"text":"b"}"#)),
            same("escapes", r#"{"text": "h\u00e9llo \ud83d\ude00"}"#, ok(r#"{"text":"héllo 😀"}"#)),
            same("raw UTF-8", "{\"text\": \"héllo 你好\"}", ok(r#"{"text":"héllo 你好"}"#)),
            same("a byte order mark", "\u{feff}{\"text\": \"a\"}", ok(r#"{"text":"a"}"#)),
            // Text that is not JSON is the one input.
            same("plain text", "hello there", ok(r#"{"text":"hello there"}"#)),
            same("half an object", r#"{"text": "#, ok(r#"{"text":"{\"text\": "}"#)),
            same("no body", "", ok(r#"{"text":""}"#)),
            // A null that is given is not missing.
            same("a null", r#"{"text": null}"#, ok(r#"{"text":"None"}"#)),
            same("an empty object", "{}", user(400, "InputMissing", missing)),
            same("another key", r#"{"other": "x"}"#, user(400, "InputMissing", missing)),
            better("null", "null", user(400, "InputMissing", missing), PYTHON),
            better("a string", r#""text""#, user(400, "InvalidJson", no_object), PYTHON),
            better("a list", r#"["text"]"#, user(400, "InvalidJson", no_object), PYTHON),
            better("a number", "5", user(400, "InvalidJson", no_object), PYTHON),
            better("bytes that are no text", b"\xff\xfe\xfa", user(400, "InvalidJson", not_text), PYTHON),
            better(
                "a number that JSON does not have",
                r#"{"text": NaN}"#,
                user(400, "InvalidJson", no_number),
                "it reads Python's JSON, and no other language writes it",
            ),
            better(
                "very deep JSON",
                deep,
                user(400, "InvalidJson", too_deep),
                "it takes what is too deep for its parser for plain text",
            ),
        ],
    )
    .await;
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"] {
        let reply = host.score_with(&[("content-type", kind)], r#"{"text": "a"}"#).await;
        assert_eq!((reply.status, reply.text()), (200, r#"{"text":"a"}"#), "{kind} is not looked at");
    }
}

#[tokio::test]
async fn of_a_flow_with_several_inputs() {
    let host = TestHost::written("many", MANY).start().await;
    let not_json = |problem: &str| {
        let message = "Promptflow executor received non json data, but there's more than 1 input fields, please use json \
                       request data instead.";
        user(400, "InvalidJson", &format!("{message} ({problem})"))
    };
    let missing = user(400, "InputMissing", "Required input fields ['question'] are missing in request data");
    check(
        &host,
        [
            same("a default", r#"{"question": "hi"}"#, ok(r#"{"question":"hi","times":2}"#)),
            same("all given", r#"{"times": 3, "question": "hi"}"#, ok(r#"{"question":"hi","times":3}"#)),
            same("plain text", "hello", not_json("expected value at line 1 column 1")),
            same("half an object", r#"{"question": "#, not_json("EOF while parsing a value at line 1 column 13")),
            same("no body", "", not_json("EOF while parsing a value at line 1 column 0")),
            same("a required input is missing", r#"{"times": 3}"#, missing),
        ],
    )
    .await;
}

#[tokio::test]
async fn of_a_flow_that_needs_none() {
    let host = TestHost::written("optional", OPTIONAL).start().await;
    let defaults = r#"{"times":2,"name":"Jo"}"#;
    check(&host, [same("null", "null", ok(defaults)), same("an empty object", "{}", ok(defaults))]).await;

    let host = TestHost::written("none", NONE).start().await;
    let bodies = ["", "{}", "[1", r#"{"a": 1}"#, "null", "hello"];
    check(&host, bodies.map(|body| same(body, body, ok(r#"{"five":5}"#)))).await;
}
