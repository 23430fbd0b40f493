//! Runs what the plan says may run: a node that is quick in the task of its request, any other in one of its own, on the threads
//! of guests. The one place where nodes become tasks.
//!
//! Every node carries its origin, and so its parent span; a panic becomes the failure of its node; nodes end with the
//! request. Which node is next is not decided here: see plan.rs.

mod here;

use std::collections::{HashMap, VecDeque};
use std::future::{poll_fn, ready};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

use crate::boundary::Origin;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::boundary::outlet::{Streamed, Unbounded};
use crate::clock;
use crate::flow::value::Json;
use crate::flow::{Flow, NodeIndex, NodeKind};
use crate::scheduler::outcome::{Failure, Outcome, Streaming, Whole};
use crate::scheduler::plan::{Plan, Step};
use crate::scheduler::{NODE_CONCURRENCY, Nodes, ReplyMode, Runner};
use crate::telemetry::{FlowSpan, Hold};

use here::{Pause, Run, Turn};

/// One request on its way through a flow. Dropping it ends its nodes.
pub struct Drive {
    nodes: Arc<dyn Nodes>,
    /// Boxed, as it is handed from step to step, and on to the stream.
    request: Box<Running>,
}

/// What goes on by itself once a stream has begun: nothing more is started then.
struct Running {
    flow: Arc<Flow>,
    plan: Plan,
    origin: Origin,
    guests: Handle,
    /// The node that runs in this very task.
    here: Option<(Run, Started)>,
    /// Those that have tasks of their own.
    tasks: JoinSet<Result<Json, NodeError>>,
    nodes: HashMap<Id, Started>,
    /// Ready, but waiting for a place.
    waiting: VecDeque<(NodeIndex, Json)>,
    live: Vec<Live>,
}

/// A node that runs.
struct Started {
    node: NodeIndex,
    /// Of one in Python, whose streams are joined and handed on in ways of their own.
    streamed: Option<Streamed>,
}

/// A node whose chunks may go to the client as they come. Whether it streams shows with its first chunk.
struct Live {
    node: NodeIndex,
    /// The flow output that it is.
    output: String,
    /// Handed to the node when it starts.
    outlet: Option<Unbounded>,
    chunks: mpsc::Receiver<Json>,
    /// The first chunk, while others are still outstanding.
    first: Option<Json>,
}

impl Drive {
    pub fn new(runner: &Runner, plan: Plan, origin: Origin, reply: ReplyMode) -> Self {
        let candidates = match reply {
            ReplyMode::Whole => Vec::new(),
            ReplyMode::Stream => runner.flow.stream_candidates(),
        };
        let live = candidates.into_iter().map(|(node, output)| Live::new(node, output)).collect();
        let request = Running {
            flow: runner.flow.clone(),
            plan,
            origin,
            guests: runner.guests.clone(),
            here: None,
            tasks: JoinSet::new(),
            nodes: HashMap::new(),
            waiting: VecDeque::new(),
            live,
        };
        Self { nodes: runner.nodes.clone(), request: Box::new(request) }
    }

    /// Runs until the reply can begin. Dropping the future gives the request up.
    pub async fn run(mut self, span: FlowSpan) -> Result<Outcome, Failure> {
        let deadline = self.request.origin.deadline.into();
        let begun = timeout_at(deadline, self.advance()).await.unwrap_or(Err(Failure::Timeout));
        match begun.and_then(|stream| Ok((self.request.outputs(stream.as_ref())?, stream))) {
            Ok((outputs, None)) => {
                let reply = self.request.flow.reply(&outputs);
                span.finish(reply.as_str());
                Ok(Outcome::Whole(Whole { reply, outputs, collected: self.request.plan.collected() }))
            }
            Ok((outputs, Some(stream))) => Ok(Outcome::Streaming(self.request.stream(stream, outputs, span))),
            Err(failure) => {
                self.request.give_up().await;
                fail(span, &failure);
                Err(failure)
            }
        }
    }

    /// [`Drive::run`] in a task of its own, on the threads of guests: for whoever has many requests in one task, of which each
    /// would wait for the nodes of the others.
    pub async fn run_apart(self, span: FlowSpan) -> Result<Outcome, Failure> {
        let guests = self.request.guests.clone();
        // A task that is aborted goes on for a moment, in which it has the flow's span open.
        let hold = Hold::of(&self.request.origin.parent);
        let task = async move {
            let _hold = hold;
            self.run(span).await
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with its request, and carries its origin")]
        let task = AbortOnDropHandle::new(guests.spawn(task));
        task.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The threads of guests end, and with them the host.
            Err(_) => Err(Failure::Stuck),
        })
    }

    /// Until all is done, or nothing is outstanding but a stream that has begun: that stream.
    async fn advance(&mut self) -> Result<Option<Live>, Failure> {
        loop {
            self.start_ready().await?;
            let request = &mut self.request;
            let begun = request.begun()?;
            if request.plan.is_done() || begun.is_some_and(|node| request.plan.waits_only_for(node)) {
                let position = request.live.iter().position(|live| Some(live.node) == begun);
                return Ok(position.map(|position| request.live.swap_remove(position)));
            }
            request.step().await?;
        }
    }

    /// Starts what may run now, and what may run once those have ended that do so at once.
    async fn start_ready(&mut self) -> Result<(), Failure> {
        let request = &mut self.request;
        let mut pause = Pause::new();
        loop {
            for step in request.plan.ready()? {
                match step {
                    Step::Run { node, inputs } => request.waiting.push_back((node, inputs)),
                    Step::Bypass { node } => {
                        request.origin.telemetry.node_bypassed(&request.origin.flow, &request.flow.node(node).id);
                    }
                }
            }
            if request.running() == NODE_CONCURRENCY {
                return Ok(());
            }
            let Some((node, inputs)) = request.waiting.pop_front() else { return Ok(()) };
            request.start(&self.nodes, node, inputs).await?;
            pause.make_way().await;
        }
    }
}

impl Live {
    fn new(node: NodeIndex, output: &str) -> Self {
        let (outlet, chunks) = Unbounded::live();
        Self { node, output: output.to_owned(), outlet: Some(outlet), chunks, first: None }
    }

    /// Ready when the first chunk has come.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.first.is_none()
            && self.outlet.is_none()
            && let Poll::Ready(Some(chunk)) = self.chunks.poll_recv(cx)
        {
            self.first = Some(chunk);
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Running {
    /// How many nodes run.
    fn running(&self) -> usize {
        self.tasks.len() + usize::from(self.here.is_some())
    }

    async fn start(&mut self, nodes: &Arc<dyn Nodes>, node: NodeIndex, inputs: Json) -> Result<(), Failure> {
        let live = self.live.iter_mut().find(|live| live.node == node).and_then(|live| live.outlet.take());
        let outlet = live.unwrap_or_else(Unbounded::kept);
        let is_python = matches!(self.flow.node(node).kind, NodeKind::Python(_));
        let started = Started { node, streamed: is_python.then(|| outlet.streamed()) };
        let mut run = Nodes::run(Arc::clone(nodes), node, inputs, self.origin.clone(), outlet);
        if nodes.is_quick(node) {
            match here::begin(&mut run).await {
                Turn::Ended(result) => return self.ended_here(started, result),
                Turn::Waits if self.here.is_none() => {
                    self.here = Some((run, started));
                    return Ok(());
                }
                Turn::Waits | Turn::Computes => {}
            }
        }
        self.spawn(run, started);
        Ok(())
    }

    /// Gives a node a task of its own.
    fn spawn(&mut self, run: Run, started: Started) {
        // A task that is aborted goes on for a moment, in which it may open the node's span.
        let hold = Hold::of(&self.origin.parent);
        let task = async move {
            let _hold = hold;
            run.await
        };
        #[expect(clippy::disallowed_methods, reason = "the one place where nodes become tasks")]
        let task = self.tasks.spawn_on(task, &self.guests);
        self.nodes.insert(task.id(), started);
    }

    /// Waits for the next thing that happens: a node ends, or a stream begins.
    async fn step(&mut self) -> Result<(), Failure> {
        if self.running() == 0 {
            return Err(Failure::Stuck);
        }
        let Self { here, tasks, live, .. } = self;
        let first = poll_fn(|cx| {
            let begun = live.iter_mut().any(|live| live.poll_first(cx).is_ready());
            if begun { Poll::Ready(()) } else { Poll::Pending }
        });
        let here = poll_fn(|cx| match here {
            Some((run, _)) => match here::poll(run, cx) {
                Turn::Waits => Poll::Pending,
                turn => Poll::Ready(turn),
            },
            None => Poll::Pending,
        });
        tokio::select! {
            biased;
            () = first => Ok(()),
            turn = here => match (turn, self.here.take()) {
                (Turn::Ended(result), Some((_, started))) => self.ended_here(started, result),
                (_, Some((run, started))) => {
                    self.spawn(run, started);
                    Ok(())
                }
                (_, None) => Ok(()),
            },
            Some(ended) = tasks.join_next_with_id() => self.task_ended(ended),
        }
    }

    /// What a node has streamed comes before its failure: the reply may begin with it.
    fn ended_here(&mut self, started: Started, result: Result<Json, NodeError>) -> Result<(), Failure> {
        let may_stream = self.live.iter().any(|live| live.node == started.node);
        match result {
            Err(error) if may_stream => {
                self.spawn(ready(Err(error)).boxed(), started);
                Ok(())
            }
            result => self.ended(started, result),
        }
    }

    fn task_ended(&mut self, ended: Result<(Id, Result<Json, NodeError>), JoinError>) -> Result<(), Failure> {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => {
                (error.id(), Err(NodeError::new(NodeFailure::Cancelled, "the host is stopping")))
            }
            Err(error) => (error.id(), Err(here::panicked())),
        };
        let started = self.nodes.remove(&id).expect("every task was entered when it was spawned");
        self.ended(started, result)
    }

    fn ended(&mut self, started: Started, result: Result<Json, NodeError>) -> Result<(), Failure> {
        let Started { node, streamed } = started;
        match result {
            Ok(value) => {
                match streamed.and_then(|streamed| streamed.chunks()) {
                    Some(chunks) => self.plan.streamed(node, chunks),
                    None => self.plan.completed(node, value),
                }
                Ok(())
            }
            Err(error) => {
                self.plan.failed(node);
                if self.origin.deadline <= clock::now() {
                    return Err(Failure::Timeout);
                }
                Err(Failure::Node { node: self.flow.node(node).id.clone(), error })
            }
        }
    }

    /// Ends all nodes, so that no node's span outlives the flow's.
    async fn give_up(&mut self) {
        self.here = None;
        self.tasks.shutdown().await;
    }

    /// The node whose stream has begun. At most one output of a reply can stream.
    fn begun(&mut self) -> Result<Option<NodeIndex>, Failure> {
        let mut begun = None;
        for live in &mut self.live {
            if live.outlet.is_none() && live.first.is_none() {
                // A short stream may have ended together with its node.
                live.first = live.chunks.try_recv().ok();
            }
            if live.first.is_some() && begun.replace(live.node).is_some() {
                return Err(Failure::ManyStreams);
            }
        }
        Ok(begun)
    }

    /// All outputs, or all but the one that streams.
    fn outputs(&self, stream: Option<&Live>) -> Result<Vec<(String, Json)>, Failure> {
        let outputs = match stream {
            None => self.plan.outputs()?,
            Some(live) => self.plan.outputs_beside(live.node)?,
        };
        Ok(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn stream(mut self: Box<Self>, live: Live, outputs: Vec<(String, Json)>, span: FlowSpan) -> Streaming {
        let name = live.output.clone();
        // From here on this task goes on when the client reads, and its nodes must do so anyway.
        if let Some((run, started)) = self.here.take() {
            self.spawn(run, started);
        }
        let chunks = stream::unfold(Some((self, live, span)), |state| async move {
            let (mut running, mut live, span) = state?;
            match running.next_chunk(&mut live).await {
                Some(Ok(chunk)) => Some((Ok(chunk), Some((running, live, span)))),
                Some(Err(failure)) => {
                    running.give_up().await;
                    fail(span, &failure);
                    Some((Err(failure), None))
                }
                None => {
                    let reply = running.outputs(None).map(|outputs| running.flow.reply(&outputs));
                    span.finish_streamed(reply.as_ref().map_or("{}", Json::as_str));
                    None
                }
            }
        });
        Streaming { outputs, name, chunks: chunks.boxed() }
    }

    async fn next_chunk(&mut self, live: &mut Live) -> Option<Result<Json, Failure>> {
        if let Some(first) = live.first.take() {
            return Some(Ok(first));
        }
        // The node keeps this time as well. A request must end even if its task did not.
        let deadline = self.origin.deadline.into();
        timeout_at(deadline, self.live_chunk(live)).await.unwrap_or(Some(Err(Failure::Timeout)))
    }

    async fn live_chunk(&mut self, live: &mut Live) -> Option<Result<Json, Failure>> {
        if let Some(chunk) = live.chunks.recv().await {
            return Some(Ok(chunk));
        }
        // No sender is left, so the node's task is about to end; what it ends with decides how the stream ends.
        let ended = self.tasks.join_next_with_id().await?;
        self.task_ended(ended).err().map(Err)
    }
}

fn fail(span: FlowSpan, failure: &Failure) {
    match failure {
        Failure::Node { node, error } => span.fail_in(node.as_str(), &error.code, &error.message),
        Failure::Reference(_) | Failure::ManyStreams | Failure::Timeout | Failure::Stuck => {
            span.fail(failure.code(), &failure.to_string());
        }
    }
}
