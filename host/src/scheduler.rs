//! Runs a flow: which nodes, in which order, and what became of it. Knows no HTTP and no WebAssembly.
//!
//! [`plan`] decides, without a clock or a task; [`drive`] does; [`outcome`] tells.

pub mod drive;
pub mod outcome;
pub mod plan;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use opentelemetry::Context;
use tokio::runtime::Handle;

use crate::boundary::budget::{self, Budget};
use crate::boundary::error::NodeError;
use crate::boundary::metrics::LoggedMetrics;
use crate::boundary::outlet::Unbounded;
use crate::boundary::{Origin, Request, Siblings};
use crate::clock;
use crate::flow::inputs::Inputs;
use crate::flow::{Flow, FlowKind, NodeIndex, TraceContent};
use crate::id::RequestId;
use crate::sandbox;
use crate::telemetry::{Content, FlowStart, Telemetry, Usage};

use crate::flow::value::Json;
use drive::Drive;
use outcome::{Failure, Outcome};
use plan::{Collected, Plan};

/// How many nodes of one request may run at the same time: the original's number.
pub const NODE_CONCURRENCY: usize = 16;

/// Runs the nodes of a flow: the sandbox does. A trait, so that how a flow is run can be tested without guests.
pub trait Nodes: Siblings + Debug {
    /// Runs one to its end; dropping the future ends it.
    fn run(
        self: Arc<Self>,
        node: NodeIndex,
        inputs: Json,
        origin: Origin,
        outlet: Unbounded,
    ) -> BoxFuture<'static, Result<Json, NodeError>>;

    /// Whether a run of it will hardly hold up the thread that it is on, as far as anybody can know.
    fn is_quick(&self, node: NodeIndex) -> bool;

    /// As the sandbox has them, for whoever watches what they use. None: they are not in it.
    fn in_sandbox(&self) -> Option<&sandbox::Nodes> {
        None
    }
}

impl Nodes for sandbox::Nodes {
    fn run(
        self: Arc<Self>,
        node: NodeIndex,
        inputs: Json,
        origin: Origin,
        outlet: Unbounded,
    ) -> BoxFuture<'static, Result<Json, NodeError>> {
        async move { sandbox::Nodes::run(&self, node, inputs, origin, outlet).await }.boxed()
    }

    fn is_quick(&self, node: NodeIndex) -> bool {
        sandbox::Nodes::is_quick(self, node)
    }

    fn in_sandbox(&self) -> Option<&sandbox::Nodes> {
        Some(self)
    }
}

/// Runs one flow, any number of requests at a time.
#[derive(Debug)]
pub struct Runner {
    pub flow: Arc<Flow>,
    pub nodes: Arc<dyn Nodes>,
    pub telemetry: Telemetry,
    /// The runtime that guests have to themselves, but for nodes that are quick.
    pub guests: Handle,
    pub timeout: Duration,
    /// What each request may spend on models.
    pub budget: budget::Limits,
}

/// What a caller of a flow says beside its inputs.
#[derive(Clone, Debug)]
pub struct Call {
    /// The span that the flow's span will be a child of.
    pub parent: Context,
    pub request: RequestId,
    pub request_from_caller: bool,
    pub reply: ReplyMode,
    /// Whether this is a line of a batch: then outputs for evaluation are shown as well.
    pub line: bool,
    /// What the call costs also counts here.
    pub usage: Usage,
}

/// How the caller wants a streamed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// Joined to one value.
    Whole,
    /// As it comes, if the flow streams.
    Stream,
}

/// What the aggregation nodes made of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregated {
    /// What each node gave, by its name: a JSON object.
    pub outputs: Json,
    /// What they logged as metrics: a JSON object of numbers. Of a flex flow also what its `__aggregate__` gave, if that is
    /// an object, of whatever values.
    pub metrics: Json,
}

impl Runner {
    /// Runs the flow on inputs that fit it.
    ///
    /// Returns when the reply can begin: when all is done, or when the first chunk of a stream is there and nothing
    /// else is outstanding. Dropping the future, or the stream it gave, gives the request up and ends its nodes.
    ///
    /// # Errors
    /// If a node failed, or an output cannot be made.
    pub async fn run(&self, inputs: Inputs, call: Call) -> Result<Outcome, Failure> {
        let inputs_json = inputs.to_json();
        let conversation = conversation(&self.flow, &inputs);
        let plan = if call.line { Plan::of_line } else { Plan::new }(self.flow.clone(), inputs);
        self.drive(plan, &inputs_json, conversation, call, LoggedMetrics::default()).await
    }

    /// Runs the aggregation nodes over what the lines of a batch gave.
    ///
    /// # Errors
    /// If a node failed.
    pub async fn aggregate(&self, lines: &[Collected], call: Call) -> Result<Aggregated, Failure> {
        let plan = Plan::of_batch(self.flow.clone(), lines);
        let metrics = LoggedMetrics::default();
        match self.drive(plan, &Json::object([]), None, call, metrics.clone()).await? {
            Outcome::Whole(whole) => {
                let outputs = || whole.outputs.iter().map(|(name, value)| (name.as_str(), value));
                let is_given = |_: &_| self.flow.kind() == FlowKind::Flex;
                let given = outputs().filter(is_given).filter_map(|(_, value)| value.members()).flatten();
                let mut metrics = metrics.to_json().members().unwrap_or_default();
                metrics.extend(given);
                let metrics = Json::object(metrics.iter().map(|(name, value)| (name.as_str(), value)));
                Ok(Aggregated { outputs: Json::object(outputs()), metrics })
            }
            // Nobody asked for one.
            Outcome::Streaming(_) => Err(Failure::Stuck),
        }
    }

    async fn drive(
        &self,
        plan: Plan,
        inputs: &Json,
        conversation: Option<String>,
        call: Call,
        metrics: LoggedMetrics,
    ) -> Result<Outcome, Failure> {
        let deadline = clock::now() + self.timeout;
        let usage = Usage::below(&call.usage);
        let target = self.flow.kind().name();
        let request = Request { id: call.request, id_from_caller: call.request_from_caller, target };
        let span = self.telemetry.flow(FlowStart {
            flow: self.flow.id(),
            name: self.flow.span_name(),
            request: request.facts(),
            parent: &call.parent,
            inputs: inputs.as_str(),
            content: self.flow.trace_content().map(content),
            conversation: conversation.as_deref(),
            usage: usage.clone(),
        });
        let origin = Origin {
            telemetry: self.telemetry.clone(),
            flow: self.flow.id().clone(),
            request: Arc::new(request),
            usage,
            budget: Arc::new(Budget::new(self.budget)),
            metrics,
            parent: span.context(),
            deadline,
            depth: 0,
            caller: None,
            siblings: self.nodes.clone(),
        };
        let drive = Drive::new(self, plan, origin, call.reply);
        // A batch has all its lines in one task.
        if call.line { drive.run_apart(span).await } else { drive.run(span).await }
    }
}

/// Inputs that say which conversation a request belongs to, the first that a flow declares.
const CONVERSATIONS: [&str; 2] = ["conversation_id", "session_id"];

/// The conversation of a request, if its flow knows such a thing and the caller says which.
fn conversation(flow: &Flow, inputs: &Inputs) -> Option<String> {
    let declared = CONVERSATIONS.into_iter().find(|name| flow.inputs().contains_key(*name))?;
    inputs.get(declared)?.as_text().filter(|id| !id.is_empty())
}

/// What a flow's file says, in the words of telemetry.
fn content(said: TraceContent) -> Content {
    match said {
        TraceContent::None => Content::None,
        TraceContent::Truncated => Content::Truncated,
        TraceContent::Full => Content::Full,
    }
}
