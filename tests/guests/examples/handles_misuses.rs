//! Uses a handle as no program of a language would: twice, after its end, as one of something else.

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::Pollable;
use wasip2::io::streams::InputStream;
use weir_sdk::node;

/// `how` says which of it.
#[node]
fn handles_misuses(how: String) -> &'static str {
    let alarm = subscribe_duration(0);
    let handle = alarm.handle();
    match how.as_str() {
        "drops twice" => {
            drop(alarm);
            // SAFETY: none is needed. Who gives out a number that is no handle harms nobody but itself.
            drop(unsafe { Pollable::from_handle(handle) });
        }
        "asks after its end" => {
            drop(alarm);
            // SAFETY: likewise.
            unsafe { Pollable::from_handle(handle) }.ready();
        }
        _ => {
            // SAFETY: likewise.
            let _ = unsafe { InputStream::from_handle(handle) }.read(1);
        }
    }
    "nobody minds"
}
