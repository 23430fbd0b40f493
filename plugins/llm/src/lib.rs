//! The node behind prompt flow's `type: llm`: renders a template, makes messages of it, asks the model behind a
//! connection, and answers with its text. Where a client reads a stream, the host relays the model's.
//!
//! The way of a run is the way through the files: `parameters` parts the inputs into the model's parameters and the
//! template's variables; `guard` and `images` put marks in place of what the markup must not read; the template is
//! rendered; `markup` makes messages of the text; `failure` names what the model's service says as prompt flow
//! names it.

mod parameters;

mod guard;

mod images;

mod markup;

mod failure;

use std::mem;

use serde_json::{Map, Value};
use weir_sdk::{Answer, NodeError, context, data, llm, node};
use weir_template::{Lists, render};

use crate::guard::Guard;
use crate::images::Images;

/// Which of a service's interfaces is asked.
#[data]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Api {
    #[default]
    Chat,
    Completion,
}

/// What to ask whom, and beside it the model's parameters and any variables of the template.
#[data]
struct Inputs {
    /// The text of the Jinja template.
    prompt: String,
    /// Name of the connection.
    connection: String,
    #[serde(default)]
    api: Option<Api>,
    /// The deployment, with Azure OpenAI.
    #[serde(default)]
    deployment_name: Option<String>,
    /// The model, with other services.
    #[serde(default)]
    model: Option<String>,
    /// Names of the variables that hold a caller's text: role words in them stay text.
    #[serde(default, rename = "_inputs_to_escape")]
    inputs_to_escape: Option<Vec<String>>,
    /// Of variables that hold a rendered prompt, the callers' texts in it: role words in those stay text.
    #[serde(default, rename = "_texts_to_escape")]
    texts_to_escape: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Asks a language model.
#[node(name = "llm", uses = ["llm", "context"])]
fn ask(inputs: Inputs) -> Result<Answer<Value>, NodeError> {
    match inputs.api.unwrap_or_default() {
        Api::Chat => chat(inputs),
        Api::Completion => complete(inputs),
    }
}

fn chat(mut inputs: Inputs) -> Result<Answer<Value>, NodeError> {
    let parameters = parameters::of_chat(&mut inputs.rest)?;
    let wants_tools = ["tools", "functions"].iter().any(|name| parameters.contains_key(*name));
    let variables = mem::take(&mut inputs.rest);
    let callers = Callers {
        inputs: inputs.inputs_to_escape.as_deref().unwrap_or_default(),
        quoted: inputs.texts_to_escape.as_ref(),
    };
    let messages = messages(&inputs.prompt, variables, callers, inputs.lists())?;
    let chat = llm::chat(&inputs.connection).model(inputs.model()).messages(messages);
    let chat = parameters.into_iter().fold(chat, |chat, (name, value)| chat.param(name, value));
    if !wants_tools && context::current().streaming {
        return Ok(Answer::Relay(chat.stream().map_err(failure::as_prompt_flow)?.relay()));
    }
    let reply = chat.send().map_err(failure::as_prompt_flow)?;
    Ok(Answer::Value(if wants_tools { whole_message(reply.message) } else { reply.text().into() }))
}

fn complete(mut inputs: Inputs) -> Result<Answer<Value>, NodeError> {
    let parameters = parameters::of_completion(&mut inputs.rest)?;
    let prompt = render(&inputs.prompt, &inputs.rest, Lists::Python)?;
    let request = llm::complete(&inputs.connection, prompt).model(inputs.model());
    let request = parameters.into_iter().fold(request, |request, (name, value)| request.param(name, value));
    Ok(Answer::Value(request.send().map_err(failure::as_prompt_flow)?.text.into()))
}

/// Where in the variables text of callers stands.
#[derive(Clone, Copy, Default)]
struct Callers<'a> {
    /// Names of variables that are callers' text as a whole.
    inputs: &'a [String],
    /// Of variables that quote callers, the texts.
    quoted: Option<&'a Map<String, Value>>,
}

/// The messages of a chat, from the text of its template.
fn messages(
    template: &str,
    mut variables: Map<String, Value>,
    callers: Callers<'_>,
    lists: Lists,
) -> Result<Vec<Value>, NodeError> {
    let mut guard = Guard::over(&mut variables, callers.inputs);
    if let Some(quoted) = callers.quoted {
        guard.within(&mut variables, quoted);
    }
    let images = Images::take(&mut variables);
    let rendered = render(&images.mark(template), &variables, lists).map_err(NodeError::from);
    let messages = rendered.and_then(|text| markup::parse(&text, &images));
    match messages {
        Ok(messages) => Ok(messages.into_iter().map(|message| guard.restore(message)).collect()),
        Err(error) => Err(NodeError { message: guard.restore_text(error.message), ..error }),
    }
}

/// The message object as the nodes of a prompt flow expect it: what the service leaves out is null.
fn whole_message(mut message: Value) -> Value {
    if let Value::Object(message) = &mut message {
        for key in ["content", "role", "function_call", "tool_calls"] {
            message.entry(key).or_insert(Value::Null);
        }
    }
    message
}

impl Inputs {
    /// Empty if the connection is to decide.
    fn model(&self) -> &str {
        let named = [&self.deployment_name, &self.model].into_iter().flatten();
        named.map(String::as_str).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// Prompt flow wraps lists for Azure OpenAI, whose nodes are those that name a deployment.
    fn lists(&self) -> Lists {
        match self.deployment_name.as_deref() {
            None | Some("") => Lists::Python,
            Some(_) => Lists::Lines,
        }
    }
}

#[cfg(test)]
mod tests;
