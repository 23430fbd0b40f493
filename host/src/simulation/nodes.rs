//! Stands in for the sandbox: nodes that answer as their flow expects, after a while, and behave worse if they may. They are
//! entered by the real door 2.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::sleep;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi_http::WasiHttpCtx;

use super::dice::Dice;
use super::model::{Model, Question, Service};
use crate::boundary::bounds::{Bounds, Resolution};
use crate::boundary::enter::{Answer, Entry, enter};
use crate::boundary::error::{CallError, CallErrorKind, NodeError, NodeFailure};
use crate::boundary::grants::Grants;
use crate::boundary::outlet::Unbounded;
use crate::boundary::{GuestCalls, NodeRun, Origin, Siblings};
use crate::flow::NodeIndex;
use crate::flow::value::Json;
use crate::id::NodeId;
use crate::sandbox::limits::{Caps, Limits};
use crate::scheduler::plan::tests::any_order::Expected;
use crate::scheduler::{NODE_CONCURRENCY, Nodes};

/// Longest run of a node.
pub(super) const NODE_TIMEOUT: Duration = Duration::from_secs(10);

/// What nodes do beside answering.
#[derive(Clone, Debug)]
pub(super) enum Habits {
    /// They only take their time: up to so many milliseconds.
    Good { longest: u64 },
    /// They ask the model as well, hang or panic, each now and then.
    Mixed(Arc<Model>),
    /// Each asks the model, and is quick otherwise.
    Asking(Arc<Model>),
}

/// What was seen of nodes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Nodes that run now, by their request.
    running: BTreeMap<String, usize>,
    started: BTreeSet<(String, String)>,
    /// Requests some of whose nodes did not do what their flow expects of them.
    disturbed: BTreeSet<String>,
    /// What must not be.
    wrong: Vec<String>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: String) {
        self.lock().wrong.push(what);
    }

    pub(super) fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().wrong)
    }

    pub(super) fn is_disturbed(&self, request: &str) -> bool {
        self.lock().disturbed.contains(request)
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running.values().sum()
    }

    fn disturb(&self, request: &str) {
        self.lock().disturbed.insert(request.to_owned());
    }

    fn begin(&self, request: &str, node: &str) -> Running {
        let mut known = self.lock();
        if !known.started.insert((request.to_owned(), node.to_owned())) {
            known.wrong.push(format!("request {request}: {node} runs a second time"));
        }
        let running = known.running.entry(request.to_owned()).or_default();
        *running += 1;
        if *running > NODE_CONCURRENCY {
            let running = *running;
            known.wrong.push(format!("request {request}: {running} nodes at the same time"));
        }
        Running { seen: self.clone(), request: request.to_owned() }
    }
}

/// A node that runs.
struct Running {
    seen: Seen,
    request: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(running) = self.seen.lock().running.get_mut(&self.request) {
            *running -= 1;
        }
    }
}

/// The nodes of one flow.
#[derive(Debug)]
pub(super) struct Double {
    pub(super) expected: Arc<Expected>,
    pub(super) habits: Habits,
    pub(super) dice: Dice,
    pub(super) seen: Seen,
}

impl Double {
    async fn guest(&self, mut run: NodeRun, request: String, node: NodeId, inputs: Json) -> Result<Answer, NodeError> {
        let _running = self.seen.begin(&request, node.as_str());
        let answer = self.expected.answer(node.as_str(), &inputs).unwrap_or_else(|wrong| {
            self.seen.wrong(format!("request {request}: {wrong}"));
            None
        });
        match &self.habits {
            Habits::Good { longest } => sleep(self.dice.millis(0, *longest)).await,
            Habits::Asking(_) => self.asks(&mut run, &request).await?,
            Habits::Mixed(_) => {
                sleep(self.dice.millis(0, 800)).await;
                match self.dice.below(60) {
                    0 => {
                        self.seen.disturb(&request);
                        std::future::pending::<()>().await;
                    }
                    1 => {
                        self.seen.disturb(&request);
                        // As a panic, but that nothing is printed.
                        std::panic::resume_unwind(Box::new("a panic of the host"));
                    }
                    2..20 => self.asks(&mut run, &request).await?,
                    _ => {}
                }
            }
        }
        match answer {
            Some(answer) => Ok(Answer::Value(answer.as_str().to_owned())),
            None => Err(NodeError::new(NodeFailure::User, "it fails")),
        }
    }

    async fn asks(&self, run: &mut NodeRun, request: &str) -> Result<(), NodeError> {
        let (mut table, mut http) = (ResourceTable::new(), WasiHttpCtx::new());
        let answered = GuestCalls { run, table: &mut table, http: &mut http, files: &mut WasiFilesystemCtx::default() }
            .call(Question)
            .await;
        answered.map_err(|error| {
            self.seen.disturb(request);
            NodeError::new(NodeFailure::System, error.message)
        })
    }
}

impl Nodes for Double {
    fn run(
        self: Arc<Self>,
        node: NodeIndex,
        inputs: Json,
        origin: Origin,
        outlet: Unbounded,
    ) -> BoxFuture<'static, Result<Json, NodeError>> {
        let mut grants = Grants::default();
        if let Habits::Mixed(model) | Habits::Asking(model) = &self.habits {
            grants.insert::<Service>(Arc::clone(model));
        }
        let node = self.expected.flow.node(node).id.clone();
        let request = origin.request.id.as_str().to_owned();
        let entry = Entry {
            origin,
            node: node.clone(),
            inputs: inputs.clone(),
            init: Json::object([]),
            facts: Arc::default(),
            grants: Arc::new(grants),
            outlet,
            bounds: Bounds {
                timeout: NODE_TIMEOUT,
                ..Limits::defaults(&Caps::default()).bounds(Resolution::default())
            },
            io: Handle::current(),
        };
        let guest = move |run| async move { self.guest(run, request, node, inputs).await };
        enter(entry, guest).boxed()
    }

    /// Every other one, so that nodes run both in the tasks of their requests and in their own.
    fn is_quick(&self, node: NodeIndex) -> bool {
        node.get().is_multiple_of(2)
    }
}

impl Siblings for Double {
    fn run(
        self: Arc<Self>,
        node: String,
        _: String,
        _: Origin,
    ) -> BoxFuture<'static, Result<Result<Json, NodeError>, CallError>> {
        async move { Err(CallError::new(CallErrorKind::NotFound, node)) }.boxed()
    }
}
