//! What the operator lets flows ask for, at most.

use harness::{Exit, FakeModel, HostBuilder, TestHost};
use serde_json::json;

use super::{echo, flow, host, outcomes, raw};

/// The host with a policy beside its flow.
fn under(host: HostBuilder, policy: &str) -> HostBuilder {
    let host = host.file("policy.yaml", policy);
    let path = host.path().join("policy.yaml").display().to_string();
    host.arg("--policy").arg(path)
}

#[track_caller]
fn check_told(exit: &Exit, parts: &[&str]) {
    assert_eq!(exit.status.code(), Some(2), "{}", exit.stderr);
    for part in parts {
        assert!(exit.told().contains(part), "{part}: {}", exit.stderr);
    }
}

const ASKS: &str = "
connection: own
grants:
  http: ['https://api.example.com', 'https://evil.example', {url: 'https://a.example.com', methods: [GET, POST]}]
  llm: [one, {connection: two, models: [gpt-4o, o3]}]
  config: [one.model, GREETING]
  nodes: [asks]
";

#[tokio::test]
async fn a_flow_that_asks_for_more_than_the_policy_never_serves_and_is_told_all_of_it() {
    let model = FakeModel::replies("hello").start();
    let policy = "# what flows may do here
http:
- https://api.example.com
- {url: 'https://*.example.com', methods: [GET]}
llm:
- {connection: 'o*', models: [gpt-4o]}
- {connection: two, models: ['gpt-*']}
config: ['one.*']
";
    let asks = ASKS.replace("connection: own\n", "");
    let greeting = format!("environment_variables: {{GREETING: hi}}\n{}", flow("http_raw", &asks));
    let host = TestHost::written("grants", &greeting).connection("one", &model).connection("two", &model);
    let exit = under(host, policy).refuses().await;
    check_told(
        &exit,
        &[
            "node \"asks\": grants.http: https://evil.example is more than flows may ask for by",
            "policy.yaml:3, which allows \"https://api.example.com\", {\"url\":\"https://*.example.com\"",
            "node \"asks\": grants.http: POST to https://a.example.com is more than flows may ask for by",
            "node \"asks\": grants.llm: every model of connection \"one\" is more than flows may ask for by",
            "policy.yaml:6, which allows",
            "node \"asks\": grants.llm: model \"o3\" of connection \"two\" is more than flows may ask for by",
            "node \"asks\": grants.config: \"GREETING\" is more than flows may ask for by",
            "policy.yaml:8, which allows \"one.*\"",
            "node \"asks\": grants.nodes: \"asks\" is more than flows may ask for by",
            "policy.yaml, which does not name `nodes`",
            "flow.dag.yaml:",
        ],
    );
    assert!(!exit.told().contains("grants.http: https://api.example.com"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_flow_within_the_policy_serves_and_has_what_it_asks_for_and_no_more() {
    let service = echo();
    let origin = service.origin();
    let grants = format!("grants: {{http: [{{url: '{origin}/a', methods: [GET]}}]}}");
    let host = under(host("http_raw", &grants), &format!("http: ['{origin}']")).start().await;
    let requests = json!([raw("GET", &origin, "/a"), raw("POST", &origin, "/a"), raw("GET", &origin, "/b")]);
    assert_eq!(outcomes(&host, requests).await, ["200 GET /a", super::DENIED, super::DENIED]);
    host.stop().await;
}

/// A flow of one `llm` node.
fn asks_model(inputs: &str) -> HostBuilder {
    let flow = format!(
        "inputs: {{model: {{type: string, default: ''}}}}
outputs: {{answer: {{type: string, reference: '${{ask.output}}'}}}}
nodes:
- name: ask
  type: llm
  source: {{type: code, path: ask.jinja2}}
  connection: house_model
  api: chat
  inputs: {{{inputs}}}
"
    );
    TestHost::written("asks", &flow).file("ask.jinja2", "user:\nhi\n")
}

#[tokio::test]
async fn the_model_of_an_llm_node_is_held_against_the_policy() {
    let model = FakeModel::replies("hello").start();
    let policy = "llm: [{connection: 'house_*', models: ['gpt-4o*']}]";
    let serves = under(asks_model("model: gpt-4o-mini").connection("house_model", &model), policy).start().await;
    serves.score(json!({})).await.assert_ok(json!({"answer": "hello"}));
    serves.stop().await;

    let exit = under(asks_model("model: o3").connection("house_model", &model), policy).refuses().await;
    check_told(
        &exit,
        &["node \"ask\": grants.llm: model \"o3\" of connection \"house_model\" is more than flows may ask for"],
    );
    let exit = under(asks_model("model: gpt-4o").connection("house_model", &model), "http: ['*']").refuses().await;
    check_told(&exit, &["node \"ask\": grants.llm: connection \"house_model\" is more than flows may"]);

    // What a node says only when it runs is refused then.
    let host = under(asks_model("model: '${inputs.model}'").connection("house_model", &model), policy).start().await;
    assert_eq!(host.score(json!({"model": "gpt-4o"})).await.status, 200);
    let refused = host.score(json!({"model": "o3"})).await;
    let message = "node \"ask\" may not ask for model \"o3\" of connection \"house_model\", of which its grant has gpt-4o*; \
                   add it to `grants.llm` of the node";
    assert_eq!((refused.status, refused.json()["error"]["message"].as_str()), (500, Some(message)));
    host.stop().await;
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn a_policy_that_says_nothing_lets_flows_ask_for_nothing() {
    let exit = under(host("http_raw", "grants: {http: ['https://api.example.com']}"), "").refuses().await;
    check_told(
        &exit,
        &["grants.http: https://api.example.com is more than flows may ask for by", "does not name `http`"],
    );
    // And a flow that asks for nothing serves.
    let host = under(TestHost::flow("run_returns"), "").start().await;
    host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
    host.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_with_a_policy_is_told_at_once() {
    let policy = "http: [1, 'no address', {url: 'https://a.test', methods: [get]}]
htp: ['*']
log: [all]
nodes: [{name: a}]
files: ['/etc']
";
    let exit = under(TestHost::flow("run_returns"), policy).refuses().await;
    check_told(
        &exit,
        &[
            "policy.yaml:1: http: expected entries of",
            "policy.yaml:1: http: \"no address\": expected a scheme and a host",
            "policy.yaml:1: http: methods: \"get\": expected a method such as GET or POST",
            "policy.yaml:2: \"htp\": unknown capability; known: output, llm, http",
            "policy.yaml:3: log: every node has it; leave it out",
            "policy.yaml:4: nodes: expected the name of a node, such as lookup or tool_*, found {\"name\":\"a\"}",
        ],
    );
    let exit = TestHost::flow("run_returns").arg("--policy").arg("/nowhere/policy.yaml").refuses().await;
    check_told(&exit, &["/nowhere/policy.yaml: the policy is not readable: No such file"]);
    let exit = under(TestHost::flow("run_returns"), "http: {a: b}").refuses().await;
    check_told(&exit, &["policy.yaml:1:7: `http` must be a list of what may be asked for, not a mapping"]);
}

#[tokio::test]
async fn a_private_address_is_asked_of_the_policy_as_well() {
    let service = echo();
    let origin = service.origin();
    let grants = format!("grants: {{http: ['{origin}']}}");
    let everything = "http: ['*']";
    let exit = under(host("http_raw", &grants), everything).refuses().await;
    check_told(&exit, &[&format!("grants.http: the private address {origin} is more than flows may ask for by")]);
    let opened = "http: ['*', {private_addresses: [127.0.0.0/8]}]";
    let host = under(host("http_raw", &grants), opened).start().await;
    assert_eq!(outcomes(&host, json!([raw("GET", &origin, "/")])).await, ["200 GET /"]);
    host.stop().await;
}

#[tokio::test]
async fn a_policy_is_read_anew_with_the_flows() {
    let service = echo();
    let origin = service.origin();
    let grants = format!("grants: {{http: ['{origin}']}}");
    let builder = under(host("http_raw", &grants), &format!("http: ['{origin}']"));
    let policy = builder.path().join("policy.yaml");
    let host = builder.start().await;
    std::fs::write(&policy, "http: []").expect("the test's own folder");
    host.reload();
    host.wrote("the files are wrong; serving on as before").await;
    // What was served goes on: a reload that fails changes nothing.
    assert_eq!(outcomes(&host, json!([raw("GET", &origin, "/")])).await, ["200 GET /"]);
    host.stop().await;
}
