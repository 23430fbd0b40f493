//! Certificates out of files: read at start, and anew when they have changed, so that a certificate that is replaced every
//! few hours needs no restart.

use std::fmt;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::config::{ClientFiles, File, Files};

/// What the files hold: PEM that has been looked at.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    /// Whom to trust; none: whom the machine trusts.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) client: Option<Client>,
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Certificates {
    /// # Errors
    /// All that is wrong with the files, each with the variable that names it.
    pub(super) fn read(files: &Files) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |result: Result<Vec<u8>, String>| result.map_err(|problem| problems.push(problem)).ok();
        let authorities = files.authorities.as_ref().and_then(|file| keep(authorities(file)));
        let client = files.client.as_ref().and_then(|ClientFiles { certificate, key }| {
            let (chain, secret) = (keep(certificates(certificate)), keep(private_key(key)));
            let client = Client { certificate: chain?, key: secret? };
            keep(client.fits(certificate, key).map(|()| Vec::new()))?;
            Some(client)
        });
        if problems.is_empty() { Ok(Self { authorities, client }) } else { Err(problems) }
    }
}

impl Client {
    /// Whether the key is that of the certificate.
    fn fits(&self, certificate: &File, key: &File) -> Result<(), String> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).filter_map(Result::ok).collect();
        let secret = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| told(key, "it holds no key"))?;
        match CertifiedKey::from_der(chain, secret, &ring::default_provider()) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(told(key, &format!("it is not the key of {:?}", certificate.path)))
            }
            Err(error) => Err(told(key, &format!("it cannot be used with {:?}: {error}", certificate.path))),
        }
    }
}

fn authorities(file: &File) -> Result<Vec<u8>, String> {
    let pem = certificates(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok) {
        roots
            .add(certificate)
            .map_err(|error| told(file, &format!("one of its certificates is not valid: {error}")))?;
    }
    Ok(pem)
}

/// The text of a file that holds certificates, and nothing that only looks like them.
fn certificates(file: &File) -> Result<Vec<u8>, String> {
    let pem = read(file)?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| told(file, &format!("it cannot be read as PEM: {error}")))?;
        count += 1;
    }
    if count == 0 {
        return Err(told(file, "it holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----"));
    }
    Ok(pem)
}

fn private_key(file: &File) -> Result<Vec<u8>, String> {
    let pem = read(file)?;
    // The error could quote what is secret.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        told(file, "it holds no key; it must be PEM without a password, with -----BEGIN PRIVATE KEY-----")
    })?;
    Ok(pem)
}

fn read(file: &File) -> Result<Vec<u8>, String> {
    fs::read(&file.path).map_err(|error| told(file, &format!("it cannot be read: {error}")))
}

fn told(file: &File, what: &str) -> String {
    format!("{}: {:?}: {what}", file.variable, file.path)
}

type Make<C> = dyn Fn(&Certificates) -> Result<C, String> + Send + Sync;

/// Something that is made of certificates, and made anew when their files have changed.
pub(super) struct Renewed<C> {
    files: Files,
    make: Box<Make<C>>,
    made: Mutex<Made<C>>,
}

struct Made<C> {
    current: C,
    /// What the files looked like when they were last read.
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl<C> fmt::Debug for Renewed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").field("files", &self.files).finish_non_exhaustive()
    }
}

impl<C: Clone> Renewed<C> {
    /// # Errors
    /// The files cannot be used, or it cannot be made of them.
    pub(super) fn new(
        files: &Files,
        make: impl Fn(&Certificates) -> Result<C, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        // Before they are read: a change in between is seen next time.
        let seen = look(files);
        let certificates = Certificates::read(files).map_err(|problems| problems.join("; "))?;
        let current = make(&certificates)?;
        Ok(Self { files: files.clone(), make: Box::new(make), made: Mutex::new(Made { current, seen }) })
    }

    /// The one that goes with the files as they are now. While they cannot be used (one of two that belong together may
    /// not be written yet), the last one that could.
    pub(super) fn get(&self) -> C {
        // Nothing is done under the lock that could leave it half made.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = look(&self.files);
        if seen != made.seen {
            made.seen = seen;
            let certificates = Certificates::read(&self.files).map_err(|problems| problems.join("; "));
            match certificates.and_then(|certificates| (self.make)(&certificates)) {
                Ok(current) => {
                    made.current = current;
                    tracing::info!("certificates for telemetry were read anew");
                }
                Err(problem) => tracing::warn!(problem, "certificates for telemetry stay as they were"),
            }
        }
        made.current.clone()
    }
}

/// When the files were written, and how long they are.
fn look(files: &Files) -> Vec<Option<(SystemTime, u64)>> {
    let client = files.client.iter().flat_map(|client| [&client.certificate, &client.key]);
    let named = files.authorities.iter().chain(client);
    named
        .map(|file| {
            let found = fs::metadata(&file.path).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests;
