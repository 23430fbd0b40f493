//! By which name and password a registry is asked, and whether by TLS: as Docker's tools are told.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::net::IpAddr;
use std::path::Path;

use docker_credential::{CredentialRetrievalError as Problem, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

/// What Docker's `config.json` calls the registry that names without one are of.
const DOCKER_HUB: (&str, &str) = ("index.docker.io", "https://index.docker.io/v1/");

/// What Docker's `config.json` has for a registry: written there, or kept by a helper. Without such a file, nothing.
///
/// # Errors
/// It cannot be read, in words.
pub(super) fn credentials(config: &Path, registry: &str) -> Result<RegistryAuth, String> {
    let shown = config.display();
    let file = match File::open(config) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    let server = if registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { registry };
    match get_credential_from_reader(file, server) {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(RegistryAuth::Basic(name, password)),
        Ok(DockerCredential::IdentityToken(_)) => {
            Err(format!("{shown} has an identity token for it, which is not understood; log in by name and password"))
        }
        Err(Problem::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        // What a helper has printed may be a password.
        Err(Problem::HelperFailure { helper, .. }) => {
            Err(format!("the credential helper {helper:?} of {shown} has failed"))
        }
        Err(problem) => Err(format!("{shown}: {problem}")),
    }
}

/// Whether a registry is on this machine, where nobody listens: it is asked by plain HTTP, as Docker's tools do.
pub(super) fn is_of_this_machine(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_this_machine_are_known_by_their_names() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.0.1", "[::1]:5000"] {
            assert!(is_of_this_machine(registry), "{registry}");
        }
        for registry in ["ghcr.io", "localhost.example.com", "10.0.0.1:5000", "index.docker.io", "[2001:db8::1]:5000"] {
            assert!(!is_of_this_machine(registry), "{registry}");
        }
    }
}
