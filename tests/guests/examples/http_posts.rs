//! Sends a body to an HTTP service.

use weir_sdk::{CallError, http, node};

/// Sends a text of that many letters and returns what came back.
#[node(uses = ["http"])]
fn http_posts(url: String, letters: usize) -> Result<String, CallError> {
    Ok(http::post(url).body("x".repeat(letters)).send()?.successful()?.text())
}
