//! Flex flows: one entry that answers any value, is initialised once, and calls what it needs.

use harness::TestHost;
use serde_json::json;

#[tokio::test]
async fn the_reply_is_what_the_entry_gives_bare_and_of_any_type() {
    let host = TestHost::written("bare", "entry: guests/run_slow.wasm\n").start().await;
    for value in [
        r#""text""#,
        "5",
        "18446744073709551615",
        "1.5",
        "true",
        "null",
        "[1,\"a\",null]",
        "[]",
        r#"{"z":1,"a":{"é":[2]}}"#,
        "{}",
    ] {
        let reply = host.score_with(&[], format!(r#"{{"ms":0,"value":{value}}}"#)).await;
        assert_eq!((reply.status, reply.text()), (200, value));
    }
    host.score(json!({"ms": 0})).await.assert_ok(json!(null));
}

#[tokio::test]
async fn the_file_coerces_what_it_declares_and_the_entry_says_what_must_be_given() {
    let file = "entry: guests/run_slow.wasm\ninputs: {ms: {type: int}, value: {type: int, default: 9}}\n";
    let host = TestHost::written("declared", file).start().await;
    host.score(json!({"ms": "0", "unknown": [1]})).await.assert_ok(json!(9));
    host.score(json!({"ms": 0, "value": "5"})).await.assert_ok(json!(5));
    let refused = host.score(json!({"ms": 0, "value": "zz"})).await;
    assert_eq!((refused.status, &refused.json()["error"]["innerError"]["code"]), (400, &json!("InputTypeError")));
    let missing = host.score(json!({"value": 1})).await;
    let message = "Required input fields ['ms'] are missing in request data";
    assert_eq!((missing.status, &missing.json()["error"]["message"]), (400, &json!(message)));
}

#[tokio::test]
async fn the_file_and_the_entry_have_to_agree_on_names() {
    let host = TestHost::written("disagrees", "entry: guests/run_slow.wasm\ninputs: {mss: {type: int}}\n");
    let exit = host.refuses().await;
    assert_eq!(exit.status.code(), Some(2));
    let wanted = "the flow declares inputs that its entry does not take: mss; inputs of the entry are: ms, value";
    assert!(exit.told().contains(wanted), "{}", exit.stderr);
}

#[tokio::test]
async fn the_nearest_to_the_operator_initialises_the_entry() {
    let file = |sample: &str| {
        format!("entry: guests/context_reads_init.wasm\ninit: {{greeting: {{type: string, default: file}}}}\n{sample}")
    };
    let (plain, sampled) = (file(""), file("sample: {init: {greeting: sample}}\n"));
    let variable = r#"{"greeting": "variable"}"#;
    for (file, env, argument, greeting) in [
        ("entry: guests/context_reads_init.wasm\n", None, None, "hello"),
        (&*plain, None, None, "file"),
        (&*sampled, None, None, "sample"),
        (&*sampled, Some(variable), None, "variable"),
        (&*sampled, Some(variable), Some("greeting=argument"), "argument"),
    ] {
        let mut host = TestHost::written("initialised", file);
        if let Some(env) = env {
            host = host.env("PF_FLOW_INIT_CONFIG", env);
        }
        if let Some(argument) = argument {
            host = host.arg("--init").arg(argument);
        }
        let reply = host.start().await.score(json!({"name": "Ann"})).await;
        assert_eq!((reply.status, &reply.json()["text"]), (200, &json!(format!("{greeting} Ann"))));
    }
}

#[tokio::test]
async fn a_flow_whose_entry_cannot_be_initialised_is_not_served() {
    let file = "entry: guests/flex_calls_nodes.wasm\ngrants: {nodes: []}\n";
    for (argument, wanted) in [
        (
            None,
            "init value \"tone\" is missing; give it by `--init tone=VALUE`, in PF_FLOW_INIT_CONFIG, or as `default`",
        ),
        (Some("tune=x"), "--init: the flow has no init value \"tune\"; init values are: tone"),
    ] {
        let mut host = TestHost::written("not_initialised", file);
        if let Some(argument) = argument {
            host = host.arg("--init").arg(argument);
        }
        let exit = host.refuses().await;
        assert_eq!(exit.status.code(), Some(2));
        assert!(exit.told().contains(wanted), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn an_entry_that_fails_is_named() {
    for (guest, status, code) in [("run_returns_user_error", 400, "NodeUserError"), ("run_traps", 500, "GuestTrap")] {
        let host = TestHost::written("fails", &format!("entry: guests/{guest}.wasm\n")).start().await;
        let reply = host.score(json!({})).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["innerError"]["code"], &error["details"]["node"]),
            (status, &json!(code), &json!(guest)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_entry_whose_nodes_call_each_other_for_ever_is_ended() {
    let file = "
entry: guests/nodes_calls_another.wasm
grants: {nodes: [ping]}
nodes:
- {name: ping, type: wasm, source: {path: guests/nodes_calls_another.wasm}, inputs: {node: pong}, grants: {nodes: [pong]}}
- {name: pong, type: wasm, source: {path: guests/nodes_calls_another.wasm}, inputs: {node: ping}, grants: {nodes: [ping]}}
";
    let host = TestHost::written("ping_pong", file).start().await;
    let reply = host.score(json!({"node": "ping"})).await;
    let message = "nodes call each other more than 16 deep; is there a cycle?";
    assert_eq!((reply.status, &reply.json()["error"]["message"]), (500, &json!(message)));
    // A node that is not granted, by way of one that is.
    let reply = host.score(json!({"node": "pong"})).await;
    let message = "node \"nodes_calls_another\" may not call node \"pong\"; add it to `grants.nodes` of the node";
    assert_eq!((reply.status, &reply.json()["error"]["message"]), (500, &json!(message)));
}
