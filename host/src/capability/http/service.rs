//! The service of a connection: where it is, and how it knows us. Its key, or the token of the host's identity, is added
//! by the host, so that a guest uses it and cannot tell it.

use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use crate::address::Allowed;
use crate::boundary::error::{CallError, CallErrorKind};
use crate::capability::connection::{Connection, Kind, Problem, Secret};
use crate::capability::upstream::{Upstream, Upstreams};
use crate::identity::Identity;

const OPENAI: &str = "https://api.openai.com";
const SERP: &str = "https://serpapi.com";

/// Scopes of tokens: Azure AI Search has its own.
const AI_SERVICES: &str = "https://cognitiveservices.azure.com/.default";
const SEARCH: &str = "https://search.azure.com/.default";

/// A service with a key.
#[derive(Debug)]
pub(super) struct Service {
    connection: String,
    /// Scheme, host and port count.
    base: Url,
    credential: Option<Credential>,
    upstream: Arc<Upstream>,
}

#[derive(Debug)]
enum Credential {
    /// The value is marked as sensitive, and prints so.
    Header(HeaderName, HeaderValue),
    Query(&'static str, Secret),
    /// A token for this scope.
    Identity(Identity, &'static str),
}

/// How a type of connection says where its service is and what shows its key.
struct Shape {
    /// The key of the connection that holds the address, and what it is without one.
    base: (&'static str, Option<&'static str>),
    place: Place,
}

enum Place {
    Header(&'static str),
    Bearer,
    Query(&'static str),
}

/// Headers by which services of connections know who asks.
const CREDENTIALS: [HeaderName; 5] = [
    AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// The header of Azure's services that are no model.
const SUBSCRIPTION_KEY: Place = Place::Header("ocp-apim-subscription-key");
const API_KEY: Place = Place::Header("api-key");

fn shape(kind: Kind) -> Option<Shape> {
    let (base, place) = match kind {
        Kind::OpenAi => (("base_url", Some(OPENAI)), Place::Bearer),
        Kind::AzureOpenAi | Kind::CognitiveSearch | Kind::Qdrant => (("api_base", None), API_KEY),
        Kind::Serverless | Kind::Weaviate => (("api_base", None), Place::Bearer),
        Kind::AzureAiServices | Kind::AzureContentSafety | Kind::FormRecognizer => {
            (("endpoint", None), SUBSCRIPTION_KEY)
        }
        Kind::Serp => (("api_base", Some(SERP)), Place::Query("api_key")),
        Kind::Offline | Kind::Custom => return None,
    };
    Some(Shape { base, place })
}

impl Service {
    /// The service of a connection; none if the connection has no address.
    ///
    /// # Errors
    /// The address or the key cannot be used in HTTP.
    pub(super) fn of(
        connection: &Connection,
        identity: &Identity,
        upstreams: &Upstreams,
    ) -> Result<Option<Self>, Problem> {
        let problem = |what: String| Problem::new(&connection.origin, what);
        let Some(Shape { base: (key, default), place }) = shape(connection.kind) else { return Ok(None) };
        let Some(text) = connection.plain(key).or(default) else { return Ok(None) };
        let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| problem(format!("{key}: {text:?} is no address; expected https://…")))?;
        let credential = if connection.is_by_identity() {
            let scope = if connection.kind == Kind::CognitiveSearch { SEARCH } else { AI_SERVICES };
            Some(Credential::Identity(identity.clone(), scope))
        } else {
            connection.secret("api_key").map(|secret| place.credential(secret)).transpose().map_err(problem)?
        };
        let upstream = upstreams.of(&connection.name);
        upstream.grant();
        Ok(Some(Self { connection: connection.name.clone(), base, credential, upstream }))
    }

    pub(super) fn covers(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.base.host_str()
    }

    /// Whether it is asked.
    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Where an operator's own connection leads is the operator's affair, so any address will do.
    pub(super) fn allow(&self, allowed: &mut Allowed) {
        if let (Some(host), Some(port)) = (self.base.host_str(), self.base.port_or_known_default()) {
            allowed.add(host, port);
        }
    }

    /// Adds the key, in place of whatever the guest has put there. Nothing else that could name somebody goes with it: a
    /// service that knows two kinds of keys might take the guest's.
    ///
    /// # Errors
    /// A token is needed and cannot be had.
    pub(super) async fn authenticate(&self, url: &mut Url, headers: &mut HeaderMap) -> Result<(), CallError> {
        CREDENTIALS.iter().for_each(|name| _ = headers.remove(name));
        match &self.credential {
            None => {}
            Some(Credential::Header(name, value)) => _ = headers.insert(name, value.clone()),
            Some(Credential::Query(name, secret)) => {
                let kept: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
                url.query_pairs_mut().clear().extend_pairs(kept).append_pair(name, secret.expose());
            }
            Some(Credential::Identity(identity, scope)) => {
                let untold = |what: String| {
                    let message = format!("connection {:?}: {what}", self.connection);
                    CallError::new(CallErrorKind::Unauthenticated, message)
                };
                let token = identity.token(scope).await.map_err(|why| untold(why.to_string()))?;
                headers.insert(AUTHORIZATION, bearer(&token).map_err(untold)?);
            }
        }
        Ok(())
    }
}

/// Two connections to one service would leave open whose key is sent.
///
/// # Errors
/// Names two that lead to the same.
pub(super) fn no_two_alike<'a>(services: impl Iterator<Item = &'a Service>) -> Result<(), String> {
    let services: Vec<_> = services.collect();
    for (index, service) in services.iter().enumerate() {
        if let Some(other) = services[..index].iter().find(|other| other.covers(&service.base)) {
            return Err(format!(
                "connections {:?} and {:?} lead to the same service; grant one of them",
                other.connection, service.connection
            ));
        }
    }
    Ok(())
}

impl Place {
    fn credential(self, secret: &Secret) -> Result<Credential, String> {
        match self {
            Self::Header(name) => Ok(Credential::Header(HeaderName::from_static(name), header(secret.expose())?)),
            Self::Bearer => Ok(Credential::Header(AUTHORIZATION, bearer(secret)?)),
            Self::Query(name) => Ok(Credential::Query(name, secret.clone())),
        }
    }
}

fn bearer(secret: &Secret) -> Result<HeaderValue, String> {
    header(&format!("Bearer {}", secret.expose()))
}

fn header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "api_key: holds a sign that no HTTP header may have; is it whole?".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
