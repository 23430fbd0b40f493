//! What a caller is told when a model's service fails, and what it is counted as.

mod breaker;
mod faults;
mod retries;
mod spending;
mod streamed;

use bytes::Bytes;
use harness::{Collector, FakeModel, FakeService, KEY, TestHost};
use http::{Response, StatusCode};
use serde_json::{Value, json};

const REFERENCE: &str = "[Error reference: https://platform.openai.com/docs/guides/error-codes/api-errors]";

/// Asks a flow whose one model is this service, and compares status, root code, the name in the metric, and message.
async fn check(service: &FakeService, expected: (u16, &str, &str), message: &str) {
    let collector = Collector::start();
    let base = service.origin();
    let host = TestHost::flow("llm_node").model_at(&base).collector(&collector).start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let exit = host.stop().await;

    let (status, root, exception) = expected;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, &error["code"], &error["message"]), (status, &json!(root), &json!(message)));
    assert_eq!(error["details"]["node"], "chat");
    let failed = collector.metric("flow_request").label("exception", exception);
    assert_eq!(failed.label("response_code", &status.to_string()).count(), 1, "{:?}", collector.metric("flow_request"));
    let told = [reply.text(), &exit.stdout, &exit.stderr, &collector.everything()].concat();
    assert!(!told.contains(KEY), "the key is told");
    assert!(!reply.text().contains(&base), "the address is told: {}", reply.text());
}

fn service(status: u16, body: &Value) -> FakeService {
    raw(status, body.to_string())
}

/// A service whose pauses between tries need not be waited for.
fn raw(status: u16, body: impl Into<Bytes>) -> FakeService {
    let body = body.into();
    FakeService::start(move |_| {
        let response = Response::builder().status(status).header("retry-after-ms", "1");
        response.body(body.clone()).expect("a response")
    })
}

fn saying(message: &str) -> Value {
    json!({"error": {"message": message, "type": "fake", "param": null, "code": null}})
}

#[tokio::test]
async fn a_refusal_has_the_name_that_the_client_of_openai_gives_it() {
    for (status, class) in [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
    ] {
        let refusing = service(status, &saying("no"));
        let message = format!("OpenAI API hits {class}: Error code: {status} - no {REFERENCE}");
        check(&refusing, (400, "UserError", class), &message).await;
        assert_eq!(refusing.requests().len(), 1, "{status} is not tried again");
    }
}

#[tokio::test]
async fn a_failure_that_stays_is_told_after_three_tries() {
    for (status, class) in [(429, "RateLimitError"), (500, "InternalServerError"), (503, "InternalServerError")] {
        let failing = service(status, &saying("busy"));
        let message =
            format!("Exceed max retry times. OpenAI API hits {class}: Error code: {status} - busy {REFERENCE}");
        check(&failing, (400, "UserError", class), &message).await;
        assert_eq!(failing.requests().len(), 3, "{status} is tried three times");
    }
    let empty = service(429, &json!({"error": {"message": "pay", "code": "insufficient_quota"}}));
    let message = format!("OpenAI API hits RateLimitError: Error code: 429 - pay {REFERENCE}");
    check(&empty, (400, "UserError", "RateLimitError"), &message).await;
    assert_eq!(empty.requests().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_quotes_the_key_does_not_tell_it() {
    let refusing = service(401, &saying(&format!("Incorrect API key provided: {KEY}.")));
    let message = format!(
        "OpenAI API hits AuthenticationError: Error code: 401 - Incorrect API key provided: ******. {REFERENCE}"
    );
    check(&refusing, (400, "UserError", "AuthenticationError"), &message).await;
}

#[tokio::test]
async fn a_refusal_that_says_nothing_useful_is_told_in_prompt_flows_words() {
    let message = "OpenAI API hits AuthenticationError: The api key is invalid or revoked. You can correct or regenerate \
                   the api key of your connection.";
    check(&raw(401, ""), (400, "UserError", "AuthenticationError"), message).await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_of_the_model() {
    let broken = raw(200, "{\"choices\": [");
    let message = format!("OpenAI API hits APIResponseValidationError: the reply is no chat completion {REFERENCE}");
    check(&broken, (400, "UserError", "LLMError"), &message).await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named_by_its_connection() {
    let service = service(200, &json!({}));
    let base = service.origin();
    drop(service);
    let host = TestHost::flow("llm_node").model_at(&base).start().await;
    let reply = host.score(json!({"question": "hi"})).await;
    let message = format!(
        "Exceed max retry times. OpenAI API hits APIConnectionError: connection \"open_ai_connection\" could not be \
         reached: connection refused {REFERENCE}"
    );
    assert_eq!((reply.status, &reply.json()["error"]["message"]), (400, &json!(message)));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up_with_the_node() {
    let model = FakeModel::echo().gated().start();
    let host = TestHost::flow("llm_node").model(&model);
    let file = host.path().join("flow.dag.yaml");
    let flow = std::fs::read_to_string(&file).expect("the copy of the flow");
    std::fs::write(&file, format!("{}\n  limits: {{timeout: 300ms}}\n", flow.trim_end())).expect("it can be written");
    let host = host.start().await;
    let question = json!({"question": "hi"});
    let whole = host.score(question.clone()).await;
    let streamed = host.stream(question).await.whole().await;
    for reply in [whole, streamed] {
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["innerError"]["code"]), (504, &json!("NodeTimeout")), "{error}");
    }
    model.abandoned(2).await;
    host.stop().await;
}

#[tokio::test]
async fn a_failure_that_passes_is_not_told() {
    let model = FakeModel::echo().failing(StatusCode::SERVICE_UNAVAILABLE, 1).retry_after("1").start();
    let host = TestHost::flow("llm_node").model(&model).start().await;
    host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hi"}));
    assert_eq!(model.requests().len(), 2);
}
