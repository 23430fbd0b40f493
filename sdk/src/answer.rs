//! What a node's function may return, as one type: a value, a stream or a relay. Not how it reaches the host: see
//! raw.rs.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::bindings::weir::flow::types::Chunks;
use crate::error::{CallError, NodeError};

/// A value, a stream or a relay: for nodes that decide at run time.
///
/// `T` is the type of the value and of one chunk.
///
/// ```
/// use weir_sdk::{Answer, NodeError, context, llm, node};
///
/// /// Tells a story, piece by piece where the client wants that.
/// #[node(uses = ["llm", "context"])]
/// fn tell(topic: String) -> Result<Answer<String>, NodeError> {
///     let chat = llm::chat("my_connection").user(format!("Tell a story about {topic}."));
///     if context::current().streaming {
///         Ok(Answer::Relay(chat.relay()?))
///     } else {
///         Ok(Answer::Value(chat.send()?.text().to_owned()))
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub enum Answer<T> {
    /// One value.
    Value(T),
    /// Chunks that the node makes.
    Stream(Stream<T>),
    /// Chunks that the host holds.
    Relay(Relay),
}

/// A streamed answer: an iterator whose items are passed on towards the client one by one.
///
/// Making an item may take its time; the host keeps to the client's pace. When the client goes away, the iterator is
/// dropped and the run ends. An item that is an error ends the stream with that error.
///
/// A function whose return type can say `impl Iterator<Item = T>` does not need this type.
pub struct Stream<T>(Box<dyn Iterator<Item = Result<T, NodeError>>>);

/// A stream that the host holds, such as the text of a model's answer.
///
/// Returned from a node, the host passes it on by itself: no code of the node runs per chunk, and the node's memory is
/// freed at once.
pub struct Relay(pub(crate) Chunks);

/// What the function of a node may return.
///
/// There is no need to implement it: it covers values, iterators, [`Stream`], [`Relay`], [`Answer`], and `Result` of
/// these. `Kind` says which of them a type is; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what a node returns",
    label = "not a value, a stream or a `Result` of these",
    note = "a value needs `Serialize` and `JsonSchema`: put `#[weir_sdk::data]` on its type",
    note = "a stream is an iterator over such values; the error of a `Result` needs `Into<NodeError>`"
)]
pub trait IntoAnswer<Kind> {
    /// The type of the value, or of one chunk.
    type Value: Serialize + JsonSchema;

    /// Whether the answer may be a stream.
    const STREAMS: bool;

    /// The answer to send.
    ///
    /// # Errors
    ///
    /// The node's own failure, if it returned one.
    fn into_answer(self) -> Result<Answer<Self::Value>, NodeError>;
}

/// One item of a stream: a value, or a `Result` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a node's stream",
    note = "an item needs `Serialize` and `JsonSchema`: put `#[weir_sdk::data]` on its type",
    note = "or is a `Result` of such a value with an error that is `Into<NodeError>`"
)]
pub trait IntoChunk<Kind> {
    /// The type of the chunk.
    type Value: Serialize + JsonSchema;

    /// The chunk to send.
    ///
    /// # Errors
    ///
    /// The item's own failure, if it is one.
    fn into_chunk(self) -> Result<Self::Value, NodeError>;
}

/// The kinds of [`IntoAnswer`] and [`IntoChunk`]: they keep the implementations apart and hold nothing.
pub mod kind {
    use std::marker::PhantomData;

    /// A type that is [`Serialize`](serde::Serialize).
    #[derive(Debug)]
    pub enum Value {}

    /// An iterator over chunks of kind `K`.
    #[derive(Debug)]
    pub struct Iterated<K>(PhantomData<K>);

    /// [`Answer`](super::Answer) or [`Relay`](super::Relay).
    #[derive(Debug)]
    pub enum Chosen {}

    /// A `Result` of kind `K`.
    #[derive(Debug)]
    pub struct Fallible<K>(PhantomData<K>);
}

impl<T> Stream<T> {
    /// Streams the items of an iterator.
    pub fn new<I, K>(items: I) -> Self
    where
        I: IntoIterator,
        I::IntoIter: 'static,
        I::Item: IntoChunk<K, Value = T> + 'static,
        K: 'static,
    {
        Self(Box::new(items.into_iter().map(IntoChunk::into_chunk)))
    }
}

impl<T> Iterator for Stream<T> {
    type Item = Result<T, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Relay {
    /// Reads the chunks here, in the node, waiting for each. After an error there are no more.
    pub fn into_chunks(self) -> impl Iterator<Item = Result<Value, CallError>> {
        std::iter::from_fn(move || match self.0.next() {
            Ok(chunk) => Some(parse_chunk(&chunk?)),
            Err(error) => Some(Err(error.into())),
        })
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

impl<T> From<Stream<T>> for Answer<T> {
    fn from(stream: Stream<T>) -> Self {
        Self::Stream(stream)
    }
}

impl<T> From<Relay> for Answer<T> {
    fn from(relay: Relay) -> Self {
        Self::Relay(relay)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> IntoAnswer<kind::Value> for T {
    type Value = T;
    const STREAMS: bool = false;

    fn into_answer(self) -> Result<Answer<T>, NodeError> {
        Ok(Answer::Value(self))
    }
}

#[diagnostic::do_not_recommend]
impl<I, K> IntoAnswer<kind::Iterated<K>> for I
where
    I: Iterator + 'static,
    I::Item: IntoChunk<K> + 'static,
    K: 'static,
{
    type Value = <I::Item as IntoChunk<K>>::Value;
    const STREAMS: bool = true;

    fn into_answer(self) -> Result<Answer<Self::Value>, NodeError> {
        Ok(Answer::Stream(Stream::new(self)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> IntoAnswer<kind::Chosen> for Answer<T> {
    type Value = T;
    const STREAMS: bool = true;

    fn into_answer(self) -> Result<Self, NodeError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoAnswer<kind::Chosen> for Relay {
    type Value = String;
    const STREAMS: bool = true;

    fn into_answer(self) -> Result<Answer<String>, NodeError> {
        Ok(Answer::Relay(self))
    }
}

#[diagnostic::do_not_recommend]
impl<A, E, K> IntoAnswer<kind::Fallible<K>> for Result<A, E>
where
    A: IntoAnswer<K>,
    E: Into<NodeError>,
{
    type Value = A::Value;
    const STREAMS: bool = A::STREAMS;

    fn into_answer(self) -> Result<Answer<A::Value>, NodeError> {
        self.map_err(Into::into)?.into_answer()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> IntoChunk<kind::Value> for T {
    type Value = T;

    fn into_chunk(self) -> Result<T, NodeError> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoChunk<kind::Fallible<kind::Value>> for Result<T, E>
where
    T: Serialize + JsonSchema,
    E: Into<NodeError>,
{
    type Value = T;

    fn into_chunk(self) -> Result<T, NodeError> {
        self.map_err(Into::into)
    }
}

fn parse_chunk(chunk: &str) -> Result<Value, CallError> {
    serde_json::from_str(chunk).map_err(|error| CallError::protocol(format!("chunk is not JSON: {error}")))
}
