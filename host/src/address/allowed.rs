//! Exceptions: hosts and addresses that may be reached though they are not public, as people write them.

use std::net::{IpAddr, Ipv6Addr};

use super::{refusal, within_v4, within_v6};

/// Hosts and addresses that may be reached though they are not public. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    place: Place,
    /// None: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A name, in lower case: whatever addresses it has.
    Name(String),
    /// All addresses that share the first bits.
    Range(IpAddr, u8),
}

impl Allowed {
    /// Reads a list, separated by commas or white space: names (`registry.internal`), addresses (`10.1.2.3`, `::1`) and
    /// ranges (`10.0.0.0/8`, `fd00::/8`), each also with a port (`localhost:9000`, `[::1]:9000`, `10.0.0.0/8:443`).
    ///
    /// # Errors
    /// Names the first entry that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty());
        entries.map(Entry::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Adds a host, a name or an address as a URL has it, at one port.
    pub fn add(&mut self, host: &str, port: u16) {
        let host = plain(host);
        let place = host.parse().map_or(Place::Name(host), Place::address);
        self.0.push(Entry { place, port: Some(port) });
    }

    /// Adds all that another list allows.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Whether a connection to `address` may be made, which belongs to `host`: a name, or the address itself.
    pub fn permits(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let host = plain(host);
        let names = |entry: &&Entry| entry.port.is_none_or(|allowed| allowed == port);
        refusal(address).is_none() || self.0.iter().filter(names).any(|entry| entry.place.holds(&host, address))
    }

    /// [`Allowed::permits`] where only a name is known and not the port: a range with a port does not count, and a name
    /// with a port counts at every one, so that [`Allowed::opens`] has to be asked before.
    pub(super) fn permits_resolved(&self, name: &str, address: IpAddr) -> bool {
        let name = plain(name);
        let counts = |entry: &&Entry| entry.port.is_none() || matches!(entry.place, Place::Name(_));
        refusal(address).is_none() || self.0.iter().filter(counts).any(|entry| entry.place.holds(&name, address))
    }

    /// Whether a host, a name or an address as a URL has it, is listed for this port.
    pub fn names(&self, host: &str, port: u16) -> bool {
        let host = plain(host);
        let listed = |entry: &&Entry| entry.port.is_none_or(|allowed| allowed == port);
        self.0.iter().filter(listed).any(|entry| match host.parse::<IpAddr>() {
            Ok(address) => entry.place.holds(&host, address),
            Err(_) => entry.place == Place::Name(host.clone()),
        })
    }

    /// Whether a name is listed itself, for whichever port.
    pub(super) fn lists(&self, name: &str) -> bool {
        let name = Place::Name(plain(name));
        self.0.iter().any(|entry| entry.place == name)
    }

    /// Whether some address of `name` could be reached: it is listed, or a range is in which one may be.
    pub(super) fn may_hold(&self, name: &str) -> bool {
        let name = plain(name);
        self.0.iter().any(|entry| match &entry.place {
            Place::Name(listed) => *listed == name,
            Place::Range(..) => entry.port.is_none(),
        })
    }

    /// Whether `name` may be asked for at this port: if it is listed with a port, not at another.
    pub(super) fn opens(&self, name: &str, port: u16) -> bool {
        let name = plain(name);
        let mut listed = self.0.iter().filter(|entry| entry.place == Place::Name(name.clone())).peekable();
        listed.peek().is_none() || listed.any(|entry| entry.port.is_none_or(|allowed| allowed == port))
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "{text:?}: expected a host, an address or a range, with or without a port, such as \
                 registry.internal, 10.1.2.3:8080, [::1]:8080 or 10.0.0.0/8"
            )
        };
        let (place, port) = split_port(text).ok_or_else(expected)?;
        let place = Place::parse(place).ok_or_else(expected)?;
        Ok(Self { place, port })
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if let Some((address, length)) = text.split_once('/') {
            let (address, length): (IpAddr, u8) = (address.parse().ok()?, length.parse().ok()?);
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return (length <= bits).then_some(Self::Range(address, length));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::address(address));
        }
        let is_name = !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            // What only looks like an address, such as 10.0.0.300, is a slip.
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        is_name.then(|| Self::Name(plain(text)))
    }

    fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            address @ IpAddr::V4(_) => Self::Range(address, 32),
            address @ IpAddr::V6(_) => Self::Range(address, 128),
        }
    }

    fn holds(&self, host: &str, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::Name(name), _) => name == host,
            (Self::Range(IpAddr::V4(range), length), IpAddr::V4(address)) => within_v4(address, *range, *length),
            (Self::Range(IpAddr::V6(range), length), IpAddr::V6(address)) => within_v6(address, *range, *length),
            (Self::Range(..), _) => false,
        }
    }
}

/// Takes the port off an entry; none if what stands there is no port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some((inner, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(port) => Some((inner, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((inner, None)),
        };
    }
    let is_v6 = text.split('/').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    match text.split_once(':') {
        Some((place, port)) if !is_v6 => Some((place, Some(port.parse().ok()?))),
        _ => Some((text, None)),
    }
}

/// A host without brackets and the dot of a complete name, in lower case.
fn plain(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}
