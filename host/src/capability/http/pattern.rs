//! What an address in `grants.http` covers: `https://api.example.com`, `https://*.example.com/v1`, `http://10.1.2.3:9000`.

use std::fmt;

use reqwest::Url;

use crate::address::{Allowed, is_private_name, literal};

/// Services by scheme, host, port and the beginning of the path.
#[derive(Debug, PartialEq, Eq)]
pub struct Pattern {
    scheme: String,
    host: Host,
    port: u16,
    /// `/` covers all.
    path: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    /// As a URL has it: in lower case, addresses in their usual form.
    Exact(String),
    /// `*.example.com`: every name below, at any depth, and not `example.com` itself. With its first dot.
    Below(String),
    /// `*`
    Any,
}

impl Pattern {
    /// # Errors
    /// Says what is wrong, and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "{text:?}: expected a scheme and a host, with or without a port and a path, such as \
                 https://api.example.com, https://*.example.com/v1 or http://127.0.0.1:9000"
            )
        };
        let url = Url::parse(text).map_err(|_| expected())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(expected());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{text:?}: holds a user or a password; grant {{connection: NAME}} for a service with a key"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?}: a query cannot be granted; leave out what follows the path"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Err(expected()) };
        let host = Host::parse(host).ok_or_else(|| {
            format!("{text:?}: `*` stands for whole names at the front of a host, such as https://*.example.com")
        })?;
        Ok(Self { scheme: url.scheme().to_owned(), host, port, path: url.path().to_owned() })
    }

    pub fn covers(&self, url: &Url) -> bool {
        self.covers_host_of(url) && self.covers_path(url.path())
    }

    /// Whether it covers something of the service at this address.
    pub(super) fn covers_host_of(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && url.host_str().is_some_and(|host| self.host.covers(host))
    }

    /// Whether all that another pattern covers is covered by this one.
    pub(super) fn contains(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.contains(&other.host)
            && self.covers_path(&other.path)
    }

    /// The host and the port, if it can only be one inside the operator's network.
    pub(super) fn private_host(&self) -> Option<(&str, u16)> {
        let host = self.host().filter(|host| literal(host).is_some() || is_private_name(host));
        host.map(|host| (host, self.port))
    }

    /// The host, if it names one and not all of some.
    pub(super) fn host(&self) -> Option<&str> {
        match &self.host {
            Host::Exact(host) => Some(host),
            Host::Below(_) | Host::Any => None,
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Adds the host if it can only be one inside the operator's network: an address, or a private name. A grant that
    /// names such a host in full means an address there, and so grants it.
    pub(super) fn allow(&self, allowed: &mut Allowed) {
        if let Some((host, port)) = self.private_host() {
            allowed.add(host, port);
        }
    }

    fn covers_path(&self, path: &str) -> bool {
        if self.path == "/" {
            return true;
        }
        // What servers may take for `/`, `\` or `.` after this comparison leads out of the path.
        let escapes = path.split('%').skip(1).filter_map(|rest| rest.get(..2));
        let hidden = escapes.map(str::to_ascii_lowercase).any(|sign| ["2f", "5c", "2e"].contains(&sign.as_str()));
        let rest = path.strip_prefix(self.path.as_str());
        !hidden && rest.is_some_and(|rest| self.path.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    }
}

impl Host {
    fn parse(host: &str) -> Option<Self> {
        match host.strip_prefix('*') {
            None => (!host.contains('*')).then(|| Self::Exact(host.to_owned())),
            Some("") => Some(Self::Any),
            Some(rest) => (rest.starts_with('.') && !rest.contains('*')).then(|| Self::Below(rest.to_owned())),
        }
    }

    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(host)) => self.covers(host),
            (Self::Below(zone), Self::Below(other)) => other.ends_with(zone),
            (Self::Any, _) => true,
            (Self::Exact(_) | Self::Below(_), Self::Below(_) | Self::Any) => false,
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Below(zone) => host.len() > zone.len() && host.ends_with(zone),
            Self::Any => true,
        }
    }
}

/// As it may be written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let usual = if self.is_https() { 443 } else { 80 };
        write!(f, "{scheme}://{host}")?;
        if *port != usual {
            write!(f, ":{port}")?;
        }
        if path == "/" { Ok(()) } else { f.write_str(path) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(zone) => write!(f, "*{zone}"),
            Self::Any => f.write_str("*"),
        }
    }
}
