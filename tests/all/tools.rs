//! Prompt flow's package tools as plugins, against services inside the test.

use bytes::Bytes;
use harness::{Collector, FakeService, Reply, TestHost};
use http::{Request, Response};
use serde_json::{Value, json};

/// Runs a plugin as the one node `tool` of a flow, with a connection `service` of this text.
async fn run(plugin: &[u8], inputs: &str, grants: &str, connection: &str, collector: &Collector) -> Reply {
    let flow = format!(
        "inputs: {{text: {{type: string}}}}
outputs: {{result: {{type: object, reference: '${{tool.output}}'}}}}
nodes:
- name: tool
  type: wasm
  source: {{type: code, path: tool.wasm}}
  inputs: {{connection: service, {inputs}}}
  grants: {{http: [{{connection: service}}], config: [{grants}]}}
"
    );
    let builder = TestHost::written("uses_a_tool", &flow).connection_file("service", connection).collector(collector);
    std::fs::write(builder.path().join("tool.wasm"), plugin).expect("the flow folder can be written");
    let host = builder.start().await;
    let reply = host.score(json!({"text": "I like weirs."})).await;
    host.stop().await;
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

async fn analyze(service: &FakeService, collector: &Collector) -> Reply {
    let connection =
        format!("{{name: service, type: azure_content_safety, endpoint: '{}/', api_key: key-1}}", service.origin());
    let inputs = "text: '${inputs.text}', hate_category: high_sensitivity, violence_category: disable";
    run(weir::plugins::CONTENT_SAFETY, inputs, "service.endpoint, service.api_version", &connection, collector).await
}

#[tokio::test]
async fn content_safety_decides_about_a_text() {
    let severity = |category, severity| json!({"category": category, "severity": severity});
    let found = [severity("Hate", 2), severity("SelfHarm", 0), severity("Sexual", 0), severity("Violence", 6)];
    let service = service(200, json!({"blocklistsMatch": [], "categoriesAnalysis": found}));
    let collector = Collector::start();
    analyze(&service, &collector).await.assert_ok(json!({"result": {
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
    assert!(!format!("{trace:?}").contains("key-1"), "the key is in the trace");
}

#[tokio::test]
async fn content_safety_tells_a_refusal_in_the_words_of_the_service() {
    let service = service(401, json!({"error": {"code": "401", "message": "Access denied."}}));
    let reply = analyze(&service, &Collector::start()).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["message"]), (500, &json!("Error in detecting content: Access denied.")));
}

#[tokio::test]
async fn serp_searches_with_a_key_that_it_does_not_know() {
    let service = service(200, json!({"organic_results": [{"title": "Weir"}]}));
    let connection = format!("{{name: service, type: serp, api_base: '{}', api_key: 'key 1'}}", service.origin());
    let collector = Collector::start();
    let inputs = "query: '${inputs.text}', num: '3', safe: active, location: ''";
    let reply = run(weir::plugins::SERP, inputs, "service.api_base", &connection, &collector).await;
    reply.assert_ok(json!({"result": {"organic_results": [{"title": "Weir"}]}}));
    assert_eq!(
        service.only_request().uri(),
        "/search?q=I+like+weirs.&engine=google&safe=Active&num=3&output=json&api_key=key+1"
    );
    let trace = format!("{:?}", collector.only_trace().await);
    assert!(!trace.contains("key 1") && !trace.contains("key+1"), "the key is in the trace");
}
