//! From what a node is given to a request: whom to ask what, with which parameters, and in which form the answer is
//! wanted. Pure; asking is lib.rs.

use std::mem;

use serde_json::{Map, Value};
use weir_sdk::NodeError;
use weir_template::{Lists, render, unwrap_texts};

use crate::form::Form;
use crate::guard::Guard;
use crate::images::Images;
use crate::inputs::{Api, Inputs, Manner};
use crate::markup;
use crate::parameters::{self, Parameters};
use crate::quoted::{Quoted, Texts};

/// A request to a model, ready to be sent.
#[derive(Debug)]
pub struct Request {
    pub(crate) connection: String,
    /// Empty if the connection is to decide.
    pub(crate) model: String,
    pub question: Question,
    pub(crate) parameters: Parameters,
    pub(crate) form: Form,
}

#[derive(Debug)]
pub enum Question {
    /// The messages.
    Chat(Vec<Value>),
    /// The prompt.
    Completion(String),
}

impl Request {
    /// # Errors
    ///
    /// Any fault of the template, of the markup in its text or of a parameter, as the flow author's.
    pub fn build(mut inputs: Inputs) -> Result<Self, NodeError> {
        let (manner, api, azure) = (inputs.manner(), inputs.api(), inputs.named().is_azure());
        // From here on `rest` holds the variables alone.
        let parameters = match (manner, api) {
            (Manner::Prompty, _) => {
                let wanted = inputs.answer.as_mut();
                let (given, overridden) = wanted.map_or((None, false), |it| (it.parameters.take(), it.overridden));
                parameters::of_prompty(given, overridden, api, &mut inputs.rest)?
            }
            (Manner::Vision, _) => parameters::of_vision(&mut inputs.rest)?,
            (Manner::Node, Api::Chat) => parameters::of_chat(&mut inputs.rest, azure)?,
            (Manner::Node, Api::Completion) => parameters::of_completion(&mut inputs.rest)?,
        };
        let variables = mem::take(&mut inputs.rest);
        let style = Style { manner, lists: inputs.lists(), detail: parameters.detail, texts: inputs.texts() };
        let question = match api {
            Api::Chat => Question::Chat(messages(&inputs.prompt, variables, Callers::of(&inputs), style)?),
            Api::Completion => Question::Completion(completion(&inputs.prompt, variables, style)?),
        };
        let model = inputs.named().name().to_owned();
        let form = Form::new(inputs.answer, &parameters.values);
        Ok(Self { connection: inputs.connection, model, question, parameters, form })
    }

    /// Whether the model's stream is the answer to one who reads a stream. Tool calls and whatever must be read to its
    /// end have no text to stream.
    ///
    /// # Errors
    ///
    /// Prompt flow does not stream with `functions`, the older form of tools.
    pub(crate) fn relays(&self) -> Result<bool, NodeError> {
        let Parameters { functions, tools, stream, .. } = self.parameters;
        match self.form {
            Form::Prompty { .. } => Ok(stream && !tools && self.form.is_text()),
            Form::Node { .. } if functions => Err(NodeError::user(
                "FunctionCallNotSupportedInStreamMode",
                "Function calling has not been supported by stream mode yet.",
            )),
            Form::Node { .. } => Ok(!tools),
        }
    }
}

/// Where in the variables text of callers stands.
#[derive(Clone, Copy)]
pub(crate) enum Callers<'a> {
    /// Anywhere.
    Everywhere,
    Named {
        /// Names of variables that are callers' text as a whole.
        inputs: &'a [String],
        /// Prompts whose text variables hold.
        quoted: Option<&'a Quoted>,
    },
}

impl<'a> Callers<'a> {
    fn of(inputs: &'a Inputs) -> Self {
        match inputs.manner() {
            Manner::Prompty => Self::Everywhere,
            Manner::Node | Manner::Vision => Self::Named {
                inputs: inputs.inputs_to_escape.as_deref().unwrap_or_default(),
                quoted: inputs.quoted.as_ref(),
            },
        }
    }
}

/// What differs between those whose ways are followed, from template to messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) manner: Manner,
    pub(crate) lists: Lists,
    /// How closely a model looks at images.
    pub(crate) detail: &'static str,
    pub(crate) texts: Texts,
}

impl Style {
    fn unwrap_texts(self, variables: &mut Map<String, Value>) {
        if self.texts == Texts::Plain {
            variables.values_mut().for_each(unwrap_texts);
        }
    }
}

/// The messages of a chat, from the text of its template.
pub(crate) fn messages(
    template: &str,
    mut variables: Map<String, Value>,
    callers: Callers<'_>,
    style: Style,
) -> Result<Vec<Value>, NodeError> {
    let mut guard = Guard::new();
    match callers {
        Callers::Everywhere => guard.mark(variables.values_mut()),
        Callers::Named { inputs, .. } => guard.mark(named(&mut variables, inputs)),
    };
    if let Callers::Named { quoted: Some(quoted), .. } = callers {
        quoted.guard(&mut variables, &mut guard, style.texts).map_err(|error| guard.restore_error(error))?;
    }
    style.unwrap_texts(&mut variables);
    let images = Images::take(&mut variables, style);
    let rendered = render(&images.mark(template), &variables, style.lists).map_err(NodeError::from);
    let messages = rendered.and_then(|text| markup::parse(&text, &images, style.manner));
    match messages {
        Ok(messages) => Ok(messages.into_iter().map(|message| guard.restore(message)).collect()),
        Err(error) => Err(guard.restore_error(error)),
    }
}

fn named<'a>(variables: &'a mut Map<String, Value>, names: &'a [String]) -> impl Iterator<Item = &'a mut Value> {
    variables.iter_mut().filter(|(name, _)| names.contains(name)).map(|(_, value)| value)
}

/// The prompt of a completion. Roles and images mean nothing there; a prompty only sets `![image](…)` on its own line.
fn completion(template: &str, mut variables: Map<String, Value>, style: Style) -> Result<String, NodeError> {
    style.unwrap_texts(&mut variables);
    let images = Images::take(&mut variables, style);
    let rendered = match style.manner {
        Manner::Prompty => render(&images.mark(template), &variables, Lists::Python),
        Manner::Node | Manner::Vision => render(template, &variables, Lists::Python),
    };
    Ok(images.unmark(&rendered?))
}
