//! The node behind prompt flow's tool `promptflow.tools.azure_content_safety.analyze_text`: asks Azure AI Content Safety
//! how harmful a text is, and decides by the thresholds of the flow. What the decision is: see decision.rs.
//!
//! The host adds the key of the connection.

mod decision;

use serde_json::{Value, json};
use weir_sdk::{CallError, CallErrorKind, NodeError, config, data, http, node};

use crate::decision::{Category, Decision, Threshold, decide};

/// Codes of errors: the original's classes.
const INPUT_VALUE_ERROR: &str = "AzureContentSafetyInputValueError";
const SYSTEM_ERROR: &str = "AzureContentSafetySystemError";

/// How prompt flow makes itself known to the service.
const SENDER: (&str, &str) = ("ms-azure-ai-sender", "prompt_flow");

/// A text, and how sensitive to be: `disable`, `low_sensitivity`, `medium_sensitivity` or `high_sensitivity`.
#[data]
struct Inputs {
    /// Name of the connection, of type `azure_content_safety`.
    connection: String,
    /// The text to analyze.
    text: String,
    #[serde(default)]
    hate_category: Option<String>,
    #[serde(default)]
    self_harm_category: Option<String>,
    #[serde(default)]
    sexual_category: Option<String>,
    #[serde(default)]
    violence_category: Option<String>,
}

/// Decides whether a text is harmful.
#[node(uses = ["http", "config"])]
fn analyze_text(inputs: Inputs) -> Result<Decision, NodeError> {
    // Before the service is asked, which costs.
    let thresholds = thresholds(&inputs)?;
    let Inputs { connection, text, .. } = inputs;
    decide(&detect(&connection, &text)?, &thresholds)
}

fn thresholds(inputs: &Inputs) -> Result<[(Category, Threshold); 4], NodeError> {
    let threshold = |category, name, sensitivity: &Option<String>| {
        Threshold::of(name, sensitivity.as_deref()).map(|threshold| (category, threshold))
    };
    Ok([
        threshold(Category::Hate, "hate_category", &inputs.hate_category)?,
        threshold(Category::SelfHarm, "self_harm_category", &inputs.self_harm_category)?,
        threshold(Category::Sexual, "sexual_category", &inputs.sexual_category)?,
        threshold(Category::Violence, "violence_category", &inputs.violence_category)?,
    ])
}

/// What the service finds in a text.
fn detect(connection: &str, text: &str) -> Result<Value, NodeError> {
    let endpoint = setting(connection, "endpoint")?;
    let version = setting(connection, "api_version")?;
    let reply = http::post(format!("{}/contentsafety/text:analyze", endpoint.trim_end_matches('/')))
        .query("api-version", version)
        .header(SENDER.0, SENDER.1)
        .json(&json!({"text": text, "blocklistNames": []}))
        .send()
        .map_err(unreached)?;
    found(reply.status, &reply.body)
}

fn setting(connection: &str, key: &str) -> Result<String, NodeError> {
    let missing = || format!("connection {connection:?} has no {key}; expected one of type azure_content_safety");
    config::get(&format!("{connection}.{key}")).ok_or_else(|| NodeError::system("NotFound", missing()))
}

/// The reply of the service, if it is one of success.
fn found(status: u16, body: &[u8]) -> Result<Value, NodeError> {
    let reply: Option<Value> = serde_json::from_slice(body).ok();
    match (status, reply) {
        (200, Some(reply)) => Ok(reply),
        (200, None) => Err(failed("the answer is not JSON")),
        (status, reply) => {
            let message = reply.as_ref().and_then(|reply| reply.pointer("/error/message")?.as_str());
            Err(message.map_or_else(|| failed(&format!("status {status}")), failed))
        }
    }
}

fn failed(what: &str) -> NodeError {
    NodeError::system(SYSTEM_ERROR, format!("Error in detecting content: {what}"))
}

/// What weir refuses keeps its own code.
fn unreached(error: CallError) -> NodeError {
    match error.kind {
        CallErrorKind::Unavailable | CallErrorKind::Timeout | CallErrorKind::Protocol => failed(&error.message),
        _ => NodeError::system(error.kind.code(), error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_service_is_told_in_its_words() {
        let refusal = br#"{"error": {"code": "InvalidRequestBody", "message": "The text is too long."}}"#;
        assert_eq!(found(400, refusal), Err(failed("The text is too long.")));
        assert_eq!(found(502, b"<html>"), Err(failed("status 502")));
        assert_eq!(found(200, b"<html>"), Err(failed("the answer is not JSON")));
        assert_eq!(failed("x").message, "Error in detecting content: x");
    }

    #[test]
    fn a_sensitivity_that_is_not_known_names_its_input() {
        let inputs = Inputs {
            connection: "c".to_owned(),
            text: "t".to_owned(),
            hate_category: None,
            self_harm_category: Some("high".to_owned()),
            sexual_category: None,
            violence_category: None,
        };
        let message = "self_harm_category: expected disable, low_sensitivity, medium_sensitivity or high_sensitivity, \
                       found \"high\"";
        assert_eq!(thresholds(&inputs), Err(NodeError::user(INPUT_VALUE_ERROR, message)));
    }

    #[test]
    fn what_weir_refuses_keeps_its_code() {
        let error = |kind| unreached(CallError { kind, status: None, message: "no".to_owned() });
        assert_eq!(error(CallErrorKind::NotGranted), NodeError::system("NotGranted", "no"));
        assert_eq!(error(CallErrorKind::Timeout), failed("no"));
    }
}
