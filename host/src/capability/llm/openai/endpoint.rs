//! Where a service listens and how it knows us: URLs, credentials, and what it can do.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use crate::capability::connection::{Connection, Kind, Secret};

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
    pub(super) key: Option<Secret>,
    pub(super) model: Option<String>,
}

#[derive(Debug)]
enum Flavor {
    OpenAi,
    Azure { api_version: String },
    Serverless,
}

impl Endpoint {
    /// The endpoint of a connection; the error names the key that is wrong.
    pub(super) fn build(connection: &Connection) -> Result<Self, String> {
        let api_base = || address("api_base", connection.plain("api_base").unwrap_or_default());
        let (flavor, base) = match connection.kind {
            Kind::OpenAi => (Flavor::OpenAi, address("base_url", connection.plain("base_url").unwrap_or(OPENAI_BASE))?),
            Kind::AzureOpenAi => {
                let api_version = connection.plain("api_version").unwrap_or_default().to_owned();
                (Flavor::Azure { api_version }, api_base()?)
            }
            Kind::Serverless => (Flavor::Serverless, versioned(api_base()?)),
            _ => return Err("type: leads to no service with OpenAI's interface".into()),
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let key = connection.secret("api_key").cloned();
        if let Some(key) = &key {
            let (name, value) = match flavor {
                Flavor::Azure { .. } => (HeaderName::from_static("api-key"), secret_header(key.expose())?),
                Flavor::OpenAi | Flavor::Serverless => {
                    (AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose()))?)
                }
            };
            headers.insert(name, value);
        }
        if let Some(organization) = connection.plain("organization") {
            headers.insert(HeaderName::from_static("openai-organization"), header("organization", organization)?);
        }
        Ok(Self { flavor, base, headers, key, model: connection.plain("model").map(str::to_owned) })
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

    /// All headers of a request: those that came with the call, and ours, which win.
    pub(super) fn headers(&self, outbound: &HeaderMap) -> HeaderMap {
        let mut headers = outbound.clone();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        headers
    }
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
