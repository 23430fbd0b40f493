//! GET /swagger.json: what a flow takes and answers, as OpenAPI. Made once for a flow, then sent as it is.
//!
//! What the original's document said is said in the same words: clients were generated from it. It knew of one status
//! and one media type; ours knows all that this host answers with. Values of inputs and outputs: see swagger/values.rs;
//! failures: see swagger/failures.rs; the routes: see swagger/paths.rs.

mod failures;
mod paths;
mod values;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use crate::flow::{Flow, MessageFormat};
use crate::server::App;
use crate::server::problem::Problem;

/// The newest of the versions that the original's readers take: they ask for 3.0.x.
const OPENAPI: &str = "3.0.3";

/// What the document tells besides the flow.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The first of the flow's samples; see [`sample`].
    pub example: Option<Value>,
    /// Whether `/score`, `/feedback` and this document are only for callers with a key.
    pub keys_required: bool,
    /// What `azureml-model-deployment` may name; empty if this host has no names for what it serves.
    pub deployments: Vec<String>,
}

/// `GET /swagger.json`: the document of the deployment that the request names, or of the first.
pub(super) fn swagger(app: &App, headers: &HeaderMap) -> Result<Response, Problem> {
    Ok(app.endpoint().named(headers)?.document.reply())
}

/// The document of one flow, ready to be sent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Document(Bytes);

impl Document {
    pub fn new(flow: &Flow, facts: &Facts) -> Self {
        Self(document(flow, facts).to_string().into())
    }

    pub(super) fn reply(&self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            // The flow behind the address may be another one tomorrow.
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.0.clone()).into_response()
    }
}

/// The first of the samples that a flow folder has in `samples.json`, which is what readers are shown.
///
/// # Errors
/// If the text is not what the original takes: a JSON list of objects.
pub fn sample(samples: &str) -> Result<Option<Value>, String> {
    match serde_json::from_str(samples) {
        Ok(Value::Array(samples)) => match samples.into_iter().next() {
            first @ (None | Some(Value::Object(_))) => Ok(first),
            Some(_) => {
                Err("samples.json: the first sample is no object of inputs by name, so none is shown".to_owned())
            }
        },
        Ok(_) => {
            Err("samples.json: expected a JSON list of objects of inputs by name, so no sample is shown".to_owned())
        }
        Err(error) => Err(format!("samples.json: not valid JSON ({error}), so no sample is shown")),
    }
}

/// The OpenAPI document of a flow.
pub fn document(flow: &Flow, facts: &Facts) -> Value {
    let mut document = json!({
        "openapi": OPENAPI,
        "info": info(flow),
        "components": {
            "securitySchemes": {
                "bearerAuth": {"type": "http", "scheme": "bearer"},
                "feedbackTokenHeader": {
                    "type": "apiKey", "in": "header", "name": "x-feedback-token",
                    "description": "The token that came with the reply of /score. It lets its holder rate that reply, and nothing else.",
                },
                "feedbackTokenQuery": {
                    "type": "apiKey", "in": "query", "name": "feedback_token",
                    "description": "The same token, for callers that cannot send headers.",
                },
            },
            "schemas": {"Error": failures::schema()},
            "headers": paths::headers(),
            "responses": failures::responses(),
        },
        "paths": paths::paths(flow, facts),
    });
    if facts.keys_required {
        document["security"] = json!([{"bearerAuth": []}]);
    }
    document
}

fn info(flow: &Flow) -> Map<String, Value> {
    let name = flow.id().as_str();
    let mut info = Map::new();
    info.insert("title".to_owned(), json!(format!("Promptflow[{name}] API")));
    info.insert("version".to_owned(), json!("1.0.0"));
    info.insert("x-flow-name".to_owned(), json!(name));
    if let Some(description) = flow.description() {
        info.insert("description".to_owned(), json!(description));
    }
    // Of inputs or outputs with the same mark the last one counts, as in the original.
    for (name, input) in flow.inputs() {
        if input.is_chat_input {
            info.insert("x-chat-input".to_owned(), json!(name));
            info.insert("x-flow-type".to_owned(), json!("chat"));
        }
        if input.is_chat_history == Some(true) {
            info.insert("x-chat-history".to_owned(), json!(name));
        }
    }
    for (name, _) in flow.outputs().iter().filter(|(_, output)| output.is_chat_output && !output.evaluation_only) {
        info.insert("x-chat-output".to_owned(), json!(name));
    }
    // How an image has to be written that is part of a list or an object.
    let format = match flow.message_format() {
        MessageFormat::Basic => "basic",
        MessageFormat::OpenaiVision => "openai-vision",
    };
    info.insert("x-message-format".to_owned(), json!(format));
    info
}

#[cfg(test)]
mod tests;
