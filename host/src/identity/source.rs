//! Who gives tokens: the five places that Azure knows, what each wants to be asked, and what the answer says.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::NoToken;
use crate::secret::Secret;

/// Longest wait for a token, connection included. A machine's own service answers in milliseconds, the public one in
/// less than a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Time to connect. Off Azure nobody listens at the machine's address, and packets to it are mostly dropped.
const CONNECT: Duration = Duration::from_secs(3);

/// Most bytes of an answer. A token has some two thousand.
const MAX_ANSWER: usize = 64 * 1024;

/// Longest life that an answer may claim. Those of managed identities live a day.
const MAX_LIFE: Duration = Duration::from_hours(48);

const AUTHORITY: &str = "https://login.microsoftonline.com/";

const MACHINE: &str = "http://169.254.169.254/";

/// What is asked for tokens.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    client_id: Option<String>,
}

#[derive(Debug)]
enum Place {
    /// A service principal and its secret.
    Principal { authority: String, tenant: String, secret: Secret },
    /// A service principal and a file with a token of the cluster, which changes every hour.
    Workload { authority: String, tenant: String, file: PathBuf },
    /// App Service, Functions, Container Apps.
    AppService { endpoint: String, header: Secret },
    /// Compute and endpoints of Azure Machine Learning.
    MachineLearning { endpoint: String, secret: Secret },
    /// A virtual machine's own service.
    Machine { base: String },
}

impl Source {
    pub(super) fn choose(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let client_id = env("AZURE_CLIENT_ID");
        let authority = || env("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
        let tenant = env("AZURE_TENANT_ID").filter(|_| client_id.is_some());
        let pair = |address: &str, secret: &str| Some((env(address)?, Secret::new(env(secret)?)));
        let place = if let Some((tenant, secret)) = tenant.clone().zip(env("AZURE_CLIENT_SECRET")) {
            Place::Principal { authority: authority(), tenant, secret: Secret::new(secret) }
        } else if let Some((tenant, file)) = tenant.zip(env("AZURE_FEDERATED_TOKEN_FILE")) {
            Place::Workload { authority: authority(), tenant, file: file.into() }
        } else if let Some((endpoint, header)) = pair("IDENTITY_ENDPOINT", "IDENTITY_HEADER") {
            Place::AppService { endpoint, header }
        } else if let Some((endpoint, secret)) = pair("MSI_ENDPOINT", "MSI_SECRET") {
            Place::MachineLearning { endpoint, secret }
        } else {
            let base = env("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| MACHINE.to_owned());
            Place::Machine { base }
        };
        Self { place, client_id }
    }

    /// What was asked, for people: by the variables that led to it.
    pub(super) fn name(&self) -> &'static str {
        match self.place {
            Place::Principal { .. } => "the service principal (AZURE_CLIENT_ID, AZURE_CLIENT_SECRET)",
            Place::Workload { .. } => "the workload identity (AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE)",
            Place::AppService { .. } => "the managed identity (IDENTITY_ENDPOINT)",
            Place::MachineLearning { .. } => "the managed identity (MSI_ENDPOINT)",
            Place::Machine { .. } => {
                "the managed identity of the machine (no AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE, \
                 IDENTITY_ENDPOINT or MSI_ENDPOINT is set up)"
            }
        }
    }

    /// A token for a scope, and how long it lives.
    pub(super) async fn ask(&self, scope: &str) -> Result<(Secret, Duration), NoToken> {
        match timeout(PATIENCE, self.exchange(scope)).await {
            Ok(result) => result,
            Err(_) => Err(self.passing("no answer in time")),
        }
    }

    async fn exchange(&self, scope: &str) -> Result<(Secret, Duration), NoToken> {
        let response = self.request(scope)?.send().await.map_err(|error| {
            self.passing(if error.is_connect() { "it could not be reached" } else { "no answer that is HTTP" })
        })?;
        let status = response.status();
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| self.lasting("the answer holds no token"))?;
        // Whoever sends it puts it into a header.
        if !answer.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.lasting("the answer holds no token"));
        }
        let life = answer.life(SystemTime::now());
        Ok((Secret::new(answer.access_token), life))
    }

    fn request(&self, scope: &str) -> Result<RequestBuilder, NoToken> {
        match &self.place {
            Place::Principal { authority, tenant, secret } => {
                self.sign_in(authority, tenant, scope, &[("client_secret", secret.expose())])
            }
            Place::Workload { authority, tenant, file } => {
                let assertion = fs::read_to_string(file)
                    .map_err(|error| self.lasting(&format!("its file cannot be read: {}", error.kind())))?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let proof = [("client_assertion_type", kind), ("client_assertion", assertion.trim())];
                self.sign_in(authority, tenant, scope, &proof)
            }
            Place::AppService { endpoint, header } => {
                self.fetch(endpoint, scope, "2019-08-01", "client_id", ("x-identity-header", header.expose()))
            }
            Place::MachineLearning { endpoint, secret } => {
                self.fetch(endpoint, scope, "2017-09-01", "clientid", ("secret", secret.expose()))
            }
            Place::Machine { base } => {
                let endpoint = format!("{}/metadata/identity/oauth2/token", base.trim_end_matches('/'));
                self.fetch(&endpoint, scope, "2018-02-01", "client_id", ("metadata", "true"))
            }
        }
    }

    /// Asks Entra ID itself, with a proof of who we are.
    fn sign_in(
        &self,
        authority: &str,
        tenant: &str,
        scope: &str,
        proof: &[(&str, &str)],
    ) -> Result<RequestBuilder, NoToken> {
        let authority = authority.trim_end_matches('/');
        let mut url = self.address(authority)?;
        url.path_segments_mut().expect("an http address has a path").extend([tenant, "oauth2", "v2.0", "token"]);
        // A form is written as a query is.
        let mut form = url.clone();
        let client_id = self.client_id.as_deref().unwrap_or_default();
        form.query_pairs_mut()
            .extend_pairs([("grant_type", "client_credentials"), ("client_id", client_id), ("scope", scope)])
            .extend_pairs(proof);
        let body = form.query().unwrap_or_default().to_owned();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let client = self.client(&url, Client::builder())?;
        Ok(client.post(url).header(http::header::CONTENT_TYPE, kind).body(body))
    }

    /// Asks a service beside this process, which knows who we are.
    fn fetch(
        &self,
        endpoint: &str,
        scope: &str,
        version: &str,
        client_id: &str,
        (header, value): (&'static str, &str),
    ) -> Result<RequestBuilder, NoToken> {
        let mut url = self.address(endpoint)?;
        // These services know resources, which are scopes without their end.
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(id) = &self.client_id {
            url.query_pairs_mut().append_pair(client_id, id);
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| self.lasting("its secret is no HTTP header"))?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static(header), value)]);
        // It is never behind a proxy.
        let client = self.client(&url, Client::builder().no_proxy())?;
        Ok(client.get(url).headers(headers))
    }

    /// A client for one request: tokens are asked for once an hour, which is longer than connections are kept.
    fn client(&self, url: &Url, builder: reqwest::ClientBuilder) -> Result<Client, NoToken> {
        _ = rustls::crypto::ring::default_provider().install_default();
        // Without certificates where none are needed, so that an image without any will do.
        let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        let builder = builder.connect_timeout(CONNECT).redirect(redirect::Policy::none());
        builder.build().map_err(|_| self.lasting("no root certificates are found; install ca-certificates"))
    }

    fn address(&self, text: &str) -> Result<Url, NoToken> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| self.lasting("its address is none; expected https://… or http://…"))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, NoToken> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| self.passing("the answer broke off"))? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(self.lasting("the answer is too large"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The refusal by its status and code. What it says beyond that may name tenants and applications.
    fn refused(&self, status: StatusCode, body: &[u8]) -> NoToken {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let number = refusal.description.as_deref().and_then(|text| text.split(':').next());
        let number = number.filter(|number| number.starts_with("AADSTS"));
        let code = number.or(refusal.error.as_deref()).filter(|code| is_code(code));
        let why = code.map_or_else(|| status.to_string(), |code| format!("{status} ({code})"));
        // The machine's own service is not there at once when the machine starts.
        let may_pass = status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 410 | 429);
        NoToken { asked: self.name(), why, may_pass }
    }

    fn passing(&self, why: &str) -> NoToken {
        NoToken { asked: self.name(), why: why.to_owned(), may_pass: true }
    }

    fn lasting(&self, why: &str) -> NoToken {
        NoToken { asked: self.name(), why: why.to_owned(), may_pass: false }
    }
}

/// Whether a text can only be the code of an error.
fn is_code(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds from now, as a number or a text.
    #[serde(default)]
    expires_in: Value,
    /// Seconds since 1970, as a number or a text.
    #[serde(default)]
    expires_on: Value,
}

impl Answer {
    /// How long the token lives; no time at all if the answer does not say: then it is used once.
    fn life(&self, now: SystemTime) -> Duration {
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let until = || Some(seconds(&self.expires_on)?.saturating_sub(since_1970));
        seconds(&self.expires_in).or_else(until).map_or(Duration::ZERO, Duration::from_secs).min(MAX_LIFE)
    }
}

fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[derive(Default, Deserialize)]
struct Refusal {
    error: Option<String>,
    #[serde(rename = "error_description")]
    description: Option<String>,
}
