//! One row: a request and the whole answer to it.

use harness::TestHost;
use serde_json::{Value, json};

/// A request to `/score`, and what comes of it.
pub(super) struct Row {
    what: String,
    accept: Option<String>,
    body: Vec<u8>,
    answer: Answer,
    why: Option<String>,
}

/// What a client sees.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Status 200 and this JSON, byte by byte.
    Json(String),
    /// An event stream of these events: their data, byte by byte.
    Events(Vec<String>),
    /// An event stream that breaks: its events, and the error of the last.
    Broken(Vec<String>, Value),
    /// A refusal with this status and error.
    Error(u16, Value),
}

/// As the original answers.
pub(super) fn same(what: &str, body: impl Into<Vec<u8>>, answer: Answer) -> Row {
    Row { what: what.to_owned(), accept: None, body: body.into(), answer, why: None }
}

/// Not as the original answers, for this reason.
pub(super) fn better(what: &str, body: impl Into<Vec<u8>>, answer: Answer, why: &str) -> Row {
    Row { why: Some(why.to_owned()), ..same(what, body, answer) }
}

impl Row {
    /// With an `Accept` header.
    pub(super) fn accepting(self, accept: &str) -> Self {
        Self { accept: Some(accept.to_owned()), ..self }
    }
}

pub(super) fn ok(text: &str) -> Answer {
    Answer::Json(text.to_owned())
}

pub(super) fn events(data: &[&str]) -> Answer {
    Answer::Events(data.iter().map(|text| (*text).to_owned()).collect())
}

/// Fails with the caller's fault.
pub(super) fn user(status: u16, code: &str, message: &str) -> Answer {
    Answer::Error(status, error("UserError", code, message))
}

/// Fails with ours.
pub(super) fn system(status: u16, code: &str, message: &str) -> Answer {
    Answer::Error(status, error("SystemError", code, message))
}

impl Answer {
    /// The failure is that of a node.
    pub(super) fn of(self, node: &str) -> Self {
        match self {
            Self::Error(status, mut error) => {
                error["details"] = json!({"node": node});
                Self::Error(status, error)
            }
            other => other,
        }
    }

    /// The failure comes after these events.
    pub(super) fn after(self, data: &[&str]) -> Self {
        match self {
            Self::Error(_, error) => Self::Broken(data.iter().map(|text| (*text).to_owned()).collect(), error),
            other => other,
        }
    }
}

fn error(root: &str, code: &str, message: &str) -> Value {
    json!({"code": root, "message": message, "innerError": {"code": code}})
}

/// Asks for every row, and tells of all that are answered otherwise.
pub(super) async fn check(host: &TestHost, rows: impl IntoIterator<Item = Row>) {
    let mut faults = Vec::new();
    for row in rows {
        let answer = ask(host, &row).await;
        if answer != row.answer {
            let why = row.why.map(|why| format!("\n  (not as the original: {why})")).unwrap_or_default();
            faults.push(format!("{}{why}\n  expected {:?}\n  found    {answer:?}", row.what, row.answer));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn ask(host: &TestHost, row: &Row) -> Answer {
    let headers: Vec<_> = row.accept.iter().map(|accept| ("accept", accept.as_str())).collect();
    let reply = host.score_with(&headers, row.body.clone()).await;
    match (reply.status, reply.header("content-type")) {
        (200, Some("application/json")) => Answer::Json(reply.text().to_owned()),
        (200, Some("text/event-stream; charset=utf-8")) => frames(reply.text()),
        (status, Some("application/json")) => {
            let mut body = reply.json();
            let error = body["error"].take();
            assert_eq!(body, json!({"error": null}), "an error has no other members");
            Answer::Error(status, error)
        }
        (status, kind) => panic!("{}: status {status}, {kind:?}: {}", row.what, reply.text()),
    }
}

/// A stream as a simple client reads it, which looks for lines that begin with `data: `.
fn frames(text: &str) -> Answer {
    let mut data = Vec::new();
    for frame in text.split("\n\n").filter(|frame| !frame.is_empty()) {
        let lines: Vec<_> = frame.lines().filter(|line| !line.starts_with(':')).collect();
        match lines[..] {
            [] => {}
            ["event: error", line] => {
                let error: Value =
                    line.strip_prefix("data: ").and_then(|text| serde_json::from_str(text).ok()).expect("an error");
                return Answer::Broken(data, error["error"].clone());
            }
            [line] => data.push(line.strip_prefix("data: ").expect("a line of data").to_owned()),
            ref lines => panic!("no frame of the original: {lines:?}"),
        }
    }
    Answer::Events(data)
}
