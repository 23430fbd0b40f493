//! Language models, by the name of a connection. Address and key stay in the host, as do retries; each call is one
//! span with its tokens.
//!
//! ```no_run
//! use weir_sdk::llm;
//!
//! # fn main() -> Result<(), weir_sdk::NodeError> {
//! let reply = llm::chat("my_connection")
//!     .model("gpt-4o-mini")
//!     .system("You are brief.")
//!     .user("What is a weir?")
//!     .temperature(0.2)
//!     .param("seed", 7)
//!     .send()?;
//! assert!(!reply.text().is_empty());
//!
//! let vectors = llm::embed("my_connection", ["a weir", "a dam"]).send()?.vectors;
//! assert_eq!(vectors.len(), 2);
//! # Ok(())
//! # }
//! ```

mod chat;
mod complete;
mod embed;
mod parameters;
mod stream;

pub use chat::{Chat, Reply, chat};
pub use complete::{Complete, Completion, complete};
pub use embed::{Embed, Embeddings, embed};
pub use stream::{ChatStream, Delta};

pub use crate::bindings::weir::flow::llm::Usage;
