//! Application Insights: what arrives there, which resource it is, and what happens when it takes only some of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use harness::{FakeIdentity, FakeModel, HostBuilder, IDENTITY_HEADER, Ingest, Ingestion, KEY, TOKEN, TestHost, title};
use serde_json::{Value, json};

const ONE: &str = "aaaaaaaa-1111-4111-8111-111111111111";
const OTHER: &str = "bbbbbbbb-2222-4222-8222-222222222222";

/// Metrics soon, so that a test does not wait a minute for them.
const SOON: (&str, &str) = ("OTEL_METRIC_EXPORT_INTERVAL", "200");

/// A host that sends there.
fn sending(to: &Ingestion, flow: &str) -> HostBuilder {
    let soon = ("OTEL_BSP_SCHEDULE_DELAY", "50");
    TestHost::flow(flow)
        .env("APPLICATIONINSIGHTS_CONNECTION_STRING", to.connection_string(ONE))
        .env(SOON.0, SOON.1)
        .env(soon.0, soon.1)
}

fn data(envelope: &Value) -> &Value {
    &envelope["data"]["baseData"]
}

fn properties(envelope: &Value) -> BTreeMap<String, String> {
    let members = data(envelope)["properties"].as_object().into_iter().flatten();
    members.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn of_kind<'a>(envelopes: &'a [Value], kind: &str) -> Vec<&'a Value> {
    envelopes.iter().filter(|it| it["data"]["baseType"] == kind).collect()
}

fn keys(envelopes: &[Value]) -> BTreeSet<String> {
    envelopes.iter().filter_map(|it| it["iKey"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_request_is_a_request_with_its_dependencies_in_one_operation() {
    let (model, insights) = (FakeModel::replies("one two three").start(), Ingestion::start());
    let host = sending(&insights, "llm_chats").model(&model).start().await;
    host.wrote(&format!("traces: azuremonitor to {} (APPLICATIONINSIGHTS_CONNECTION_STRING)", insights.endpoint()))
        .await;
    assert_eq!(host.score(json!({"question": "grüß dich"})).await.status, 200);
    host.stop().await;

    let envelopes = insights.envelopes();
    assert_eq!(keys(&envelopes), BTreeSet::from([ONE.to_owned()]));
    let request = insights.envelope("RequestData", "POST /score").await;
    assert_eq!((&data(&request)["responseCode"], &data(&request)["success"]), (&json!("200"), &json!(true)));
    let operation = &request["tags"]["ai.operation.id"];
    assert_eq!(request["tags"]["ai.cloud.role"], "promptflow");

    let dependencies = of_kind(&envelopes, "RemoteDependencyData");
    let parents: BTreeMap<_, _> = dependencies
        .iter()
        .map(|it| (data(it)["id"].as_str().unwrap_or_default(), it["tags"]["ai.operation.parentId"].as_str()))
        .collect();
    let root = data(&request)["id"].as_str();
    for dependency in &dependencies {
        assert_eq!(&dependency["tags"]["ai.operation.id"], operation);
        let parent = dependency["tags"]["ai.operation.parentId"].as_str();
        assert!(parent == root || parent.is_some_and(|it| parents.contains_key(it)), "{dependency}");
    }
    let call = insights.envelope("RemoteDependencyData", "openai_chat").await;
    assert_eq!((&data(&call)["type"], &data(&call)["success"]), (&json!("GenAI | openai"), &json!(true)));
    assert!(data(&call)["target"].as_str().is_some_and(|target| target.starts_with("127.0.0.1:")), "{call}");
    assert_eq!(properties(&call)["span_type"], "LLM");
    let flow = dependencies.iter().find(|it| properties(it).get("span_type").is_some_and(|kind| kind == "Flow"));
    let flow = flow.expect("a flow");
    assert_eq!((title(flow), &data(flow)["type"]), ("llm_chats", &json!("InProc")));
    assert!(properties(flow)["inputs"].contains("grüß dich"), "{flow}");
}

#[tokio::test]
async fn the_eight_metrics_have_their_namespace_and_dimensions() {
    let (model, insights) = (FakeModel::replies("one two three").start(), Ingestion::start());
    let host = sending(&insights, "llm_chats").model(&model).start().await;
    for _ in 0..2 {
        assert_eq!(host.score(json!({"question": "hi"})).await.status, 200);
    }
    host.stop().await;

    let envelopes = insights.envelopes();
    let mut found: BTreeMap<&str, (f64, BTreeSet<String>)> = BTreeMap::new();
    for metric in of_kind(&envelopes, "MetricData") {
        let point = &data(metric)["metrics"][0];
        if point["ns"] == "promptflow standard metrics" {
            let (sum, dimensions) = found.entry(title(metric)).or_default();
            let counts = if point["max"].is_null() { &point["value"] } else { &point["count"] };
            *sum += counts.as_f64().unwrap_or_default();
            dimensions.extend(properties(metric).into_keys());
        }
    }
    let told: BTreeMap<_, _> = found.iter().map(|(name, (_, dimensions))| (*name, dimensions.clone())).collect();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let expected = BTreeMap::from([
        ("flow_latency", set(&["flow", "response_code", "streaming", "response_type"])),
        ("flow_request", set(&["flow", "response_code", "exception", "streaming"])),
        ("node_latency", set(&["flow", "node", "run_status"])),
        ("node_request", set(&["flow", "node", "run_status", "exception"])),
        ("rpc_latency", set(&["flow", "node", "api_call"])),
        ("rpc_request", set(&["flow", "node", "api_call", "exception"])),
        ("token_consumption", set(&["flow", "node", "llm_engine", "token_type"])),
    ]);
    assert_eq!(told, expected);
    // Deltas: however often they were told, they add up to what there was.
    for name in ["flow_request", "flow_latency", "node_request", "node_latency", "rpc_request", "rpc_latency"] {
        assert_eq!(found[name].0, 2.0, "{name}");
    }
}

#[tokio::test]
async fn feedback_is_a_dependency_and_a_custom_event_of_its_request() {
    let insights = Ingestion::start();
    let host = sending(&insights, "run_returns").start().await;
    let reply = host.score(json!({"text": "a"})).await;
    let token = reply.header("x-feedback-token").expect("a token").to_owned();
    let feedback =
        host.feedback("", &[("x-feedback-token", &token)], r#"{"rating": 4, "comment": "sehr schön"}"#).await;
    assert_eq!(feedback.status, 200, "{}", feedback.text());

    let event = insights.envelope("EventData", "gen_ai.evaluation.result").await;
    assert!(data(&event)["measurements"]["gen_ai.evaluation.score.value"].is_number(), "{event}");
    assert_eq!(properties(&event)["gen_ai.evaluation.explanation"], "sehr schön");
    let span = insights.envelope("RemoteDependencyData", "promptflow-feedback").await;
    assert!(properties(&span)["feedback"].contains("sehr schön"));
    let request = insights.envelope("RequestData", "POST /score").await;
    for item in [&event, &span] {
        assert_eq!(item["tags"]["ai.operation.id"], request["tags"]["ai.operation.id"]);
    }
    host.stop().await;
}

#[tokio::test]
async fn a_failure_is_an_exception_and_a_request_that_did_not_succeed() {
    let insights = Ingestion::start();
    let host = sending(&insights, "run_traps").start().await;
    let reply = host.score(json!({"message": "a"})).await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    host.stop().await;
    let envelopes = insights.envelopes();
    let request = insights.envelope("RequestData", "POST /score").await;
    assert_eq!((&data(&request)["responseCode"], &data(&request)["success"]), (&json!("500"), &json!(false)));
    let thrown = of_kind(&envelopes, "ExceptionData");
    assert!(!thrown.is_empty());
    for item in thrown {
        assert_eq!(item["tags"]["ai.operation.id"], request["tags"]["ai.operation.id"]);
    }
}

/// Which of the two resources receives, for a deployment file and an environment.
#[tokio::test]
async fn the_articles_rules_say_which_resource_receives() {
    let flow = "
inputs: {text: {type: string, default: ''}}
outputs: {text: {type: string, reference: '${echo.output.text}'}}
nodes:
- {name: echo, type: wasm, source: {type: code, path: guests/run_returns.wasm}, inputs: {text: '${inputs.text}'}}
";
    let no_resource = "app_insights_enabled is true, and no Application Insights resource is linked";
    for (flag, linked, variable, key, expected) in [
        (true, true, true, false, Some(ONE)),
        (true, true, false, false, Some(ONE)),
        (true, false, true, false, Some(OTHER)),
        (false, true, true, false, Some(OTHER)),
        (false, false, true, false, Some(OTHER)),
        (false, false, true, true, Some(ONE)),
        (true, false, false, false, None),
        (false, true, false, false, None),
        (false, false, false, false, None),
    ] {
        let case = format!("flag {flag}, linked {linked}, variable {variable}, key {key}");
        let (one, other) = (Ingestion::start(), Ingestion::start());
        let linked = if linked {
            format!("  app_insights_connection_string: {}\n", one.connection_string(ONE))
        } else {
            String::new()
        };
        let endpoint = format!("name: chat\ntraffic: {{blue: 100}}\nproperties:\n  team: a\n{linked}");
        let deployment =
            format!("name: blue\nendpoint_name: chat\nmodel: {{path: blue}}\napp_insights_enabled: {flag}\n");
        let files = [("endpoint.yaml", endpoint.as_str()), ("blue.yaml", deployment.as_str())];
        let mut host = TestHost::laid(&[("blue", flow)], &files, "endpoint.yaml");
        if variable {
            host = host.env("APPLICATIONINSIGHTS_CONNECTION_STRING", other.connection_string(OTHER));
        }
        if key {
            host = host.env("AML_APP_INSIGHTS_KEY", ONE);
        }
        let host = host.start().await;
        host.score(json!({"text": "a"})).await.assert_ok(json!({"text": "a"}));
        let exit = host.stop().await;
        let received: BTreeSet<_> = [one.envelopes(), other.envelopes()].iter().flat_map(|it| keys(it)).collect();
        assert_eq!(received, expected.map(str::to_owned).into_iter().collect(), "{case}");
        // The key that Azure injects goes where the variable says.
        assert_eq!(one.envelopes().is_empty(), expected != Some(ONE) || key, "{case}");
        let said = exit.told();
        assert_eq!(said.matches(no_resource).count(), usize::from(flag && expected.is_none()), "{case}: {said}");
        for secret in [ONE, OTHER] {
            assert!(!said.contains(secret), "{case}: a key is in the log: {said}");
        }
    }
}

/// Spans only, and each request's at once.
fn spans_to(insights: &Ingestion) -> HostBuilder {
    sending(insights, "run_returns")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED", "true")
}

/// A request with a text of its own, and its three spans.
async fn ask(host: &TestHost, text: &str) {
    host.score(json!({"text": text})).await.assert_ok(json!({"text": text}));
}

/// Whose spans are all there, and each of them once.
async fn arrived(insights: &Ingestion, requests: usize) {
    let is_span = |it: &&Value| matches!(it["data"]["baseType"].as_str(), Some("RequestData" | "RemoteDependencyData"));
    let count = |envelopes: &[Value]| envelopes.iter().filter(is_span).count();
    let envelopes = insights.envelopes_when("all spans", |envelopes| count(envelopes) >= 3 * requests).await;
    let ids: BTreeSet<_> = envelopes.iter().filter(is_span).map(|it| data(it)["id"].to_string()).collect();
    assert_eq!((ids.len(), count(&envelopes)), (3 * requests, 3 * requests));
}

#[tokio::test]
async fn of_an_export_that_is_taken_in_part_only_the_rest_is_sent_again() {
    let insights = Ingestion::start();
    let refused = vec![(0, 429, "throttled"), (1, 400, "bad"), (2, 500, "Telemetry sampled out.")];
    insights.answers([Ingest::Partly(refused)]);
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    insights.exports(2).await;
    host.stop().await;

    let exports = insights.exports(2).await;
    let envelopes = insights.envelopes();
    // The first of the first export came a second time; its second and third are gone for good.
    let gone = (exports[0] - 1).min(2);
    assert_eq!(envelopes.len(), exports.iter().sum::<usize>() - 1 - gone, "{exports:?}");
    let unique: BTreeSet<_> = envelopes.iter().map(Value::to_string).collect();
    assert_eq!(unique.len(), envelopes.len(), "what was taken is not sent again");
}

#[tokio::test]
async fn a_slow_answer_holds_up_no_request() {
    let insights = Ingestion::start();
    insights.answers([Ingest::Slow(Duration::from_secs(5))]);
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    insights.exports(1).await;
    ask(&host, "b").await;
    assert_eq!(insights.envelopes(), Vec::<Value>::new(), "the first export is not answered yet");
    arrived(&insights, 2).await;
    host.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_now_is_taken_later_and_once() {
    for refusal in [
        Ingest::Status(401),
        Ingest::Status(403),
        Ingest::Status(404),
        Ingest::Status(408),
        Ingest::Status(500),
        Ingest::Status(503),
        Ingest::RetryAfter(402, "1".to_owned()),
        Ingest::RetryAfter(439, "1".to_owned()),
        Ingest::RetryAfter(429, "1".to_owned()),
        Ingest::Garbage(200),
        Ingest::Garbage(502),
        Ingest::HangUp,
        Ingest::Redirect("not an address".to_owned()),
    ] {
        let insights = Ingestion::start();
        insights.answers([refusal.clone()]);
        let host = spans_to(&insights).start().await;
        ask(&host, "a").await;
        arrived(&insights, 1).await;
        let exit = host.stop().await;
        assert!(!exit.told().contains(ONE), "{refusal:?}: a key is in the log: {}", exit.told());
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept() {
    let insights = Ingestion::start();
    insights.answers([Ingest::RetryAfter(429, "2".to_owned())]);
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    insights.exports(1).await;
    let refused = SystemTime::now();
    insights.exports(2).await;
    let waited = refused.elapsed().unwrap_or_default();
    assert!(waited >= Duration::from_millis(1900), "{waited:?}");
    arrived(&insights, 1).await;
    host.stop().await;
}

#[tokio::test]
async fn an_item_that_spoils_it_for_others_is_left_alone() {
    let insights = Ingestion::start();
    insights.always(Ingest::Poisoned("a-poisoned-text"));
    let host = spans_to(&insights).env("WEIR_TRACE_CONTENT", "full").start().await;
    ask(&host, "a-poisoned-text").await;
    ask(&host, "harmless").await;
    let is_request = |it: &&Value| it["data"]["baseType"] == "RequestData";
    let envelopes =
        insights.envelopes_when("both requests", |envelopes| envelopes.iter().filter(is_request).count() == 2).await;
    let harmless = envelopes.iter().filter(|it| properties(it).get("output").is_some_and(|it| it.contains("harmless")));
    assert!(harmless.count() > 0);
    host.stop().await;
}

#[tokio::test]
async fn an_export_that_is_too_large_is_sent_in_parts() {
    let insights = Ingestion::start();
    insights.always(Ingest::AtMost(2));
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    arrived(&insights, 1).await;
    host.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_has_moved_is_followed_and_remembered() {
    let (old, new) = (Ingestion::start(), Ingestion::start());
    old.always(Ingest::Redirect(format!("{}/v2.1/track", new.endpoint())));
    let host = spans_to(&old).start().await;
    ask(&host, "a").await;
    arrived(&new, 1).await;
    ask(&host, "b").await;
    arrived(&new, 2).await;
    assert_eq!(old.exports(1).await.len(), 1, "the second one is sent to the new address at once");
    host.stop().await;
}

#[tokio::test]
async fn nobody_is_followed_to_another_host() {
    let (insights, elsewhere) = (Ingestion::start(), Ingestion::start());
    let there = elsewhere.endpoint().replace("127.0.0.1", "localhost");
    insights.answers([Ingest::Redirect(format!("{there}/v2.1/track"))]);
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    arrived(&insights, 1).await;
    assert!(insights.exports(2).await.len() >= 2);
    host.stop().await;
    assert_eq!(elsewhere.envelopes(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_was_told_while_it_was_away_arrives_when_it_is_back() {
    let mut insights = Ingestion::start();
    let host = spans_to(&insights).start().await;
    ask(&host, "a").await;
    arrived(&insights, 1).await;
    insights.kill();
    ask(&host, "b").await;
    ask(&host, "c").await;
    insights.revive();
    arrived(&insights, 3).await;
    host.stop().await;
}

#[tokio::test]
async fn a_resource_that_wants_tokens_gets_those_of_the_hosts_identity() {
    let (insights, identity) = (Ingestion::start(), FakeIdentity::start());
    let host = spans_to(&insights)
        .env("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "Authorization=AAD;ClientId=client-7")
        .env("IDENTITY_ENDPOINT", identity.endpoint())
        .env("IDENTITY_HEADER", IDENTITY_HEADER)
        .start()
        .await;
    ask(&host, "a").await;
    arrived(&insights, 1).await;
    let exit = host.stop().await;
    assert!(insights.authorizations().iter().all(|it| it.as_deref() == Some(format!("Bearer {TOKEN}").as_str())));
    let queries = identity.queries();
    assert_eq!(queries.len(), 1, "one token for an hour: {queries:?}");
    assert!(queries[0].contains("client-7") && queries[0].contains("monitor.azure.com"), "{queries:?}");
    for secret in [TOKEN, IDENTITY_HEADER, ONE, KEY] {
        assert!(!exit.told().contains(secret), "{secret}: {}", exit.told());
    }
}

#[tokio::test]
async fn a_connection_string_that_is_none_keeps_the_host_from_starting() {
    let exit = TestHost::flow("run_returns")
        .env("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=my-secret-key;IngestionEndpoint=ftp://x")
        .refuses()
        .await;
    let told = exit.told();
    let expected = "APPLICATIONINSIGHTS_CONNECTION_STRING: `IngestionEndpoint` must be https://HOST (or http://HOST:PORT), \
                    with nothing but a path after it; the instrumentation key must be a UUID";
    assert!(told.contains(expected), "{told}");
    assert!(!told.contains("my-secret-key"), "{told}");
}

#[tokio::test]
async fn deployments_of_one_host_have_one_resource() {
    let flow = "inputs: {}\noutputs: {}\nnodes: []\n";
    let variable = |key: &str| {
        format!("environment_variables: {{APPLICATIONINSIGHTS_CONNECTION_STRING: InstrumentationKey={key}}}\n")
    };
    for (blue, green, expected) in [
        (
            "app_insights_enabled: true\n".to_owned(),
            "app_insights_enabled: false\n".to_owned(),
            "green.yaml: app_insights_enabled: \"false\", but \"true\" in",
        ),
        (
            variable(ONE),
            variable(OTHER),
            "green.yaml: environment variable APPLICATIONINSIGHTS_CONNECTION_STRING: not the value that",
        ),
    ] {
        let deployment =
            |name: &str, more: &str| format!("name: {name}\nendpoint_name: chat\nmodel: {{path: {name}}}\n{more}");
        let (blue, green) = (deployment("blue", &blue), deployment("green", &green));
        let files = [
            ("endpoint.yaml", "name: chat\ntraffic: {blue: 50, green: 50}\n"),
            ("blue.yaml", blue.as_str()),
            ("green.yaml", green.as_str()),
        ];
        let exit = TestHost::laid(&[("blue", flow), ("green", flow)], &files, "endpoint.yaml").refuses().await;
        let told = exit.told();
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains(ONE) && !told.contains(OTHER), "a key is shown: {told}");
    }
}
