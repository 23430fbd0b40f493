//! What lives in a store: everything that one run of a node has.
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
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
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
use crate::sandbox::clocks;
use crate::sandbox::component::Component;
use crate::sandbox::limiter::Limiter;
use crate::sandbox::limits::{Limits, fixed};
use crate::sandbox::stdio::{Lines, Stream};

/// The data of a store.
pub(super) struct State {
    run: NodeRun,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    /// Of no use but that wasmtime-wasi wants it: what is preopened is in `wasi`.
    files: WasiFilesystemCtx,
    limiter: Limiter,
    /// Told of what was written without ending the line when it is dropped, however the run ended.
    _stdio: Stdio,
    /// Gone when the store is.
    _written: Vec<files::Run>,
}

struct Stdio([Lines; 2]);

/// A fresh store for one run.
///
/// # Errors
/// If a folder that the node is granted cannot be opened.
pub(super) fn new(
    component: &Component,
    environment: &[(&str, String)],
    mut run: NodeRun,
    limits: &Limits,
) -> Result<Store<State>, NodeError> {
    let lines = |stream| Lines::new(run.notes.clone(), run.calls.clone(), stream);
    let (stdout, stderr) = (lines(Stream::Stdout), lines(Stream::Stderr));
    let mut wasi = wasi(component.clock);
    wasi.stdout(stdout.clone()).stderr(stderr.clone());
    if let Some(settings) = run.held::<Settings>() {
        settings.variables().for_each(|(name, value)| _ = wasi.env(name, value));
    }
    wasi.envs(environment);
    let mut written = Vec::new();
    if let Some(files) = run.held::<Files>() {
        written = files.open(&mut wasi).map_err(|error| closed(&run.node, &error))?;
        run.quota = files.quota();
    }
    let limiter = Limiter::new(limits, run.used.clone());
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(fixed::HEADERS.to_usize());
    let state = State {
        run,
        table: table(limits),
        wasi: wasi.build(),
        http,
        files: WasiFilesystemCtx::default(),
        limiter,
        _stdio: Stdio([stdout, stderr]),
        _written: written,
    };
    let mut store = Store::new(&component.engine, state);
    store.limiter(|state| &mut state.limiter);
    bound(&mut store, limits);
    Ok(store)
}

/// What everything has of WASI that runs in a store.
pub(super) fn wasi(clock: Resolution) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.max_random_size(fixed::RANDOM.0).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    clocks::give(&mut wasi, clock);
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
    /// Takes a stream out of the store, so that the store can go.
    pub(super) fn take(&mut self, chunks: Resource<Chunks>) -> wasmtime::Result<Chunks> {
        Ok(self.table.delete(chunks)?)
    }

    /// It took so long to make the instance of this run.
    pub(super) fn instantiated(&self, took: Duration) {
        self.run.used.instantiated(took);
    }

    pub(super) fn wanted_more_memory(&self) -> bool {
        self.limiter.refused_memory
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
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
