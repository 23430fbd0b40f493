//! Whether the host lives, and which version it is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::server::App;
use crate::server::drain::Phase;

/// The version of the host.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `/health`, as the original answers it.
pub(super) async fn health() -> Response {
    reply(StatusCode::OK, &json!({"status": "Healthy", "version": VERSION}))
}

/// `/version`, as the original answers it.
pub(super) async fn version(State(app): State<Arc<App>>) -> Response {
    let build: Option<Value> = serde_json::from_str(&app.build_info).ok();
    let number = build.as_ref().and_then(|build| build.get("build_number")).and_then(Value::as_str);
    let version = number.unwrap_or(VERSION);
    reply(StatusCode::OK, &json!({"status": "Healthy", "build_info": app.build_info, "version": version}))
}

/// `/livez` and `/startupz`: the process answers. It listens only once its flow is loaded.
pub(super) async fn live() -> Response {
    reply(StatusCode::OK, &json!({"status": "ok"}))
}

/// `/readyz`: whether new requests are welcome.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.draining.has_reached(Phase::Leaving) {
        return reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "draining"}));
    }
    reply(StatusCode::OK, &json!({"status": "ok"}))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
