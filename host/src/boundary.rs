//! Every crossing between host and guest: the traits a capability implements, and the view of the host that a
//! running guest is lent.
//!
//! Two of the three doors are here: [`enter`] leads into a node, [`call`] out of one. Only they open node and rpc
//! spans. Nothing here knows what a capability does, nor how a component is run.

pub mod bounds;
pub mod budget;
pub mod call;
mod convert;
pub mod denial;
pub mod enter;
pub mod error;
pub mod facts;
pub mod grants;
pub mod metrics;
mod nobody;
pub mod notes;
pub mod outlet;
pub mod policy;
pub mod quota;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use opentelemetry::Context;
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi_http::WasiHttpCtx;

use crate::flow::value::Json;
use crate::id::{FlowId, NodeId, RequestId};
use crate::telemetry::{self, Telemetry};

use bounds::{Calls, Resolution};
use budget::Budget;
use denial::Denials;
use error::{CallError, LastFailure, NodeError};
use facts::{NodeUse, RpcReply, RpcRequest, Tries};
use grants::{Ask, AskError, Grants};
use metrics::LoggedMetrics;
use notes::Notes;
use outlet::Outlet;
use policy::Rules;
use quota::{Quota, Requests};

/// Something the host can do for a node. One implementation per module of `capability`.
pub trait Capability: Sized + Send + Sync + 'static {
    /// Name in a flow's `grants`, and of the module.
    const NAME: &'static str;
    /// The interface of wit/ it serves.
    const INTERFACE: &'static str;
    /// What an operator sets up.
    type Config: Default;
    /// What one node holds: this capability narrowed to what its flow asked for.
    type Grant: Send + Sync + 'static;
    /// What an entry of the operator's policy lets nodes have.
    type Rule: Send + Sync + std::fmt::Debug + 'static;

    /// Called once, at start. Must not depend on a flow, and must not wait.
    fn build(config: Self::Config) -> Self;

    /// Called once per node when a flow is loaded, so that a flow asking for too much never serves.
    ///
    /// None: the node holds nothing of this capability; its calls will be refused. What a flow names is held against
    /// the policy; what a node's own connection brings with it is narrowed to it without a word.
    ///
    /// # Errors
    /// All that the node asks for and cannot have.
    fn grant(&self, ask: Ask<'_>, rules: &Rules<Self::Rule>) -> Result<Option<Self::Grant>, Vec<AskError>>;

    /// Reads an entry of a policy: JSON text.
    ///
    /// # Errors
    /// Says what was expected.
    fn rule(entry: &str) -> Result<Self::Rule, String>;

    /// The connections that an ask names, so that they are loaded before anything is granted.
    ///
    /// An ask that cannot be read names none: what is wrong with it, [`Capability::grant`] says.
    fn connections(_: Ask<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Adds the WIT functions to the linker. No policy here.
    ///
    /// # Errors
    /// If the linker has them already.
    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()>;
}

/// One call a node makes to the host, as a value. It is made by [`GuestCalls::call`], and only there.
pub trait HostCall: Send + 'static {
    /// Name of the rpc span and value of the `api_call` dimension, such as `openai_chat`.
    const API_CALL: &'static str;
    type Capability: Capability;
    type Reply: Send + 'static;

    /// What of the request may appear in a trace. Nothing unless named. `grant` is what the node holds, if it does.
    fn request_facts(&self, grant: Option<&<Self::Capability as Capability>::Grant>) -> RpcRequest;

    /// What of the reply may appear in a trace, and what it cost.
    fn reply_facts(reply: &Self::Reply) -> RpcReply;

    /// Does it. Runs apart from guests, under the deadline of `pass`; dropping it gives the call up.
    fn run(
        self,
        grant: Arc<<Self::Capability as Capability>::Grant>,
        pass: Pass,
    ) -> impl Future<Output = Result<Self::Reply, CallError>> + Send;
}

/// A call whose reply comes in pieces. Its span ends with the last one. Made by [`GuestCalls::open`].
pub trait StreamCall: Send + 'static {
    const API_CALL: &'static str;
    type Capability: Capability;
    type Item: Send + 'static;
    /// What has been seen of the reply so far, for the trace.
    type Seen: Default + Send + 'static;

    fn request_facts(&self, grant: Option<&<Self::Capability as Capability>::Grant>) -> RpcRequest;

    /// Called for every piece, in order.
    fn see(seen: &mut Self::Seen, item: &Self::Item);

    /// Whether the piece is a chunk of what a model answers, whose time is of interest.
    fn is_chunk(_: &Self::Item) -> bool {
        false
    }

    /// Called once, when the stream has ended well.
    fn reply_facts(seen: Self::Seen) -> RpcReply;

    /// Called once instead, when whoever reads it stops before the end. None: the call counts as cancelled.
    fn left_facts(_: Self::Seen) -> Option<RpcReply> {
        None
    }

    fn run(
        self,
        grant: Arc<<Self::Capability as Capability>::Grant>,
        pass: Pass,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Self::Item, CallError>>, CallError>> + Send;
}

/// The proof that a call came through the door, and what it may need from there. Only the boundary makes one.
#[derive(Clone, Debug)]
#[expect(clippy::manual_non_exhaustive, reason = "the attribute would let the rest of this crate make one")]
pub struct Pass {
    pub node: NodeId,
    /// The call must have ended by then.
    pub deadline: Instant,
    /// The trace context of the rpc span, as headers for an outgoing request.
    pub trace_headers: http::HeaderMap,
    /// Where a run of another node would come from: below this call's span, one level deeper.
    pub origin: Origin,
    /// To be told of what is tried again.
    pub tries: Tries,
    _private: (),
}

/// Where a run of a node comes from: the request, the flow, and the span above.
#[derive(Clone, Debug)]
pub struct Origin {
    pub telemetry: Telemetry,
    pub flow: FlowId,
    pub request: Arc<Request>,
    /// The span that the node's own span will be a child of.
    pub parent: Context,
    /// What everything above has cost so far: the flow, and the nodes that called each other to get here.
    pub usage: telemetry::Usage,
    /// What everything that belongs to the request may still spend.
    pub budget: Arc<Budget>,
    /// What nodes tell by `log-metric`, for whoever started all this.
    pub metrics: LoggedMetrics,
    /// Whoever asked for the run must have ended by then: the flow, or the node that called it.
    pub deadline: Instant,
    /// How many nodes called each other to get here.
    pub depth: u8,
    /// The last of them.
    pub caller: Option<NodeId>,
    pub siblings: Arc<dyn Siblings>,
}

/// What is known of the request that a run belongs to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The `line_run_id`: the caller's request id, else one made for this request.
    pub id: RequestId,
    /// Whether `id` came from the caller; only then spans carry `request_id`.
    pub id_from_caller: bool,
    /// What kind of flow it asks for: `dag`, `flex` or `prompty`.
    pub target: &'static str,
}

impl Request {
    /// As spans tell it.
    pub fn facts(&self) -> telemetry::RequestFacts<'_> {
        telemetry::RequestFacts { id: &self.id, id_from_caller: self.id_from_caller, target: self.target }
    }
}

/// The other nodes of a flow, for a node that calls them.
pub trait Siblings: Send + Sync + std::fmt::Debug {
    /// Runs one with the given inputs, a JSON object. The outer error is that it was not run.
    fn run(
        self: Arc<Self>,
        node: String,
        inputs: String,
        origin: Origin,
    ) -> BoxFuture<'static, Result<Result<Json, NodeError>, CallError>>;
}

/// One run of a node, as long as its guest lives.
#[derive(Debug)]
pub struct NodeRun {
    pub node: NodeId,
    pub origin: Origin,
    /// What the flow was initialised with: a JSON object.
    pub init: Json,
    /// When the run began, and when it must have ended.
    pub began: Instant,
    pub deadline: Instant,
    /// Of the time that it is told it has left.
    pub clock: Resolution,
    pub outlet: Outlet,
    /// How often the guest has called the host.
    pub calls: Calls,
    pub notes: Notes,
    /// What the run takes, told when it ends.
    pub used: NodeUse,
    /// What it may write into files.
    pub quota: Quota,
    /// What it has asked of services over HTTP.
    pub requests: Requests,
    /// The last of its calls that failed.
    pub failed: LastFailure,
    grants: Arc<Grants>,
    denials: Arc<Denials>,
    /// Those that the guest has started below its node's. The current one is the parent of the spans of its calls.
    spans: telemetry::GuestSpans,
    /// Its place for a call that is still to be made.
    deferred: Arc<Semaphore>,
    /// Where calls run: guests have a runtime of their own, so that one that never rests cannot delay a socket.
    io: tokio::runtime::Handle,
}

impl NodeRun {
    /// A piece of a stream has passed, or has not. One that has is no call: how many there are is bounded where they come from
    /// or go to.
    pub fn took(&self, piece: bool) {
        if piece {
            self.calls.free();
        }
    }
}

/// The host as a running guest sees it. Every WIT function of ours is implemented on this view.
pub struct GuestCalls<'a> {
    pub run: &'a mut NodeRun,
    pub table: &'a mut ResourceTable,
    /// How large the headers may be that a guest makes.
    pub http: &'a mut WasiHttpCtx,
    pub files: &'a mut WasiFilesystemCtx,
}

/// The data of a store, which lends the host to its guest.
pub trait Lend: Send + 'static {
    fn lend(&mut self) -> GuestCalls<'_>;
}

/// Tells wasmtime that the data of our interfaces is [`GuestCalls`].
#[derive(Debug)]
pub struct Lent;

impl HasData for Lent {
    type Data<'a> = GuestCalls<'a>;
}
