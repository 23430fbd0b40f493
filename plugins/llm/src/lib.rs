//! The node behind prompt flow's `type: llm`, its package tools for models, and prompties: renders a template, makes
//! messages of it, asks the model behind a connection, and answers with its text. Where a client reads a stream, the
//! host asks the model when this run has ended, and relays its answer.
//!
//! The way of a run is the way through the files: `inputs` says what a node is given and whose ways it follows;
//! `request` makes a request of it, for which `parameters` parts the model's parameters from the template's variables,
//! `guard`, `quoted` and `images` put marks in place of what the markup must not read, the template is rendered, and `markup`
//! makes messages of the text; `form` gives the answer the form that was asked for. What a failing service says is named
//! as prompt flow names it by `weir_service`.

mod inputs;

mod request;

mod parameters;

mod guard;

mod quoted;

mod images;

mod markup;

mod form;

use serde_json::Value;
use weir_sdk::{Answer, NodeError, context, llm, node};
use weir_service::as_prompt_flow;

pub use crate::inputs::Inputs;
pub use crate::request::{Question, Request};

/// Asks a language model.
#[node(name = "llm", uses = ["llm", "context"])]
fn ask(inputs: Inputs) -> Result<Answer<Value>, NodeError> {
    let request = Request::build(inputs)?;
    match request.question {
        Question::Chat(ref messages) => chat(messages, &request),
        Question::Completion(ref prompt) => complete(prompt, &request),
    }
}

fn chat(messages: &[Value], request: &Request) -> Result<Answer<Value>, NodeError> {
    let chat = llm::chat(&request.connection).model(&request.model).messages(messages);
    let chat = request.parameters.values.iter().fold(chat, |chat, (name, value)| chat.param(name, value));
    if context::current().streaming && request.relays()? {
        // Nothing of this run is kept while the model thinks. The host names what fails by the same table.
        return Ok(Answer::Relay(chat.relay().map_err(as_prompt_flow)?));
    }
    let reply = chat.send().map_err(as_prompt_flow)?;
    let whole = || reply.raw().map_err(as_prompt_flow);
    Ok(Answer::Value(request.form.of_message(&reply.message, &reply.finish_reason, whole)?))
}

/// Whole, also where a stream is read: the host streams no completions.
fn complete(prompt: &str, request: &Request) -> Result<Answer<Value>, NodeError> {
    let complete = llm::complete(&request.connection, prompt).model(&request.model);
    let complete = request.parameters.values.iter().fold(complete, |asked, (name, value)| asked.param(name, value));
    let reply = complete.send().map_err(as_prompt_flow)?;
    let whole = || reply.raw().map_err(as_prompt_flow);
    Ok(Answer::Value(request.form.of_text(&reply.text, whole)?))
}

#[cfg(test)]
mod tests;
