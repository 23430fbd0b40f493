//! Calls the host without end. The host must end it.

use weir_sdk::{context, node};

/// Asks where it runs, again and again; `times` or for ever. Says how often it did.
#[node(uses = ["context"])]
fn limits_calls_forever(times: Option<u64>) -> u64 {
    let mut asked = 0;
    while times.is_none_or(|times| asked < times) {
        context::current();
        asked += 1;
    }
    asked
}
