//! The WIT adapter of the capability: unpack, call, pack.

use std::sync::{Arc, OnceLock};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt};
use wasmtime::component::Resource;

use crate::bindings::{ChatStream, Chunks, Texts, llm as wit, types};
use crate::boundary::GuestCalls;
use crate::boundary::error::CallError;
use crate::capability::llm::backend::{
    ChatDelta, ChatEvent, ChatReply, ChatRequest, CompletionReply, CompletionRequest, EmbeddingReply, EmbeddingRequest,
    Usage,
};
use crate::capability::llm::failure::as_prompt_flow;
use crate::capability::llm::{Chat, Complete, Embed, StreamChat, To};

impl wit::Host for GuestCalls<'_> {
    async fn chat(&mut self, request: wit::ChatRequest) -> wasmtime::Result<Result<wit::ChatReply, types::CallError>> {
        let reply = self.call(Chat(request.into())).await;
        Ok(reply.map(Into::into).map_err(Into::into))
    }

    async fn stream_chat(
        &mut self,
        request: wit::ChatRequest,
    ) -> wasmtime::Result<Result<Resource<ChatStream>, types::CallError>> {
        match self.open(StreamChat(request.into())).await {
            Ok(events) => Ok(Ok(self.table.push(chat_stream(events))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn text(&mut self, answer: Resource<ChatStream>) -> wasmtime::Result<Resource<Chunks>> {
        let answer = self.table.delete(answer)?;
        Ok(self.table.push(Chunks::Coming(texts_of(answer)))?)
    }

    fn relay_chat(&mut self, request: wit::ChatRequest) -> wasmtime::Result<Resource<Chunks>> {
        let call = self.run.defer(StreamChat(request.into()));
        let call = call.map_ok(|events| texts_of(chat_stream(events))).err_into();
        Ok(self.table.push(Chunks::Due { call: call.boxed(), told: as_prompt_flow })?)
    }

    async fn complete(
        &mut self,
        request: wit::CompletionRequest,
    ) -> wasmtime::Result<Result<wit::CompletionReply, types::CallError>> {
        let reply = self.call(Complete(request.into())).await;
        Ok(reply.map(Into::into).map_err(Into::into))
    }

    async fn embed(
        &mut self,
        request: wit::EmbeddingRequest,
    ) -> wasmtime::Result<Result<wit::EmbeddingReply, types::CallError>> {
        let reply = self.call(Embed(request.into())).await;
        Ok(reply.map(Into::into).map_err(Into::into))
    }
}

impl wit::HostChatStream for GuestCalls<'_> {
    async fn next(
        &mut self,
        answer: Resource<ChatStream>,
    ) -> wasmtime::Result<Result<Option<wit::ChatDelta>, types::CallError>> {
        let next = self.table.get_mut(&answer)?.deltas.next().await;
        self.run.took(next.is_some());
        Ok(next.transpose())
    }

    async fn usage(&mut self, answer: Resource<ChatStream>) -> wasmtime::Result<Option<wit::Usage>> {
        Ok(self.table.get(&answer)?.usage.get().copied())
    }

    async fn drop(&mut self, answer: Resource<ChatStream>) -> wasmtime::Result<()> {
        self.table.delete(answer)?;
        Ok(())
    }
}

/// The pieces a guest sees; what the answer cost is kept aside.
fn chat_stream(events: BoxStream<'static, Result<ChatEvent, CallError>>) -> ChatStream {
    let usage = Arc::new(OnceLock::new());
    let told = usage.clone();
    let deltas = events.filter_map(move |event| {
        let delta = match event {
            Ok(ChatEvent::Delta(delta)) => Some(Ok(delta.into())),
            Ok(ChatEvent::Usage(usage)) => {
                // A service that says it twice is taken at its first word.
                let _ = told.set(usage.into());
                None
            }
            Ok(ChatEvent::Began { .. }) => None,
            Err(error) => Some(Err(error.into())),
        };
        std::future::ready(delta)
    });
    ChatStream { deltas: deltas.boxed(), usage }
}

fn texts_of(answer: ChatStream) -> Texts {
    let chunks = answer.deltas.filter_map(|delta| {
        std::future::ready(match delta {
            Ok(delta) if delta.content.is_empty() => None,
            Ok(delta) => Some(Ok(serde_json::Value::String(delta.content).to_string())),
            Err(error) => Some(Err(error)),
        })
    });
    chunks.boxed()
}

impl From<wit::ChatRequest> for To<ChatRequest> {
    fn from(request: wit::ChatRequest) -> Self {
        let wit::ChatRequest { connection, model, messages, parameters } = request;
        Self { connection, request: ChatRequest { model, messages, parameters } }
    }
}

impl From<wit::CompletionRequest> for To<CompletionRequest> {
    fn from(request: wit::CompletionRequest) -> Self {
        let wit::CompletionRequest { connection, model, prompt, parameters } = request;
        Self { connection, request: CompletionRequest { model, prompt, parameters } }
    }
}

impl From<wit::EmbeddingRequest> for To<EmbeddingRequest> {
    fn from(request: wit::EmbeddingRequest) -> Self {
        let wit::EmbeddingRequest { connection, model, inputs, parameters } = request;
        Self { connection, request: EmbeddingRequest { model, inputs, parameters } }
    }
}

impl From<ChatReply> for wit::ChatReply {
    fn from(reply: ChatReply) -> Self {
        let ChatReply { id, model, message, finish_reason, usage, raw } = reply;
        Self { id, model, message, finish_reason, usage: usage.map(Into::into), raw }
    }
}

impl From<ChatDelta> for wit::ChatDelta {
    fn from(delta: ChatDelta) -> Self {
        let ChatDelta { content, delta, finish_reason } = delta;
        Self { content, delta, finish_reason }
    }
}

impl From<CompletionReply> for wit::CompletionReply {
    fn from(reply: CompletionReply) -> Self {
        let CompletionReply { id, model, text, finish_reason, usage, raw } = reply;
        Self { id, model, text, finish_reason, usage: usage.map(Into::into), raw }
    }
}

impl From<EmbeddingReply> for wit::EmbeddingReply {
    fn from(reply: EmbeddingReply) -> Self {
        let EmbeddingReply { model, vectors, usage } = reply;
        Self { model, vectors, usage: usage.map(Into::into) }
    }
}

impl From<Usage> for wit::Usage {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens, total_tokens } = usage;
        Self { prompt_tokens, completion_tokens, total_tokens }
    }
}
