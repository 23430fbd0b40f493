//! Reads where it runs, and leaves an attribute and an event on its span.

use weir_sdk::{context, data, node};

#[data]
struct Seen {
    flow: String,
    node: String,
    request_id: String,
    traceparent: String,
    streaming: bool,
    has_time_left: bool,
}

/// Leaves notes and returns what it knows of its run.
#[node(uses = ["context"])]
fn context_sets_notes() -> Seen {
    context::set_attribute("guest.documents", 3);
    context::set_attribute("guest.index", "small");
    context::add_event("guest.cache_miss", [("key", "42".into()), ("cold", true.into()), ("age", 1.5.into())]);
    let run = context::current();
    Seen {
        flow: run.flow,
        node: run.node,
        request_id: run.request_id,
        traceparent: run.traceparent,
        streaming: run.streaming,
        has_time_left: !run.remaining.is_zero(),
    }
}
