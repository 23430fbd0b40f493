//! The client against a scripted service: what it sends, what it makes of the answers, and when it asks again.

mod identity;
pub(crate) mod scripted;

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use self::scripted::{Move, Scripted, answer, stream};
use super::super::backend::{ChatDelta, ChatEvent, Usage};
use super::*;
use crate::boundary::error::{CallErrorKind, PauseReason};
use crate::boundary::facts::Tries;
use crate::capability::connection::{Field, Kind, Secret};

const KEY: &str = "sk-secret";
const REFERENCE: &str = "[Error reference: https://platform.openai.com/docs/guides/error-codes/api-errors]";

/// Pauses that a test need not notice; waits that only end when nothing comes.
fn limits() -> Limits {
    Limits { back_off: Duration::from_millis(1), ..Limits::default() }
}

/// The identity of a process that is told of none.
fn nobody() -> Identity {
    Identity::from_env(&|_| None)
}

/// One that has not failed yet.
fn upstream() -> Arc<upstream::Upstream> {
    upstream::Upstream::new("c", upstream::Config::default())
}

fn backend(connection: &Connection, limits: Limits) -> OpenAi {
    OpenAi::build(connection, &nobody(), limits, upstream()).expect("a backend")
}

fn connection(kind: Kind, plain: &[(&str, &str)], key: &str) -> Connection {
    let plain = plain.iter().map(|(key, value)| (*key, Field::Plain((*value).to_owned())));
    Connection::new("c", "c.yaml", kind, plain.chain([("api_key", Field::Secret(Secret::new(key)))]))
}

fn open_ai(base: &str) -> Connection {
    let base = format!("{base}/v1/");
    let plain = [("base_url", base.as_str()), ("organization", "org"), ("model", "default-model")];
    connection(Kind::OpenAi, &plain, KEY)
}

fn azure(base: &str, api_version: &str) -> Connection {
    connection(Kind::AzureOpenAi, &[("api_base", base), ("api_version", api_version)], KEY)
}

fn outbound() -> Outbound {
    let headers = [("traceparent", "00-1-2-01"), ("authorization", "Bearer of the caller")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    Outbound { headers: headers.into_iter().collect(), deadline, tries: Tries::default() }
}

fn request(model: &str) -> ChatRequest {
    ChatRequest { model: model.to_owned(), messages: "[ ]".to_owned(), parameters: r#"{"seed": 1.50}"#.to_owned() }
}

const REPLY: &str = r#"{"id": "x", "model": "m-1", "choices": [{"message": {"content":  "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}"#;

fn reply() -> ChatReply {
    ChatReply {
        id: "x".to_owned(),
        model: "m-1".to_owned(),
        message: r#"{"content":  "hi"}"#.to_owned(),
        finish_reason: "stop".to_owned(),
        usage: Some(Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }),
        raw: REPLY.to_owned(),
    }
}

/// What a chat comes to with a service that answers so, and how many requests that took.
async fn chat(
    script: impl IntoIterator<Item = Move> + Send + 'static,
    limits: Limits,
) -> (Result<ChatReply, CallError>, usize) {
    let service = Scripted::start(script);
    let backend = backend(&open_ai(&service.url()), limits);
    let result = backend.chat(request(""), outbound()).await;
    drop(backend);
    (result, service.requests().await.len())
}

fn error(kind: CallErrorKind, status: impl Into<Option<u16>>, message: &str) -> CallError {
    CallError { status: status.into(), ..CallError::new(kind, format!("{message} {REFERENCE}")) }
}

/// The headers of a request that are not the HTTP client's business.
fn told(request: &scripted::Request) -> Vec<(&str, &str)> {
    const OTHERS: &[&str] = &["accept", "content-length", "host"];
    let headers = request.headers.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()));
    headers.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn a_chat_is_asked_for_and_answered() {
    let service = Scripted::start([answer(200, "", REPLY)]);
    let backend = backend(&open_ai(&service.url()), limits());
    assert_eq!(backend.chat(request(""), outbound()).await, Ok(reply()));

    let request = service.requests().await.remove(0);
    assert_eq!(request.target, "/v1/chat/completions");
    assert_eq!(request.body, r#"{"model":"default-model","messages":[ ],"seed":1.50}"#);
    assert_eq!(
        told(&request),
        [
            ("authorization", "Bearer sk-secret"),
            ("content-type", "application/json"),
            ("openai-organization", "org"),
            ("traceparent", "00-1-2-01"),
            ("user-agent", concat!("weir/", env!("CARGO_PKG_VERSION"))),
        ]
    );
}

#[tokio::test]
async fn azure_has_the_deployment_in_its_path() {
    let service = Scripted::start([answer(200, "", REPLY)]);
    let backend = backend(&azure(&service.url(), "2024-02-01"), limits());
    assert_eq!(backend.chat(request("gpt/4 ü"), outbound()).await, Ok(reply()));

    let request = service.requests().await.remove(0);
    let target = "/openai/deployments/gpt%2F4%20%C3%BC/chat/completions?api-version=2024-02-01";
    assert_eq!((request.target.as_str(), request.headers["api-key"].as_str()), (target, KEY));
}

#[tokio::test]
async fn a_serverless_endpoint_gets_its_version_in_the_path() {
    for suffix in ["", "/", "/v1", "/v1/"] {
        let service = Scripted::start([answer(200, "", REPLY)]);
        let api_base = format!("{}{suffix}", service.url());
        let serverless = connection(Kind::Serverless, &[("api_base", &api_base), ("model", "m")], KEY);
        assert_eq!(backend(&serverless, limits()).chat(request(""), outbound()).await, Ok(reply()));
        assert_eq!(service.requests().await[0].target, "/v1/chat/completions");
    }
}

#[tokio::test]
async fn a_prompt_is_completed() {
    let service = Scripted::start([answer(200, "", r#"{"choices": [{"text": "b", "finish_reason": "length"}]}"#)]);
    let request = CompletionRequest { model: "m".to_owned(), prompt: "a".to_owned(), parameters: "{}".to_owned() };
    let reply = backend(&open_ai(&service.url()), limits()).complete(request, outbound()).await.expect("a reply");
    assert_eq!((reply.text.as_str(), reply.finish_reason.as_str(), reply.usage), ("b", "length", None));
    let request = service.requests().await.remove(0);
    assert_eq!((request.target.as_str(), request.body.as_str()), ("/v1/completions", r#"{"model":"m","prompt":"a"}"#));
}

#[tokio::test]
async fn texts_are_embedded() {
    let body = r#"{"model": "e", "data": [{"index": 0, "embedding": "AACAPw=="}], "usage": {"prompt_tokens": 1}}"#;
    let service = Scripted::start([answer(200, "", body)]);
    let request = EmbeddingRequest {
        model: "m".to_owned(),
        inputs: vec!["a".to_owned()],
        parameters: r#"{"dimensions":1}"#.to_owned(),
    };
    let reply = backend(&open_ai(&service.url()), limits()).embed(request, outbound()).await.expect("a reply");
    let usage = Usage { prompt_tokens: 1, completion_tokens: 0, total_tokens: 1 };
    assert_eq!(reply, EmbeddingReply { model: "e".to_owned(), vectors: vec![vec![1.0]], usage: Some(usage) });
    let request = service.requests().await.remove(0);
    let body = r#"{"model":"m","input":["a"],"dimensions":1,"encoding_format":"base64"}"#;
    assert_eq!((request.target.as_str(), request.body.as_str()), ("/v1/embeddings", body));
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let hang_up = Move::Send(String::new());
    let script = [answer(503, "", ""), hang_up, answer(200, "", REPLY)];
    assert_eq!(chat(script, limits()).await, (Ok(reply()), 3));
}

#[tokio::test]
async fn a_failure_that_stays_is_reported_after_two_more_tries() {
    let body = r#"{"error": {"message": "slow down"}}"#;
    let script = [0, 1, 2, 3].map(|_| answer(429, "", body));
    let message = "Exceed max retry times. OpenAI API hits RateLimitError: Error code: 429 - slow down";
    assert_eq!(chat(script, limits()).await, (Err(error(CallErrorKind::RateLimited, 429, message)), 3));
}

#[tokio::test]
async fn a_refusal_is_reported_at_once() {
    let refusal = || answer(400, "", r#"{"error": {"message": "bad"}}"#);
    let message = "OpenAI API hits BadRequestError: Error code: 400 - bad";
    let expected = Err(error(CallErrorKind::InvalidRequest, 400, message));
    assert_eq!(chat([refusal(), answer(200, "", REPLY)], limits()).await, (expected.clone(), 1));
    assert_eq!(chat([answer(500, "", ""), refusal(), answer(200, "", REPLY)], limits()).await, (expected, 2));
}

#[tokio::test]
async fn a_key_that_the_service_quotes_is_struck() {
    let script = [answer(401, "", r#"{"error": {"message": "sk-secret is bad"}}"#)];
    let message = "OpenAI API hits AuthenticationError: Error code: 401 - ****** is bad";
    assert_eq!(chat(script, limits()).await, (Err(error(CallErrorKind::Unauthenticated, 401, message)), 1));
}

#[tokio::test]
async fn a_service_that_asks_for_too_long_a_pause_is_told_on_at_once() {
    let script = [answer(429, "retry-after: 86400\r\n", ""), answer(200, "", REPLY)];
    let message = "OpenAI API hits RateLimitError: Error code: 429 - Too Many Requests";
    let expected = error(CallErrorKind::RateLimited, 429, message);
    let expected = expected.with_pause(Duration::from_secs(86_400), PauseReason::Asked);
    assert_eq!(chat(script, limits()).await, (Err(expected), 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let script = [answer(307, "location: /elsewhere\r\n", ""), answer(200, "", REPLY)];
    let message = "OpenAI API hits APIStatusError: Error code: 307 - Temporary Redirect";
    assert_eq!(chat(script, limits()).await, (Err(error(CallErrorKind::Protocol, 307, message)), 1));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named_by_its_connection() {
    let gone = Scripted::start([]);
    let url = gone.url();
    assert_eq!(gone.requests().await, []);
    let limits = Limits { retries: 0, ..limits() };
    let result = backend(&open_ai(&url), limits).chat(request(""), outbound()).await;
    let message = "OpenAI API hits APIConnectionError: connection \"c\" could not be reached: connection refused";
    assert_eq!(result, Err(error(CallErrorKind::Unavailable, None, message)));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up() {
    let limits = Limits { first_byte: Duration::from_millis(20), retries: 1, ..limits() };
    let script = [0, 1].map(|_| Move::Hold(String::new()));
    let message = "Exceed max retry times. OpenAI API hits APITimeoutError: connection \"c\" gave no answer in time";
    assert_eq!(chat(script, limits).await, (Err(error(CallErrorKind::Timeout, None, message)), 2));
}

#[tokio::test]
async fn no_call_outlives_its_deadline() {
    let service = Scripted::start([Move::Hold(String::new())]);
    let backend = backend(&open_ai(&service.url()), limits());
    let outbound = Outbound { deadline: std::time::Instant::now() + Duration::from_millis(20), ..outbound() };
    let kind = backend.chat(request(""), outbound).await.map_err(|error| error.kind);
    assert_eq!((kind, service.requests().await.len()), (Err(CallErrorKind::Timeout), 1));
}

#[tokio::test]
async fn an_answer_that_is_none_is_named() {
    let check = async |script: Move, kind, message: &str| {
        let limits = Limits { max_reply: 100, idle: Duration::from_millis(200), ..limits() };
        assert_eq!(chat([script], limits).await, (Err(error(kind, None, &format!("OpenAI API hits {message}"))), 1));
    };
    let wrong = |what| format!("APIResponseValidationError: {what}");
    let protocol = CallErrorKind::Protocol;
    check(answer(200, "", "<html>"), protocol, &wrong("the reply is no chat completion")).await;
    check(answer(200, "", r#"{"choices": []}"#), protocol, &wrong("the reply has no choice")).await;
    check(answer(200, "", r#"{"error": "sk-secret is bad"}"#), protocol, &wrong("****** is bad")).await;
    check(answer(200, "", &" ".repeat(101)), protocol, &wrong("the reply is larger than 100 bytes")).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    let cut = "APIConnectionError: connection \"c\" broke off before the end of the answer";
    check(Move::Send(head.to_owned()), CallErrorKind::Unavailable, cut).await;
    let stalled = "APITimeoutError: connection \"c\" stopped in the middle of an answer";
    check(Move::Hold(head.to_owned()), CallErrorKind::Timeout, stalled).await;
}

/// Every event of a streamed chat, up to an error.
async fn streamed(script: Move, limits: Limits) -> Vec<Result<ChatEvent, CallError>> {
    let service = Scripted::start([script]);
    let backend = backend(&open_ai(&service.url()), limits);
    match backend.stream_chat(request("m"), outbound()).await {
        Ok(events) => events.collect().await,
        Err(error) => vec![Err(error)],
    }
}

fn delta(content: &str, finish_reason: Option<&str>) -> Result<ChatEvent, CallError> {
    let delta = json!({"content": content}).to_string();
    let finish_reason = finish_reason.map(str::to_owned);
    Ok(ChatEvent::Delta(ChatDelta { content: content.to_owned(), delta, finish_reason }))
}

fn chunk(content: &str, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": finish_reason});
    format!("data: {}\n\n", json!({"id": "x", "model": "m-1", "choices": [choice]}))
}

fn began() -> Result<ChatEvent, CallError> {
    Ok(ChatEvent::Began { id: "x".to_owned(), model: "m-1".to_owned() })
}

#[tokio::test]
async fn a_streamed_chat_tells_its_pieces_and_its_usage() {
    let announce = r#"{"id": "", "model": "", "choices": [], "prompt_filter_results": []}"#;
    let usage = r#"{"id": "x", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}"#;
    let (first, last) = (chunk("a", None), chunk(" b", Some("stop")));
    let body = format!(": hello\r\n\r\ndata: {announce}\n\n{first}{last}data: {usage}\n\ndata: [DONE]\n\ndata: x\n\n");
    let usage = Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    let expected = [began(), delta("a", None), delta(" b", Some("stop")), Ok(ChatEvent::Usage(usage))];
    assert_eq!(streamed(Move::Send(stream(&body)), limits()).await, expected);
    // The service need not close the connection behind the end.
    assert_eq!(streamed(Move::Hold(stream(&body)), limits()).await, expected);
}

#[tokio::test]
async fn a_stream_may_end_without_a_word_but_not_in_the_middle() {
    let (first, last) = (chunk("a", None), chunk("b", Some("stop")));
    let whole = Move::Send(stream(&format!("{first}{last}")));
    assert_eq!(streamed(whole, limits()).await, [began(), delta("a", None), delta("b", Some("stop"))]);
    let message = "OpenAI API hits APIConnectionError: connection \"c\" broke off before the end of the answer";
    let cut = error(CallErrorKind::Unavailable, None, message);
    assert_eq!(streamed(Move::Send(stream(&first)), limits()).await, [began(), delta("a", None), Err(cut)]);
}

#[tokio::test]
async fn a_stream_that_stands_still_is_given_up() {
    let limits = Limits { idle: Duration::from_millis(200), ..limits() };
    let events = streamed(Move::Hold(stream(&chunk("a", None))), limits).await;
    let message = "OpenAI API hits APITimeoutError: connection \"c\" stopped in the middle of an answer";
    assert_eq!(events, [began(), delta("a", None), Err(error(CallErrorKind::Timeout, None, message))]);
}

#[tokio::test]
async fn a_stream_that_is_broken_is_named() {
    let check = async |script: String, kind, message: &str| {
        let events = streamed(Move::Send(script), Limits { max_reply: 1000, ..limits() }).await;
        assert_eq!(events, [Err(error(kind, None, &format!("OpenAI API hits {message}")))]);
    };
    let wrong = |what| format!("APIResponseValidationError: {what}");
    let no_chunk = "the stream has an event that is no chat completion chunk";
    check(stream("data: {}\n\n"), CallErrorKind::Protocol, &wrong(no_chunk)).await;
    let refusal = r#"data: {"error": {"message": "sk-secret overloaded"}}"#;
    check(stream(&format!("{refusal}\n\n")), CallErrorKind::Unavailable, "APIError: ****** overloaded").await;
    let large = "the streamed reply is larger than 1000 bytes";
    check(stream(&": keep-alive\n\n".repeat(100)), CallErrorKind::Protocol, &wrong(large)).await;
    let json = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n";
    let no_stream = "the reply is \"application/json\" and not an event stream";
    check(format!("{json}{REPLY}"), CallErrorKind::Protocol, &wrong(no_stream)).await;
    check(format!("{json}{{\"error\": \"no\"}}"), CallErrorKind::Protocol, &wrong("no")).await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_the_request() {
    let service = Scripted::start([Move::Hold(stream(&chunk("a", None)))]);
    let backend = backend(&open_ai(&service.url()), limits());
    let mut events = backend.stream_chat(request("m"), outbound()).await.expect("a stream");
    assert_eq!(events.next().await, Some(began()));
    drop(events);
    assert_eq!(service.requests().await.len(), 1, "the service has seen the end");
}

#[tokio::test]
async fn usage_is_asked_for_where_it_is_known() {
    let check = async |connection: fn(&str) -> Connection, expected: Value| {
        let service = Scripted::start([Move::Send(stream("data: [DONE]\n\n"))]);
        let backend = backend(&connection(&service.url()), limits());
        let events = backend.stream_chat(request("m"), outbound()).await.expect("a stream");
        assert_eq!(events.count().await, 0);
        let body: Value = serde_json::from_str(&service.requests().await[0].body).expect("JSON");
        assert_eq!((&body["stream"], &body["stream_options"]), (&Value::Bool(true), &expected));
    };
    check(open_ai, json!({"include_usage": true})).await;
    check(|base| azure(base, "2024-10-21"), json!({"include_usage": true})).await;
    check(|base| azure(base, "2024-02-01"), Value::Null).await;
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_sent() {
    let check = async |model: &str, parameters: &str, message: &str| {
        let service = Scripted::start([answer(200, "", REPLY)]);
        let request = ChatRequest { parameters: parameters.to_owned(), ..request(model) };
        let result = backend(&azure(&service.url(), "v"), limits()).chat(request, outbound()).await;
        assert_eq!(result, Err(CallError::new(CallErrorKind::InvalidRequest, message)));
        assert_eq!(service.requests().await, []);
    };
    let no_model = "no model is named; name the model, or with Azure OpenAI the deployment, in the request";
    let no_name = "model: expected a name of at most 256 bytes without control characters";
    check("", "{}", no_model).await;
    check("..", "{}", no_name).await;
    check(&"m".repeat(257), "{}", no_name).await;
    for name in ["model", "messages", "stream", "stream_options"] {
        let message = format!("parameters: {name:?} belongs to the host; leave it out");
        check("m", &format!("{{{name:?}: 1}}"), &message).await;
    }
}

#[test]
fn a_backend_says_who_answers_and_hides_its_key() {
    let backend = backend(&azure("http://example.openai.azure.com", "v"), limits());
    assert_eq!(backend.provider(), "azure.ai.openai");
    assert_eq!(backend.server(), Some(("example.openai.azure.com", 80)));
    assert!(!format!("{backend:?}").contains(KEY));
}

#[test]
fn a_connection_that_leads_to_no_model_is_a_problem() {
    let problem =
        OpenAi::build(&connection(Kind::Serp, &[], KEY), &nobody(), limits(), upstream()).expect_err("a problem");
    let what = "connection \"c\" is of type \"serp\", which leads to no model; an llm node needs one of type open_ai, \
                azure_open_ai, serverless or offline";
    assert_eq!(problem, Problem::new("c.yaml", what).of("c"));
}

#[test]
fn a_connection_that_cannot_be_used_is_a_problem() {
    let check = |base: &str, key: &str, what: &str| {
        let connection = connection(Kind::AzureOpenAi, &[("api_base", base), ("api_version", "v")], key);
        let problem = OpenAi::build(&connection, &nobody(), limits(), upstream()).expect_err("a problem");
        assert_eq!(problem, Problem::new("c.yaml", what).of("c"));
    };
    check("http://", KEY, "api_base: \"http://\" is no address: empty host");
    check("ftp://h", KEY, "api_base: \"ftp://h\" is no address; expected https://… or http://…");
    check("http://u:p@h", KEY, "api_base: holds a user or a password; credentials go into api_key");
    check("http://h", "a\nb", "api_key: holds a sign that no HTTP header may have; is it whole?");
}
