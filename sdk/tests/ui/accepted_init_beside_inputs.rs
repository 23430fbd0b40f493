//! What a node is initialised with may stand beside the one argument that takes all inputs.

use weir_sdk::{data, node};

#[data]
struct Config {
    greeting: Option<String>,
}

#[data]
struct Inputs {
    text: String,
}

#[node]
fn greet(inputs: Inputs, #[init] config: Config) -> String {
    config.greeting.unwrap_or_default() + &inputs.text
}

fn main() {
    assert_eq!(greet(Inputs { text: "a".to_owned() }, Config { greeting: None }), "a");
}
