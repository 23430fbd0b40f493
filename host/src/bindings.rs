//! The contract of wit/ as Rust, made by wasmtime, and what stands behind its resources. No behaviour.

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "node",
    imports: {
        // Notes never wait.
        "weir:flow/context": trappable,
        "wasi:logging/logging": trappable,
        // Settings are at hand.
        "wasi:config/store": trappable,
        // A stream is made, and nobody is asked yet.
        "weir:flow/llm.text": trappable,
        "weir:flow/llm.relay-chat": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "weir:flow/types.chunks": Chunks,
        "weir:flow/llm.chat-stream": ChatStream,
        "weir:flow/context.span": Span,
    },
});

pub use self::exports::weir::flow::handler;
pub use self::wasi::config::store;
pub use self::wasi::logging::logging;
pub use self::weir::flow::{context, llm, nodes, output, types};

/// Behind `types.chunks`: JSON texts on their way.
pub enum Chunks {
    /// From whoever has accepted the request for them.
    Coming(Texts),
    /// From a call that is made when the first is asked for.
    Due {
        call: BoxFuture<'static, Result<Texts, types::CallError>>,
        /// What the node says that has ended with them, if the call fails.
        told: fn(types::CallError) -> types::NodeError,
    },
}

/// After an error the stream is over.
pub type Texts = BoxStream<'static, Result<String, types::CallError>>;

/// Behind `llm.chat-stream`: an answer on its way.
pub struct ChatStream {
    pub deltas: BoxStream<'static, Result<llm::ChatDelta, types::CallError>>,
    /// Set when the service has told it, at the end of the answer.
    pub usage: Arc<OnceLock<llm::Usage>>,
}

/// Behind `context.span`: nothing. Its number is that of the span in its run, whose door keeps the spans.
#[derive(Debug)]
pub struct Span;

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunks")
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatStream")
    }
}
