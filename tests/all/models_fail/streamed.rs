//! Requests of streams, whose node is gone while the model thinks: what fails before the service has accepted is told as it is
//! to those who wait for the whole answer.

use harness::{Collector, FakeModel, FakeService, HostBuilder, Reply, Span, Status, TestHost};
use serde_json::{Value, json};

use super::{saying, service};

/// What a request comes to: all that its caller sees, and its spans.
#[derive(Debug, PartialEq)]
struct Told {
    status: u16,
    retry_after: Option<String>,
    body: Value,
    spans: Vec<Seen>,
}

/// What a span says of a failure.
#[derive(Debug, PartialEq)]
struct Seen {
    name: String,
    /// `error.type`; null if there is none.
    error: Value,
    status: Status,
    /// The attributes of each event that something was denied.
    denied: Vec<Value>,
}

fn seconds(reply: &Reply) -> Option<String> {
    reply.header("retry-after").map(str::to_owned)
}

/// The same request of a fresh host, whole or streamed.
async fn asked(host: HostBuilder, streamed: bool) -> Told {
    let collector = Collector::start();
    let host = host.collector(&collector).env("WEIR_LLM_RETRIES", "1").start().await;
    let question = json!({"question": "hi"});
    let reply = if streamed { host.stream(question).await.whole().await } else { host.score(question).await };
    host.stop().await;
    let spans = collector.spans().into_iter().filter(|span| span.name != "style").map(|span| {
        let denied = span.events.iter().filter(|event| event.name == "weir.capability.denied");
        let denied = denied.map(|event| json!(event.attributes)).collect();
        let error = span.attributes.get("error.type").cloned().unwrap_or_default();
        Seen { name: span.name, error, status: span.status, denied }
    });
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by(|one, other| one.name.cmp(&other.name));
    Told { status: reply.status, retry_after: seconds(&reply), body: reply.json(), spans }
}

/// `code` is the name of the failure; `make` gives the host anew for each request.
async fn check(code: &str, status: u16, make: impl Fn() -> HostBuilder) {
    let (whole, streamed) = (asked(make(), false).await, asked(make(), true).await);
    assert_eq!(streamed, whole);
    assert_eq!(streamed.status, status, "{streamed:?}");
    let node = streamed.spans.iter().find(|span| span.name == "chat").expect("the span of the node");
    assert_eq!(node.error, json!(code), "{streamed:?}");
}

fn at(service: &FakeService) -> HostBuilder {
    TestHost::flow("llm_node").model_at(&service.origin())
}

#[tokio::test]
async fn a_model_that_fails_is_named_alike_to_those_who_read_a_stream() {
    for (status, code) in [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (418, "APIStatusError"),
        (429, "RateLimitError"),
        (503, "InternalServerError"),
    ] {
        let failing = service(status, &saying("no"));
        check(code, 400, || at(&failing)).await;
    }
    let gone = service(200, &json!({})).origin();
    check("APIConnectionError", 400, || TestHost::flow("llm_node").model_at(&gone)).await;
}

#[tokio::test]
async fn a_service_that_asks_for_a_pause_is_told_alike_to_those_who_read_a_stream() {
    let model = FakeModel::echo().failing(http::StatusCode::TOO_MANY_REQUESTS, 2).retry_after("3600").start();
    let host = || TestHost::flow("llm_node").model(&model).env("WEIR_UPSTREAM_STATUS", "http");
    check("RateLimitError", 503, host).await;
}

#[tokio::test]
async fn what_weir_refuses_is_told_alike_to_those_who_read_a_stream() {
    let model = FakeModel::echo().start();
    let host = || TestHost::flow("llm_node").model(&model);
    check("Exhausted", 500, || host().env("WEIR_LLM_MAX_CALLS", "0")).await;
    let written = |from: &str, to: &str| {
        let host = host();
        let file = host.path().join("flow.dag.yaml");
        let flow = std::fs::read_to_string(&file).expect("the copy of the flow");
        assert!(flow.contains(from), "{flow}");
        std::fs::write(&file, flow.replace(from, to)).expect("it can be written");
        host
    };
    // Not the model that the node names, by a grant that is narrower.
    let narrow = "api: chat\n  grants: {llm: [{connection: open_ai_connection, models: [other]}]}";
    check("NotGranted", 500, || written("api: chat", narrow)).await;
    assert!(model.requests().is_empty(), "{:?}", model.requests());
}

/// Asks a node that is given its answer's stream before the model was asked, and does this with it.
async fn of_guest(does: &str, model: &FakeModel) -> (Reply, Span) {
    let flow = format!(
        "
inputs: {{question: {{type: string}}}}
outputs: {{answer: {{type: string, reference: '${{node.output}}'}}}}
nodes:
- name: node
  type: wasm
  source: {{type: code, path: guests/llm_relays_at_once.wasm}}
  inputs: {{connection: open_ai_connection, question: '${{inputs.question}}', does: {does}}}
  grants: {{llm: [open_ai_connection]}}
"
    );
    let collector = Collector::start();
    let host = TestHost::written("guest", &flow).model(model).collector(&collector).env("WEIR_LLM_RETRIES", "0");
    let host = host.start().await;
    let reply = host.stream(json!({"question": "one two"})).await.whole().await;
    host.stop().await;
    let call = collector.spans().into_iter().find(|span| span.name == "openai_chat").expect("the call's span");
    (reply, call)
}

#[tokio::test]
async fn a_guest_that_has_ended_fails_as_its_call_does_and_one_that_reads_on_says_so_itself() {
    let told = async |does: &str| {
        let model = FakeModel::echo().failing(http::StatusCode::TOO_MANY_REQUESTS, 1).start();
        let (reply, call) = of_guest(does, &model).await;
        assert_eq!(call.attributes["error.type"], json!("RateLimited"));
        assert_eq!(model.requests().len(), 1);
        (reply.status, reply.json()["error"]["code"].clone(), call)
    };
    let (status, code, _) = told("hands on").await;
    assert_eq!((status, code), (400, json!("UserError")));
    let (status, code, _) = told("reads").await;
    assert_eq!((status, code), (500, json!("SystemError")));
}

#[tokio::test]
async fn a_guest_reads_what_it_might_have_handed_on() {
    let model = FakeModel::echo().start();
    let (reply, call) = of_guest("reads", &model).await;
    assert!(reply.text().contains(r#"["one ","two"]"#), "{}", reply.text());
    assert_eq!(call.status, Status::Ok);
}

#[tokio::test]
async fn a_model_whose_answer_nobody_wants_is_not_asked() {
    let model = FakeModel::echo().start();
    let (reply, call) = of_guest("drops", &model).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(model.requests().is_empty());
    assert_eq!(call.attributes["error.type"], json!("Cancelled"));
}

#[tokio::test]
async fn a_guest_has_one_answer_at_a_time_that_is_still_to_be_asked_for() {
    for (does, asked) in [("drops and asks", 1), ("reads and asks", 2)] {
        let model = FakeModel::echo().start();
        let (reply, _) = of_guest(does, &model).await;
        assert!(reply.text().starts_with(r#"data: {"answer": "one "}"#), "{does}: {}", reply.text());
        assert_eq!(model.requests().len(), asked, "{does}");
    }
    let model = FakeModel::echo().start();
    let (reply, _) = of_guest("asks", &model).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"]), (500, &json!("SystemError")), "{error}");
    let told = "node \"node\" has an answer that is still to be asked for, and may have one";
    assert_eq!(error["message"], json!(told));
    assert!(model.requests().is_empty());
}
