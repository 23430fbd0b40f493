//! Are our dependencies free of the faults we know of? Holds `Cargo.lock` against lowest versions.
//!
//! A table of our own, because the advisory database cannot be fetched where these tests run, and a snapshot of it says
//! "clean" about what it does not know. A row is raised on the day of the advisory and is never removed.

use std::fmt;

/// The crate, the lowest version we accept, and what is wrong below it.
const FLOORS: &[(&str, &str, &str)] = &[
    // The sandbox. The 48 line is supported to its end with fixes; 36 advisories were fixed on it before 48.0.8.
    ("wasmtime", "48.0.8", "GHSA-394w-hwhg-8vgm: strings lifted out of bounds; and 35 more up to 2026-10-29"),
    ("wasmtime-wasi", "48.0.8", "GHSA-vqjp-4c8c-hfgg: a trailing slash leaves the granted folder"),
    ("wasmtime-wasi-http", "48.0.8", "GHSA-jxcf-8qw5-5c33: trailers pass the filter of headers; and five more"),
    (
        "cranelift-codegen",
        "0.135.8",
        "goes with wasmtime: GHSA-xx5w-cvp6-jv83 and others are faults of the code it makes",
    ),
    ("cap-primitives", "4.0.3", "CVE-2024-51745: names of devices leave the folder; and what came after"),
    ("rustix", "0.38.19", "GHSA-c827-hfw6-qwvm: reading a folder takes memory without bound"),
    // What reads from the network.
    ("axum", "0.8.9", "arms no timer for heads, so the host has listeners of its own; older ones are not known to us"),
    ("axum-core", "0.3.0", "RUSTSEC-2022-0055: bodies without a limit"),
    ("serde-saphyr", "2.1.1", "the first that bounds all that we set bounds for: aliases, depth, nodes, bytes"),
    ("hyper", "1.12.0", "the line that asks for a safe h2, see there"),
    ("h2", "0.4.20", "RUSTSEC-2026-0258: empty frames are queued without a limit; and what came after"),
    ("tonic", "0.12.3", "RUSTSEC-2024-0376: a TCP error ends the accept loop"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007: `reserve` overflows, and writes go out of bounds"),
    ("idna", "1.0.0", "RUSTSEC-2024-0421: Punycode that decodes to ASCII passes for another host"),
    // Cryptography.
    ("rustls", "0.23.46", "RUSTSEC-2026-0285: handshake messages are accepted across a change of keys"),
    ("rustls-webpki", "0.103.13", "RUSTSEC-2026-0104, -0099, -0098: name constraints and revocation lists are misread"),
    ("ring", "0.17.12", "RUSTSEC-2025-0009: some AES calls panic on overflow"),
    // Running and telling.
    ("tokio", "1.44.2", "RUSTSEC-2025-0023: broadcast channels clone in parallel without `Sync`"),
    ("mio", "0.8.11", "RUSTSEC-2024-0019: tokens of named pipes outlive them"),
    ("slab", "0.4.11", "RUSTSEC-2025-0047: `get_disjoint_mut` checks the wrong bound"),
    ("crossbeam-epoch", "0.9.20", "RUSTSEC-2026-0204: printing a pointer dereferences it"),
    ("time", "0.3.47", "RUSTSEC-2026-0009: dates of RFC 2822 use up the stack"),
    ("regex", "1.5.5", "RUSTSEC-2022-0013: small patterns take for ever to compile"),
    ("thread_local", "1.1.4", "RUSTSEC-2022-0006: iterating races with writers"),
    ("hashbrown", "0.15.1", "RUSTSEC-2024-0402: two encodings of one map"),
    ("anyhow", "1.0.103", "RUSTSEC-2026-0190: `downcast_mut` of an error with context is unsound"),
    ("smallvec", "1.6.1", "RUSTSEC-2021-0003: `insert_many` overflows the buffer"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055: escape sequences reach the terminal"),
    ("opentelemetry_sdk", "0.33.1", "older ones lose spans in a flush and read baggage without a limit"),
    ("opentelemetry-proto", "0.33.1", "goes with the SDK, whose spans it turns into messages"),
];

/// Crates that may not come in, and what we use or do instead.
const REFUSED: &[(&str, &str)] = &[
    ("serde_yaml", "unmaintained, bounds neither depth nor aliases; serde-saphyr does"),
    ("openssl-sys", "TLS is rustls with ring, so that the binary is whole"),
    ("native-tls", "see openssl-sys"),
    ("aws-lc-sys", "a second cryptography library that needs cmake; choose the crate's ring feature"),
    ("opentelemetry-application-insights", "cuts text within a character, which ends all export"),
];

#[test]
fn no_dependency_is_older_than_its_lowest_safe_version() {
    let locked = locked();
    let mut faults = Vec::new();
    for (name, floor, reason) in FLOORS {
        for package in locked.iter().filter(|package| package.name == *name && package.version < Version::parse(floor))
        {
            faults.push(format!("{package} is below {floor} ({reason}); run `cargo update -p {name}`"));
        }
    }
    assert!(faults.is_empty(), "Cargo.lock:\n{}", faults.join("\n"));
}

/// Each twelfth version gets its faults mended for two years, the others for two months.
#[test]
fn the_engine_is_of_a_line_that_is_supported_for_long() {
    let engine = locked().into_iter().find(|package| package.name == "wasmtime").expect("the sandbox is wasmtime");
    assert_eq!(engine.version.0[0] % 12, 0, "{engine}");
}

#[test]
fn every_floor_is_of_a_crate_that_we_use() {
    let locked = locked();
    let unused: Vec<&str> =
        FLOORS.iter().map(|row| row.0).filter(|name| !locked.iter().any(|package| package.name == *name)).collect();
    assert_eq!(unused, Vec::<&str>::new(), "these rows of FLOORS guard nothing");
}

#[test]
fn no_refused_crate_has_come_in() {
    let locked = locked();
    let mut faults = Vec::new();
    for (name, reason) in REFUSED {
        faults.extend(locked.iter().filter(|package| package.name == *name).map(|found| format!("{found}: {reason}")));
    }
    assert!(faults.is_empty(), "Cargo.lock; `cargo tree -i NAME` shows who asks for it:\n{}", faults.join("\n"));
}

/// Everything that is locked in this repository.
const LOCKS: [&str; 5] = [
    "Cargo.lock",
    "tests/guests/Cargo.lock",
    "tests/fuzz/Cargo.lock",
    "examples/custom-node/nodes/Cargo.lock",
    "examples/flex-research/nodes/Cargo.lock",
];

/// What may come without a checksum, since it is in this repository; and the nodes of the examples.
const OURS: [&str; 4] = ["weir", "answer", "classify", "split_ticket"];

#[test]
fn every_dependency_is_of_the_registry_and_known_by_its_checksum() {
    let mut faults = Vec::new();
    for lock in LOCKS {
        let path = format!("{}/../{lock}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the repository has this file");
        for package in text.split("[[package]]").skip(1) {
            let field = |name: &str| package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            let name = field("name").unwrap_or_default().trim_matches('"');
            let is_ours = (OURS.contains(&name) || name.starts_with("weir-"))
                && field("source").is_none()
                && field("checksum").is_none();
            let is_theirs = field("source") == Some("\"registry+https://github.com/rust-lang/crates.io-index\"")
                && field("checksum").is_some_and(|checksum| checksum.len() == 66);
            if !is_ours && !is_theirs {
                faults.push(format!("{lock}: {package}"));
            }
        }
    }
    assert!(faults.is_empty(), "what comes by git or from elsewhere is nobody's to check:\n{}", faults.join("\n"));
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(Version::parse("0.9.10") > Version::parse("0.9.9"));
    assert!(Version::parse("48.0.8") > Version::parse("9.0.0"));
    assert!(Version::parse("1.0.0-rc.1") == Version::parse("1.0.0"));
    assert!(Version::parse("1.2.3+build-7") == Version::parse("1.2.3"));
}

struct Package {
    name: String,
    version: Version,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version([major, minor, patch]) = self.version;
        write!(f, "{} {major}.{minor}.{patch}", self.name)
    }
}

/// The three numbers; what follows them (a pre-release, a build) is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u64; 3]);

impl Version {
    fn parse(text: &str) -> Self {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.').map(|part| part.parse().expect("a version is three numbers"));
        Self([(); 3].map(|()| parts.next().expect("a version is three numbers")))
    }
}

fn locked() -> Vec<Package> {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let text = std::fs::read_to_string(lock).expect("the repository has a Cargo.lock");
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|value| value.strip_suffix('"')).map(str::to_owned)
    };
    let packages = text.split("[[package]]").skip(1).map(|block| {
        let version = field(block, "version").expect("a locked package has a version");
        Package { name: field(block, "name").expect("a locked package has a name"), version: Version::parse(&version) }
    });
    packages.collect()
}
