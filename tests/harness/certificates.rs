//! An authority inside the test, and the certificates that it gives: made anew for each test, so that none can run out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Who vouches for servers on the loopback address and for clients.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// Whether a server wants to know its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Anyone may come.
    Any,
    /// Those that the authority vouches for.
    Known,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate can be signed");
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        fs::write(folder.path().join("authority.pem"), issuer.pem()).expect("the test's own folder can be written");
        Self { issuer, folder }
    }

    /// The file that says whom to trust.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Gives a client a certificate: the files of the certificate and its key, in place of what was there before.
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        write_whole(&path("key"), &key);
        write_whole(&path("pem"), &certificate);
        (path("pem"), path("key"))
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let names = vec![name.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// TLS for a server on the loopback address, for both versions of HTTP.
    pub(crate) fn server(&self, clients: Clients) -> Arc<ServerConfig> {
        let (certificate, key) = self.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        let certificate =
            CertificateDer::from_pem_slice(certificate.as_bytes()).expect("what was just made can be read");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("what was just made can be read");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("ring knows them");
        let builder = match clients {
            Clients::Any => builder.with_no_client_auth(),
            Clients::Known => {
                let mut roots = RootCertStore::empty();
                roots.add(self.issuer.der().clone()).expect("the authority is one");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("there is an authority"))
            }
        };
        let mut config = builder.with_single_cert(vec![certificate], key).expect("the key is that of the certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Whoever reads the file sees what was there before, or all that is new.
fn write_whole(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).expect("the test's own folder can be written");
    fs::rename(&draft, path).expect("the test's own folder can be written");
}
