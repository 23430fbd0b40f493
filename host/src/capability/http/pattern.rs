//! What an address in `grants.http` covers: `https://api.example.com`, `https://*.example.com/v1`, `http://10.1.2.3:9000`.

use std::net::IpAddr;

use reqwest::Url;

use crate::address::Allowed;

/// Names that no public name server knows, by their ends. A grant that names such a host in full means an address
/// inside the operator's network, and so grants that address.
const PRIVATE_ZONES: [&str; 9] =
    ["localhost", "local", "internal", "svc", "lan", "intranet", "private", "corp", "home.arpa"];

/// Services by scheme, host, port and the beginning of the path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
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
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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

    pub(super) fn covers(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && url.host_str().is_some_and(|host| self.host.covers(host))
            && self.covers_path(url.path())
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Adds the host if it can only be one inside the operator's network: an address, or a private name.
    pub(super) fn allow(&self, allowed: &mut Allowed) {
        if let Host::Exact(host) = &self.host
            && (is_address(host) || is_private(host))
        {
            allowed.add(host, self.port);
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

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Below(zone) => host.len() > zone.len() && host.ends_with(zone),
            Self::Any => true,
        }
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn is_private(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let within = |zone: &&str| host.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.contains('.') || PRIVATE_ZONES.iter().any(within)
}
