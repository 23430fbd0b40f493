//! Takes its time, so that a test can see runs that overlap. Sleeping is what it is for.

use std::thread;
use std::time::Duration;

use weir_sdk::node;
use weir_sdk::serde_json::Value;

/// Sleeps for `ms` milliseconds and returns `value`.
#[node]
fn run_slow(ms: u64, value: Option<Value>) -> Option<Value> {
    thread::sleep(Duration::from_millis(ms));
    value
}
