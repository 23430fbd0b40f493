//! The routes as the document tells them: what each is given, and with what it answers.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Facts, failures, values};
use crate::flow::Flow;
use crate::flow::value::Json;

/// What the listener itself refuses with, whatever the route.
const HEAD: &[StatusCode] = &[
    StatusCode::BAD_REQUEST,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::URI_TOO_LONG,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// What a route refuses with that reads a body.
const BODY: &[StatusCode] = &[
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
];

/// What a run of the flow ends with besides.
const RUN: &[StatusCode] =
    &[StatusCode::NOT_FOUND, StatusCode::NOT_ACCEPTABLE, StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT];

/// What a route refuses with that is for callers with a key; the last who tries too many of them.
const KEY: &[StatusCode] = &[StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];

pub(super) fn paths(flow: &Flow, facts: &Facts) -> Value {
    let guarded = if facts.keys_required { KEY } else { &[] };
    json!({
        "/score": {
            "parameters": [
                request_header("x-request-id"),
                request_header("x-ms-client-request-id"),
                request_header("traceparent"),
                request_header("tracestate"),
                request_header("baggage"),
                deployment(facts),
            ],
            "post": score(flow, facts, &[HEAD, BODY, RUN, guarded].concat()),
        },
        "/feedback": {
            "parameters": feedback_parameters(),
            // A token may be wrong, whether keys are asked for or not.
            "post": feedback(facts, &[HEAD, BODY, guarded, &[StatusCode::FORBIDDEN]].concat()),
        },
        "/health": {"get": open("health", "whether the service lives", &status(&[]))},
        "/version": {"get": open("version", "which version it is", &status(&["build_info"]))},
        "/swagger.json": {"get": document(facts, &[HEAD, guarded].concat())},
        "/": {"get": open("page", "a page to try the flow", &json!({"text/html": {"schema": {"type": "string"}}}))},
    })
}

fn score(flow: &Flow, facts: &Facts, failures: &[StatusCode]) -> Value {
    let name = flow.id().as_str();
    let example = facts.example.clone().or_else(|| sample_of(flow)).unwrap_or_else(|| json!({}));
    let mut content = json!({"application/json": {"schema": values::request(flow), "example": example}});
    if flow.inputs().len() == 1 {
        let schema = json!({"type": "string", "description": "text that is not JSON: the one input's value"});
        content["text/plain"] = json!({ "schema": schema });
    }
    let mut answer = json!({"application/json": {"schema": values::reply(flow)}});
    if !flow.stream_candidates().is_empty() {
        answer["text/event-stream"] = json!({ "schema": stream() });
    }
    let headers =
        ["x-request-id", "x-ms-client-request-id", "x-trace-id", "x-feedback-token", "azureml-model-deployment"];
    json!({
        "operationId": "score",
        "summary": format!("run promptflow: {name} with an given input"),
        "requestBody": {
            "description": "promptflow input data",
            "required": !flow.inputs().is_empty(),
            "content": content,
        },
        "responses": responses(&answer, &headers, failures),
    })
}

/// A stream, by what one of its events is, as OpenAPI from 3.2 on tells it too; 3.0 has no words for it.
fn stream() -> Value {
    json!({
        "type": "object",
        "description": "Server-sent events, for callers whose `Accept` asks for them; this is one of them. First comes \
            one with the outputs that do not stream, if there are any, then one for each part of the output that does. A \
            stream that fails ends with the event `error`. With `Accept: text/event-stream;done=true` others end with \
            the event `done`, whose data has `trace_id` and `feedback_token`. Lines that begin with a colon are comments.",
        "properties": {
            "event": {"type": "string", "description": "`error`, `done`, or absent"},
            "data": {
                "type": "string",
                "description": "a JSON object: outputs by name; with the event `error`, the body of a failure",
            },
        },
        "required": ["data"],
    })
}

/// The sample inputs that the flow file itself has.
fn sample_of(flow: &Flow) -> Option<Value> {
    let sample = flow.sample()?.iter().map(|(name, value)| (name.as_str(), value));
    serde_json::from_str(Json::object(sample).as_str()).ok()
}

fn feedback(facts: &Facts, failures: &[StatusCode]) -> Value {
    let anything = json!({"type": "object", "additionalProperties": {}});
    let mut operation = json!({
        "operationId": "feedback",
        "summary": "collect promptflow feedback",
        "requestBody": {
            "description": "promptflow feedback data",
            "required": true,
            "content": {
                "application/json": {"schema": {}},
                "text/plain": {"schema": {"type": "string"}},
                "*/*": {"schema": {}},
            },
        },
        "responses": responses(
            &json!({"application/json": {"schema": anything}}),
            &["x-request-id", "x-feedback-durability"],
            failures,
        ),
    });
    if facts.keys_required {
        // Any one of them will do.
        operation["security"] = json!([{"bearerAuth": []}, {"feedbackTokenHeader": []}, {"feedbackTokenQuery": []}]);
    }
    operation
}

fn feedback_parameters() -> Value {
    json!([
        {
            "name": "flatten", "in": "query", "required": false, "schema": {"type": "boolean"},
            "description": "flatten the feedback data into traced data",
        },
        {
            "name": "feedback_token", "in": "query", "required": false, "schema": {"type": "string"},
            "description": "The token that came with the reply of /score: the feedback is about that reply.",
        },
        request_header("x-feedback-token"),
        {
            "name": "idempotency-key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
            "description": "what the caller calls this feedback: sent again under the same name, it counts once",
        },
        request_header("traceparent"),
        request_header("tracestate"),
        request_header("baggage"),
        request_header("x-request-id"),
    ])
}

/// A route for everybody.
fn open(id: &str, summary: &str, answer: &Value) -> Value {
    json!({"operationId": id, "summary": summary, "security": [], "responses": responses(answer, &[], HEAD)})
}

fn document(facts: &Facts, failures: &[StatusCode]) -> Value {
    let answer = json!({"application/json": {"schema": {"type": "object", "additionalProperties": {}}}});
    let failures = [failures, if facts.deployments.is_empty() { &[] } else { &[StatusCode::NOT_FOUND] }].concat();
    json!({
        "operationId": "swagger",
        "summary": "this document",
        "parameters": [deployment(facts)],
        "responses": responses(&answer, &[], &failures),
    })
}

fn status(more: &[&str]) -> Value {
    let names: Vec<_> = ["status", "version"].iter().chain(more).copied().collect();
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    json!({"application/json": {"schema": {"type": "object", "properties": properties, "required": names}}})
}

fn responses(content: &Value, names: &[&str], failures: &[StatusCode]) -> Map<String, Value> {
    let mut answer = json!({"description": "successful operation", "content": content});
    if !names.is_empty() {
        answer["headers"] = names.iter().map(|name| header(name)).collect::<Map<_, _>>().into();
    }
    let mut responses = Map::from_iter([("200".to_owned(), answer)]);
    responses.extend(failures::of(failures));
    responses
}

/// A header of a reply, by name.
pub(super) fn header(name: &str) -> (String, Value) {
    (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))
}

/// The headers of replies, by name.
pub(super) fn headers() -> Value {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "x-request-id": text("the caller's own, if it was sent and can be taken; else one of the host's"),
        "x-ms-client-request-id": text("the caller's own, if it was sent and can be taken"),
        "x-trace-id": {
            "description": "the trace of this request",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
        "x-feedback-token": text("send it with POST /feedback, and the feedback is about this reply"),
        "x-feedback-durability": text("what the feedback survives, once it is answered: `disk` (a crash), or `memory`"),
        "azureml-model-deployment": text("the deployment that answered, if this host has several"),
        "Retry-After": {"description": "seconds until it is worth another try", "schema": {"type": "integer", "minimum": 0}},
        "Allow": text("the methods that the path takes"),
        "WWW-Authenticate": text("how to say who asks"),
    })
}

fn request_header(name: &str) -> Value {
    let description = match name {
        "x-request-id" => "what the caller calls this request; letters, digits, `.`, `_` and `-`, at most 128",
        "x-ms-client-request-id" => "the same, if there is no x-request-id",
        "traceparent" => "W3C Trace Context: the trace and span of the caller",
        "tracestate" => "W3C Trace Context: what other systems say of the trace",
        "baggage" => "W3C Baggage: what the caller wants to be told of the request",
        _ => "the token that came with the reply of /score: the feedback is about that reply",
    };
    json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}, "description": description})
}

fn deployment(facts: &Facts) -> Value {
    let mut schema = json!({"type": "string"});
    if !facts.deployments.is_empty() {
        schema["enum"] = json!(facts.deployments);
    }
    json!({
        "name": "azureml-model-deployment", "in": "header", "required": false, "schema": schema,
        "description": "the deployment that has to answer; without it, the weights of the endpoint decide",
    })
}
