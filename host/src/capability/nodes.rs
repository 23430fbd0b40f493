//! `weir:flow/nodes`: a node that runs other nodes of its flow. Granted by name; the depth is ruled.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::bindings::{nodes as wit, types};
use crate::boundary::denial::shown;
use crate::boundary::error::{CallError, CallErrorKind, NodeError};
use crate::boundary::facts::{RpcKind, RpcReply, RpcRequest};
use crate::boundary::grants::{Ask, AskError};
use crate::boundary::policy::Rules;
use crate::boundary::{Capability, GuestCalls, HostCall, Lend, Lent, Pass};
use crate::capability::Glob;
use crate::flow::value::Json;

/// How deep nodes may call each other: deep enough for any flow a person can read, shallow enough that a cycle ends
/// before it has taken many instances from the pool.
pub const MAX_DEPTH: u8 = 16;

/// Serves `weir:flow/nodes`.
#[derive(Debug)]
pub struct Nodes;

/// The names of the nodes that may be called.
#[derive(Debug)]
pub struct Grant(Vec<String>);

/// Runs another node.
#[derive(Debug)]
pub struct Call {
    pub node: String,
    /// One JSON object.
    pub inputs: String,
}

impl Capability for Nodes {
    const NAME: &'static str = "nodes";
    const INTERFACE: &'static str = "weir:flow/nodes";
    type Config = ();
    type Grant = Grant;
    type Rule = Glob;

    fn build((): ()) -> Self {
        Self
    }

    fn grant(&self, ask: Ask<'_>, rules: &Rules<Glob>) -> Result<Option<Grant>, Vec<AskError>> {
        let names = ask.names(Self::NAME).map_err(|error| vec![error])?;
        let check = |name: &String| rules.check(Self::NAME, &format!("{name:?}"), |rule| rule.covers(name)).err();
        let errors: Vec<_> = names.iter().filter_map(check).collect();
        if errors.is_empty() { Ok((!names.is_empty()).then_some(Grant(names))) } else { Err(errors) }
    }

    fn rule(entry: &str) -> Result<Glob, String> {
        Glob::read(entry, "the name of a node, such as lookup or tool_*")
    }

    fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::add_to_linker::<T, Lent>(linker, T::lend)
    }
}

impl HostCall for Call {
    const API_CALL: &'static str = "nodes.call";
    type Capability = Nodes;
    /// The inner error is the other node's own.
    type Reply = Result<Json, NodeError>;

    fn request_facts(&self, _: Option<&Grant>) -> RpcRequest {
        // Which node; its inputs are on its own span, just below.
        let node = Json::string(&self.node);
        RpcRequest::new(RpcKind::Function, Json::object([("node", &node)]).as_str())
    }

    fn reply_facts(_: &Self::Reply) -> RpcReply {
        RpcReply::default()
    }

    async fn run(self, grant: Arc<Grant>, pass: Pass) -> Result<Self::Reply, CallError> {
        if !grant.0.contains(&self.node) {
            return Err(CallError::new(
                CallErrorKind::NotGranted,
                format!(
                    "node {:?} may not call node {:?}; add it to `grants.nodes` of the node",
                    pass.node.as_str(),
                    shown(&self.node)
                ),
            ));
        }
        if pass.origin.depth > MAX_DEPTH {
            return Err(CallError::new(
                CallErrorKind::Exhausted,
                format!("nodes call each other more than {MAX_DEPTH} deep; is there a cycle?"),
            ));
        }
        let siblings = pass.origin.siblings.clone();
        siblings.run(self.node, self.inputs, pass.origin).await
    }
}

impl wit::Host for GuestCalls<'_> {
    async fn call(&mut self, node: String, inputs: String) -> wasmtime::Result<Result<String, wit::NodesError>> {
        let reply = GuestCalls::call(self, Call { node, inputs }).await;
        Ok(match reply {
            Ok(Ok(value)) => Ok(value.as_str().to_owned()),
            Ok(Err(error)) => {
                self.run.failed.is_passed_on(&error);
                Err(wit::NodesError::Failed(types::NodeError {
                    blame: error.blame().into(),
                    code: error.code,
                    message: error.message,
                }))
            }
            Err(error) => Err(wit::NodesError::Refused(error.into())),
        })
    }
}
