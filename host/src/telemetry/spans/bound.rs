//! How much a guest may say on its node's span and on those below it, and in its log: each number with its reason.

/// Longest key of an attribute, and longest name of an event, in bytes.
pub const KEY: usize = 100;
/// Longest text value, and longest log line, in bytes; longer ones are cut.
pub const TEXT: usize = 4 * 1024;
/// Attributes that one run may set, and that one of its events may have.
pub const ATTRIBUTES: usize = 32;
/// Metrics that one run may tell: as many as an evaluation has, and with [`ATTRIBUTES`] and the host's own attributes
/// below the 128 that the SDK keeps of a span.
pub const METRICS: usize = 64;
/// Events that one run may add.
pub const EVENTS: usize = 32;
/// Calls of one run to the host that have spans of their own. A node that asks a thousand times is in a loop, and all nodes of a
/// process share the way on which spans leave it.
pub const CALLS: usize = 1000;
/// Spans that one run may start below its node's: more than a person reads. A function that is traced and called in a loop
/// must not push out what else is there.
pub const SPANS: usize = 256;
/// Bytes of their inputs and outputs, all together, beyond which each is cut even if the operator wants to see them whole: a
/// span keeps them until it ends, and a guest need not end any.
pub const SPAN_CONTENT: usize = 4 << 20;
/// Attributes of all of these together, each of which has at most [`ATTRIBUTES`].
pub const SPAN_ATTRIBUTES: usize = 256;
/// Denials of one run that are events of its span: a guest that asks in a loop must not push out what else is there.
pub const DENIALS: usize = 16;
/// Log lines of one run that are kept as events, where nobody exports logs. With [`EVENTS`] and the host's own events they
/// stay below the 128 that the SDK keeps of a span, so that a talkative guest cannot push out the node's output.
pub const LOG_EVENTS: usize = 64;

/// How much of the log of one run is told as records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// Bytes of lines after which no further one is told.
    pub bytes: usize,
    pub lines: usize,
}
