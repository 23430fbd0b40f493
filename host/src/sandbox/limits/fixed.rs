//! What every node has, whatever its flow asks for: each number with its reason.

use std::time::Duration;

use crate::boundary::bounds::DEFERRED;
use crate::boundary::facts::bound;
use crate::capability::nodes::MAX_DEPTH;
use crate::units::Bytes;

/// Memory of one slot of the pool: the most that `limits.memory` can be. Address space, not memory, is set aside for it.
pub const SLOT: Bytes = Bytes(1 << 30);
/// Entries of one table: functions that can be called indirectly. Large guests have a few thousand.
pub const TABLE_ELEMENTS: usize = 100_000;
/// Core instances, tables and memories of one component. Adapters and toolchains make a handful of each.
pub const INSTANCES: u32 = 32;
pub const TABLES: u32 = 16;
pub const MEMORIES: u32 = 4;
/// Tables of one module: toolchains make one. Not more, since each instance has slots for as many.
pub const TABLES_OF_MODULE: u32 = 1;
/// Native stack that a guest may use. wasmtime's own default; deep recursion ends as an error of the node.
pub const STACK: Bytes = Bytes(512 << 10);
/// The stack on which a guest and what it calls of the host run. The rest beyond [`STACK`] is the host's: wasmtime asks for
/// some, and no host function recurses as deep as a guest says.
pub const FIBER_STACK: Bytes = Bytes(2 << 20);
/// Handles in the tables of a component, for each resource that it may hold open of the host (`limits.resources`): one for
/// each of its instances that knows of it, and some for resources of its own. Spans have [`bound::SPANS`] more.
pub const HANDLES_PER_RESOURCE: usize = 4;
/// Random bytes that one call gives: the host makes them before it hands them over. Seeds and keys have a few dozen.
pub const RANDOM: Bytes = Bytes(64 << 10);
/// Names and values of the HTTP headers that a guest makes, of one request. Services take 8 to 32 KiB.
pub const HEADERS: Bytes = Bytes(32 << 10);
/// What a guest may hand to standard output or error in one write. wasmtime's own streams take as much.
pub const WRITE: Bytes = Bytes(64 << 10);
/// Longest line of them that is kept together; longer ones are broken. As long as a log line that is told may be.
pub const LINE: Bytes = Bytes(bound::TEXT as u64);
/// How long a component may take to say what it is: the contract's number.
pub const DESCRIBE: Duration = Duration::from_secs(1);

/// All of them as they are documented: what is bounded, how much that is, and what becomes of more.
pub fn table() -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("entries of a table of functions", TABLE_ELEMENTS.to_string(), "growing it fails"),
        (
            "core instances, tables, memories of a component",
            format!("{INSTANCES}, {TABLES}, {MEMORIES}"),
            "it is not loaded",
        ),
        ("stack", STACK.to_string(), "`GuestStackOverflow`"),
        (
            "handles in its tables",
            format!("{HANDLES_PER_RESOURCE} for each of `limits.resources`, and {} for spans", bound::SPANS),
            "`GuestResourceLimit`",
        ),
        ("answers of models that it hands on and that are still to be asked for", DEFERRED.to_string(), "`Exhausted`"),
        ("random bytes of one call", RANDOM.to_string(), "`GuestProtocolError`"),
        ("HTTP headers of a request", HEADERS.to_string(), "`GuestProtocolError`"),
        ("one write to standard output or error", WRITE.to_string(), "`GuestProtocolError`"),
        ("text of a log line, of a text attribute", Bytes(bound::TEXT as u64).to_string(), "cut"),
        (
            "attributes, events, metrics of a run; attributes of an event",
            format!("{}, {}, {}; {}", bound::ATTRIBUTES, bound::EVENTS, bound::METRICS, bound::ATTRIBUTES),
            "left out, counted in `weir.notes_left_out`",
        ),
        (
            "spans that a run starts below its node's; attributes of all of them",
            format!("{}; {}", bound::SPANS, bound::SPAN_ATTRIBUTES),
            "left out, counted in `weir.spans_left_out`; in `weir.notes_left_out`",
        ),
        (
            "calls to the host of a run that have a span of their own",
            bound::CALLS.to_string(),
            "only metrics, counted in `weir.calls_left_out`",
        ),
        ("key of an attribute, name of an event, metric or span", format!("{} bytes", bound::KEY), "left out, counted"),
        (
            "log lines as events of the span, where no logs are exported",
            bound::LOG_EVENTS.to_string(),
            "left out, counted",
        ),
        ("nodes that call each other", format!("{MAX_DEPTH} deep"), "`Exhausted` for the caller"),
        ("`describe`", format!("{DESCRIBE:?}"), "a warning, when the flow is loaded"),
    ]
}
