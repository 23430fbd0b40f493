//! The types of prompt flow's connections: their names in files and in Python, and the keys that each has.

use super::OFFLINE;

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OpenAi,
    AzureOpenAi,
    Serverless,
    /// The deterministic model in the host; ours.
    Offline,
    CognitiveSearch,
    AzureAiServices,
    AzureContentSafety,
    FormRecognizer,
    Serp,
    Qdrant,
    Weaviate,
    /// Keys are free, in `configs` and `secrets`.
    Custom,
}

/// A key of a type, beside `$schema`, `name` and `type`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
}

const fn required(name: &'static str) -> Key {
    Key { name, default: None, required: true }
}

const fn optional(name: &'static str) -> Key {
    Key { name, default: None, required: false }
}

const fn default(name: &'static str, default: &'static str) -> Key {
    Key { name, default: Some(default), required: false }
}

/// The key that is a secret in every type but `custom`.
pub(super) const API_KEY: &str = "api_key";

/// The key that says how a service knows us: by `key`, or by a token of Microsoft Entra ID (`meid_token`).
pub(super) const AUTH_MODE: &str = "auth_mode";

/// The value of [`AUTH_MODE`] with which no key is sent.
pub(super) const MEID_TOKEN: &str = "meid_token";

/// The key that names the class of a `custom` connection.
pub(super) const CUSTOM_TYPE: &str = "custom_type";

impl Kind {
    /// Whether connections of this type lead to a model.
    pub fn is_model(self) -> bool {
        matches!(self, Self::Offline | Self::OpenAi | Self::AzureOpenAi | Self::Serverless)
    }

    /// Every type, those that lead to models first.
    pub const ALL: &[Self] = &[
        Self::OpenAi,
        Self::AzureOpenAi,
        Self::Serverless,
        Self::Offline,
        Self::CognitiveSearch,
        Self::AzureAiServices,
        Self::AzureContentSafety,
        Self::FormRecognizer,
        Self::Serp,
        Self::Qdrant,
        Self::Weaviate,
        Self::Custom,
    ];

    /// `type` in a connection file.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::OpenAi => "open_ai",
            Self::AzureOpenAi => "azure_open_ai",
            Self::Serverless => "serverless",
            Self::Offline => OFFLINE,
            Self::CognitiveSearch => "cognitive_search",
            Self::AzureAiServices => "azure_ai_services",
            Self::AzureContentSafety => "azure_content_safety",
            Self::FormRecognizer => "form_recognizer",
            Self::Serp => "serp",
            Self::Qdrant => "qdrant",
            Self::Weaviate => "weaviate",
            Self::Custom => "custom",
        }
    }

    /// The class in prompt flow, as tools name the type of a parameter.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAIConnection",
            Self::AzureOpenAi => "AzureOpenAIConnection",
            Self::Serverless => "ServerlessConnection",
            Self::Offline => "OfflineConnection",
            Self::CognitiveSearch => "CognitiveSearchConnection",
            Self::AzureAiServices => "AzureAIServicesConnection",
            Self::AzureContentSafety => "AzureContentSafetyConnection",
            Self::FormRecognizer => "FormRecognizerConnection",
            Self::Serp => "SerpConnection",
            Self::Qdrant => "QdrantConnection",
            Self::Weaviate => "WeaviateConnection",
            Self::Custom => "CustomConnection",
        }
    }

    pub(super) fn of_type(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.type_name() == name)
    }

    pub(super) fn of_class(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.class_name() == name)
    }

    /// The keys of the type; none for `custom`, whose values are in groups.
    pub(super) fn keys(self) -> &'static [Key] {
        match self {
            Self::OpenAi => OPEN_AI,
            Self::AzureOpenAi => AZURE_OPEN_AI,
            Self::Serverless => SERVERLESS,
            Self::Offline => &[],
            Self::CognitiveSearch => COGNITIVE_SEARCH,
            Self::AzureAiServices => AZURE_AI_SERVICES,
            Self::AzureContentSafety => AZURE_CONTENT_SAFETY,
            Self::FormRecognizer => FORM_RECOGNIZER,
            Self::Serp => SERP,
            Self::Qdrant | Self::Weaviate => VECTOR_STORE,
            Self::Custom => CUSTOM,
        }
    }
}

// `model` is ours: what answers when a request names no model.

/// The key is asked for only by OpenAI itself: see complete.rs.
const OPEN_AI: &[Key] = &[optional("base_url"), optional("organization"), optional(API_KEY), optional("model")];

const AZURE_OPEN_AI: &[Key] = &[
    required("api_base"),
    default("api_type", "azure"),
    default("api_version", "2024-02-01"),
    default(AUTH_MODE, "key"),
    optional("resource_id"),
    required(API_KEY),
    optional("model"),
];

const SERVERLESS: &[Key] = &[required("api_base"), required(API_KEY), optional("model")];

const COGNITIVE_SEARCH: &[Key] =
    &[required("api_base"), default("api_version", "2023-11-01"), default(AUTH_MODE, "key"), required(API_KEY)];

const AZURE_AI_SERVICES: &[Key] = &[required("endpoint"), default(AUTH_MODE, "key"), required(API_KEY)];

const AZURE_CONTENT_SAFETY: &[Key] = &[
    required("endpoint"),
    default("api_version", "2023-10-01"),
    default("api_type", "Content Safety"),
    required(API_KEY),
];

const FORM_RECOGNIZER: &[Key] = &[
    required("endpoint"),
    default("api_version", "2023-07-31"),
    default("api_type", "Form Recognizer"),
    required(API_KEY),
];

/// `api_base` is ours: a proxy in front of SerpAPI.
const SERP: &[Key] = &[optional("api_base"), required(API_KEY)];

const VECTOR_STORE: &[Key] = &[required("api_base"), required(API_KEY)];

/// Where a class of one's own comes from. Only its name is of use here: see [`super::Connection::class_name`].
const CUSTOM: &[Key] = &[optional(CUSTOM_TYPE), optional("module"), optional("package"), optional("package_version")];
