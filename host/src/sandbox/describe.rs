//! What a component says of itself. It runs with nothing: no host interface of ours, no time to speak of.

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::timeout;
use wasmtime::Store;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::Node;
use crate::sandbox::component::Component;
use crate::sandbox::limits::{Limiter, Limits};

/// How long a component may take to say what it is: the contract's number.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why a component does not say what it is.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    #[error("`describe` failed: {0}")]
    Failed(String),
    #[error("`describe` did not answer within {TIMEOUT:?}")]
    TooSlow,
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
    /// If it fails, takes too long, or says something that is not JSON.
    pub async fn describe(&self) -> Result<String, DescribeError> {
        let text = timeout(TIMEOUT, self.call_describe())
            .await
            .map_err(|_| DescribeError::TooSlow)?
            .map_err(|error| DescribeError::Failed(format!("{error:#}")))?;
        serde_json::from_str::<&RawValue>(&text).map_err(|_| DescribeError::NotJson)?;
        Ok(text)
    }

    async fn call_describe(&self) -> wasmtime::Result<String> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        // A component that calls the host to describe itself breaks the contract, and finds nobody there.
        linker.define_unknown_imports_as_traps(&self.code)?;
        let state = State {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            limiter: Limiter::new(&Limits::default()),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let node = Node::instantiate_async(&mut store, &self.code, &linker).await?;
        node.weir_flow_handler().call_describe(&mut store).await
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
