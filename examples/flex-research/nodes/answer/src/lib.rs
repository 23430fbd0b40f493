//! The entry of a flex flow: it makes a plan, asks a model once for each line of it, and puts the answers together.

use weir_sdk::nodes::{self, CallNodeError};
use weir_sdk::serde_json::json;
use weir_sdk::{data, node};

/// What the flow is initialised with.
#[data]
struct Config {
    /// How many questions one question becomes.
    questions: u8,
}

/// What the flow answers.
#[data]
struct Answer {
    question: String,
    findings: Vec<String>,
}

/// Answers a question from several sides.
#[node(uses = ["nodes", "context"])]
fn answer(#[init] config: Config, question: String) -> Result<Answer, CallNodeError> {
    let plan: String = nodes::call("plan", &json!({"question": question, "count": config.questions}))?;
    let findings = plan.lines().map(|question| nodes::call("ask", &json!({"question": question})));
    Ok(Answer { findings: findings.collect::<Result<_, _>>()?, question })
}
