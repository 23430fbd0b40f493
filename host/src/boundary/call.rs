//! DOOR 3, out of a node: every call that a guest makes to the host.
//!
//! Finds the grant, opens the rpc span, keeps the deadline, classifies the failure, records metrics and tokens. Notes
//! on the node's own span are no calls and are in notes.rs.

use std::future::ready;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt};
use opentelemetry::context::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use crate::boundary::denial::Denials;
use crate::boundary::error::{CallError, CallErrorKind, LastFailure};
use crate::boundary::{Capability, GuestCalls, HostCall, NodeRun, Pass, StreamCall};
use crate::telemetry::{Hold, RpcRequest, RpcSpan};

impl GuestCalls<'_> {
    /// Makes a call, and waits for the whole reply.
    ///
    /// # Errors
    /// Of the call; and `NotGranted`, `Timeout` or `Internal` from the door itself.
    pub async fn call<C: HostCall>(&mut self, call: C) -> Result<C::Reply, CallError> {
        let grant = self.run.grants.get::<C::Capability>();
        let span = self.run.open_rpc(C::API_CALL, call.request_facts(grant.as_deref()));
        let result =
            self.run.granted::<C::Capability, _, _, _>(grant, &span, |grant, pass| call.run(grant, pass)).await;
        match &result {
            Ok(reply) => span.finish(&C::reply_facts(reply)),
            Err(error) => failed::<C::Capability>(span, error, &self.run.failed, &self.run.denials),
        }
        result
    }

    /// Makes a call whose reply comes in pieces. The span goes with the stream, and ends with its last piece, or as
    /// cancelled when the stream is dropped before.
    ///
    /// # Errors
    /// As [`GuestCalls::call`].
    pub async fn open<C: StreamCall>(
        &mut self,
        call: C,
    ) -> Result<BoxStream<'static, Result<C::Item, CallError>>, CallError> {
        self.run.start(call).await
    }
}

impl NodeRun {
    /// [`GuestCalls::open`] as a future that stands alone, for interfaces by which a guest starts a call and goes on.
    /// The call begins when the future is first polled.
    pub fn start<C: StreamCall>(
        &self,
        call: C,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<C::Item, CallError>>, CallError>> + Send + use<C> {
        self.start_in_turn(call, Ok(None))
    }

    /// [`NodeRun::start`] for a call that begins when somebody wants its answer, which may be never. A run has one of these
    /// at a time: until then the host holds all that it asks.
    pub fn defer<C: StreamCall>(
        &self,
        call: C,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<C::Item, CallError>>, CallError>> + Send + use<C> {
        let turn = Arc::clone(&self.deferred).try_acquire_owned().map_err(|_| {
            let node = self.node.as_str();
            let message = format!("node {node:?} has an answer that is still to be asked for, and may have one");
            CallError::new(CallErrorKind::Exhausted, message)
        });
        self.start_in_turn(call, turn.map(Some))
    }

    /// The turn is over when the call begins. A call without one keeps nothing but its span.
    fn start_in_turn<C: StreamCall>(
        &self,
        call: C,
        turn: Result<Option<OwnedSemaphorePermit>, CallError>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<C::Item, CallError>>, CallError>> + Send + use<C> {
        let grant = self.grants.get::<C::Capability>();
        let span = self.open_rpc(C::API_CALL, call.request_facts(grant.as_deref()));
        let call = turn.map(|turn| (call, turn));
        let result = self.granted::<C::Capability, _, _, _>(grant, &span, |grant, pass| async move {
            let (call, turn) = call?;
            drop(turn);
            call.run(grant, pass).await
        });
        let (deadline, last, denials) = (self.deadline, self.failed.clone(), Arc::clone(&self.denials));
        result.map(move |result| match result {
            Ok(items) => Ok(traced::<C>(items, span, deadline)),
            Err(error) => {
                failed::<C::Capability>(span, &error, &last, &denials);
                Err(error)
            }
        })
    }

    /// The span is below whichever the guest is in: see notes.rs.
    fn open_rpc(&self, api_call: &'static str, request: RpcRequest) -> RpcSpan {
        let (parent, usage) = self.spans.current();
        self.origin.telemetry.rpc(crate::telemetry::RpcStart {
            flow: &self.origin.flow,
            node: &self.node,
            request: self.origin.request.facts(),
            parent: &parent,
            api_call,
            facts: request,
            told: self.notes.may_tell_call(),
            usage,
        })
    }

    /// Makes the call if the node holds the grant.
    fn granted<C, T, F, M>(
        &self,
        grant: Option<Arc<C::Grant>>,
        span: &RpcSpan,
        call: M,
    ) -> impl Future<Output = Result<T, CallError>> + Send + use<C, T, F, M>
    where
        C: Capability,
        T: Send + 'static,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
        M: FnOnce(Arc<C::Grant>, Pass) -> F,
    {
        match grant {
            // What is logged on the other side belongs to the call, which runs in a task of its own.
            Some(grant) => {
                let (cx, hold) = (span.context(), Hold::of(&span.context()));
                self.on_io(call(grant, self.pass(span)).with_context(cx), hold).left_future()
            }
            None => ready(Err(self.not_granted::<C>())).right_future(),
        }
    }

    fn pass(&self, span: &RpcSpan) -> Pass {
        let mut origin = self.origin.clone();
        origin.parent = span.context();
        origin.usage = span.usage();
        origin.depth = origin.depth.saturating_add(1);
        origin.caller = Some(self.node.clone());
        origin.deadline = self.deadline;
        let (node, deadline) = (self.node.clone(), self.deadline);
        Pass { node, deadline, trace_headers: span.headers(), origin, tries: span.tries(), _private: () }
    }

    /// Runs a call on the runtime of sockets, until the deadline of the run. Dropping the result gives the call up; until
    /// it has ended, which is a moment later, it holds its span open, since a node that it runs has one below.
    fn on_io<T, F>(&self, call: F, hold: Hold) -> impl Future<Output = Result<T, CallError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let (io, node, deadline) = (self.io.clone(), self.node.clone(), self.deadline);
        // It has room for all that a call may wait for, which each step from here to its task would have once more.
        let call = Box::pin(call.inspect(move |_| drop(hold)));
        async move {
            #[expect(
                clippy::disallowed_methods,
                reason = "a call must not run on the runtime of guests; it is aborted with its guest"
            )]
            let task = AbortOnDropHandle::new(io.spawn(call));
            match timeout_at(deadline.into(), task).await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => {
                    tracing::error!(%node, %panic, "a host call panicked");
                    Err(CallError::new(CallErrorKind::Internal, "internal error"))
                }
                Err(_) => Err(past_deadline()),
            }
        }
    }

    fn not_granted<C: Capability>(&self) -> CallError {
        let (node, name) = (&self.node, C::NAME);
        CallError::new(
            CallErrorKind::NotGranted,
            format!(
                "node {:?} uses `{name}`, which its flow does not grant; add `{name}: [NAME]` under `grants` of the node",
                node.as_str()
            ),
        )
    }
}

/// A stream that is read, with its span.
struct Open<C: StreamCall> {
    items: BoxStream<'static, Result<C::Item, CallError>>,
    seen: C::Seen,
    /// Taken when the stream has ended.
    span: Option<RpcSpan>,
}

impl<C: StreamCall> Drop for Open<C> {
    fn drop(&mut self) {
        // A span that is dropped ends as cancelled.
        if let Some(span) = self.span.take()
            && let Some(reply) = C::left_facts(std::mem::take(&mut self.seen))
        {
            span.finish(&reply);
        }
    }
}

/// The stream with its span: sees every piece, and ends the span when the stream ends.
fn traced<C: StreamCall>(
    items: BoxStream<'static, Result<C::Item, CallError>>,
    span: RpcSpan,
    deadline: Instant,
) -> BoxStream<'static, Result<C::Item, CallError>> {
    let open = Open::<C> { items, seen: C::Seen::default(), span: Some(span) };
    stream::unfold(Some(open), move |open| async move {
        let mut open = open?;
        let item = timeout_at(deadline.into(), open.items.next()).await.unwrap_or_else(|_| Some(Err(past_deadline())));
        match item {
            Some(Ok(item)) => {
                if C::is_chunk(&item)
                    && let Some(span) = &mut open.span
                {
                    span.chunk();
                }
                C::see(&mut open.seen, &item);
                Some((Ok(item), Some(open)))
            }
            Some(Err(error)) => {
                if let Some(span) = open.span.take() {
                    span.fail(error.kind.code(), &error.message);
                }
                Some((Err(error), None))
            }
            None => {
                let seen = std::mem::take(&mut open.seen);
                if let Some(span) = open.span.take() {
                    span.finish(&C::reply_facts(seen));
                }
                None
            }
        }
    })
    .boxed()
}

/// Ends the span of a call that was not made, or failed.
fn failed<C: Capability>(span: RpcSpan, error: &CallError, last: &LastFailure, denials: &Denials) {
    last.is(error);
    if error.kind == CallErrorKind::NotGranted {
        denials.tell(C::NAME, &error.message);
    }
    span.fail(error.kind.code(), &error.message);
}

fn past_deadline() -> CallError {
    CallError::new(CallErrorKind::Timeout, "no answer before the node's deadline")
}
