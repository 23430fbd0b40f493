//! `weir:flow/output` and the streams of `weir:flow/types`: a streamed answer, piece by piece. Always granted; how much
//! may be streamed is bounded in boundary/outlet.rs.

use futures_util::{StreamExt, stream};
use wasmtime::component::Resource;

use crate::bindings::{Chunks, output as wit, types};
use crate::boundary::GuestCalls;
use crate::boundary::outlet::Closed;

always_granted!(Output, "output", "weir:flow/output", types, wit);

impl wit::Host for GuestCalls<'_> {
    async fn emit(&mut self, chunk: String) -> wasmtime::Result<Result<(), wit::Closed>> {
        let taken = GuestCalls::emit(self, chunk).await?;
        Ok(taken.map_err(|closed| match closed {
            Closed::Gone => wit::Closed::Gone,
            Closed::Limit => wit::Closed::Limit,
        }))
    }
}

impl types::Host for GuestCalls<'_> {}

impl types::HostChunks for GuestCalls<'_> {
    async fn next(&mut self, chunks: Resource<Chunks>) -> wasmtime::Result<Result<Option<String>, types::CallError>> {
        let chunks = self.table.get_mut(&chunks)?;
        let next = loop {
            match chunks {
                Chunks::Coming(texts) => break texts.next().await,
                Chunks::Due { call, .. } => {
                    let texts = call.await.unwrap_or_else(|error| stream::iter([Err(error)]).boxed());
                    *chunks = Chunks::Coming(texts);
                }
            }
        };
        self.run.took(next.is_some());
        Ok(next.transpose())
    }

    async fn drop(&mut self, chunks: Resource<Chunks>) -> wasmtime::Result<()> {
        self.table.delete(chunks)?;
        Ok(())
    }
}
