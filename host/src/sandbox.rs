//! Runs one node in a fresh store, and drops it. Knows how a component is run; not which one comes next, nor what is
//! recorded of it.

pub mod accept;
pub mod clocks;
pub mod compile;
pub mod component;
pub mod describe;
mod ending;
pub mod engine;
mod limiter;
pub mod limits;
mod meter;
pub mod places;
mod precompiled;
mod refused;
mod stdio;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::bindings::handler;
use crate::boundary::enter::{Answer, Entry, enter};
use crate::boundary::error::{CallError, CallErrorKind, NodeError};
use crate::boundary::facts::{Hold, NodeFacts};
use crate::boundary::grants::Grants;
use crate::boundary::outlet::Unbounded;
use crate::boundary::{NodeRun, Origin, Siblings};
use crate::capability::upstream::Upstreams;
use crate::flow::value::Json;
use crate::flow::{Flow, NodeIndex};
use crate::id::NodeId;

use component::{Component, Workshop};
use ending::Phase;
use limits::Limits;
use meter::{Meter, Metered};
use store::State;

/// The variable by which a component of several nodes is told which of them to run.
pub const ENTRY: &str = "WEIR_ENTRY";

/// The variable with the names of the connections whose models a node may ask, separated by commas.
pub const MODELS: &str = "WEIR_LLM_CONNECTIONS";

/// The variable with the settings of connections that are secrets, `NAME.KEY`, separated by commas.
pub const SECRETS: &str = "WEIR_SECRET_SETTINGS";

/// A node that is ready to run: its component, and what it may do.
#[derive(Debug)]
pub struct Node {
    pub id: NodeId,
    pub component: Arc<Component>,
    /// Variables that its component finds beside those that the flow grants, such as [`ENTRY`].
    pub environment: Vec<(&'static str, String)>,
    /// What the flow was initialised with: a JSON object.
    pub init: Json,
    pub grants: Arc<Grants>,
    pub limits: Limits,
    pub facts: Arc<NodeFacts>,
}

/// Where things run: guests apart from everything else, so that one that never rests delays nobody's socket.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Host calls.
    pub io: Handle,
    pub guests: Handle,
}

/// All nodes of a flow, by their index in it.
pub struct Nodes {
    flow: Arc<Flow>,
    nodes: Vec<Node>,
    threads: Threads,
    /// The services behind connections that they may ask.
    upstreams: Upstreams,
    /// Keeps the clock of the engine going.
    _workshop: Arc<Workshop>,
}

impl Nodes {
    /// `nodes` are all those of `flow`, in its order; `workshop` loaded their components.
    pub fn new(
        flow: Arc<Flow>,
        nodes: Vec<Node>,
        workshop: Arc<Workshop>,
        threads: Threads,
        upstreams: Upstreams,
    ) -> Arc<Self> {
        Arc::new(Self { flow, nodes, threads, upstreams, _workshop: workshop })
    }

    /// The services behind connections that the nodes may ask.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// Runs one node to its end.
    ///
    /// # Errors
    /// See [`enter`].
    pub async fn run(
        &self,
        node: NodeIndex,
        inputs: Json,
        origin: Origin,
        outlet: Unbounded,
    ) -> Result<Json, NodeError> {
        let node = &self.nodes[node.get()];
        let entry = Entry {
            origin,
            node: node.id.clone(),
            inputs: inputs.clone(),
            init: node.init.clone(),
            facts: node.facts.clone(),
            grants: node.grants.clone(),
            outlet,
            bounds: node.limits.bounds(node.component.clock),
            io: self.threads.io.clone(),
        };
        enter(entry, |run| {
            let (calls, used) = (run.calls.clone(), run.used.clone());
            let meter = Meter { node: &node.id, limits: &node.limits, calls, used };
            Metered::new(node.answer(run, inputs.as_str().to_owned()), meter)
        })
        .await
    }
}

impl Node {
    /// One fresh instance, one call.
    async fn answer(&self, run: NodeRun, inputs: String) -> Result<Answer, NodeError> {
        // Given back after the store, whose slots it stands for.
        let _place = self.component.place().await?;
        let mut store = store::new(&self.component, &self.environment, run, &self.limits)?;
        let began = Instant::now();
        let node = match self.component.instance.instantiate_async(&mut store).await {
            Ok(node) => node,
            Err(error) => return Err(self.failed(error, store.data(), Phase::Instantiating)),
        };
        store.data().instantiated(began.elapsed());
        let result = node.weir_flow_handler().call_run(&mut store, &inputs).await;
        match result {
            Ok(Ok(handler::Output::Value(value))) => Ok(Answer::Value(value)),
            Ok(Ok(handler::Output::Emitted)) => Ok(Answer::Emitted),
            Ok(Ok(handler::Output::Relayed(chunks))) => {
                let taken = store.data_mut().take(chunks);
                Ok(Answer::Relayed(taken.map_err(|error| self.failed(error, store.data(), Phase::Running))?))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(self.failed(error, store.data(), Phase::Running)),
        }
    }

    /// What ended a run that did not come to its own end.
    fn failed(&self, error: wasmtime::Error, state: &State, phase: Phase) -> NodeError {
        ending::of(error, self.id.as_str(), &self.limits, state.wanted_more_memory(), phase)
    }
}

impl Siblings for Nodes {
    fn run(
        self: Arc<Self>,
        node: String,
        inputs: String,
        origin: Origin,
    ) -> BoxFuture<'static, Result<Result<Json, NodeError>, CallError>> {
        async move {
            let Some(index) = self.flow.find(&node) else {
                let known = self.flow.nodes().map(|(_, node)| node.id.as_str()).collect::<Vec<_>>().join(", ");
                return Err(CallError::new(
                    CallErrorKind::NotFound,
                    format!("there is no node {node:?} in this flow; nodes are: {known}"),
                ));
            };
            let (nodes, threads) = (Arc::clone(&self), self.threads.clone());
            // A task that is aborted goes on for a moment, in which it may open the node's span.
            let hold = Hold::of(&origin.parent);
            let run = async move {
                let _hold = hold;
                let invalid = |message: String| CallError::new(CallErrorKind::InvalidRequest, message);
                let given = Json::parse(&inputs).map_err(|error| invalid(format!("inputs: {error}")))?;
                let node = nodes.flow.node(index);
                let inputs = node.assemble_call(&given).map_err(|refused| invalid(refused.to_string()))?;
                Ok(Self::run(&nodes, index, inputs, origin, Unbounded::kept()).await)
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the call came by the runtime of host calls; a guest may not run there, nor what it passes be read"
            )]
            let task = AbortOnDropHandle::new(threads.guests.spawn(run));
            task.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a called node's task ended");
                Err(CallError::new(CallErrorKind::Internal, "internal error"))
            })
        }
        .boxed()
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nodes").field(self.flow.id()).finish()
    }
}
