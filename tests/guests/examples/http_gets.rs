//! Asks an HTTP service.

use std::time::Duration;

use weir_sdk::{CallError, data, http, node};

#[data]
struct Answer {
    status: u16,
    text: String,
}

/// Returns what is at a URL, whatever the status. A header is sent if it is given, and the reply may take no longer than
/// said.
#[node(uses = ["http"])]
fn http_gets(url: String, header: Option<(String, String)>, timeout_ms: Option<u64>) -> Result<Answer, CallError> {
    let mut request = http::get(url);
    if let Some(timeout) = timeout_ms {
        request = request.timeout(Duration::from_millis(timeout));
    }
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let reply = request.send()?;
    Ok(Answer { status: reply.status, text: reply.text() })
}
