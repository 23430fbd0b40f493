//! Deployments of an endpoint: which of them answers, and how they are swapped while requests go on.

use std::collections::BTreeMap;
use std::fs;

use harness::{Collector, TestHost, eventually};
use serde_json::{Value, json};

/// A flow that answers with a text of its own.
fn flow(says: &str) -> String {
    format!(
        "
inputs: {{text: {{type: string, default: ''}}}}
outputs:
  says: {{type: string, reference: {says}}}
  text: {{type: string, reference: '${{echo.output.text}}'}}
nodes:
- name: echo
  type: wasm
  source: {{type: code, path: guests/run_returns.wasm}}
  inputs: {{text: '${{inputs.text}}'}}
"
    )
}

fn deployment(name: &str, more: &str) -> String {
    format!("name: {name}\nendpoint_name: chat\nmodel: {{path: {name}}}\n{more}")
}

/// Two deployments, `blue` and `green`, that share the traffic like this.
fn two(traffic: &str) -> harness::HostBuilder {
    let flows = [("blue", flow("blue")), ("green", flow("green"))];
    let files = [
        ("blue.yaml", deployment("blue", "")),
        ("green.yaml", deployment("green", "")),
        ("endpoint.yaml", format!("name: chat\ntraffic: {traffic}\n")),
    ];
    let flows: Vec<_> = flows.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    TestHost::laid(&flows, &files, "endpoint.yaml")
}

/// How often each of them answered.
async fn answers(host: &TestHost, requests: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        let reply = host.score(json!({})).await;
        let says = reply.json()["says"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.header("azureml-model-deployment"), Some(says.as_str()));
        *answers.entry(says).or_default() += 1;
    }
    answers
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn not_found(message: &str) -> Value {
    json!({"error": {"code": "UserError", "message": message, "innerError": {"code": "DeploymentNotFound"}}})
}

#[tokio::test]
async fn traffic_is_shared_by_weight_and_a_request_may_name_its_deployment() {
    let host = two("{blue: 75, green: 25}").start().await;
    assert_eq!(answers(&host, 40).await, counts(&[("blue", 30), ("green", 10)]));

    for name in ["green", "blue"] {
        let reply = host.score_with(&[("azureml-model-deployment", name)], "{}").await;
        reply.assert_ok(json!({"says": name, "text": ""}));
    }
    let reply = host.score_with(&[("azureml-model-deployment", "red")], "{}").await;
    reply.assert_error(404, not_found("there is no deployment \"red\" at this endpoint"));
}

#[tokio::test]
async fn which_deployments_there_are_is_told_to_callers_with_a_key_alone() {
    let key = "a-key-of-this-test-0123456789";
    let host = two("{blue: 100}").env("WEIR_PRIMARY_KEY", key).start().await;
    let bearer = format!("Bearer {key}");
    for name in ["blue", "red"] {
        let reply = host.score_with(&[("azureml-model-deployment", name)], "{}").await;
        assert_eq!((reply.status, reply.header("azureml-model-deployment")), (401, None), "{name}");
    }
    let named = |name| [("azureml-model-deployment", name), ("authorization", bearer.as_str())];
    assert_eq!(host.score_with(&named("blue"), "{}").await.header("azureml-model-deployment"), Some("blue"));
    let reply = host.score_with(&named("red"), "{}").await;
    reply.assert_error(404, not_found("there is no deployment \"red\" at this endpoint"));
}

#[tokio::test]
async fn a_deployment_without_traffic_is_there_for_those_who_name_it() {
    let host = two("{blue: 0, green: 0}").start().await;
    let message = "no deployment of this endpoint gets any traffic; name one by azureml-model-deployment";
    host.score(json!({})).await.assert_error(404, not_found(message));
    let reply = host.score_with(&[("azureml-model-deployment", "green")], "{}").await;
    reply.assert_ok(json!({"says": "green", "text": ""}));
}

#[tokio::test]
async fn a_deployment_file_alone_serves_its_flow_with_its_variables_and_limits() {
    let more = "
environment_variables: {PROMPTFLOW_RESPONSE_INCLUDED_FIELDS: [text]}
request_settings: {request_timeout_ms: 150, max_concurrent_requests_per_instance: 5, max_queue_wait_ms: 10}
instance_count: 3
app_insights_enabled: true
";
    let slow = flow("blue")
        .replace("run_returns", "run_slow")
        .replace("inputs: {text: '${inputs.text}'}", "inputs: {ms: 60000}");
    for (text, status) in [(flow("blue"), 200), (slow.replace("${echo.output.text}", "${echo.output}"), 504)] {
        let host = TestHost::laid(&[("blue", &text)], &[("d.yaml", &deployment("blue", more))], "d.yaml").start().await;
        let reply = host.score(json!({"text": "a"})).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        if status == 200 {
            assert_eq!(reply.text(), r#"{"text":"a"}"#);
        } else {
            assert_eq!(reply.json()["error"]["innerError"]["code"], json!("FlowTimeout"));
        }
        let exit = host.stop().await;
        assert!(exit.stderr.contains("`instance_count` has no effect here"), "{}", exit.stderr);
    }
}

#[tokio::test]
async fn metrics_say_which_deployment_of_which_endpoint_answered() {
    let collector = Collector::start();
    let host = two("{blue: 50, green: 50}").collector(&collector).start().await;
    answers(&host, 4).await;
    host.stop().await;
    for metric in ["flow_request", "node_request"] {
        for deployment in ["blue", "green"] {
            let points = collector.metric(metric).label("endpoint", "chat").label("deployment", deployment);
            assert_eq!(points.label("flow", deployment).count(), 2, "{metric} of {deployment}");
        }
    }
}

#[tokio::test]
async fn names_of_a_folder_come_from_the_environment_of_azure() {
    let collector = Collector::start();
    let names = "deployment.endpoint_name=chat,deployment.deployment_name=blue";
    let host = TestHost::flow("run_returns").env("PRT_CONFIG_OVERRIDE", names).collector(&collector).start().await;
    let reply = host.score_with(&[("azureml-model-deployment", "blue")], "a").await;
    assert_eq!(reply.header("azureml-model-deployment"), Some("blue"));
    host.stop().await;
    assert_eq!(collector.metric("flow_request").label("endpoint", "chat").label("deployment", "blue").count(), 1);
}

#[tokio::test]
async fn weights_and_flows_are_swapped_while_requests_go_on() {
    let host = two("{blue: 100, green: 0}").env("WEIR_RELOAD_INTERVAL", "20ms").start().await;
    assert_eq!(answers(&host, 5).await, counts(&[("blue", 5)]));

    // The endpoint file is looked at.
    let swapped = async {
        fs::write(host.home().join("endpoint.yaml"), "name: chat\ntraffic: {blue: 0, green: 100}\n").expect("written");
        host.wrote("serving what the files say now").await;
    };
    let mut sent = BTreeMap::new();
    tokio::select! {
        () = swapped => {}
        () = async { loop {
            let reply = host.score(json!({})).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            *sent.entry(reply.json()["says"].to_string()).or_insert(0) += 1;
        }} => {}
    }
    assert_eq!(answers(&host, 5).await, counts(&[("green", 5)]), "{sent:?}");
}

#[tokio::test]
async fn a_request_ends_on_the_flow_that_it_began_with() {
    let slow = |says: &str| {
        let flow = flow(says).replace("run_returns", "run_slow").replace("${echo.output.text}", "${echo.output}");
        let flow = flow.replace("type: string, default: ''", "type: int, default: 0");
        flow.replace("inputs: {text: '${inputs.text}'}", "inputs: {ms: '${inputs.text}', value: done}")
    };
    let host = TestHost::laid(&[("f", &slow("old"))], &[], "f").start().await;
    let running = host.score(json!({"text": 2000}));
    let swap = async {
        fs::write(host.home().join("f/flow.dag.yaml"), slow("new")).expect("written");
        host.reload();
        host.wrote("serving what the files say now").await;
        host.score(json!({})).await.assert_ok(json!({"says": "new", "text": "done"}));
    };
    let (reply, ()) = tokio::join!(running, swap);
    reply.assert_ok(json!({"says": "old", "text": "done"}));
}

#[tokio::test]
async fn a_storm_of_new_versions_fails_no_request() {
    let host = TestHost::laid(&[("f", &flow("v0"))], &[], "f").start().await;
    let file = host.home().join("f/flow.dag.yaml");
    let storm = async {
        for version in 1..=50 {
            // In one step, so that no half of a file is read.
            let draft = file.with_extension("draft");
            fs::write(&draft, flow(&format!("v{version}"))).expect("written");
            fs::rename(&draft, &file).expect("written");
            host.reload();
            // Most come while the one before is still being read.
            if version % 10 == 0 {
                host.score(json!({})).await;
            }
        }
        let served = async || host.score(json!({})).await.json()["says"] == json!("v50");
        eventually("the last version to be served", served).await;
    };
    let asking = async || loop {
        let reply = host.score(json!({"text": "a"})).await;
        assert_eq!((reply.status, &reply.json()["text"]), (200, &json!("a")), "{}", reply.text());
    };
    tokio::select! {
        () = storm => {}
        () = asking() => {}
        () = asking() => {}
        () = asking() => {}
    }
    host.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_not_swapped_in() {
    let host = TestHost::laid(&[("f", &flow("old"))], &[], "f").start().await;
    fs::write(host.home().join("f/flow.dag.yaml"), "nodes: 3\n").expect("written");
    host.reload();
    host.wrote("the files are wrong; serving on as before").await;
    host.score(json!({})).await.assert_ok(json!({"says": "old", "text": ""}));
}

#[tokio::test]
async fn all_that_is_wrong_with_an_endpoint_is_told_at_once() {
    let files = [
        ("blue.yaml", "name: blue\nendpoint_name: chat\nmodel: azureml:unknown:1\n"),
        ("green.yaml", "name: green\nendpoint_name: chat\nmodel: {path: nowhere}\n"),
        ("endpoint.yaml", "name: chat\ntraffic: {blue: 50, red: 50}\n"),
    ];
    let exit = TestHost::laid(&[], &files, "endpoint.yaml").env("WEIR_MAX_QUEUE", "many").refuses().await;
    assert_eq!(exit.status.code(), Some(2));
    for told in [
        "traffic for \"red\", which is no deployment; they are: blue, green",
        "model \"unknown\" is registered in a workspace; give its folder by --model unknown=DIR",
        "nowhere: no such folder",
        "WEIR_MAX_QUEUE: \"many\" must be a whole number from 0 to 1024",
        "4 problems",
    ] {
        assert!(exit.told().contains(told), "{told}\n{}", exit.stderr);
    }
}

#[tokio::test]
async fn a_registered_model_is_found_by_its_file_or_by_the_command_line() {
    let registered = "name: blue\nmodel: azureml:m:3\n";
    let model = ("model.yaml", "$schema: https://a/model.schema.json\nname: m\npath: f\n");
    let host = TestHost::laid(&[("f", &flow("f"))], &[("d.yaml", registered), model], "d.yaml").start().await;
    host.score(json!({})).await.assert_ok(json!({"says": "f", "text": ""}));

    let host = TestHost::laid(&[("f", &flow("f"))], &[("d.yaml", registered)], "d.yaml");
    let folder = host.path().with_file_name("f");
    let host = host.arg(format!("--model=m={}", folder.display())).start().await;
    host.score(json!({})).await.assert_ok(json!({"says": "f", "text": ""}));
}
