//! Asks an HTTP service.

use weir_sdk::{CallError, data, http, node};

#[data]
struct Answer {
    status: u16,
    text: String,
}

/// Returns what is at a URL, whatever the status. A header is sent if it is given.
#[node(uses = ["http"])]
fn http_gets(url: String, header: Option<(String, String)>) -> Result<Answer, CallError> {
    let mut request = http::get(url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let reply = request.send()?;
    Ok(Answer { status: reply.status, text: reply.text() })
}
