//! Sends parcels to the ingestion service. What an answer means, answer.rs says.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Response, Url, redirect};

use super::answer::{Answer, unreadable};
use super::config::Connected;
use super::parcels;
use super::redirect::target;
use crate::identity::Identity;
use crate::secret::Secret;
use crate::telemetry::outbox::parcel::{Outcome, Parcel};

/// Longest wait for an answer, connection included: as the original's.
const PATIENCE: Duration = Duration::from_secs(10);
/// A service that does not take a connection for so long will not take one at all.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest answer that is read. It names each item that is refused, some hundred bytes each.
const MAX_ANSWER: usize = 1024 * 1024;
/// Most hosts that a parcel is sent on to.
const MAX_HOPS: usize = 5;

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "nothing can be sent to Application Insights at {address}: no root certificates are found; install ca-certificates or set SSL_CERT_FILE"
    )]
    Certificates { address: String },
}

/// Who sends to one resource.
#[derive(Debug)]
pub(super) struct Transmitter {
    client: Client,
    key: Secret,
    /// As it is set.
    endpoint: Url,
    /// Where a redirect has led to, until that fails.
    moved: Mutex<Option<Url>>,
    identity: Option<(Identity, String)>,
}

impl Transmitter {
    /// # Errors
    /// There are no certificates, and they are needed.
    pub(super) fn new(connected: &Connected) -> Result<Self, StartError> {
        let connection = &connected.connection;
        // reqwest takes the provider of the process. That somebody has installed one already serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none());
        if connection.endpoint.scheme() == "http" {
            // No certificates are needed, so an image without any will do.
            builder = builder.tls_certs_only([]);
        }
        let no_certificates = |_| StartError::Certificates { address: connection.shown() };
        Ok(Self {
            client: builder.build().map_err(no_certificates)?,
            key: connection.key.clone(),
            endpoint: track(&connection.endpoint),
            moved: Mutex::new(None),
            identity: connected.identity.clone().map(|identity| (identity, connection.scope.clone())),
        })
    }

    pub(super) fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Some(items) = parcels::items(parcel) else { return unreadable(parcel) };
            let body = packed(&parcels::addressed(&items, self.key.expose()));
            let token = match self.token().await {
                Ok(token) => token,
                Err(why) => return Outcome::Later { after: None, why },
            };
            match self.post(&body, token.as_ref()).await {
                Ok(response) => {
                    let (status, headers) = (response.status(), response.headers().clone());
                    let read = read(response).await;
                    let answer = Answer { status, headers: &headers, body: read.as_deref() };
                    self.strike(answer.outcome(parcel.signal, &items, SystemTime::now()), token.as_ref())
                }
                Err(why) => Outcome::Later { after: None, why },
            }
        })
    }

    /// A token for the service, if it is to have one.
    async fn token(&self) -> Result<Option<Secret>, String> {
        match &self.identity {
            None => Ok(None),
            Some((identity, scope)) => identity.token(scope).await.map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Sends to where the endpoint is now, and on to where it says that it has moved to.
    async fn post(&self, body: &Bytes, token: Option<&Secret>) -> Result<Response, String> {
        let mut url = self.moved().clone().unwrap_or_else(|| self.endpoint.clone());
        for _ in 0..=MAX_HOPS {
            let mut request = self
                .client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_ENCODING, "gzip")
                .header(ACCEPT, "application/json")
                .body(body.clone());
            if let Some(token) = token {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                    .map_err(|_| "the token of the identity is no header".to_owned())?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|error| {
                // Whoever it has moved to may be gone: the next attempt begins where it is set.
                *self.moved() = None;
                reason(&error).to_owned()
            })?;
            if !matches!(response.status().as_u16(), 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            url = target(&url, location)?;
            *self.moved() = Some(url.clone());
        }
        *self.moved() = None;
        Err("redirects go in a circle".to_owned())
    }

    fn moved(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        // Nothing is done under the lock that could leave it half written.
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service quotes keys and tokens that it does not like.
    fn strike(&self, mut outcome: Outcome, token: Option<&Secret>) -> Outcome {
        let key = self.key.expose();
        let spelled = [key.to_owned(), key.to_ascii_lowercase(), key.to_ascii_uppercase()].map(Secret::new);
        let why = outcome.why_mut();
        *why = spelled.iter().chain(token).fold(std::mem::take(why), |why, secret| secret.strike(&why));
        outcome
    }
}

/// The resource of the service that takes items, below an endpoint.
fn track(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/v2.1/track", endpoint.path().trim_end_matches('/')));
    url
}

fn packed(body: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish());
    written.expect("a vector takes everything").into()
}

/// The body of an answer; none if it is too long or breaks off.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        if body.len() + piece.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body)
}

/// Why no answer came. Holds no address: that is told where the exporter is.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_tracked_below_the_endpoint() {
        for (endpoint, expected) in [
            ("https://dc.services.visualstudio.com", "https://dc.services.visualstudio.com/v2.1/track"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/v2.1/track"),
            ("https://proxy/insights/", "https://proxy/insights/v2.1/track"),
        ] {
            assert_eq!(track(&Url::parse(endpoint).unwrap()).as_str(), expected);
        }
    }
}
