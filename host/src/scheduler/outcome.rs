//! What became of a flow.

use std::fmt;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::boundary::error::NodeError;
use crate::flow::value::Json;
use crate::id::NodeId;
use crate::scheduler::plan::{Collected, InvalidReferenceProperty, OutputsError};

/// A flow that gave an answer.
#[derive(Debug)]
pub enum Outcome {
    Whole(Whole),
    /// One output comes as a stream.
    Streaming(Streaming),
}

/// An answer that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What the caller is told: an object of the outputs, in the order of the flow file, or the one value of a flow that
    /// has but one.
    pub reply: Json,
    /// All outputs by name, also where the reply is one bare value.
    pub outputs: Vec<(String, Json)>,
    /// Of a line of a batch, what aggregation nodes need.
    pub collected: Collected,
}

/// An answer of which one output is still coming.
pub struct Streaming {
    /// All other outputs.
    pub outputs: Vec<(String, Json)>,
    /// Name of the output that streams.
    pub name: String,
    /// Its chunks. An error is the last item. Dropping it gives the request up.
    pub chunks: BoxStream<'static, Result<Json, Failure>>,
}

impl From<Whole> for Streaming {
    /// A stream of an answer that did not come as one: all outputs are there at once, and no chunk follows.
    fn from(whole: Whole) -> Self {
        Self { outputs: whole.outputs, name: String::new(), chunks: stream::empty().boxed() }
    }
}

/// A flow that gave none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A node failed.
    #[error("{error}")]
    Node { node: NodeId, error: NodeError },
    /// A reference of an input or an output leads nowhere in the value it points into.
    #[error("{0}")]
    Reference(#[from] InvalidReferenceProperty),
    /// More than one output turned out to be a stream.
    #[error("Multiple stream output fields not supported.")]
    ManyStreams,
    /// The flow ran past its time.
    #[error("the flow did not finish within its time")]
    Timeout,
    /// Nothing can run and nothing is finished.
    #[error("No nodes are ready for execution, but the flow is not completed.")]
    Stuck,
}

impl Failure {
    /// The innermost name of the failure: the `exception` dimension of `flow_request`.
    pub fn code(&self) -> &str {
        match self {
            Self::Node { error, .. } => &error.code,
            Self::Reference(_) => InvalidReferenceProperty::CODE,
            Self::ManyStreams => "MultipleStreamOutputFieldsNotSupported",
            Self::Timeout => "FlowTimeout",
            Self::Stuck => "NoNodeExecutedError",
        }
    }
}

impl From<OutputsError> for Failure {
    fn from(error: OutputsError) -> Self {
        match error {
            OutputsError::Property(property) => Self::Reference(property),
            OutputsError::Unfinished { .. } => Self::Stuck,
        }
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("name", &self.name).finish_non_exhaustive()
    }
}
