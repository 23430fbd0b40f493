//! Components in OCI registries, as the artifacts that other tools of WebAssembly make and take: see registry/layout.rs. Who may
//! read them: see registry/access.rs. Nothing is pulled while a host serves; `weir build` does.

mod access;
mod layout;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::slice;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol, ImageLayer};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, ParseError};
use tokio::io::AsyncWrite;
use tokio::runtime::{Builder, Runtime};

use crate::sandbox::component::Digest;
use crate::units::Bytes;

pub use layout::Interfaces;

/// How long a registry may take to answer a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long it may say nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// The name of an artifact, such as `ghcr.io/acme/summarize:1.2@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(oci_client::Reference);

/// How registries are asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file in which Docker's tools keep names and passwords, if there is one.
    pub docker: Option<PathBuf>,
    /// Registries that are asked by plain HTTP, as `HOST` or `HOST:PORT`. Those of this machine always are.
    pub plain_http: Vec<String>,
    /// Whether to ask for what tags name now, in place of what was locked.
    pub update: bool,
    /// The largest component that is taken, in bytes.
    pub max_size: usize,
}

/// What asks registries.
#[derive(Debug)]
pub struct Registry {
    config: Config,
}

/// What was pulled.
#[derive(Debug)]
pub struct Artifact {
    pub component: Vec<u8>,
    /// Of its manifest, such as `sha256:…`: what holds a name to this very artifact.
    pub digest: String,
}

/// Why an artifact cannot be had, or put there.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{reference:?}: {source}; expected REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:DIGEST")]
    Reference { reference: String, source: ParseError },
    #[error("{reference}: is no component: {found}; expected one layer of type {}", layout::COMPONENT)]
    NoComponent { reference: String, found: String },
    #[error("{reference}: larger than {max}, the most that a component may have")]
    TooLarge { reference: String, max: Bytes },
    #[error("{registry}: {reason}")]
    Credentials { registry: String, reason: String },
    #[error(
        "{reference}: the registry gives it to nobody of this name and password; set `auths` in ~/.docker/config.json, as `docker login` does, or DOCKER_CONFIG to another folder with a config.json"
    )]
    Unauthorized { reference: String },
    #[error("{reference}: the registry has nothing of this name")]
    NotFound { reference: String },
    #[error("{reference}: what came is not what its digest says; somebody has changed it on the way")]
    Changed { reference: String },
    #[error("{reference}: {}", chain(source))]
    Failed { reference: String, source: Box<OciDistributionError> },
    #[error("no runtime: {0}")]
    Runtime(io::Error),
}

impl Reference {
    /// Whether it says which artifact it is for all time.
    pub fn is_pinned(&self) -> bool {
        self.0.digest().is_some()
    }

    /// The same, for all time.
    pub fn pinned(&self, digest: &str) -> String {
        let name = self.0.clone_with_digest(digest.to_owned());
        match self.0.tag() {
            Some(tag) => format!("{}/{}:{tag}@{digest}", name.registry(), name.repository()),
            None => format!("{}/{}@{digest}", name.registry(), name.repository()),
        }
    }

    /// The last part of its repository: what the component may be called.
    pub fn short_name(&self) -> &str {
        let repository = self.0.repository();
        repository.rsplit('/').next().unwrap_or(repository)
    }
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let invalid = |source| RegistryError::Reference { reference: text.to_owned(), source };
        text.parse().map(Self).map_err(invalid)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Registry {
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Whether what was locked of this name is good, without asking.
    pub fn stays(&self, reference: &Reference) -> bool {
        reference.is_pinned() || !self.config.update
    }

    /// Pulls a component. Blocks until it is there.
    ///
    /// # Errors
    /// It cannot be had, is none, or is not what its digest says.
    pub fn pull(&self, reference: &Reference) -> Result<Artifact, RegistryError> {
        let asked = self.ask(reference)?;
        runtime()?.block_on(asked.pull(self.config.max_size))
    }

    /// Pushes a component that has these interfaces, and gives the digest of its manifest. Blocks until it is there.
    ///
    /// # Errors
    /// The registry does not take it.
    pub fn push(
        &self,
        reference: &Reference,
        component: Vec<u8>,
        interfaces: &Interfaces,
    ) -> Result<String, RegistryError> {
        let asked = self.ask(reference)?;
        runtime()?.block_on(asked.push(component, interfaces))
    }

    fn ask<'a>(&self, reference: &'a Reference) -> Result<Asked<'a>, RegistryError> {
        // reqwest takes the provider of the process. That somebody has installed one already serves as well.
        _ = rustls::crypto::ring::default_provider().install_default();
        let registry = reference.0.resolve_registry();
        let known = |file: &PathBuf| access::credentials(file, registry);
        let auth = self
            .config
            .docker
            .as_ref()
            .map_or(Ok(RegistryAuth::Anonymous), known)
            .map_err(|reason| RegistryError::Credentials { registry: registry.to_owned(), reason })?;
        let is_plain =
            access::is_of_this_machine(registry) || self.config.plain_http.iter().any(|host| host == registry);
        let config = ClientConfig {
            protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
            platform_resolver: Some(Box::new(layout::of_index)),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("weir/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| failure(reference, error))?;
        Ok(Asked { client, auth, reference })
    }
}

/// One registry, about one artifact.
struct Asked<'a> {
    client: Client,
    auth: RegistryAuth,
    reference: &'a Reference,
}

impl Asked<'_> {
    async fn pull(&self, max_size: usize) -> Result<Artifact, RegistryError> {
        let failed = |error| failure(self.reference, error);
        let too_large =
            || RegistryError::TooLarge { reference: self.reference.to_string(), max: Bytes(max_size as u64) };
        let pulled = self.client.pull_image_manifest(&self.reference.0, &self.auth).await;
        let (manifest, digest) = pulled.map_err(failed)?;
        let layer = layout::component(&manifest)
            .map_err(|found| RegistryError::NoComponent { reference: self.reference.to_string(), found })?;
        if usize::try_from(layer.size).is_ok_and(|size| size > max_size) {
            return Err(too_large());
        }
        let mut bounded = Bounded { bytes: Vec::new(), max: max_size };
        match self.client.pull_blob(&self.reference.0, layer, &mut bounded).await {
            Ok(()) => Ok(Artifact { component: bounded.bytes, digest }),
            // What its manifest says of its size is not true.
            Err(OciDistributionError::IoError(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(too_large())
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn push(&self, component: Vec<u8>, interfaces: &Interfaces) -> Result<String, RegistryError> {
        let failed = |error| failure(self.reference, error);
        let layer = ImageLayer::new(component, layout::COMPONENT.to_owned(), None);
        let config = layout::config(&layer.sha256_digest(), interfaces);
        let mut manifest = OciImageManifest::build(slice::from_ref(&layer), &config, None);
        manifest.media_type = Some(layout::MANIFEST.to_owned());
        let text = serde_json::to_vec(&manifest).map_err(|error| failed(error.into()))?;
        let digest = format!("sha256:{}", Digest::of(&text));
        let (name, client) = (&self.reference.0, &self.client);
        client.store_auth_if_needed(name.resolve_registry(), &self.auth).await;
        client.push_blob(name, layer.data, &manifest.layers[0].digest).await.map_err(failed)?;
        client.push_blob(name, config.data, &manifest.config.digest).await.map_err(failed)?;
        let media_type = HeaderValue::from_static(layout::MANIFEST);
        client.push_manifest_raw(name, text, media_type).await.map_err(failed)?;
        Ok(digest)
    }
}

/// What takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.max {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn runtime() -> Result<Runtime, RegistryError> {
    Builder::new_current_thread().enable_all().build().map_err(RegistryError::Runtime)
}

/// What the library says, in our words where a person can act on it.
fn failure(reference: &Reference, error: OciDistributionError) -> RegistryError {
    use oci_client::errors::OciErrorCode as Code;

    let name = reference.to_string();
    let says = |codes: &[Code]| match &error {
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|it| codes.contains(&it.code))
        }
        _ => false,
    };
    match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            RegistryError::Unauthorized { reference: name }
        }
        OciDistributionError::ServerError { code: 401 | 403, .. } => RegistryError::Unauthorized { reference: name },
        _ if says(&[Code::Unauthorized, Code::Denied]) => RegistryError::Unauthorized { reference: name },
        OciDistributionError::ImageManifestNotFoundError(_) | OciDistributionError::ServerError { code: 404, .. } => {
            RegistryError::NotFound { reference: name }
        }
        _ if says(&[Code::ManifestUnknown, Code::NameUnknown, Code::NotFound]) => {
            RegistryError::NotFound { reference: name }
        }
        OciDistributionError::DigestError(_) => RegistryError::Changed { reference: name },
        error => RegistryError::Failed { reference: name, source: Box::new(error) },
    }
}

/// What went wrong, and by what.
fn chain(error: &OciDistributionError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_pinned_by_the_digest_of_its_manifest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, pinned, short) in [
            ("ghcr.io/acme/summarize:1.2", format!("ghcr.io/acme/summarize:1.2@{digest}"), "summarize"),
            ("localhost:5000/a", format!("localhost:5000/a:latest@{digest}"), "a"),
        ] {
            let name: Reference = text.parse().unwrap();
            assert!(!name.is_pinned(), "{text}");
            assert_eq!((name.pinned(&digest), name.short_name()), (pinned.clone(), short));
            let name: Reference = pinned.parse().unwrap();
            assert!(name.is_pinned(), "{pinned}");
        }
    }

    #[test]
    fn what_is_no_name_says_what_one_is() {
        for text in ["", "Acme/Summarize:1", "ghcr.io/a@sha256:12", "ghcr.io/a b", "oci://ghcr.io/a"] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?}: ")) && error.contains("expected REGISTRY/REPOSITORY"),
                "{error}"
            );
        }
    }
}
