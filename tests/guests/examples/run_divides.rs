//! Divides, and so may come to what is no number of JSON: that is null.

use weir_sdk::node;

/// Divides one number by another.
#[node]
fn run_divides(one: f64, by: f64) -> f64 {
    one / by
}
