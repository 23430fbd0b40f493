//! How HTTP clients are made that ask services: what all of them have in common.
//!
//! Redirects are not followed: a key goes to the address that the operator wrote, and each address of a node's is held
//! against its grant.

use reqwest::{Client, ClientBuilder, redirect};

/// Begins one.
pub(super) fn builder() -> ClientBuilder {
    // reqwest takes the provider of the process, and the exporters' clients do, too. That somebody has installed one
    // already serves as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(concat!("weir/", env!("CARGO_PKG_VERSION"))).redirect(redirect::Policy::none())
}

/// One for plain HTTP alone: an image without any certificates will do.
pub(super) fn without_certificates(builder: ClientBuilder) -> ClientBuilder {
    builder.tls_certs_only([])
}

/// The client.
///
/// # Errors
/// There are no certificates, and they are needed; says what to do.
pub(super) fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|_| {
        "no HTTPS client can be made: no root certificates are found; install ca-certificates or set SSL_CERT_FILE"
            .to_owned()
    })
}
