//! Runs one node in a fresh store, and drops it. Knows how a component is run; not which one comes next, nor what is
//! recorded of it.

pub mod accept;
pub mod clocks;
pub mod compile;
pub mod component;
pub mod describe;
pub mod engine;
pub mod limits;
mod precompiled;
mod refused;
mod stdio;
mod store;

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use crate::bindings::handler;
use crate::boundary::enter::{Answer, Entry, enter};
use crate::boundary::error::{CallError, CallErrorKind, NodeError, NodeFailure};
use crate::boundary::facts::NodeFacts;
use crate::boundary::grants::Grants;
use crate::boundary::outlet::Outlet;
use crate::boundary::{NodeRun, Origin, Siblings};
use crate::capability::upstream::Upstreams;
use crate::flow::value::Json;
use crate::flow::{Flow, NodeIndex};
use crate::id::NodeId;

use component::{Component, Workshop};
use limits::Limits;
use store::State;

/// A node that is ready to run: its component, and what it may do.
#[derive(Debug)]
pub struct Node {
    pub id: NodeId,
    pub component: Arc<Component>,
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
    pub async fn run(&self, node: NodeIndex, inputs: Json, origin: Origin, outlet: Outlet) -> Result<Json, NodeError> {
        let node = &self.nodes[node.get()];
        let entry = Entry {
            origin,
            node: node.id.clone(),
            inputs: inputs.clone(),
            init: node.init.clone(),
            facts: node.facts.clone(),
            grants: node.grants.clone(),
            outlet,
            timeout: node.limits.timeout,
            io: self.threads.io.clone(),
        };
        enter(entry, |run| node.answer(run, inputs.as_str().to_owned())).await
    }
}

impl Node {
    /// One fresh instance, one call.
    async fn answer(&self, run: NodeRun, inputs: String) -> Result<Answer, NodeError> {
        let mut store = store::new(&self.component, run, &self.limits);
        let began = Instant::now();
        let node = match self.component.instance.instantiate_async(&mut store).await {
            Ok(node) => node,
            Err(error) => {
                store.data_mut().close_stdio();
                return Err(self.failed(error, store.data(), Phase::Instantiating));
            }
        };
        store.data().instantiated(began.elapsed());
        let result = node.weir_flow_handler().call_run(&mut store, &inputs).await;
        store.data_mut().close_stdio();
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
        let error = match error.downcast::<NodeError>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        let id = self.id.as_str();
        let limits = &self.limits;
        let (failure, message) = match error.downcast_ref::<Trap>() {
            _ if state.wanted_more_memory() => (
                NodeFailure::Memory,
                format!(
                    "node {id:?} needs more than its {} of memory; raise `limits.memory` of the node if it may have more",
                    limits.memory
                ),
            ),
            Some(Trap::StackOverflow) => (NodeFailure::Stack, format!("node {id:?} used up its stack")),
            Some(_) => (NodeFailure::Trap, format!("node {id:?} trapped")),
            // Whatever the status: a node answers by returning.
            None if error.is::<I32Exit>() => (NodeFailure::Trap, format!("node {id:?} exited instead of returning")),
            None => match phase {
                Phase::Instantiating => (NodeFailure::Host, format!("node {id:?} could not be run")),
                // It runs, and what it passes cannot be understood.
                Phase::Running => (NodeFailure::Protocol, format!("node {id:?} {}", misused(&error))),
            },
        };
        let failed = NodeError::new(failure, message).with_detail(format_args!("{error:?}"));
        match error.downcast_ref::<Trap>() {
            Some(trap) => failed.with_trap(kind(*trap)),
            None if error.is::<I32Exit>() => failed.with_trap("exit"),
            None => failed,
        }
    }
}

/// How far a run had come.
#[derive(Clone, Copy)]
enum Phase {
    Instantiating,
    Running,
}

/// How a guest broke the contract of WebAssembly's components, which only one that is not made by a toolchain does. The
/// span has the whole of it.
fn misused(error: &wasmtime::Error) -> &'static str {
    if error.is::<Utf8Error>() {
        "passed text that is not UTF-8"
    } else {
        "passed a value that is not what its type says"
    }
}

/// The trap as metrics name it: one of a few, since most that WebAssembly knows cannot happen to what is accepted here.
fn kind(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "stack_overflow",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull => "indirect_call_to_null",
        Trap::BadSignature => "bad_signature",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_division_by_zero",
        Trap::BadConversionToInteger => "bad_conversion_to_integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::Interrupt => "interrupt",
        Trap::CannotEnterComponent => "cannot_enter_component",
        Trap::CannotLeaveComponent => "cannot_leave_component",
        _ => "other",
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
            let invalid = |message: String| CallError::new(CallErrorKind::InvalidRequest, message);
            let given = Json::parse(&inputs).map_err(|error| invalid(format!("inputs: {error}")))?;
            let inputs = self.flow.node(index).assemble_call(&given).map_err(|refused| invalid(refused.to_string()))?;
            let nodes = Arc::clone(&self);
            let run = async move { Self::run(&nodes, index, inputs, origin, Outlet::kept()).await };
            #[expect(
                clippy::disallowed_methods,
                reason = "the call came by the runtime of host calls; a guest may not run there"
            )]
            let task = AbortOnDropHandle::new(self.threads.guests.spawn(run));
            task.await.map_err(|error| {
                tracing::error!(%error, "a called node's task ended");
                CallError::new(CallErrorKind::Internal, "internal error")
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
