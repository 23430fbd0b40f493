//! Begins a stream and never ends it.

use std::iter;
use std::thread;
use std::time::Duration;

use weir_sdk::node;

/// Streams `count` chunks of text, and then nothing for ever.
#[node]
fn run_streams_and_stalls(count: u32) -> impl Iterator<Item = String> {
    let stalls = iter::from_fn(|| -> Option<String> {
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    });
    (0..count).map(|number| format!("chunk {number} ")).chain(stalls)
}
