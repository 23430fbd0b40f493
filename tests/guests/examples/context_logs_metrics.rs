//! Tells metrics: one twice, one that is no number.

use weir_sdk::{context, node};

/// Tells how many of the grades are good.
#[node(uses = ["context"])]
fn context_logs_metrics(grades: Vec<f64>) -> usize {
    let good = grades.iter().filter(|grade| **grade >= 0.5).count();
    context::log_metric("good", -1.0);
    context::log_metric("good", good as f64);
    context::log_metric("accuracy", good as f64 / grades.len() as f64);
    context::log_metric("not_a_number", f64::NAN);
    good
}
