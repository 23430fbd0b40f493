//! DOOR 2, into a node: one run of a component, from the inputs it is handed to the value or stream it gives.
//!
//! Opens the node span, keeps the deadline, holds the answer against the contract, and records the node's metrics
//! once, however the run ends. How a component is run is the caller's affair: see sandbox.rs.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use opentelemetry::context::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use crate::bindings::Chunks;
use crate::boundary::bounds::{Bounds, Calls, DEFERRED};
use crate::boundary::denial::Denials;
use crate::boundary::error::{CallError, CallErrorKind, LastFailure, NodeError, NodeFailure};
use crate::boundary::grants::Grants;
use crate::boundary::outlet::{Closed, Outlet, Unbounded};
use crate::boundary::quota::{Quota, Requests};
use crate::boundary::{NodeRun, Origin};
use crate::clock;
use crate::flow::value::Json;
use crate::id::NodeId;
use crate::telemetry::{NodeFacts, NodeStart, Usage};

/// Everything that is known of a run before it begins.
#[derive(Debug)]
pub struct Entry {
    pub origin: Origin,
    pub node: NodeId,
    /// The inputs as they will cross: a JSON object.
    pub inputs: Json,
    /// What the flow was initialised with: a JSON object.
    pub init: Json,
    /// What else the span says of the node.
    pub facts: Arc<NodeFacts>,
    pub grants: Arc<Grants>,
    pub outlet: Unbounded,
    pub bounds: Bounds,
    /// Where the calls of the guest run, and streams that it hands on.
    pub io: Handle,
}

/// What a guest's `run` gave.
#[derive(Debug)]
pub enum Answer {
    Value(String),
    Emitted,
    Relayed(Chunks),
}

/// Runs a node: `run` is called once, with what the guest will be lent.
///
/// Gives the node's value; of a streamed answer all chunks, joined, after the last one has left through
/// the outlet. Dropping the future cancels the run.
///
/// # Errors
/// Of the guest, of its limits, and of the contract.
pub async fn enter<F, R>(entry: Entry, run: F) -> Result<Json, NodeError>
where
    F: FnOnce(NodeRun) -> R,
    R: Future<Output = Result<Answer, NodeError>>,
{
    let Entry { origin, node, inputs, init, facts, grants, outlet, bounds, io } = entry;
    let outlet = outlet.within(bounds.stream);
    let span = origin.telemetry.node(NodeStart {
        flow: &origin.flow,
        node: &node,
        request: origin.request.facts(),
        parent: &origin.parent,
        inputs: inputs.as_str(),
        facts: &facts,
        caller: origin.caller.as_ref().map(NodeId::as_str),
        usage: Usage::below(&origin.usage),
        log: bounds.log,
    });
    let (began, above, failed) = (clock::now(), origin.deadline, LastFailure::default());
    let deadline = above.min(began + bounds.timeout);
    let (telemetry, flow) = (origin.telemetry.clone(), origin.flow.clone());
    let denials = Denials::new(telemetry, flow, node.clone(), span.notes(), grants.denials());
    let sockets = io.clone();
    let node_run = NodeRun {
        node: node.clone(),
        origin,
        init,
        began,
        deadline,
        clock: bounds.clock,
        outlet: outlet.clone(),
        calls: Calls::default(),
        notes: span.notes(),
        used: span.used(),
        quota: Quota::default(),
        requests: Requests::within(bounds.http),
        failed: failed.clone(),
        grants,
        denials,
        spans: span.spans(),
        deferred: Arc::new(Semaphore::new(DEFERRED)),
        io,
    };
    let answer = run(node_run);
    // Pinned where it stands: it has all of the run in it, and each step around it would move it.
    let whole = pin!(async {
        fits(&node, &inputs, bounds.input)?;
        tokio::select! {
            biased;
            answer = async { settle(&node, answer.await?, &outlet, bounds.output, &sockets).await } => answer,
            () = outlet.fallen_silent() => Err(silent(&node, &bounds)),
        }
    });
    // What is logged behind this door belongs to the node.
    let whole = whole.with_context(span.context());
    let result = match timeout_at(deadline.into(), whole).await {
        // However it ended, it was not to its end.
        _ if outlet.is_gone() => Err(NodeError::new(NodeFailure::Cancelled, "the client went away")),
        // A call that waits is out of time in the same moment as its node, which may still make an answer or an error of
        // that: nothing said from here on counts.
        _ if above <= clock::now() => {
            Err(NodeError::new(NodeFailure::Cancelled, "whoever asked for it ran out of time"))
        }
        _ if deadline <= clock::now() => Err(out_of_time(&node, &bounds)),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(NodeError { call: failed.get().map(Box::new), ..error }),
        Err(_) => Err(out_of_time(&node, &bounds)),
    };
    match &result {
        Ok(_) if outlet.has_emitted() => span.finish_streamed(|| outlet.listed().into()),
        Ok(value) => span.finish(value.as_str()),
        Err(error) => {
            if let Some(kind) = error.trap() {
                span.trapped(kind);
            }
            span.fail(&error.code, &error.message, error.detail.as_deref());
        }
    }
    result
}

/// Makes one value of an answer, and holds it against the contract.
async fn settle(
    node: &NodeId,
    answer: Answer,
    outlet: &Outlet,
    max: usize,
    sockets: &Handle,
) -> Result<Json, NodeError> {
    match answer {
        Answer::Value(_) | Answer::Relayed(_) if outlet.has_emitted() => {
            Err(broken(node, "returned something else after it had emitted chunks; return `emitted`"))
        }
        Answer::Value(value) if value.len() > max => Err(NodeError::new(
            NodeFailure::OutputTooLarge,
            format!(
                "node {:?} gave {} bytes, more than its {max}; raise `limits.output` of the node if it may give more",
                node.as_str(),
                value.len()
            ),
        )),
        Answer::Value(value) => Json::parse(&value)
            .map_err(|error| broken(node, &format!("returned text that is not JSON: {error}{}", hint(&value)))),
        Answer::Emitted => Ok(outlet.end()),
        Answer::Relayed(chunks) => {
            let relayed = relay(node.clone(), chunks, outlet.clone()).with_current_context();
            #[expect(
                clippy::disallowed_methods,
                reason = "the guest has ended: from one socket to the other no chunk waits for threads of guests"
            )]
            let task = AbortOnDropHandle::new(sockets.spawn(relayed));
            task.await.unwrap_or_else(|error| {
                tracing::error!(%node, %error, "the relay of a stream ended");
                Err(NodeError::new(NodeFailure::Host, "internal error"))
            })?;
            Ok(outlet.end())
        }
    }
}

/// Passes a host stream on, chunk by chunk, without the guest.
async fn relay(node: NodeId, chunks: Chunks, outlet: Outlet) -> Result<(), NodeError> {
    let mut chunks = match chunks {
        Chunks::Coming(chunks) => chunks,
        Chunks::Due { call, told } => call.await.map_err(told)?,
    };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| upstream(CallError::from(error)))?;
        match outlet.emit(&chunk).await {
            Ok(Ok(())) => {}
            Ok(Err(Closed::Gone)) => return Err(NodeError::new(NodeFailure::Cancelled, "the client went away")),
            Ok(Err(Closed::Limit)) => {
                return Err(NodeError::new(
                    NodeFailure::OutputTooLarge,
                    format!(
                        "node {:?} streamed more than it may; raise `limits.stream` or `limits.chunks` of the node",
                        node.as_str()
                    ),
                ));
            }
            Err(error) => return Err(broken(&node, &format!("relayed a chunk that is not JSON: {error}"))),
        }
    }
    Ok(())
}

/// A relayed stream that breaks off has no guest left to say what it means: the caller sees what the call said.
fn upstream(error: CallError) -> NodeError {
    let failure = match error.kind {
        CallErrorKind::InvalidRequest | CallErrorKind::Rejected => NodeFailure::User,
        CallErrorKind::Timeout => NodeFailure::Timeout,
        CallErrorKind::Cancelled => NodeFailure::Cancelled,
        CallErrorKind::NotGranted
        | CallErrorKind::NotFound
        | CallErrorKind::Unauthenticated
        | CallErrorKind::RateLimited
        | CallErrorKind::Unavailable
        | CallErrorKind::Exhausted
        | CallErrorKind::Protocol
        | CallErrorKind::Internal => NodeFailure::System,
    };
    NodeError { code: error.kind.code().to_owned(), ..NodeError::new(failure, error.message) }
}

fn broken(node: &NodeId, what: &str) -> NodeError {
    NodeError::new(NodeFailure::Protocol, format!("node {:?} {what}", node.as_str()))
}

/// What many a language writes for numbers that JSON does not have.
fn hint(text: &str) -> &'static str {
    if text.contains("NaN") || text.contains("Infinity") {
        "; JSON has neither NaN nor Infinity: return null in their place"
    } else {
        ""
    }
}

fn out_of_time(node: &NodeId, Bounds { timeout, .. }: &Bounds) -> NodeError {
    NodeError::new(
        NodeFailure::Timeout,
        format!(
            "node {:?} did not finish within {timeout:?}; raise `limits.timeout` of the node if it may take longer",
            node.as_str()
        ),
    )
}

fn silent(node: &NodeId, bounds: &Bounds) -> NodeError {
    NodeError::new(
        NodeFailure::Timeout,
        format!(
            "node {:?} streamed nothing for {:?} after it had begun; raise `limits.stream_idle` of the node if it may \
             pause longer",
            node.as_str(),
            bounds.stream.idle
        ),
    )
    .with_trap("stream_idle")
}

/// Whether the inputs are as large as they may be.
fn fits(node: &NodeId, inputs: &Json, max: usize) -> Result<(), NodeError> {
    let bytes = inputs.as_str().len();
    if bytes <= max {
        return Ok(());
    }
    Err(NodeError::new(
        NodeFailure::InputTooLarge,
        format!(
            "node {:?} would be given {bytes} bytes, more than its {max}; raise `limits.input` of the node if it may be \
             given more",
            node.as_str()
        ),
    ))
}
