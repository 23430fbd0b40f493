//! Speaks `wasi:http` itself, as somebody would who means harm: no SDK looks at what is sent.

use std::collections::BTreeMap;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use weir_sdk::{data, node};

/// A request in its parts. What is left out is not set.
#[data]
struct Raw {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    trailers: Option<BTreeMap<String, String>>,
    /// The body is given up instead of finished: at once, or `after_head` of the answer.
    gives_up: Option<String>,
}

/// Sends each request and says what came of it: the status and the body, or which part was refused by whom. `at_once`:
/// all are on their way before the first answer is read.
#[node(uses = ["http"])]
fn http_raw(requests: Vec<Raw>, at_once: Option<bool>) -> Vec<String> {
    if at_once == Some(true) {
        let sent: Vec<_> = requests.into_iter().map(send).collect();
        return sent.into_iter().map(outcome).collect();
    }
    requests.into_iter().map(|request| outcome(send(request))).collect()
}

fn send(raw: Raw) -> Result<FutureIncomingResponse, String> {
    let fields = Fields::new();
    for (name, value) in raw.headers.unwrap_or_default() {
        fields.append(&name, value.as_bytes()).map_err(|error| format!("header {name:?}: {error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    if let Some(method) = raw.method {
        let method = if method == "GET" { Method::Get } else { Method::Other(method) };
        request.set_method(&method).map_err(|()| "method")?;
    }
    if let Some(scheme) = raw.scheme {
        let scheme = match scheme.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => Scheme::Other(scheme),
        };
        request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    }
    request.set_authority(raw.authority.as_deref()).map_err(|()| "authority")?;
    request.set_path_with_query(raw.path.as_deref()).map_err(|()| "path")?;
    let body = request.body().map_err(|()| "body")?;
    let sent = outgoing_handler::handle(request, None).map_err(code)?;
    if let Some(text) = raw.body {
        let stream = body.write().map_err(|()| "stream")?;
        // Who does not want the body answers without it.
        _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    if let Some(when) = raw.gives_up {
        if when == "after_head" {
            sent.subscribe().block();
        }
        drop(body);
        return Ok(sent);
    }
    let trailers = match raw.trailers {
        None => None,
        Some(written) => {
            let fields = Fields::new();
            for (name, value) in written {
                fields.append(&name, value.as_bytes()).map_err(|error| format!("trailer {name:?}: {error:?}"))?;
            }
            Some(fields)
        }
    };
    OutgoingBody::finish(body, trailers).map_err(code)?;
    Ok(sent)
}

fn outcome(sent: Result<FutureIncomingResponse, String>) -> String {
    answer(sent).unwrap_or_else(|refused| refused)
}

fn answer(sent: Result<FutureIncomingResponse, String>) -> Result<String, String> {
    let sent = sent?;
    sent.subscribe().block();
    let answer = sent.get().ok_or("no answer")?.map_err(|()| "taken")?.map_err(code)?;
    let status = answer.status();
    let body = answer.consume().map_err(|()| "consumed")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut text = Vec::new();
    while let Ok(piece) = stream.blocking_read(64 * 1024) {
        // Of more than anybody looks at, the beginning will do.
        if text.len() < 4096 {
            text.extend(piece);
        }
    }
    Ok(format!("{status} {}", String::from_utf8_lossy(&text)))
}

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}
