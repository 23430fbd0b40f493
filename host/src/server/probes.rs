//! Whether the host lives, and which version it is.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
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

/// `/readyz`: whether new requests are welcome. `/readyz?verbose` also says how exporters and feedback are doing, and
/// whether the files that say what to serve were wrong when they were last read.
pub(super) async fn ready(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let (status, word) = match app.draining.has_reached(Phase::Leaving) {
        false => (StatusCode::OK, "ok"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let mut body = json!({"status": word});
    let mut asked = query.iter().flat_map(|query| query.split('&'));
    if asked.any(|it| it.split('=').next() == Some("verbose")) {
        body["exporters"] = serde_json::to_value(app.telemetry.exporters()).unwrap_or_default();
        body["feedback"] = serde_json::to_value(app.telemetry.feedback_status()).unwrap_or_default();
        body["reload"] = if app.has_reload_failed() { "failed" } else { "ok" }.into();
    }
    reply(status, &body)
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
