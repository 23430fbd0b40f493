//! Says what a message is about, by its words, so that the flow can branch.

use weir_sdk::node;

/// `order`, `refund` or `other`.
#[node]
fn flow_classifies(message: String) -> &'static str {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match () {
        () if has(&["refund", "money back", "twice"]) => "refund",
        () if has(&["order", "parcel", "delivery"]) => "order",
        () => "other",
    }
}
