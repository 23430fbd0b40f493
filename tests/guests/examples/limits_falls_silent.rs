//! Streams a little, and then nothing for a long time.

use std::thread;
use std::time::Duration;

use weir_sdk::node;

/// Streams `before` chunks, sleeps, and streams one more. Sleeping is what it is for.
#[node]
fn limits_falls_silent(before: u32, ms: u64) -> impl Iterator<Item = String> {
    (0..=before).map(move |chunk| {
        if chunk == before {
            thread::sleep(Duration::from_millis(ms));
        }
        format!("{chunk} ")
    })
}
