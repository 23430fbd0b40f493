//! Asks the host for things and never gives them back.

use std::mem;

use weir_sdk::node;

/// Makes HTTP headers, or alarms, `count` of them, and keeps them all.
#[node]
fn limits_holds_resources(count: usize, alarms: Option<bool>) -> usize {
    for _ in 0..count {
        match alarms {
            Some(true) => mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(1)),
            _ => mem::forget(wasip2::http::types::Fields::new()),
        }
    }
    count
}
