//! The node behind prompt flow's tool `promptflow.tools.serpapi.SerpAPI.search`: asks SerpAPI for the results of a search
//! engine, and gives them as they come.
//!
//! The host adds the key of the connection.

use serde_json::Value;
use weir_sdk::{CallError, CallErrorKind, NodeError, config, data, http, node};

/// SerpAPI itself, unless the connection says another address.
const SERP: &str = "https://serpapi.com";

/// Codes of errors: the original's classes.
const USER_ERROR: &str = "SerpAPIUserError";
const SYSTEM_ERROR: &str = "SerpAPISystemError";

/// What to look for, and where.
#[data]
struct Inputs {
    /// Name of the connection, of type `serp`.
    connection: String,
    /// What to look for.
    query: String,
    /// Where the search should seem to come from.
    #[serde(default)]
    location: Option<String>,
    /// `active` leaves out what is not for all ages; anything else, as in the original, is `off`.
    #[serde(default)]
    safe: Option<String>,
    /// How many results, at most; 10 if it is not said, the engine's own number if it is not above 0.
    #[serde(default)]
    num: Option<Value>,
    /// `google` or `bing`.
    #[serde(default)]
    engine: Option<String>,
}

/// Searches the web.
#[node(uses = ["http", "config"])]
fn search(inputs: Inputs) -> Result<Value, NodeError> {
    let base = config::get(&format!("{}.api_base", inputs.connection)).unwrap_or_else(|| SERP.to_owned());
    let mut request = http::get(format!("{}/search", base.trim_end_matches('/')));
    for (name, value) in parameters(inputs)? {
        request = request.query(name, value);
    }
    let reply = request.send().map_err(unreached)?;
    results(reply.status, &reply.body)
}

/// What is asked of SerpAPI, in the names of the engine.
fn parameters(inputs: Inputs) -> Result<Vec<(&'static str, String)>, NodeError> {
    let engine = inputs.engine.as_deref().filter(|engine| !engine.is_empty()).unwrap_or("google");
    let is_google = engine.eq_ignore_ascii_case("google");
    let mut parameters = vec![("q", inputs.query)];
    if let Some(location) = inputs.location.filter(|location| !location.is_empty()) {
        parameters.push(("location", location));
    }
    parameters.push(("engine", engine.to_owned()));
    if inputs.safe.as_deref() == Some("active") {
        parameters.push(if is_google { ("safe", "Active".into()) } else { ("safeSearch", "Strict".into()) });
    }
    let number = number(inputs.num.as_ref())?;
    if number > 0 {
        parameters.push((if is_google { "num" } else { "count" }, number.to_string()));
    }
    parameters.push(("output", "json".to_owned()));
    Ok(parameters)
}

/// A whole number, as prompt flow takes it: also one in quotes.
fn number(num: Option<&Value>) -> Result<i64, NodeError> {
    match num {
        None | Some(Value::Null) => Ok(10),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(10),
        Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64().unwrap_or_default()),
        Some(Value::String(text)) if text.trim().parse::<i64>().is_ok() => Ok(text.trim().parse().unwrap_or_default()),
        Some(other) => Err(NodeError::user(USER_ERROR, format!("num: expected a whole number, found {other}"))),
    }
}

/// The results, if the search was a success.
fn results(status: u16, body: &[u8]) -> Result<Value, NodeError> {
    let text = || String::from_utf8_lossy(body).into_owned();
    let reply: Option<Value> = serde_json::from_slice(body).ok();
    if status == 200 {
        return reply.ok_or_else(|| NodeError::system(SYSTEM_ERROR, failed(&text())));
    }
    let message = match reply.as_ref().and_then(|reply| reply.get("error")) {
        Some(Value::String(message)) if !message.is_empty() => message.clone(),
        Some(other) if !other.is_string() => other.to_string(),
        Some(_) | None => failed(&text()),
    };
    Err(if status >= 500 { NodeError::system(SYSTEM_ERROR, message) } else { NodeError::user(USER_ERROR, message) })
}

fn failed(what: &str) -> String {
    format!("SerpAPI search request failed: {what}")
}

/// What weir refuses keeps its own code.
fn unreached(error: CallError) -> NodeError {
    match error.kind {
        CallErrorKind::Unavailable | CallErrorKind::Timeout | CallErrorKind::Protocol => {
            NodeError::system(SYSTEM_ERROR, failed(&error.message))
        }
        _ => NodeError::system(error.kind.code(), error.message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut inputs: Value, expected: &[(&str, &str)]) {
        inputs["connection"] = "serp".into();
        inputs["query"] = "weirs".into();
        let inputs = serde_json::from_value(inputs).expect("inputs");
        let found = parameters(inputs).expect("parameters");
        let found: Vec<_> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn google_is_asked_for_ten_results() {
        let expected = [("q", "weirs"), ("engine", "google"), ("num", "10"), ("output", "json")];
        check(json!({}), &expected);
        check(json!({"location": "", "safe": "off", "num": "", "engine": ""}), &expected);
        check(json!({"location": null, "safe": null, "num": null, "engine": null}), &expected);
    }

    #[test]
    fn each_engine_has_its_own_names() {
        check(
            json!({"location": "Oslo", "safe": "active", "num": "5"}),
            &[
                ("q", "weirs"),
                ("location", "Oslo"),
                ("engine", "google"),
                ("safe", "Active"),
                ("num", "5"),
                ("output", "json"),
            ],
        );
        check(
            json!({"engine": "bing", "safe": "active", "num": 5}),
            &[("q", "weirs"), ("engine", "bing"), ("safeSearch", "Strict"), ("count", "5"), ("output", "json")],
        );
        check(json!({"engine": "bing", "num": 0}), &[("q", "weirs"), ("engine", "bing"), ("output", "json")]);
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let error = number(Some(&json!("many"))).expect_err("no number");
        assert_eq!(error, NodeError::user(USER_ERROR, "num: expected a whole number, found \"many\""));
        assert!(number(Some(&json!(1.5))).is_err());
    }

    #[test]
    fn a_failed_search_is_told_in_the_words_of_the_service() {
        assert_eq!(results(200, br#"{"organic_results": []}"#), Ok(json!({"organic_results": []})));
        let invalid = br#"{"error": "Invalid API key."}"#;
        assert_eq!(results(401, invalid), Err(NodeError::user(USER_ERROR, "Invalid API key.")));
        let down = Err(NodeError::system(SYSTEM_ERROR, "SerpAPI search request failed: down"));
        assert_eq!(results(503, b"down"), down);
        assert_eq!(results(200, b"down"), down);
        let empty = NodeError::user(USER_ERROR, r#"SerpAPI search request failed: {"error": ""}"#);
        assert_eq!(results(404, br#"{"error": ""}"#), Err(empty));
    }
}
