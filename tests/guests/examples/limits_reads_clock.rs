//! Calls WASI without end: no interface of the host's own. The host must end it all the same.

use std::time::Instant;

use weir_sdk::node;

/// Looks at the clock, again and again.
#[node]
fn limits_reads_clock() -> bool {
    let began = Instant::now();
    loop {
        if began.elapsed().as_secs() > 3600 {
            return true;
        }
    }
}
