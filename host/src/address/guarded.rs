//! An HTTP client that reaches only what it may: the address that was checked is the one that is connected to.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::resolver::Origin;
use super::{Allowed, Resolver, behind, is_private_name, literal, refusal};

/// Holds a client's requests against [`Allowed`]. Clones share the list.
///
/// A client needs it twice, since it asks its resolver for names only: as
/// [`dns_resolver`](reqwest::ClientBuilder::dns_resolver), where a name gives only addresses that may be reached, so
/// that a name that changes its mind gains nothing; and by [`Guarded::check_url`] before each request and each redirect
/// that is followed. It has to go without a proxy, which would do the resolving.
#[derive(Clone, Debug)]
pub struct Guarded {
    allowed: Arc<Allowed>,
    /// Hosts beside those that are written down, though their addresses have to be public.
    written: Arc<[String]>,
    resolver: Resolver,
}

/// A host that may not be reached. The text is fit for guests and callers: it names no address that they did not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("host {host:?} may not be reached: it leads to {what}")]
    Address { host: String, what: &'static str },
    #[error("host {host:?} may not be reached at port {port}")]
    Port { host: String, port: u16 },
    #[error("expected a URL that begins with http:// or https://, found {scheme:?}")]
    Scheme { scheme: String },
}

impl Refused {
    /// What was refused, if that is why an HTTP client failed.
    pub fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref() {
                return Some(refused);
            }
            cause = error.source();
        }
        None
    }
}

impl Guarded {
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed: Arc::new(allowed), written: Arc::default(), resolver: Resolver::default() }
    }

    /// The same, where the operator or the flow has written down these hosts, as URLs have them. Nothing more is allowed
    /// by that; but names that others choose cannot keep them from being looked up.
    pub fn knowing(self, written: Vec<String>) -> Self {
        Self { written: written.into(), ..self }
    }

    /// One that asks somebody else than the machine for addresses.
    #[cfg(test)]
    pub(super) fn asking(allowed: Allowed, lookup: Arc<dyn super::resolver::Lookup>) -> Self {
        Self { resolver: Resolver::new(lookup), ..Self::new(allowed) }
    }

    /// Checks what a resolver is not asked: the scheme, the port, and an address that stands in the URL itself.
    ///
    /// # Errors
    /// If it may not be reached.
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme { scheme: url.scheme().to_owned() });
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let Some(address) = literal(host) else {
            // Not even looked up: who may not reach a name need not learn whether it exists.
            if is_private_name(host) && !self.allowed.may_hold(host) {
                return Err(Refused::Address { host: host.to_owned(), what: behind(host) });
            }
            let refused = || Refused::Port { host: host.to_owned(), port };
            return self.allowed.opens(host, port).then_some(()).ok_or_else(refused);
        };
        match refusal(address) {
            Some(what) if !self.allowed.permits(host, address, port) => {
                Err(Refused::Address { host: host.to_owned(), what })
            }
            _ => Ok(()),
        }
    }

    /// Whose choice a name is.
    pub(super) fn origin(&self, name: &str) -> Origin {
        let is_written = self.allowed.lists(name) || self.written.iter().any(|host| host.eq_ignore_ascii_case(name));
        if is_written { Origin::Written } else { Origin::Chosen }
    }

    /// Those addresses of a name that may be reached.
    ///
    /// # Errors
    /// If there are addresses, and none of them may be.
    pub(super) fn permitted(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let refused = found.iter().find_map(|address| refusal(address.ip()));
        let permitted: Vec<_> =
            found.into_iter().filter(|address| self.allowed.permits_resolved(name, address.ip())).collect();
        match refused {
            Some(what) if permitted.is_empty() => Err(Refused::Address { host: name.to_owned(), what }),
            _ => Ok(permitted),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.clone();
        async move {
            let found = guarded.resolver.addresses(name.as_str(), guarded.origin(name.as_str())).await?;
            let permitted = guarded.permitted(name.as_str(), found)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        }
        .boxed()
    }
}

impl Default for Guarded {
    fn default() -> Self {
        Self::new(Allowed::default())
    }
}
