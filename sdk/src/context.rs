//! Where a node runs, what it was initialised with, notes on its span, and [spans](span()) below it. Always granted, and never
//! needed for a complete trace.
//!
//! ```no_run
//! use weir_sdk::context;
//!
//! context::set_attribute("documents", 3);
//! context::add_event("cache.miss", [("key", "42".into())]);
//! if context::current().streaming {
//!     // The client reads chunks as they come.
//! }
//! ```

mod span;

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bindings::weir::flow::context as wit;
use crate::error::NodeError;
use crate::raw::fit::{Given, fit};

pub use span::{NewSpan, Span, span};
pub use wit::{AttributeValue, SpanKind};

/// One run of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Name of the flow.
    pub flow: String,
    /// Name of the node in the flow.
    pub node: String,
    /// The id by which the request is known in traces and logs.
    pub request_id: String,
    /// The current span, which is the node's own outside of any [`span()`], as a W3C `traceparent` header, for services that the
    /// node calls by means of its own.
    pub traceparent: String,
    /// Whether chunks reach the client as they are emitted. If not, a node that can also answer whole saves work by
    /// doing so.
    pub streaming: bool,
    /// Time left for this run.
    pub remaining: Duration,
}

/// What is known of this run.
pub fn current() -> Invocation {
    let wit::Invocation { flow, node, request_id, traceparent, streaming, remaining_ms } = wit::current();
    Invocation { flow, node, request_id, traceparent, streaming, remaining: Duration::from_millis(remaining_ms) }
}

/// What the flow was initialised with, the same for every run: the values that an operator gives a class-style flex flow
/// when it starts. Elsewhere an empty object, which fits where every field has a default.
///
/// A function under [`node`](crate::node) can take it as an argument with `#[init]`, which also describes it.
///
/// # Errors
///
/// With the code `InvalidInit`, if what the operator gave does not fit `T`.
///
/// ```no_run
/// use weir_sdk::{NodeError, context, data};
///
/// #[data]
/// struct Config {
///     #[serde(default)]
///     temperature: f64,
/// }
///
/// let config: Config = context::init()?;
/// # Ok::<(), NodeError>(())
/// ```
pub fn init<T: DeserializeOwned>() -> Result<T, NodeError> {
    fit(Given::Init, &wit::init())
}

/// Sets an attribute of the node's span. A later value replaces an earlier one.
///
/// Keys are at most 100 bytes and may not begin with a name that the host uses itself; values are cut at 4 KiB; a run
/// sets at most 32. What does not fit is left out and counted, never an error.
pub fn set_attribute(key: &str, value: impl Into<AttributeValue>) {
    wit::set_attribute(key, &value.into());
}

/// Adds an event to the node's span, under the same bounds as [`set_attribute`].
pub fn add_event<'a>(name: &str, attributes: impl IntoIterator<Item = (&'a str, AttributeValue)>) {
    let attributes: Vec<_> = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    wit::add_event(name, &attributes);
}

/// Tells a metric of the run, such as the accuracy that an evaluation has found: prompt flow's `log_metric`. A later value
/// replaces an earlier one of that name.
///
/// It becomes the attribute `metrics.NAME` of the node's span, and one of the results of a run over a data set. Names are
/// not empty and at most 100 bytes, values are finite; a run tells at most 64. What does not fit is left out and counted,
/// never an error.
///
/// ```no_run
/// use weir_sdk::{context, node};
///
/// /// Counts how many answers were right.
/// #[node(uses = ["context"])]
/// fn aggregate(grades: Vec<bool>) -> usize {
///     let right = grades.iter().filter(|&&right| right).count();
///     context::log_metric("accuracy", right as f64 / grades.len() as f64);
///     right
/// }
/// # fn main() {}
/// ```
pub fn log_metric(name: &str, value: f64) {
    wit::log_metric(name, value);
}

/// A list of the types that become an attribute value, each with its variant. One entry is
/// `impl From<bool> for AttributeValue { … Self::Boolean(value.into()) }`.
macro_rules! attribute_values {
    ($($type:ty => $variant:ident,)+) => {$(
        impl From<$type> for AttributeValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

attribute_values! {
    &str => Text,
    String => Text,
    bool => Boolean,
    i32 => Integer,
    u32 => Integer,
    i64 => Integer,
    f32 => Double,
    f64 => Double,
}
