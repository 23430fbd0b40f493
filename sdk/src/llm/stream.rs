//! A chat model's answer as it is written.

use std::fmt;

use serde_json::Value;

use crate::answer::Relay;
use crate::bindings::weir::flow::llm as wit;
use crate::error::CallError;
use crate::llm::Usage;

/// An answer on its way: an iterator over its pieces. Dropping it cancels the request to the model.
///
/// To pass the answer on as it is, return [`Chat::relay`](crate::llm::Chat::relay) and make none of these. To change it
/// on the way, return an iterator:
///
/// ```
/// use weir_sdk::{CallError, llm, node};
///
/// /// Answers in capitals.
/// #[node(uses = ["llm"])]
/// fn shout(question: String) -> Result<impl Iterator<Item = Result<String, CallError>>, CallError> {
///     let answer = llm::chat("my_connection").user(question).stream()?;
///     Ok(answer.map(|piece| Ok(piece?.content.to_uppercase())))
/// }
/// # fn main() {}
/// ```
pub struct ChatStream {
    stream: wit::ChatStream,
    over: bool,
}

/// One piece of an answer.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The text in this piece; empty for pieces that carry something else, such as the role.
    pub content: String,
    /// The piece's `delta` object, whole.
    pub delta: Value,
    /// Set on the last piece.
    pub finish_reason: Option<String>,
}

impl ChatStream {
    pub(super) fn new(stream: wit::ChatStream) -> Self {
        Self { stream, over: false }
    }

    /// The text of the answer as a stream that the host passes on by itself, to be returned from the node. For nodes that
    /// look at whether the service accepts the request: others return [`Chat::relay`](crate::llm::Chat::relay).
    pub fn relay(self) -> Relay {
        Relay(wit::text(self.stream))
    }

    /// What the answer cost: none before its end, and if the service does not say.
    pub fn usage(&self) -> Option<Usage> {
        self.stream.usage()
    }
}

impl Iterator for ChatStream {
    type Item = Result<Delta, CallError>;

    /// Waits for the next piece. After an error the stream is over.
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let piece =
            self.stream.next().map_err(CallError::from).and_then(|piece| piece.map(Delta::try_from).transpose());
        self.over = !matches!(piece, Ok(Some(_)));
        piece.transpose()
    }
}

impl TryFrom<wit::ChatDelta> for Delta {
    type Error = CallError;

    fn try_from(piece: wit::ChatDelta) -> Result<Self, CallError> {
        let delta = serde_json::from_str(&piece.delta)
            .map_err(|error| CallError::protocol(format!("piece of the answer is not JSON: {error}")))?;
        Ok(Self { content: piece.content, delta, finish_reason: piece.finish_reason })
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatStream")
    }
}
