//! Streams without an end, and tells on its span how many chunks were taken.

use weir_sdk::{context, node};

/// Streams `x`, again and again.
#[node(uses = ["context"])]
fn run_streams_endlessly() -> impl Iterator<Item = String> {
    (0_u32..).map(|taken| {
        context::log_metric("taken", taken.into());
        "x".to_owned()
    })
}
