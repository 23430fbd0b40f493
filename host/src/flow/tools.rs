//! What prompt flow's own tools take: the parameters of models, and the package tools that are served. Not what they do
//! with it: plugins do that.

use std::fmt;

use super::python;
use super::types::Type;
use super::value::{Json, View};

/// A component of ours that stands for a package tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    Embedding,
    ContentSafety,
    Serp,
}

/// A tool of the package `promptflow-tools`.
#[derive(Debug)]
pub(super) struct PackageTool {
    pub(super) id: &'static str,
    pub(super) runs: Runs,
    /// None: the parameters of a model, and the variables of a template.
    pub(super) parameters: &'static [Parameter],
}

/// What stands for a package tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// The plugin `llm`, with a template.
    Llm {
        vision: bool,
    },
    Plugin(Plugin),
    /// Nothing, and this is why.
    Nothing(&'static str),
}

/// A parameter of a tool.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) required: bool,
}

/// What a literal has to be, to be taken for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Anything,
    /// Everything that can be read as the type, such as `"0.7"` as a double.
    A(Type),
    /// An integer, or the text `inf`: no limit.
    Count,
    /// One text, or a list of them.
    Texts,
    OneOf(&'static [&'static str]),
}

const fn optional(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, takes, required: false }
}

const fn required(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, takes, required: true }
}

const TEXT: Takes = Takes::A(Type::String);
const NUMBER: Takes = Takes::A(Type::Double);
const INTEGER: Takes = Takes::A(Type::Int);
const SWITCH: Takes = Takes::A(Type::Bool);

/// Parameters of a chat call. A template cannot use their names: an input of such a name sets the parameter.
pub(super) const CHAT: &[Parameter] = &[
    optional("prompt", Takes::Anything),
    optional("deployment_name", TEXT),
    optional("model", TEXT),
    optional("temperature", NUMBER),
    optional("top_p", NUMBER),
    optional("n", INTEGER),
    optional("stream", SWITCH),
    optional("stop", Takes::Texts),
    optional("max_tokens", Takes::Count),
    optional("presence_penalty", NUMBER),
    optional("frequency_penalty", NUMBER),
    optional("logit_bias", Takes::A(Type::Object)),
    optional("user", TEXT),
    optional("function_call", Takes::Anything),
    optional("functions", Takes::A(Type::List)),
    optional("tool_choice", Takes::Anything),
    optional("tools", Takes::A(Type::List)),
    optional("response_format", Takes::Anything),
    optional("seed", INTEGER),
];

/// Parameters of a completion call, likewise.
pub(super) const COMPLETION: &[Parameter] = &[
    optional("prompt", Takes::Anything),
    optional("deployment_name", TEXT),
    optional("model", TEXT),
    optional("suffix", TEXT),
    optional("max_tokens", Takes::Count),
    optional("temperature", NUMBER),
    optional("top_p", NUMBER),
    optional("n", INTEGER),
    optional("stream", SWITCH),
    optional("logprobs", INTEGER),
    optional("echo", SWITCH),
    optional("stop", Takes::Texts),
    optional("presence_penalty", NUMBER),
    optional("frequency_penalty", NUMBER),
    optional("best_of", INTEGER),
    optional("logit_bias", Takes::A(Type::Object)),
    optional("user", TEXT),
];

/// Parameters of a chat about images, likewise.
pub(super) const VISION: &[Parameter] = &[
    optional("prompt", Takes::Anything),
    optional("deployment_name", TEXT),
    optional("model", TEXT),
    optional("temperature", NUMBER),
    optional("top_p", NUMBER),
    optional("stop", Takes::Texts),
    optional("max_tokens", Takes::Count),
    optional("presence_penalty", NUMBER),
    optional("frequency_penalty", NUMBER),
    optional("seed", INTEGER),
    optional("detail", Takes::OneOf(&["low", "high", "auto"])),
];

const SENSITIVITY: Takes = Takes::OneOf(&["disable", "low_sensitivity", "medium_sensitivity", "high_sensitivity"]);

const CONTENT_SAFETY: &[Parameter] = &[
    required("connection", TEXT),
    required("text", TEXT),
    optional("hate_category", SENSITIVITY),
    optional("self_harm_category", SENSITIVITY),
    optional("sexual_category", SENSITIVITY),
    optional("violence_category", SENSITIVITY),
];

/// The package tools, by their ids.
pub(super) const PACKAGE: &[PackageTool] = &[
    PackageTool { id: "promptflow.tools.llm.llm", runs: Runs::Llm { vision: false }, parameters: &[] },
    PackageTool { id: "promptflow.tools.llm_vision.llm_vision", runs: Runs::Llm { vision: true }, parameters: &[] },
    PackageTool {
        id: "promptflow.tools.aoai_gpt4v.AzureOpenAI.chat",
        runs: Runs::Llm { vision: true },
        parameters: &[],
    },
    PackageTool { id: "promptflow.tools.openai_gpt4v.OpenAI.chat", runs: Runs::Llm { vision: true }, parameters: &[] },
    PackageTool {
        id: "promptflow.tools.embedding.embedding",
        runs: Runs::Plugin(Plugin::Embedding),
        parameters: &[
            required("connection", TEXT),
            required("input", TEXT),
            optional("deployment_name", TEXT),
            optional("model", TEXT),
        ],
    },
    PackageTool {
        id: "promptflow.tools.azure_content_safety.analyze_text",
        runs: Runs::Plugin(Plugin::ContentSafety),
        parameters: CONTENT_SAFETY,
    },
    PackageTool {
        id: "content_safety_text.tools.content_safety_text_tool.analyze_text",
        runs: Runs::Plugin(Plugin::ContentSafety),
        parameters: CONTENT_SAFETY,
    },
    PackageTool {
        id: "promptflow.tools.serpapi.SerpAPI.search",
        runs: Runs::Plugin(Plugin::Serp),
        parameters: &[
            required("connection", TEXT),
            required("query", TEXT),
            optional("location", TEXT),
            optional("safe", Takes::OneOf(&["off", "active"])),
            optional("num", INTEGER),
            optional("engine", Takes::OneOf(&["google", "bing"])),
        ],
    },
    PackageTool {
        id: "promptflow.tools.open_model_llm.OpenModelLLM.call",
        runs: Runs::Nothing(
            "it looks its endpoint up in an Azure ML workspace; use `type: llm` with a `serverless` connection instead",
        ),
        parameters: &[],
    },
];

impl PackageTool {
    pub(super) fn find(id: &str) -> Option<&'static Self> {
        PACKAGE.iter().find(|tool| tool.id == id)
    }
}

impl Takes {
    /// Whether a literal of the flow file will do. Empty text and null never get here: they mean "not given".
    pub(super) fn accepts(self, value: &Json) -> bool {
        match self {
            Self::Anything => true,
            Self::A(kind) => kind.coerce("", value).is_ok(),
            Self::Count => value.as_text().as_deref() == Some("inf") || Type::Int.coerce("", value).is_ok(),
            Self::Texts => matches!(value.view(), View::Text(_) | View::List(_)),
            Self::OneOf(known) => known.contains(&python::str(value).as_str()),
        }
    }
}

/// What is expected: `double`, `one of low, high`.
impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("any value"),
            Self::A(kind) => f.write_str(kind.name()),
            Self::Count => f.write_str("int"),
            Self::Texts => f.write_str("string or list"),
            Self::OneOf(known) => write!(f, "one of {}", known.join(", ")),
        }
    }
}
