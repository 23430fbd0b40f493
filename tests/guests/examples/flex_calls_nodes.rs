//! The entry of a flex flow: initialised once by the operator, given a request, calls the other nodes.

use weir_sdk::serde_json::json;
use weir_sdk::{data, node, nodes};

#[data]
struct Config {
    /// How to address people.
    tone: String,
}

/// Greets by one node, and asks by way of another, which calls a third.
#[node(uses = ["nodes", "context"])]
fn flex_calls_nodes(
    #[init] config: Config,
    question: String,
    #[serde(default)] name: Option<String>,
) -> Result<String, nodes::CallNodeError> {
    let name = name.unwrap_or_else(|| "stranger".to_owned());
    let greeting: String = nodes::call("greet", &json!({"tone": config.tone, "name": name}))?;
    let asked = json!({"node": "ask", "other_inputs": {"question": question}});
    let answer: String = nodes::call("forward", &asked)?;
    Ok(format!("{greeting} {answer}"))
}
