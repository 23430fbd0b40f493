//! What lives in a store: everything that one run of a node has. Where a flow has its instances used again, all of it but the
//! guest's own memory is exchanged for what the next run has.
//!
//! A node may, without any grant:
//! - compute, within its memory and time;
//! - read the clocks, which are coarse, and random numbers;
//! - write to stdout and stderr, which become log records of its span, and log by wasi:logging;
//! - answer, whole or as a stream, put notes on its span, and open spans below it.
//!
//! Its environment has the variables that its flow grants it (by name, under `grants.config`; to Python all but secrets), and
//! what the runtime inside of a component in Python is told; its files are
//! those of the folders under `grants.files`. It has no arguments, no sockets and no standard input. Whatever else it can do it does through a capability that its
//! flow grants: see capability.rs.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::Store;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx};
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::bindings::Chunks;
use crate::boundary::bounds::Resolution;
use crate::boundary::error::{NodeError, NodeFailure};
use crate::boundary::facts::bound;
use crate::boundary::{GuestCalls, Lend, NodeRun};
use crate::capability::config::Settings;
use crate::capability::files::{self, Files};
use crate::id::NodeId;
use crate::sandbox::Node;
use crate::sandbox::clocks;
use crate::sandbox::limiter::Limiter;
use crate::sandbox::limits::{Limits, fixed};
use crate::sandbox::stdio::{Lines, Stream};
use crate::units::Bytes;

/// The data of a store.
pub(super) struct State {
    run: NodeRun,
    table: ResourceTable,
    /// None: the run has asked for nothing of WASI yet. Many never do, and to make one takes two, as wasmtime-wasi does it.
    wasi: Option<WasiCtx>,
    /// Made with it, and kept for the runs that follow: the guest may. Told of what was written without ending the line when it is
    /// dropped, however the run ended.
    stdio: Option<Stdio>,
    http: WasiHttpCtx,
    /// Of no use but that wasmtime-wasi wants it: what is preopened is in `wasi`.
    files: WasiFilesystemCtx,
    limiter: Limiter,
    /// Gone when the store is.
    written: Vec<files::Run>,
    /// Variables beside those that the flow grants.
    environment: Arc<[(&'static str, String)]>,
    clock: Resolution,
    /// When its clock began to run.
    began: Instant,
}

struct Stdio([Lines; 2]);

/// A fresh store for a run.
///
/// # Errors
/// If a folder that the node is granted cannot be opened.
pub(super) fn new(node: &Node, run: NodeRun) -> Result<Store<State>, NodeError> {
    let Node { component, limits, environment, .. } = node;
    let mut state = State {
        limiter: Limiter::new(limits, run.used.clone()),
        run,
        table: table(limits),
        wasi: None,
        stdio: None,
        http: http(),
        files: WasiFilesystemCtx::default(),
        written: Vec::new(),
        environment: Arc::clone(environment),
        clock: component.clock,
        began: Instant::now(),
    };
    state.open()?;
    let mut store = Store::new(&component.engine, state);
    store.limiter(|state| &mut state.limiter);
    bound(&mut store, limits);
    Ok(store)
}

/// Lends a store that a run has left to the next. What was open in it stays, see [`State::leave`].
///
/// # Errors
/// If a folder that the node is granted cannot be opened.
pub(super) fn turn_to(store: &mut Store<State>, run: NodeRun) -> Result<(), NodeError> {
    // Ticks that passed while nothing ran are no reason to make way.
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.stdio.iter().for_each(|stdio| stdio.turn_to(&run));
    state.limiter.turn_to(run.used.clone());
    (state.wasi, state.http, state.files) = (None, http(), WasiFilesystemCtx::default());
    state.run = run;
    state.open()
}

fn http() -> WasiHttpCtx {
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(fixed::HEADERS.to_usize());
    http
}

/// What everything has of WASI that runs in a store, whose clock began then.
pub(super) fn wasi(clock: Resolution, began: Instant) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.max_random_size(fixed::RANDOM.0).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    clocks::give(&mut wasi, clock, began);
    wasi
}

/// An empty table for what a guest holds open of the host.
pub(super) fn table(limits: &Limits) -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.resources.0);
    table
}

/// Sets what wasmtime itself keeps of the limits.
pub(super) fn bound<T>(store: &mut Store<T>, limits: &Limits) {
    let handles = limits.resources.0.saturating_mul(fixed::HANDLES_PER_RESOURCE);
    store.set_max_component_handles(handles.saturating_add(bound::SPANS));
    // Also for what `run` returns: the boundary says how much that may be, to the byte.
    store.set_hostcall_fuel(limits.call.to_usize());
    // At every tick the guest makes way for others, and the boundary gets to look at the deadline.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
}

/// A folder was there when the flow was loaded, and is not now; or the disk takes no new one.
fn closed(node: &NodeId, error: &io::Error) -> NodeError {
    let message = format!("node {:?}: its folders cannot be opened", node.as_str());
    NodeError::new(NodeFailure::Host, message).with_detail(error)
}

impl State {
    /// Opens the folders that the run is granted.
    fn open(&mut self) -> Result<(), NodeError> {
        let Some(files) = self.run.held::<Files>() else { return Ok(()) };
        let mut wasi = self.around();
        self.written = files.open(&mut wasi).map_err(|error| closed(&self.run.node, &error))?;
        self.run.quota = files.quota();
        self.wasi = Some(wasi.build());
        Ok(())
    }

    /// What the run has of WASI, but for folders.
    fn around(&mut self) -> WasiCtxBuilder {
        let Self { run, stdio, environment, .. } = self;
        let Stdio([stdout, stderr]) = stdio.get_or_insert_with(|| Stdio::of(run));
        let mut wasi = wasi(self.clock, self.began);
        wasi.stdout(stdout.clone()).stderr(stderr.clone());
        if let Some(settings) = run.held::<Settings>() {
            settings.variables().for_each(|(name, value)| _ = wasi.env(name, value));
        }
        wasi.envs(environment);
        wasi
    }

    /// Takes a stream out of the store, so that the store can go.
    pub(super) fn take(&mut self, chunks: Resource<Chunks>) -> wasmtime::Result<Chunks> {
        Ok(self.table.delete(chunks)?)
    }

    /// The run that has it.
    pub(super) fn run(&self) -> &NodeRun {
        &self.run
    }

    /// Its clock begins to run now, from the next run on. No run may have looked at it.
    pub(super) fn begin_clock(&mut self) {
        self.began = Instant::now();
    }

    pub(super) fn wanted_more_memory(&self) -> bool {
        self.limiter.refused_memory
    }

    /// Lets the run go that has ended; `begins_with` is the memory that the component has from its beginning.
    ///
    /// False: no other may follow, since something of this one is left that is the host's: an open stream or request, a folder
    /// that was its own; or since it took so much memory that the next would not have enough.
    pub(super) fn leave(&mut self, begins_with: Bytes) -> bool {
        let nobody = self.run.nobody();
        self.stdio.iter().for_each(|stdio| stdio.turn_to(&nobody));
        self.limiter.turn_to(nobody.used.clone());
        self.run = nobody;
        self.written.is_empty() && !self.limiter.is_half_gone(begins_with) && self.holds_only_its_own()
    }

    /// Toolchains keep what they have once opened of standard output and of the folders that the flow grants, which the next
    /// run has as well. Everything else that is open in the end belongs to a call of the run.
    fn holds_only_its_own(&mut self) -> bool {
        let made = self.wasi.is_some();
        let own = self.stdio.as_ref().map_or(0, |stdio| stdio.opened(made));
        let mut streams = 0;
        let known = self.table.iter_mut().all(|held| {
            let is_stream = held.is::<DynOutputStream>();
            streams += usize::from(is_stream);
            is_stream || held.is::<Descriptor>()
        });
        known && streams == own
    }
}

impl Stdio {
    fn of(run: &NodeRun) -> Self {
        Self([Stream::Stdout, Stream::Stderr].map(|stream| Lines::new(run.notes.clone(), run.calls.clone(), stream)))
    }

    fn turn_to(&self, run: &NodeRun) {
        self.0.iter().for_each(|lines| lines.turn_to(run.notes.clone(), run.calls.clone()));
    }

    /// How many streams of them the guest holds open: all that share them but this, and what its process is made of, if that is
    /// made.
    fn opened(&self, made: bool) -> usize {
        self.0.iter().map(|lines| lines.shared().saturating_sub(1 + usize::from(made))).sum()
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        self.0.iter().for_each(Lines::close);
    }
}

impl Lend for State {
    // Once for each call of the guest to an interface of ours, or to wasi:http.
    fn lend(&mut self) -> GuestCalls<'_> {
        self.run.calls.count();
        GuestCalls { run: &mut self.run, table: &mut self.table, http: &mut self.http, files: &mut self.files }
    }
}

impl WasiView for State {
    // Once for each call of the guest to any other interface of WASI.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.run.calls.count();
        if self.wasi.is_none() {
            self.wasi = Some(self.around().build());
        }
        WasiCtxView { ctx: self.wasi.as_mut().expect("made just above"), table: &mut self.table }
    }
}
