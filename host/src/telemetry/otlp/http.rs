//! OTLP over HTTP: one POST for each parcel.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use reqwest::redirect;

use super::super::outbox::parcel::{FLIGHTS, Outcome, Parcel};
use super::answer;
use super::config::{Compression, Endpoint};
use super::tls::{Certificates, Renewed};
use super::token::Token;

/// A collector that does not take a connection for so long will not take one at all.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends to one address.
#[derive(Debug)]
pub(super) struct Http {
    url: reqwest::Url,
    headers: HeaderMap,
    compression: Compression,
    token: Option<Token>,
    client: Renewed<reqwest::Client>,
}

impl Http {
    /// # Errors
    /// The address or the certificates cannot be used.
    pub(super) fn new(endpoint: &Endpoint, token: Option<Token>) -> Result<Self, String> {
        let url: reqwest::Url = endpoint.url.parse().map_err(|error| format!("it is no address: {error}"))?;
        let is_https = url.scheme() == "https";
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]);
        if endpoint.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.extend(endpoint.headers.clone());
        let client = Renewed::new(&endpoint.tls, move |certificates| client(certificates, is_https))?;
        Ok(Self { url, headers, compression: endpoint.compression, token, client })
    }

    /// One attempt; whoever calls sees to the time.
    pub(super) async fn attempt(&self, parcel: &Parcel) -> Outcome {
        let mut headers = self.headers.clone();
        if let Some(token) = &self.token {
            match token.header().await {
                Ok(value) => _ = headers.insert(AUTHORIZATION, value),
                Err(why) => return Outcome::Later { after: None, why },
            }
        }
        let body = match self.compression {
            Compression::None => parcel.body.clone(),
            Compression::Gzip => super::gzip(&parcel.body),
        };
        let request = self.client.get().post(self.url.clone()).headers(headers).body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Later { after: None, why: failed(error) },
        };
        let (status, headers) = (response.status(), response.headers().clone());
        match whole(response).await {
            Ok(body) => answer::http(parcel, status, &headers, &body),
            // What the status says holds, but for success: whether all of it was taken is in what is missing.
            Err(_) if !status.is_success() => answer::http(parcel, status, &headers, &Bytes::new()),
            Err(why) => Outcome::Later { after: None, why },
        }
    }
}

fn client(certificates: &Certificates, is_https: bool) -> Result<reqwest::Client, String> {
    // reqwest takes the provider of the process. That somebody has installed one already serves as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(super::USER_AGENT)
        .connect_timeout(CONNECT)
        // One for each parcel that may be on its way: with fewer, most parcels would have to make one.
        .pool_max_idle_per_host(FLIGHTS)
        // The headers hold keys that are meant for this address alone.
        .redirect(redirect::Policy::none());
    if let Some(pem) = &certificates.authorities {
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| chain(&error))?;
        builder = builder.tls_certs_only(roots);
    } else if !is_https {
        // No certificates are needed, so an image without any will do.
        builder = builder.tls_certs_only([]);
    }
    if let Some(client) = &certificates.client {
        let both = [client.key.as_slice(), b"\n", &client.certificate].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&both).map_err(|error| chain(&error))?);
    }
    builder.build().map_err(|error| chain(&error))
}

/// The whole body of an answer, if it is none too long.
async fn whole(response: reqwest::Response) -> Result<Bytes, String> {
    let mut body = Vec::new();
    let mut pieces = std::pin::pin!(http_body_util::BodyDataStream::new(reqwest::Body::from(response)));
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| format!("the answer broke off: {}", chain(&error.without_url())))?;
        if body.len() + piece.len() > answer::MAX_ANSWER {
            return Err(format!("the answer is longer than {} bytes; no collector's is", answer::MAX_ANSWER));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}

/// What is told of a request that had no answer. The address is left out: it may hold a key, and is told elsewhere.
fn failed(error: reqwest::Error) -> String {
    let error = error.without_url();
    let what = if error.is_connect() { "no connection" } else { "no answer" };
    format!("{what}: {}", chain(&error))
}

/// The innermost cause says what has happened; what is around it says where, which is known.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| (*error).source()).last();
    answer::brief(&innermost.map_or_else(String::new, ToString::to_string))
}
