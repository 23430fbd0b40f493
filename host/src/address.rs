//! Which network addresses may be reached on someone else's word: a guest's, a caller's, a flow's.
//!
//! Only public ones, unless the operator or a grant allows more. [`refusal`] knows the ranges, [`Allowed`] the
//! exceptions, and [`Guarded`] holds both against what an HTTP client connects to. A leaf: it sends nothing, and knows
//! neither who asks nor why.

mod allowed;
mod guarded;
mod resolver;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use self::allowed::Allowed;
pub use self::guarded::{Guarded, Refused};
pub use self::resolver::Resolver;

const METADATA: &str = "a cloud's metadata service";
const PRIVATE: &str = "a private network";
const LOOPBACK: &str = "this machine itself";
const LINK_LOCAL: &str = "the local link";
const MULTICAST: &str = "a multicast group";
const DOCUMENTATION: &str = "a range for documentation";
const RESERVED: &str = "a reserved range";

/// Ranges that are not public, and what is there. The first that holds an address names it, so single addresses stand
/// before the ranges they are in.
const RANGES_V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(169, 254, 169, 254), 32, METADATA),
    // Azure's platform: it answers DNS, and hands out a machine's certificates. The address is public by its looks.
    (Ipv4Addr::new(168, 63, 129, 16), 32, METADATA),
    (Ipv4Addr::new(192, 0, 0, 192), 32, METADATA),
    (Ipv4Addr::new(100, 100, 100, 200), 32, METADATA),
    // Systems take 0.0.0.0 for this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, PRIVATE),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 88, 99, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    // For measuring networks, and in use within some.
    (Ipv4Addr::new(198, 18, 0, 0), 15, PRIVATE),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MULTICAST),
    // With the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// As [`RANGES_V4`]. What is not in 2000::/3 is refused anyway; these are named for the sake of who reads the refusal.
const RANGES_V6: &[(Ipv6Addr, u8, &str)] = &[
    (Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254), 128, METADATA),
    (Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254), 128, METADATA),
    (Ipv6Addr::UNSPECIFIED, 128, LOOPBACK),
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    (Ipv6Addr::new(0x0064, 0xff9b, 1, 0, 0, 0, 0, 0), 48, PRIVATE),
    // Among them Teredo, which can lead to any IPv4 address.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32, DOCUMENTATION),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, DOCUMENTATION),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MULTICAST),
];

/// IPv6 ranges whose addresses lead to an IPv4 address, and the bit at which that begins.
const CARRIES_V4: &[(Ipv6Addr, u8, u8)] = &[
    // IPv4-mapped, which is how a socket for both kinds sees IPv4; translated; and compatible, long given up.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, 96),
    (Ipv6Addr::UNSPECIFIED, 96, 96),
    // NAT64, and 6to4.
    (Ipv6Addr::new(0x0064, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16),
];

/// Names that no public name server knows, by their ends.
const PRIVATE_ZONES: [&str; 9] =
    ["localhost", "local", "internal", "svc", "lan", "intranet", "private", "corp", "home.arpa"];

/// The address that a host of a URL is, which has brackets if it is one of IPv6; none: it is a name.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whether a name can only be one inside the operator's network: in such a zone, or without any.
pub fn is_private_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let within = |zone: &&str| host.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !host.contains('.') || PRIVATE_ZONES.iter().any(within)
}

/// What a private name leads to.
fn behind(name: &str) -> &'static str {
    let name = name.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") { LOOPBACK } else { PRIVATE }
}

/// Why an address may not be reached: what is there. None: it is public.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    RANGES_V4.iter().find(|(range, length, _)| within_v4(address, *range, *length)).map(|(_, _, what)| *what)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let named = RANGES_V6.iter().find(|(range, length, _)| within_v6(address, *range, *length));
    if let Some((_, _, what)) = named {
        return Some(what);
    }
    match carried_v4(address) {
        Some(carried) => refusal_v4(carried),
        None => (!within_v6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)).then_some(RESERVED),
    }
}

/// The IPv4 address that an IPv6 address leads to.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (_, _, bit) = CARRIES_V4.iter().find(|(range, length, _)| within_v6(address, *range, *length))?;
    let bits = address.to_bits() << bit >> (128 - 32);
    Some(Ipv4Addr::from_bits(u32::try_from(bits).expect("what is left of 128 bits without the lower 96 is 32")))
}

/// Whether the first `length` bits are those of `range`.
fn within_v4(address: Ipv4Addr, range: Ipv4Addr, length: u8) -> bool {
    let differing = address.to_bits() ^ range.to_bits();
    differing.leading_zeros() >= u32::from(length)
}

fn within_v6(address: Ipv6Addr, range: Ipv6Addr, length: u8) -> bool {
    let differing = address.to_bits() ^ range.to_bits();
    differing.leading_zeros() >= u32::from(length)
}
