//! Runs one node in a fresh store, made for it or ahead of it, and drops it; or, where its flow says so, in one that an earlier
//! run has left. Knows how a component is run; not which one comes next, nor what is recorded of it.

pub mod accept;
pub mod ahead;
pub mod clocks;
pub mod compile;
pub mod component;
pub mod describe;
mod ending;
pub mod engine;
mod instance;
mod kept;
mod limiter;
pub mod limits;
mod meter;
mod pace;
pub mod places;
mod precompiled;
mod refused;
pub mod reuse;
mod stdio;
mod store;
mod work;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

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

use ahead::{Ahead, MadeAhead};
use component::{Component, Workshop};
use instance::Instance;
use kept::Kept;
use limits::Limits;
use meter::{Meter, Metered};
use pace::Pace;
use reuse::Reuse;

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
    pub environment: Arc<[(&'static str, String)]>,
    /// What the flow was initialised with: a JSON object.
    pub init: Json,
    pub grants: Arc<Grants>,
    pub limits: Limits,
    /// None: each run has a fresh instance.
    pub reuse: Option<Reuse>,
    /// Whether an instance that is made ahead is asked what it is, so that memory that its run needs as well has been touched. Only
    /// where `describe` is weir's own, and leaves nothing.
    pub is_described_ahead: bool,
    pub facts: Arc<NodeFacts>,
}

/// Where things run: guests apart from everything else, so that one that never rests delays nobody's socket.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Host calls.
    pub io: Handle,
    pub guests: Handle,
}

/// The instances of a node that no run has.
#[derive(Clone, Copy)]
struct Ready<'a> {
    kept: Option<&'a Kept>,
    ahead: Option<&'a Ahead>,
}

/// All nodes of a flow, by their index in it.
pub struct Nodes {
    flow: Arc<Flow>,
    nodes: Vec<Arc<Node>>,
    /// Of each node what its runs have shown.
    paces: Vec<Pace>,
    /// Of each node the instances that wait for its next run, if any may.
    kept: Vec<Option<Arc<Kept>>>,
    /// Of each node the instances that are made before a run asks, if that is worth it.
    ahead: Vec<Option<Arc<Ahead>>>,
    /// Makes them.
    _maker: Option<AbortOnDropHandle<()>>,
    threads: Threads,
    /// The services behind connections that they may ask.
    upstreams: Upstreams,
    /// Keeps the clock of the engine going.
    _workshop: Arc<Workshop>,
}

impl Nodes {
    /// `nodes` are all those of `flow`, in its order; `workshop` loaded their components. `kept`: how many instances wait for
    /// the next run of a node that has them used again. `ahead`: how many are made before a run asks.
    pub fn new(
        flow: Arc<Flow>,
        nodes: Vec<Node>,
        workshop: Arc<Workshop>,
        threads: Threads,
        upstreams: Upstreams,
        kept: reuse::Kept,
        ahead: MadeAhead,
    ) -> Arc<Self> {
        let of = |node: &Node| {
            let reuse = node.reuse.filter(|_| kept.0 > 0)?;
            Some(Kept::new(reuse, kept, &node.component.places))
        };
        let kept = nodes.iter().map(of).collect();
        let (nodes, missing): (Vec<_>, _) = (nodes.into_iter().map(Arc::new).collect(), Arc::new(Notify::new()));
        let ahead: Vec<_> = nodes.iter().map(|node| Ahead::new(node, ahead, &missing)).collect();
        let all: Vec<_> = ahead.iter().flatten().cloned().collect();
        #[expect(clippy::disallowed_methods, reason = "it serves no request: it ends with this value")]
        let maker = (!all.is_empty())
            .then(|| AbortOnDropHandle::new(threads.guests.spawn(ahead::make(all, missing, workshop.clone()))));
        let paces = nodes.iter().map(|_| Pace::default()).collect();
        Arc::new(Self { flow, nodes, paces, kept, ahead, _maker: maker, threads, upstreams, _workshop: workshop })
    }

    /// Lets instances go that waited for a run too long.
    pub fn tidy(&self) {
        self.kept.iter().flatten().for_each(|kept| kept.tidy());
        self.ahead.iter().flatten().for_each(|ahead| ahead.resume());
    }

    /// Lets all instances go that wait for a run. Until the next [`Nodes::tidy`] none is made ahead.
    pub fn clear(&self) {
        self.kept.iter().flatten().for_each(|kept| kept.clear());
        self.ahead.iter().flatten().for_each(|ahead| ahead.pause());
    }

    /// The services behind connections that the nodes may ask.
    pub fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// Whether a run of a node will hardly hold up the thread that it is on, as its last runs have shown.
    pub fn is_quick(&self, node: NodeIndex) -> bool {
        self.paces[node.get()].is_quick()
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
        let at = node.get();
        let (node, pace, ready) = (
            &self.nodes[at],
            &self.paces[at],
            Ready { kept: self.kept[at].as_deref(), ahead: self.ahead[at].as_deref() },
        );
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
        let left = Mutex::new(None);
        let result = enter(entry, |run| {
            let (calls, used) = (run.calls.clone(), run.used.clone());
            let work = &node.component.places.work;
            let meter = Meter { node: &node.id, limits: &node.limits, calls, used, pace, work };
            Metered::new(node.answer(run, inputs.as_str().to_owned(), ready, &left), meter)
        })
        .await;
        let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Only now is it known that nothing was wrong with the run.
        if let (Ok(_), Some(kept), Some(instance)) = (&result, ready.kept, left) {
            kept.put(instance);
        }
        result
    }
}

impl Node {
    /// One call, in an instance that waits or in one that is made now. It is `left` for the next run where one may follow.
    async fn answer(
        &self,
        run: NodeRun,
        inputs: String,
        ready: Ready<'_>,
        left: &Mutex<Option<Instance>>,
    ) -> Result<Answer, NodeError> {
        let Ready { kept, ahead } = ready;
        let mut instance = match kept.and_then(Kept::take).or_else(|| ahead?.take()) {
            Some(mut instance) => {
                instance.begin(run)?;
                instance
            }
            None => Instance::fresh(self, run, ahead).await?,
        };
        let answer = instance.run(self, &inputs).await?;
        let Some(kept) = kept else { return Ok(answer) };
        if let Some(instance) = instance.left(self) {
            match answer {
                // Its guest has no part in what is still to come, which may take long.
                Answer::Relayed(_) => kept.put(instance),
                Answer::Value(_) | Answer::Emitted => {
                    *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(instance);
                }
            }
        }
        Ok(answer)
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
