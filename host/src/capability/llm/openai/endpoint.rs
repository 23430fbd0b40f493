//! Where a service listens and how it knows us: URLs, credentials, and what it can do.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::super::caller::CALLED_FROM;
use super::failure::Refusal;
use crate::capability::connection::{Connection, Kind, Secret};
use crate::identity::{Identity, NoToken};

/// What a token for Azure's model services is for.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

const OPENAI_BASE: &str = "https://api.openai.com/v1";

/// The first version of Azure OpenAI's interface that knows `stream_options`; earlier ones refuse the request.
const AZURE_COUNTS_STREAMS: &str = "2024-09-01";

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    Completion,
    Embedding,
}

impl Operation {
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["chat", "completions"],
            Self::Completion => &["completions"],
            Self::Embedding => &["embeddings"],
        }
    }
}

/// One service.
#[derive(Debug)]
pub(super) struct Endpoint {
    flavor: Flavor,
    pub(super) base: Url,
    /// Credentials and content type; values that are secret are marked so and print as `Sensitive`.
    headers: HeaderMap,
    credential: Credential,
    pub(super) model: Option<String>,
}

#[derive(Debug)]
enum Flavor {
    OpenAi,
    Azure { api_version: String },
    Serverless,
}

/// How the service knows us.
#[derive(Debug)]
enum Credential {
    /// Servers in one's own network often want none.
    Nothing,
    /// Among the headers already.
    Key(Secret),
    /// By a token, which changes.
    Identity(Identity),
}

impl Endpoint {
    /// The endpoint of a connection; the error names the key that is wrong.
    pub(super) fn build(connection: &Connection, identity: &Identity) -> Result<Self, String> {
        let api_base = || address("api_base", connection.plain("api_base").unwrap_or_default());
        let (flavor, base) = match connection.kind {
            Kind::OpenAi => (Flavor::OpenAi, address("base_url", connection.plain("base_url").unwrap_or(OPENAI_BASE))?),
            Kind::AzureOpenAi => {
                let api_version = connection.plain("api_version").unwrap_or_default().to_owned();
                (Flavor::Azure { api_version }, api_base()?)
            }
            Kind::Serverless => (Flavor::Serverless, versioned(api_base()?)),
            Kind::Offline
            | Kind::CognitiveSearch
            | Kind::AzureAiServices
            | Kind::AzureContentSafety
            | Kind::FormRecognizer
            | Kind::Serp
            | Kind::Qdrant
            | Kind::Weaviate
            | Kind::Custom => {
                return Err(format!(
                    "connection {:?} is of type {:?}, which leads to no model; an llm node needs one of type open_ai, \
                     azure_open_ai, serverless or offline",
                    connection.name,
                    connection.type_name()
                ));
            }
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let credential = match connection.secret("api_key") {
            _ if connection.is_by_identity() => Credential::Identity(identity.clone()),
            Some(key) => Credential::Key(key.clone()),
            None => Credential::Nothing,
        };
        if let Credential::Key(key) = &credential {
            let (name, value) = match flavor {
                Flavor::Azure { .. } => (HeaderName::from_static("api-key"), secret_header(key.expose())?),
                Flavor::OpenAi | Flavor::Serverless => (AUTHORIZATION, bearer(key.expose())?),
            };
            headers.insert(name, value);
        }
        if let Flavor::Azure { .. } = flavor {
            let (name, value) = CALLED_FROM;
            headers.insert(name, value);
        }
        if let Some(organization) = connection.plain("organization") {
            headers.insert(HeaderName::from_static("openai-organization"), header("organization", organization)?);
        }
        Ok(Self { flavor, base, headers, credential, model: connection.plain("model").map(str::to_owned) })
    }

    /// `gen_ai.provider.name`: whose interface it is, since who stands behind a `base_url` cannot be known.
    pub(super) fn provider(&self) -> &'static str {
        match self.flavor {
            Flavor::OpenAi => "openai",
            Flavor::Azure { .. } => "azure.ai.openai",
            Flavor::Serverless => "azure.ai.inference",
        }
    }

    pub(super) fn server(&self) -> Option<(&str, u16)> {
        Some((self.base.host_str()?, self.base.port_or_known_default()?))
    }

    /// Whether a stream may be asked to end with its usage.
    pub(super) fn counts_streams(&self) -> bool {
        match &self.flavor {
            // Versions are dates; `preview` and `latest` sort behind all of them.
            Flavor::Azure { api_version } => api_version.as_str() >= AZURE_COUNTS_STREAMS,
            Flavor::OpenAi | Flavor::Serverless => true,
        }
    }

    /// Where an operation is asked for. With Azure OpenAI the model is a deployment, and a part of the path.
    pub(super) fn url(&self, operation: Operation, model: &str) -> Url {
        let mut url = self.base.clone();
        if let Flavor::Azure { api_version } = &self.flavor {
            extend(&mut url, &["openai", "deployments", model]);
            url.query_pairs_mut().append_pair("api-version", api_version);
        }
        extend(&mut url, operation.path());
        url
    }

    /// The headers with a token, where one is wanted.
    pub(super) async fn authorize(&self, mut headers: HeaderMap) -> Result<HeaderMap, NoToken> {
        if let Credential::Identity(identity) = &self.credential {
            let token = identity.token(SCOPE).await?;
            headers.insert(AUTHORIZATION, bearer(token.expose()).expect("a token has only visible ASCII"));
        }
        Ok(headers)
    }

    /// Without what some services quote when they refuse it: the key or the token.
    pub(super) fn redacted(&self, refusal: Refusal) -> Refusal {
        let message = match &self.credential {
            Credential::Nothing => refusal.message,
            Credential::Key(key) => key.strike(&refusal.message),
            Credential::Identity(identity) => identity.strike(&refusal.message),
        };
        Refusal { message, ..refusal }
    }

    /// All headers of a request: those that came with the call, and ours, which win.
    pub(super) fn headers(&self, outbound: &HeaderMap) -> HeaderMap {
        let mut headers = outbound.clone();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        headers
    }
}

/// A bearer token as a header.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    secret_header(&format!("Bearer {token}"))
}

/// The address with the version of the interface at its end, as OpenAI's own has it.
fn versioned(mut base: Url) -> Url {
    if !base.path().trim_end_matches('/').ends_with("/v1") {
        extend(&mut base, &["v1"]);
    }
    base
}

/// Adds segments to the path. They are escaped, so that a name with a slash stays one segment.
fn extend(url: &mut Url, segments: &[&str]) {
    url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(segments);
}

fn address(key: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{key}: {text:?} is no address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{key}: holds a user or a password; credentials go into api_key"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{key}: {text:?} is no address; expected https://… or http://…"));
    }
    Ok(url)
}

fn header(key: &str, text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("{key}: holds a sign that no HTTP header may have; is it whole?"))
}

fn secret_header(text: &str) -> Result<HeaderValue, String> {
    let mut value = header("api_key", text)?;
    value.set_sensitive(true);
    Ok(value)
}
