//! Prompt flow's package tools as plugins, against services inside the test.

use bytes::Bytes;
use harness::{Collector, FakeService, Reply, TestHost};
use http::{Request, Response};
use serde_json::{Value, json};

/// Runs a package tool as the one node `tool` of a flow, with a connection `service` of this text.
async fn run(tool: &str, inputs: &str, connection: &str, collector: &Collector) -> Reply {
    let flow = format!(
        "inputs: {{text: {{type: string}}}}
outputs: {{result: {{type: object, reference: '${{tool.output}}'}}}}
nodes:
- name: tool
  type: python
  source: {{type: package, tool: {tool}}}
  inputs: {{connection: service, {inputs}}}
"
    );
    let host = TestHost::written("uses_a_tool", &flow).connection_file("service", connection).collector(collector);
    let host = host.start().await;
    let reply = host.score(json!({"text": "I like weirs."})).await;
    let exit = host.stop().await;
    for key in ["key-1", "key 1", "key+1"] {
        let told = [reply.text(), &exit.stdout, &exit.stderr, &collector.everything()].concat();
        assert!(!told.contains(key), "the key is told: {told}");
    }
    reply
}

fn service(status: u16, answer: Value) -> FakeService {
    FakeService::start(move |_| {
        Response::builder().status(status).body(Bytes::from(answer.to_string())).expect("a response")
    })
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().expect("a text"))
}

const ANALYZE_TEXT: &str = "promptflow.tools.azure_content_safety.analyze_text";

async fn analyze(tool: &str, service: &FakeService, collector: &Collector) -> Reply {
    let connection =
        format!("{{name: service, type: azure_content_safety, endpoint: '{}/', api_key: key-1}}", service.origin());
    let inputs = "text: '${inputs.text}', hate_category: high_sensitivity, violence_category: disable";
    run(tool, inputs, &connection, collector).await
}

#[tokio::test]
async fn content_safety_decides_about_a_text() {
    let severity = |category, severity| json!({"category": category, "severity": severity});
    let found = [severity("Hate", 2), severity("SelfHarm", 0), severity("Sexual", 0), severity("Violence", 6)];
    let service = service(200, json!({"blocklistsMatch": [], "categoriesAnalysis": found}));
    let collector = Collector::start();
    analyze(ANALYZE_TEXT, &service, &collector).await.assert_ok(json!({"result": {
        "suggested_action": "Reject",
        "action_by_category": {"Hate": "Reject", "SelfHarm": "Accept", "Sexual": "Accept", "Violence": "Accept"},
    }}));

    let request = service.only_request();
    assert_eq!(request.uri(), "/contentsafety/text:analyze?api-version=2023-10-01");
    assert_eq!(header(&request, "ocp-apim-subscription-key"), Some("key-1"));
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    assert_eq!(header(&request, "ms-azure-ai-sender"), Some("prompt_flow"));
    let body: Value = serde_json::from_slice(request.body()).expect("JSON");
    assert_eq!(body, json!({"text": "I like weirs.", "blocklistNames": []}));
    let trace = collector.only_trace().await;
    assert_eq!(trace.span("http.request").attributes["http.response.status_code"], 200);
    assert_eq!(trace.span("tool").attributes["function"], "analyze_text");
}

#[tokio::test]
async fn content_safety_is_known_by_its_older_name() {
    let severity = |category| json!({"category": category, "severity": 0});
    let found = ["Hate", "SelfHarm", "Sexual", "Violence"].map(severity);
    let service = service(200, json!({"categoriesAnalysis": found}));
    let tool = "content_safety_text.tools.content_safety_text_tool.analyze_text";
    let reply = analyze(tool, &service, &Collector::start()).await;
    assert_eq!((reply.status, service.requests().len()), (200, 1), "{}", reply.text());
}

#[tokio::test]
async fn content_safety_tells_a_refusal_in_the_words_of_the_service() {
    let service = service(401, json!({"error": {"code": "401", "message": "Access denied."}}));
    let reply = analyze(ANALYZE_TEXT, &service, &Collector::start()).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["message"]), (500, &json!("Error in detecting content: Access denied.")));
}

#[tokio::test]
async fn serp_searches_with_a_key_that_it_does_not_know() {
    let service = service(200, json!({"organic_results": [{"title": "Weir"}]}));
    let connection = format!("{{name: service, type: serp, api_base: '{}', api_key: 'key 1'}}", service.origin());
    let collector = Collector::start();
    let inputs = "query: '${inputs.text}', num: '3', safe: active, location: ''";
    let reply = run("promptflow.tools.serpapi.SerpAPI.search", inputs, &connection, &collector).await;
    reply.assert_ok(json!({"result": {"organic_results": [{"title": "Weir"}]}}));
    assert_eq!(
        service.only_request().uri(),
        "/search?q=I+like+weirs.&engine=google&safe=Active&num=3&output=json&api_key=key+1"
    );
}

#[tokio::test]
async fn serp_tells_a_refusal_in_the_words_of_the_service() {
    let service = service(401, json!({"error": "Invalid API key."}));
    let connection = format!("{{name: service, type: serp, api_base: '{}', api_key: 'key 1'}}", service.origin());
    let inputs = "query: '${inputs.text}', engine: bing";
    let reply = run("promptflow.tools.serpapi.SerpAPI.search", inputs, &connection, &Collector::start()).await;
    assert_eq!((reply.status, &reply.json()["error"]["message"]), (400, &json!("Invalid API key.")));
    assert_eq!(service.only_request().uri(), "/search?q=I+like+weirs.&engine=bing&count=10&output=json&api_key=key+1");
}
