//! What can go wrong at a crossing, and who has to act. Not how it is told to a caller: see server/problem.rs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who has to act so that the same request can succeed.
///
/// Operators filter by it: a node that fails is a red span, and only `Host` wakes someone up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The request was wrong.
    Caller,
    /// The flow file was wrong, or grants too little.
    Flow,
    /// The component failed, trapped or ran past a limit.
    Node,
    /// A service the host called for the node.
    Upstream,
    /// weir itself.
    Host,
}

/// Why a call from a node to the host failed. The kinds are those of `call-error-kind` in wit/types.wit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallErrorKind {
    NotGranted,
    NotFound,
    InvalidRequest,
    Unauthenticated,
    RateLimited,
    Rejected,
    Unavailable,
    Timeout,
    Cancelled,
    Exhausted,
    Protocol,
    Internal,
}

impl CallErrorKind {
    /// The `exception` dimension of `rpc_request` and the span's `error.type`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotGranted => "NotGranted",
            Self::NotFound => "NotFound",
            Self::InvalidRequest => "InvalidRequest",
            Self::Unauthenticated => "Unauthenticated",
            Self::RateLimited => "RateLimited",
            Self::Rejected => "Rejected",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timeout",
            Self::Cancelled => "Cancelled",
            Self::Exhausted => "Exhausted",
            Self::Protocol => "Protocol",
            Self::Internal => "Internal",
        }
    }

    pub fn blame(self) -> Blame {
        match self {
            Self::NotGranted | Self::NotFound => Blame::Flow,
            Self::InvalidRequest | Self::Exhausted => Blame::Node,
            Self::Cancelled => Blame::Caller,
            Self::Unauthenticated
            | Self::RateLimited
            | Self::Rejected
            | Self::Unavailable
            | Self::Timeout
            | Self::Protocol => Blame::Upstream,
            Self::Internal => Blame::Host,
        }
    }
}

/// A call from a node to the host that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: CallErrorKind,
    /// The HTTP status of the other side, where there is one.
    pub status: Option<u16>,
    /// For the guest and, if the node passes it on, for the caller: no keys, no addresses of the host's network.
    pub message: String,
    /// If the other side is to be asked again later. Guests are not told: the host has waited as long as was of use.
    pub pause: Option<Pause>,
}

/// When a service that could not answer may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub after: Duration,
    pub why: PauseReason,
}

/// Why it is to be left alone until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// It asked for it.
    Asked,
    /// It failed too often, and was not asked.
    CircuitOpen,
}

impl CallError {
    pub fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, message: message.into(), pause: None }
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    pub fn with_pause(self, after: Duration, why: PauseReason) -> Self {
        Self { pause: Some(Pause { after, why }), ..self }
    }
}

/// A call of a node that failed, as far as it matters to whoever tells why the node did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedCall {
    pub kind: CallErrorKind,
    /// If it is worth making again later.
    pub pause: Option<Pause>,
}

/// The last call of a run that failed. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LastFailure(Arc<Mutex<Option<FailedCall>>>);

impl LastFailure {
    /// A call has failed.
    pub fn is(&self, error: &CallError) {
        let failed = FailedCall { kind: error.kind, pause: error.pause };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
    }

    /// A node that was called has failed: by its call, if the caller fails as it does.
    pub fn is_passed_on(&self, error: &NodeError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error.call.as_deref().copied();
    }

    pub fn get(&self) -> Option<FailedCall> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a run of a node failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeFailure {
    /// The node returned an error that blames its input.
    User,
    /// The node returned an error that blames itself or what it depends on.
    System,
    /// The component trapped.
    Trap,
    /// It ran past its deadline.
    Timeout,
    /// It asked for more memory than it may have.
    Memory,
    /// It took more time on a processor than it may have.
    Cpu,
    /// It called the host more often than it may.
    Calls,
    /// It handed the host more in one call than it may.
    CallTooLarge,
    /// It held more of the host open than it may.
    Resources,
    /// It used up its stack.
    Stack,
    /// It broke the contract of wit/: text that is not JSON, a value after emitting.
    Protocol,
    /// Its inputs are larger than they may be.
    InputTooLarge,
    /// Its output is larger than it may be.
    OutputTooLarge,
    /// There was no place for it among all that runs.
    Busy,
    /// Nobody waits for it any more.
    Cancelled,
    /// weir could not run it.
    Host,
}

/// A run of a node that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    pub failure: NodeFailure,
    /// The node's own code for [`NodeFailure::User`] and [`NodeFailure::System`]; else weir's.
    pub code: String,
    /// For the caller of the flow.
    pub message: String,
    /// For the operator: the trap with its frames. On the span, never in a reply.
    pub detail: Option<String>,
    /// Of a [`NodeFailure::Trap`] or [`NodeFailure::Timeout`], which: one of a small set.
    pub trapped: Option<&'static str>,
    /// The last of its calls that failed, which may be why it did. Boxed: an error is a part of every result.
    pub call: Option<Box<FailedCall>>,
}

impl NodeError {
    /// An error that weir itself finds: its code is that of the failure.
    pub fn new(failure: NodeFailure, message: impl Into<String>) -> Self {
        let code = failure.code().to_owned();
        Self { failure, code, message: message.into(), detail: None, trapped: None, call: None }
    }

    pub fn with_detail(self, detail: impl fmt::Display) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    pub fn with_trap(self, kind: &'static str) -> Self {
        Self { trapped: Some(kind), ..self }
    }

    /// How the sandbox ended the run, if it did: the trap, or the limit that was reached.
    pub fn trap(&self) -> Option<&'static str> {
        match self.failure {
            NodeFailure::Trap => Some(self.trapped.unwrap_or("other")),
            NodeFailure::Memory => Some("memory_limit"),
            NodeFailure::Cpu => Some("cpu_limit"),
            NodeFailure::Calls => Some("call_limit"),
            NodeFailure::CallTooLarge => Some("call_too_large"),
            NodeFailure::Resources => Some("resource_limit"),
            NodeFailure::Stack => Some("stack_overflow"),
            NodeFailure::Timeout => Some(self.trapped.unwrap_or("timeout")),
            NodeFailure::User
            | NodeFailure::System
            | NodeFailure::Protocol
            | NodeFailure::InputTooLarge
            | NodeFailure::OutputTooLarge
            | NodeFailure::Busy
            | NodeFailure::Cancelled
            | NodeFailure::Host => None,
        }
    }

    pub fn blame(&self) -> Blame {
        match self.failure {
            NodeFailure::User | NodeFailure::Cancelled => Blame::Caller,
            NodeFailure::InputTooLarge => Blame::Flow,
            NodeFailure::System
            | NodeFailure::Trap
            | NodeFailure::Timeout
            | NodeFailure::Memory
            | NodeFailure::Cpu
            | NodeFailure::Calls
            | NodeFailure::CallTooLarge
            | NodeFailure::Resources
            | NodeFailure::Stack
            | NodeFailure::Protocol
            | NodeFailure::OutputTooLarge => Blame::Node,
            NodeFailure::Busy | NodeFailure::Host => Blame::Host,
        }
    }
}

impl NodeFailure {
    pub(crate) const ALL: [Self; 16] = [
        Self::User,
        Self::System,
        Self::Trap,
        Self::Timeout,
        Self::Memory,
        Self::Cpu,
        Self::Calls,
        Self::CallTooLarge,
        Self::Resources,
        Self::Stack,
        Self::Protocol,
        Self::InputTooLarge,
        Self::OutputTooLarge,
        Self::Busy,
        Self::Cancelled,
        Self::Host,
    ];

    /// The stable name in `innerError.code` of a reply, in `error.type` of a span and in the `exception` dimension.
    pub fn code(self) -> &'static str {
        match self {
            Self::User => "NodeUserError",
            Self::System => "NodeSystemError",
            Self::Trap => "GuestTrap",
            Self::Timeout => "NodeTimeout",
            Self::Memory => "GuestMemoryLimit",
            Self::Cpu => "GuestCpuLimit",
            Self::Calls => "GuestCallLimit",
            Self::CallTooLarge => "GuestCallTooLarge",
            Self::Resources => "GuestResourceLimit",
            Self::Stack => "GuestStackOverflow",
            Self::Protocol => "GuestProtocolError",
            Self::InputTooLarge => "GuestInputTooLarge",
            Self::OutputTooLarge => "GuestOutputTooLarge",
            Self::Busy => "Overloaded",
            Self::Cancelled => "Cancelled",
            Self::Host => "Internal",
        }
    }
}
