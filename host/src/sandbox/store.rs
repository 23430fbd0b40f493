//! What lives in a store: everything that one run of a node has.
//!
//! A node may, without any grant:
//! - compute, within its memory and time;
//! - read the clocks, which are coarse, and random numbers;
//! - write to stdout and stderr, which become log records of its span, and log by wasi:logging;
//! - answer, whole or as a stream, and put notes on its span.
//!
//! Its environment has the variables that its flow grants by name, under `grants.config`, and no other. It has no
//! arguments, no files, no sockets and no standard input. Whatever else it can do it does through a capability that its
//! flow grants: see capability.rs.

use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::bindings::Chunks;
use crate::boundary::{GuestCalls, Lend, NodeRun};
use crate::capability::config::Settings;
use crate::sandbox::clocks;
use crate::sandbox::component::Component;
use crate::sandbox::limits::{Limiter, Limits};
use crate::sandbox::stdio::{Lines, Stream};

/// The data of a store.
pub(super) struct State {
    run: NodeRun,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    limiter: Limiter,
    stdio: [Lines; 2],
}

/// A fresh store for one run.
pub(super) fn new(component: &Component, run: NodeRun, limits: &Limits) -> Store<State> {
    let stdout = Lines::new(run.notes.clone(), Stream::Stdout);
    let stderr = Lines::new(run.notes.clone(), Stream::Stderr);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(stdout.clone()).stderr(stderr.clone()).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    clocks::give(&mut wasi, component.clock);
    if let Some(settings) = run.held::<Settings>() {
        settings.variables().for_each(|(name, value)| _ = wasi.env(name, value));
    }
    let limiter = Limiter::new(limits, run.used.clone());
    let state = State {
        run,
        table: ResourceTable::new(),
        wasi: wasi.build(),
        http: WasiHttpCtx::new(),
        limiter,
        stdio: [stdout, stderr],
    };
    let mut store = Store::new(&component.engine, state);
    store.limiter(|state| &mut state.limiter);
    // At every tick the guest makes way for others, and the boundary gets to look at the deadline.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
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

    /// Logs what the guest wrote without ending the line.
    pub(super) fn close_stdio(&self) {
        self.stdio.iter().for_each(Lines::close);
    }
}

impl Lend for State {
    fn lend(&mut self) -> GuestCalls<'_> {
        GuestCalls { run: &mut self.run, table: &mut self.table, http: &mut self.http }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
