//! Reads what it was initialised with, as an argument and by itself.

use weir_sdk::serde_json::{Map, Value};
use weir_sdk::{NodeError, context, data, node};

#[data]
struct Config {
    #[serde(default = "hello")]
    greeting: String,
}

#[data]
struct Greeting {
    text: String,
    /// All that was given, whether it is known here or not.
    given: Map<String, Value>,
}

fn hello() -> String {
    "hello".to_owned()
}

/// Greets in the operator's words.
#[node(uses = ["context"])]
fn context_reads_init(#[init] config: Config, name: String) -> Result<Greeting, NodeError> {
    Ok(Greeting { text: format!("{} {name}", config.greeting), given: context::init()? })
}
