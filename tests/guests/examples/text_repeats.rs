//! The entry of a flex flow that computes its answer itself.

use weir_sdk::node;

/// The question in upper case, `times` times.
#[node]
fn text_repeats(question: String, #[serde(default = "twice")] times: usize) -> String {
    vec![question.to_uppercase(); times].join(" ")
}

fn twice() -> usize {
    2
}
