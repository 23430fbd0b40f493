//! What a node is given: whom to ask, in whose ways, and beside it the model's parameters and the template's variables,
//! which parameters.rs parts.

use serde_json::{Map, Value};
use weir_sdk::data;
use weir_service::Named;
use weir_template::Lists;

use crate::quoted::{Quoted, Texts};

/// What to ask whom, and beside it the model's parameters and any variables of the template.
#[data]
pub struct Inputs {
    /// The text of the Jinja template.
    pub(crate) prompt: String,
    /// Name of the connection.
    pub(crate) connection: String,
    #[serde(default)]
    pub(crate) api: Option<Api>,
    /// The deployment, with Azure OpenAI.
    #[serde(default)]
    pub(crate) deployment_name: Option<String>,
    /// The model, with other services.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// Type of the connection, such as `azure_open_ai`. Without it, Azure's is the one for which a deployment is named.
    #[serde(default, rename = "_service")]
    pub(crate) service: Option<String>,
    /// The package tool that the node calls; none if it is of `type: llm`.
    #[serde(default, rename = "_tool")]
    pub(crate) tool: Option<Tool>,
    /// What a prompty answers with; none if the node is no prompty.
    #[serde(default, rename = "_answer")]
    pub(crate) answer: Option<Wanted>,
    /// Names of the variables that hold a caller's text: role words in them stay text. A prompty's all do.
    #[serde(default, rename = "_inputs_to_escape")]
    pub(crate) inputs_to_escape: Option<Vec<String>>,
    /// Prompts whose text variables hold, with what it was rendered from: role words of callers in it stay text.
    #[serde(default, rename = "_quoted_prompts")]
    pub(crate) quoted: Option<Quoted>,
    /// `openai-vision` if objects may stand for texts.
    #[serde(default, rename = "_message_format")]
    pub(crate) message_format: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// Which of a service's interfaces is asked.
#[data]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    #[default]
    Chat,
    Completion,
}

/// A package tool of prompt flow that asks a model.
#[data]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tool {
    /// `promptflow.tools.llm.llm`, which is as a node of `type: llm`.
    Llm,
    /// `promptflow.tools.llm_vision.llm_vision` and its forerunners for Azure OpenAI and OpenAI.
    Vision,
}

/// What a prompty answers with, and what it asks with.
#[data]
#[derive(Debug)]
pub(crate) struct Wanted {
    #[serde(default)]
    pub(crate) response: Response,
    /// Of a JSON answer, the keys to keep. Without them, all.
    #[serde(default)]
    pub(crate) outputs: Option<Vec<String>>,
    /// The model's parameters. A prompty may send any, and its inputs may have their names; without this, the inputs
    /// with names of known parameters are taken.
    #[serde(default)]
    pub(crate) parameters: Option<Map<String, Value>>,
    /// Inputs that have the names of parameters come before those.
    #[serde(default)]
    pub(crate) overridden: bool,
}

#[data]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Response {
    /// The first choice.
    #[default]
    First,
    /// What the service wrote, whole.
    All,
}

/// Whose ways a run follows. They differ in small things, each of them noted where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Of nodes of `type: llm`.
    Node,
    /// Of the tools for models that see.
    Vision,
    Prompty,
}

impl Inputs {
    pub(crate) fn manner(&self) -> Manner {
        match (&self.answer, self.tool) {
            (Some(_), _) => Manner::Prompty,
            (None, Some(Tool::Vision)) => Manner::Vision,
            (None, Some(Tool::Llm) | None) => Manner::Node,
        }
    }

    /// The tools for models that see know chats only.
    pub(crate) fn api(&self) -> Api {
        match self.manner() {
            Manner::Vision => Api::Chat,
            Manner::Node | Manner::Prompty => self.api.unwrap_or_default(),
        }
    }

    /// The model or deployment; empty if the connection is to decide.
    pub(crate) fn named(&self) -> Named<'_> {
        Named {
            service: self.service.as_deref(),
            deployment: self.deployment_name.as_deref().unwrap_or_default(),
            model: self.model.as_deref().unwrap_or_default(),
        }
    }

    /// How objects are read that stand for texts.
    pub(crate) fn texts(&self) -> Texts {
        match self.message_format.as_deref() {
            Some("openai-vision") => Texts::Plain,
            _ => Texts::Objects,
        }
    }

    /// Prompt flow wraps lists for Azure OpenAI and for models that see, so that they print one element per line.
    pub(crate) fn lists(&self) -> Lists {
        match self.manner() {
            Manner::Node if self.named().is_azure() => Lists::Lines,
            Manner::Vision => Lists::Lines,
            Manner::Node | Manner::Prompty => Lists::Python,
        }
    }
}
