//! What a component says of itself. It runs with nothing: no host interface of ours, no time to speak of. It is asked until it
//! has answered once, however many nodes it is of.

use std::time::Instant;

use serde_json::value::RawValue;
use tokio::time::timeout;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Store, format_err};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::boundary::facts::NodeUse;
use crate::sandbox::component::Component;
use crate::sandbox::limiter::Limiter;
use crate::sandbox::limits::{Caps, Limits, fixed};
use crate::sandbox::{ending, refused, store};
use crate::units::Bytes;

/// How much it may say. Schemas of nodes have a few KiB.
const MAX_DESCRIPTION: usize = 1 << 20;
const DESCRIPTION: Bytes = Bytes(MAX_DESCRIPTION as u64);

/// The interface that every node exports.
pub const HANDLER: &str = "weir:flow/handler@0.1.0";

/// Why a component does not say what it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DescribeError {
    #[error("`describe` failed: {0}")]
    Failed(String),
    #[error("`describe` did not answer within {:?}", fixed::DESCRIBE)]
    TooSlow,
    #[error("`describe` answered more than the {MAX_DESCRIPTION} bytes that it may")]
    TooLong,
    #[error("`describe` answered text that is not JSON")]
    NotJson,
}

/// The data of a store in which nothing but `describe` runs.
struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    limiter: Limiter,
}

impl Component {
    /// The component's description, as JSON text: see `describe` in wit/handler.wit.
    ///
    /// # Errors
    /// If it fails, takes too long, or says too much or something that is not JSON.
    pub async fn describe(&self) -> Result<String, DescribeError> {
        if let Some(known) = self.described.get() {
            return known.clone();
        }
        let asked = self.ask().await;
        // What failed may have failed on a machine that was busy.
        if !matches!(asked, Err(DescribeError::Failed(_) | DescribeError::TooSlow)) {
            return self.described.get_or_init(|| asked).clone();
        }
        asked
    }

    async fn ask(&self) -> Result<String, DescribeError> {
        let text = timeout(fixed::DESCRIBE, self.call_describe()).await.map_err(|_| DescribeError::TooSlow)?.map_err(
            |error| match ending::is_too_much_at_once(&error) {
                true => DescribeError::TooLong,
                false => DescribeError::Failed(error.root_cause().to_string()),
            },
        )?;
        if text.len() > MAX_DESCRIPTION {
            return Err(DescribeError::TooLong);
        }
        serde_json::from_str::<&RawValue>(&text).map_err(|_| DescribeError::NotJson)?;
        Ok(text)
    }

    async fn call_describe(&self) -> wasmtime::Result<String> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        // A component that calls the host to describe itself breaks the contract, and finds nobody there.
        refused::define(&mut linker, &self.code, &self.engine, refused::by_wasi)?;
        let usual = Limits::defaults(&Caps::default());
        let limits = Limits { memory: usual.memory.max(self.memory), call: DESCRIPTION, output: DESCRIPTION, ..usual };
        let state = State {
            table: store::table(&limits),
            wasi: store::wasi(self.clock, Instant::now()).build(),
            limiter: Limiter::new(&limits, NodeUse::default()),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store::bound(&mut store, &limits);
        let instance = linker.instantiate_async(&mut store, &self.code).await?;
        // By name and not by our bindings: those would ask for streams, which nobody has here.
        let handler = instance.get_export_index(&mut store, None, HANDLER);
        let describe = handler.and_then(|handler| instance.get_export_index(&mut store, Some(&handler), "describe"));
        let describe = describe.ok_or_else(|| format_err!("the component exports no {HANDLER}"))?;
        let describe = instance.get_typed_func::<(), (String,)>(&mut store, describe)?;
        Ok(describe.call_async(&mut store, ()).await?.0)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
