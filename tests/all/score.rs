//! POST /score: what a client gets for what it sends.

use harness::{Collector, FakeModel, TestHost};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

/// Two inputs, one with a default, and a node that returns what it is given.
const ECHO: &str = "
inputs:
  text: {type: string}
  count: {type: int, default: 3}
outputs:
  text: {type: string, reference: '${echo.output.text}'}
  count: {type: int, reference: '${inputs.count}'}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {text: '${inputs.text}'}
";

fn user_error(code: &str, message: &str) -> Value {
    json!({"error": {"code": "UserError", "message": message, "innerError": {"code": code}}})
}

#[tokio::test]
async fn inputs_become_outputs_in_the_order_of_the_flow() {
    let host = TestHost::written("echo", ECHO).start().await;

    let reply = host.score(json!({"count": "7", "unknown": [1], "text": "é 漢"})).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.text(), r#"{"text":"é 漢","count":7}"#);

    host.score(json!({"text": 1e2})).await.assert_ok(json!({"text": "100.0", "count": 3}));
    // Digits that a double does not have are kept.
    let reply = host.score_with(&[], r#"{"text": "", "count": 123456789012345678901234567890}"#).await;
    assert_eq!(reply.text(), r#"{"text":"","count":123456789012345678901234567890}"#);
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_by_name() {
    let host = TestHost::written("echo", ECHO).start().await;

    host.score(json!({"count": 1}))
        .await
        .assert_error(400, user_error("InputMissing", "Required input fields ['text'] are missing in request data"));
    host.score(json!({"text": "a", "count": "many"})).await.assert_error(
        400,
        user_error(
            "InputTypeError",
            "The input for flow is incorrect. The value for flow input 'count' does not match the expected type 'int'. \
             Please change flow input type or adjust the input value in your input data.",
        ),
    );
    for body in ["", "hello", "{\"text\": "] {
        let reply = host.score_with(&[], body).await;
        assert_eq!(reply.status, 400, "{body:?}: {}", reply.text());
        assert_eq!(reply.json()["error"]["innerError"], json!({"code": "InvalidJson"}), "{body:?}");
    }
    host.score(json!({"text": "still here"})).await.assert_ok(json!({"text": "still here", "count": 3}));
}

#[tokio::test]
async fn what_is_refused_before_the_flow_runs_leaves_no_flow_and_is_counted() {
    let collector = Collector::start();
    let host = TestHost::written("echo", ECHO).collector(&collector).start().await;
    for body in [r#"{"text": "a", "count": "many"}"#, "{}", "[]"] {
        assert_eq!(host.score_with(&[], body).await.status, 400, "{body}");
    }
    host.stop().await;
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["POST /score"; 3]);
    let refused = collector.metric("flow_request").label("response_code", "400");
    let exceptions: Vec<_> = refused.points.keys().map(|labels| labels["exception"].clone()).collect();
    assert_eq!(exceptions, ["BadRequest", "InputTypeError", "MissingRequiredFlowInput"]);
}

#[tokio::test]
async fn a_flow_with_one_input_takes_plain_text() {
    let host = TestHost::flow("run_returns").start().await;
    host.score_with(&[("content-type", "application/x-www-form-urlencoded")], "hello there")
        .await
        .assert_ok(json!({"text": "hello there"}));
}

#[tokio::test]
async fn every_refusal_has_the_same_shape() {
    let host = TestHost::flow("run_returns").start().await;

    let reply = host.get("/nope").await;
    let message = "The requested api 'nope' with GET is not supported by current app, if you entered the URL manually \
                   please check your spelling and try again.";
    reply.assert_error(404, user_error("RouteNotFound", message));

    let reply = host.get("/score").await;
    assert_eq!(reply.header("allow"), Some("POST"));
    reply.assert_error(405, user_error("MethodNotAllowed", "GET is not allowed on /score"));

    let large = vec![b' '; 4 * 1024 * 1024 + 1];
    let message = "the request body is larger than 4 MiB";
    host.score_with(&[], large).await.assert_error(413, user_error("BodyTooLarge", message));

    let message = "Media type text/html in Accept header is not acceptable. Supported media type(s) - application/json";
    host.score_with(&[("accept", "text/html")], "x").await.assert_error(406, user_error("NotAcceptable", message));

    let request = Request::builder().method(Method::PUT).uri("/health").body(bytes::Bytes::new());
    assert_eq!(host.send(request.expect("a request")).await.status, 405);
}

#[tokio::test]
async fn a_node_that_blames_the_caller_is_a_400_and_one_that_blames_itself_a_500() {
    let flow = |guest: &str| {
        format!(
            "inputs: {{}}
outputs: {{a: {{type: string, reference: '${{fails.output}}'}}}}
nodes:
- name: fails
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
"
        )
    };
    let details = json!({"node": "fails"});
    for (guest, status, root, code) in [
        ("run_returns_user_error", 400, "UserError", "NodeUserError"),
        ("run_returns_system_error", 500, "SystemError", "NodeSystemError"),
        ("run_traps", 500, "SystemError", "GuestTrap"),
        ("run_returns_wrong_json", 500, "SystemError", "GuestProtocolError"),
        ("run_emits_and_returns", 500, "SystemError", "GuestProtocolError"),
    ] {
        let host = TestHost::written("fails", &flow(guest)).start().await;
        let reply = host.score(json!({})).await;
        let error = &reply.json()["error"];
        assert_eq!(reply.status, status, "{guest}: {error}");
        assert_eq!(
            (&error["code"], &error["innerError"]["code"], &error["details"]),
            (&json!(root), &json!(code), &details),
            "{guest}: {error}"
        );
        assert!(!reply.text().contains("guests/"), "{guest}: a reply holds no path: {error}");
    }
}

#[tokio::test]
async fn a_model_that_refuses_is_told_as_the_original_tells_it() {
    let model = FakeModel::echo().failing(StatusCode::BAD_REQUEST, 1).start();
    let collector = Collector::start();
    let host = TestHost::flow("llm_node").model(&model).collector(&collector).start().await;

    let reply = host.score(json!({"question": "hi"})).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    let error = &reply.json()["error"];
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("OpenAI API hits BadRequestError: Error code: 400 - "), "{message}");
    assert_eq!((&error["code"], &error["details"]["node"]), (&json!("UserError"), &json!("chat")));
    assert!(!message.contains(&model.origin()) && !message.contains(harness::KEY), "{message}");

    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
    host.stop().await;
    let refused = collector.metric("flow_request").label("exception", "BadRequestError");
    assert_eq!(refused.label("response_code", "400").count(), 1);
}

#[tokio::test]
async fn failures_of_a_service_keep_the_originals_status_or_have_that_of_http() {
    for (fails, code, status) in [
        (StatusCode::UNAUTHORIZED, "UpstreamAuth", 500),
        (StatusCode::BAD_REQUEST, "UpstreamRejected", 400),
        (StatusCode::NOT_FOUND, "UpstreamRejected", 400),
        (StatusCode::TOO_MANY_REQUESTS, "UpstreamRateLimited", 503),
        (StatusCode::INTERNAL_SERVER_ERROR, "UpstreamFailed", 502),
    ] {
        for (setting, status) in [("original", 400), ("http", status)] {
            // As often as it is asked.
            let model = FakeModel::echo().failing(fails, 100).start();
            let host = TestHost::flow("llm_node").model(&model).env("WEIR_UPSTREAM_STATUS", setting).start().await;
            let reply = host.score(json!({"question": "hi"})).await;
            let error = &reply.json()["error"]["innerError"]["code"];
            assert_eq!((reply.status, error), (status, &json!(code)), "{fails} {setting}");
            assert_eq!(reply.header("retry-after").is_some(), status == 503, "{fails} {setting}");
        }
    }
}

#[tokio::test]
async fn probes_and_version_answer() {
    let host = TestHost::flow("run_returns").env("BUILD_INFO", r#"{"build_number": "42"}"#).start().await;
    let version = env!("CARGO_PKG_VERSION");

    host.get("/health").await.assert_ok(json!({"status": "Healthy", "version": version}));
    let build_info = r#"{"build_number": "42"}"#;
    host.get("/version").await.assert_ok(json!({"status": "Healthy", "build_info": build_info, "version": "42"}));
    for probe in ["/livez", "/readyz", "/startupz"] {
        host.get_admin(probe).await.assert_ok(json!({"status": "ok"}));
        assert_eq!(host.get(probe).await.status, 404, "{probe} is not for the public");
    }
}

#[tokio::test]
async fn values_pass_through_nodes_with_their_digits_and_the_order_of_their_keys() {
    let flow = "
inputs: {value: {type: object}}
outputs:
  # Types of outputs are told to clients, and enforced on nobody.
  first: {type: bool, reference: '${one.output.value.z[1]}'}
  value: {type: object, reference: '${two.output.value}'}
nodes:
- {name: two, type: wasm, source: {path: guests/run_returns.wasm}, inputs: {value: '${one.output.value}', n: '${inputs.value}'}}
- {name: one, type: wasm, source: {path: guests/run_returns.wasm}, inputs: {value: '${inputs.value}'}}
";
    let host = TestHost::written("passes", flow).start().await;
    let value =
        r#"{"z":[1,9007199254740993],"a":{"é":-9223372036854775808,"b":18446744073709551615,"10":null,"9":0.1}}"#;
    let reply = host.score_with(&[], format!(r#"{{"value": {value}}}"#)).await;
    let expected = format!(r#"{{"first":9007199254740993,"value":{value}}}"#);
    assert_eq!((reply.status, reply.text()), (200, expected.as_str()));
}

#[tokio::test]
async fn a_number_that_json_does_not_have_is_null_and_the_bare_word_is_refused() {
    let flow = |guest: &str, inputs: &str| {
        format!(
            "inputs: {{}}
outputs: {{a: {{type: double, reference: '${{n.output}}'}}}}
nodes: [{{name: n, type: wasm, source: {{path: guests/{guest}.wasm}}, inputs: {inputs}}}]
"
        )
    };
    for (over, expected) in [("2", json!(0.5)), ("0", json!(null))] {
        let host = TestHost::written("divides", &flow("run_divides", &format!("{{one: 1, by: {over}}}"))).start().await;
        host.score(json!({})).await.assert_ok(json!({"a": expected}));
    }
    let host = TestHost::written("bare", &flow("run_returns_wrong_json", "{text: '[NaN]'}")).start().await;
    let reply = host.score(json!({})).await;
    let message = "node \"n\" returned text that is not JSON: expected value at line 1 column 2; JSON has neither NaN nor \
                   Infinity: return null in their place";
    assert_eq!((reply.status, &reply.json()["error"]["message"]), (500, &json!(message)));
}

#[tokio::test]
async fn outputs_for_evaluation_are_left_out_unless_the_operator_names_what_is_shown() {
    let flow = "
inputs: {text: {type: string}}
outputs:
  a: {type: string, reference: '${inputs.text}'}
  b: {type: string, reference: '${inputs.text}', evaluation_only: true}
  c: {type: int, reference: 5}
nodes: []
";
    let host = |variable: &'static str, names: &'static str| async move {
        let host = TestHost::written("evaluated", flow);
        let host = if variable.is_empty() { host } else { host.env(variable, names) };
        host.start().await.score(json!({"text": "t"})).await.text().to_owned()
    };
    assert_eq!(host("", "").await, r#"{"a":"t","c":5}"#);
    let (long, short) = ("PROMPTFLOW_RESPONSE_INCLUDED_FIELDS", "PF_RESPONSE_INCLUDED_FIELDS");
    assert_eq!(host(long, r#"["c", "b"]"#).await, r#"{"b":"t","c":5}"#);
    assert_eq!(host(short, r#"["nope"]"#).await, "{}");
    let exit = TestHost::written("evaluated", flow).env(long, "a, b").refuses().await;
    let wanted = "PROMPTFLOW_RESPONSE_INCLUDED_FIELDS: expected a JSON list of outputs by name, such as [\"answer\"], found a, b";
    assert!(exit.status.code() == Some(2) && exit.told().contains(wanted), "{}", exit.stderr);
}

#[tokio::test]
async fn a_flow_without_nodes_or_outputs_answers_an_empty_object() {
    let host = TestHost::written("nothing", "inputs: {}\n").start().await;
    let reply = host.score_with(&[], "no JSON at all").await;
    assert_eq!((reply.status, reply.text()), (200, "{}"));
}

#[tokio::test]
async fn independent_nodes_run_at_the_same_time() {
    let flow = "
inputs: {ms: {type: int}}
outputs:
  left: {type: string, reference: '${left.output}'}
  right: {type: string, reference: '${right.output}'}
nodes:
- name: left
  type: wasm
  source: {type: code, path: guests/run_slow.wasm}
  inputs: {ms: '${inputs.ms}', value: l}
- name: right
  type: wasm
  source: {type: code, path: guests/run_slow.wasm}
  inputs: {ms: '${inputs.ms}', value: r}
";
    let collector = Collector::start();
    let host = TestHost::written("fan_out", flow).collector(&collector).start().await;
    host.score(json!({"ms": 200})).await.assert_ok(json!({"left": "l", "right": "r"}));

    let trace = collector.only_trace().await;
    let (left, right) = (trace.span("left"), trace.span("right"));
    assert!(left.start < right.end && right.start < left.end, "they do not overlap: {left:?} {right:?}");
    host.stop().await;
}
