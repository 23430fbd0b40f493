//! Joins branches of which one has run.

use weir_sdk::node;

/// That of the branch that has run.
#[node]
fn flow_first(refund: Option<String>, order: Option<String>, otherwise: String) -> String {
    refund.or(order).unwrap_or(otherwise)
}
