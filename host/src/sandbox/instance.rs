//! One instance of a node's component in its store: made for a run or ahead of it, and, where the flow allows it, left for the
//! next.

use std::time::Instant;

use crate::bindings::{self, handler};
use crate::boundary::NodeRun;
use crate::boundary::enter::Answer;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::clock;
use crate::sandbox::Node;
use crate::sandbox::ahead::Ahead;
use crate::sandbox::ending::{self, Phase};
use crate::sandbox::places::Place;
use crate::sandbox::reuse::Reuse;
use crate::sandbox::store::{self, State};

use wasmtime::Store;

/// A live one.
pub(super) struct Instance {
    store: Store<State>,
    exports: bindings::Node,
    /// When its first run began.
    began: Instant,
    /// Runs that have begun.
    uses: usize,
    /// Given back after the store, whose slots it stands for.
    _place: Place,
}

impl Instance {
    /// A fresh one, for this run. Where others are made `ahead`, they are told how it came up.
    ///
    /// # Errors
    /// If there is no place, a folder cannot be opened, or the component does not come up.
    pub(super) async fn fresh(node: &Node, run: NodeRun, ahead: Option<&Ahead>) -> Result<Self, NodeError> {
        let place = node.component.place().await?;
        // How long it takes is measured, and nothing waits for it: not by the clock of timers.
        let began = Instant::now();
        let instance = Self::come_up(node, run, place).await?;
        let run = instance.store.data().run();
        run.used.instantiated(began.elapsed());
        ahead.inspect(|ahead| ahead.came_up(run));
        Ok(Self { uses: 1, ..instance })
    }

    /// A fresh one for a run that may come, with `nobody` in it until then. None: there is no place that no run needs.
    ///
    /// # Errors
    /// If the component does not come up, or calls the host as it does: there is no run yet whose call that would be.
    pub(super) async fn ahead(node: &Node, nobody: NodeRun) -> Result<Option<Self>, NodeError> {
        let Some(place) = node.component.spare_place() else { return Ok(None) };
        let calls = nobody.calls.clone();
        let mut instance = Self::come_up(node, nobody, place).await?;
        let called = calls.any();
        if node.is_described_ahead {
            let Self { store, exports, .. } = &mut instance;
            if let Err(error) = exports.weir_flow_handler().call_describe(&mut *store).await {
                return Err(failed(node, error, store.data(), Phase::Running));
            }
        }
        match instance.left(node) {
            Some(instance) if !called => Ok(Some(instance)),
            _ => Err(NodeError::new(NodeFailure::Host, "it calls the host as it comes up, or keeps something of it")),
        }
    }

    async fn come_up(node: &Node, run: NodeRun, place: Place) -> Result<Self, NodeError> {
        let mut store = store::new(node, run)?;
        let exports = match node.component.instance.instantiate_async(&mut store).await {
            Ok(exports) => exports,
            Err(error) => return Err(failed(node, error, store.data(), Phase::Instantiating)),
        };
        Ok(Self { store, exports, began: clock::now(), uses: 0, _place: place })
    }

    /// Lends it to another run, or the first.
    ///
    /// # Errors
    /// If a folder cannot be opened.
    pub(super) fn begin(&mut self, run: NodeRun) -> Result<(), NodeError> {
        if self.uses == 0 {
            run.used.made_ahead();
            // As if it were made now.
            self.began = clock::now();
            self.store.data_mut().begin_clock();
        } else {
            run.used.reused();
        }
        store::turn_to(&mut self.store, run)?;
        self.uses += 1;
        Ok(())
    }

    /// Runs the node.
    ///
    /// # Errors
    /// What the guest says, or what ended it.
    pub(super) async fn run(&mut self, node: &Node, inputs: &String) -> Result<Answer, NodeError> {
        let store = &mut self.store;
        let result = self.exports.weir_flow_handler().call_run(&mut *store, inputs).await;
        match result {
            Ok(Ok(handler::Output::Value(value))) => Ok(Answer::Value(value)),
            Ok(Ok(handler::Output::Emitted)) => Ok(Answer::Emitted),
            Ok(Ok(handler::Output::Relayed(chunks))) => {
                let taken = store.data_mut().take(chunks);
                Ok(Answer::Relayed(taken.map_err(|error| failed(node, error, store.data(), Phase::Running))?))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(failed(node, error, store.data(), Phase::Running)),
        }
    }

    /// It, without the run that has ended well. None: it must not serve another, since something of the run is left in it that is
    /// the host's, or little of its memory is.
    pub(super) fn left(mut self, node: &Node) -> Option<Self> {
        self.store.data_mut().leave(node.component.memory).then_some(self)
    }

    /// Whether another run may begin.
    pub(super) fn may_serve(&self, reuse: Reuse) -> bool {
        reuse.allows(self.uses, clock::now().saturating_duration_since(self.began))
    }
}

/// What ended a run that did not come to its own end.
fn failed(node: &Node, error: wasmtime::Error, state: &State, phase: Phase) -> NodeError {
    ending::of(error, node.id.as_str(), &node.limits, state.wanted_more_memory(), phase)
}
