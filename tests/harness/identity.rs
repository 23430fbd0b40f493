//! The service beside a process in Azure that gives tokens of its managed identity, as App Service has it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use crate::server::{Body, HangUp, Server, whole};

/// The secret by which the service knows its process. To be searched for where it must not appear.
pub const IDENTITY_HEADER: &str = "the-secret-of-the-fake-identity";

/// The token that the service gives. To be searched for where it must not appear.
pub const TOKEN: &str = "the.token.of-the-fake-identity";

/// A service that gives [`TOKEN`], good for an hour, to whoever knows [`IDENTITY_HEADER`].
pub struct FakeIdentity {
    server: Server,
    queries: Arc<Mutex<Vec<String>>>,
}

impl FakeIdentity {
    /// Starts the service. It listens when this returns.
    pub fn start() -> Self {
        let queries: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&queries);
        let server = Server::start(move |request| {
            let reply = give(&request, &log);
            async move { reply }
        });
        Self { server, queries }
    }

    /// What `IDENTITY_ENDPOINT` is set to.
    pub fn endpoint(&self) -> String {
        format!("http://{}/msi/token", self.server.address())
    }

    /// The queries of all requests so far.
    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn give(request: &Request<Bytes>, log: &Mutex<Vec<String>>) -> Result<Response<Body>, HangUp> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    log.lock().unwrap_or_else(PoisonError::into_inner).push(query);
    let known = request.headers().get("x-identity-header").is_some_and(|value| value == IDENTITY_HEADER);
    let (status, body) = match known {
        true => (StatusCode::OK, json!({"access_token": TOKEN, "expires_in": "3600", "token_type": "Bearer"})),
        false => (StatusCode::UNAUTHORIZED, json!({"error": "unauthorized_client"})),
    };
    Ok(Response::builder().status(status).body(whole(body.to_string())).expect("the status is valid"))
}
