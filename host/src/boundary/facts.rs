//! What a capability or a node may tell of itself on a span. Values only: recording them is the doors' affair, so that
//! nothing beyond the boundary needs to know telemetry.

pub use crate::telemetry::{
    GuestEnd, GuestKind, Hold, HttpRequest, LogLevel, NodeFacts, NodeUse, NoteValue, Retry, RpcKind, RpcReply,
    RpcRequest, Server as RpcServer, Tokens, Tries, Unasked, bound,
};
