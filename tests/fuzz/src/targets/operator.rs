//! What the operator writes: the configuration file, variables, and hosts that may be reached; and what the host keeps on
//! disk between two starts.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::LazyLock;

use reqwest::Url;
use weir::address::{self, Allowed, Guarded};
use weir::capability::http::pattern::Pattern;
use weir::config::{File, Layers, Settings};
use weir::journal::{Journal, Limits};

use super::{MAX_TEXT, MAX_TOLD, bounded, text};

/// A configuration file, and variables with a line each: `NAME=value`.
pub fn config(data: &[u8]) {
    static KEYS: LazyLock<Vec<String>> = LazyLock::new(Settings::keys);
    // Some settings name files, which are read at once. Those of the system may never end.
    let Some(text) = text(data).filter(|text| !text.contains("/dev") && !text.contains("/proc")) else { return };
    let file = File::parse(Path::new("weir.yaml"), text, &KEYS);
    settings(file.as_ref().ok(), &HashMap::new());
    bounded(file.map(|file| (file, Vec::new())));
    settings(None, &text.lines().filter_map(|line| line.split_once('=')).collect());
}

fn settings(file: Option<&File>, variables: &HashMap<&str, &str>) {
    let environment = |name: &str| variables.get(name).map(|text| (*text).to_owned()).filter(|text| !text.is_empty());
    let layers = Layers { variables: &[], flags: &[], environment: &environment, file, deployment: None };
    match Settings::read(&layers) {
        Ok(settings) => {
            assert!(settings.flows.timeout.as_secs() <= 3600, "no request may take longer");
            for found in settings.found {
                let told = format!("{found:?}");
                let secret = found.text.filter(|text| found.setting.secret && text.len() > 8);
                assert!(secret.is_none_or(|secret| !told.contains(&secret)), "{} is shown", found.setting.variable);
            }
        }
        Err(problems) => {
            let told: usize = problems.iter().map(String::len).sum();
            assert!(told <= MAX_TOLD, "{told} bytes are told about settings");
        }
    }
}

/// Hosts that may be reached, on the first line; and addresses that somebody asks for, on the others, each of which is a grant
/// as well.
pub fn egress_url(data: &[u8]) {
    let Some(text) = text(data).filter(|text| text.len() <= 16 * 1024) else { return };
    let (list, urls) = text.split_once('\n').unwrap_or(("", text));
    let allowed = Allowed::parse(list).unwrap_or_else(|told| {
        assert!(told.len() <= 256 + 8 * list.len(), "{} bytes are told", told.len());
        Allowed::default()
    });
    granted(&urls.lines().take(16).collect::<Vec<_>>());
    for url in urls.lines().filter_map(|line| Url::parse(line).ok()) {
        let (nobody, some) = (Guarded::default().check_url(&url), Guarded::new(allowed.clone()).check_url(&url));
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            assert!(nobody.is_err() && some.is_err(), "{url} is not of the web");
            continue;
        };
        let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { continue };
        assert_eq!(nobody.is_ok(), is_public(address), "{url}");
        assert!(nobody.is_err() || some.is_ok(), "{url}: what is public needs no leave");
        let port = url.port_or_known_default().expect("the web's schemes have one");
        assert_eq!(some.is_ok(), allowed.permits(host, address, port), "{url}");
        if let IpAddr::V4(address) = address {
            spelled(address, nobody.is_ok());
        }
    }
}

/// A grant covers what it says and nothing else, whichever of the addresses it is.
fn granted(lines: &[&str]) {
    for line in lines {
        let Ok(pattern) = Pattern::parse(line) else { continue };
        let grant = Url::parse(line).expect("a grant is an address");
        for url in lines.iter().filter_map(|line| Url::parse(line).ok()) {
            assert_eq!(pattern.covers(&url), is_covered(&grant, &url), "{grant} and {url}");
        }
    }
}

fn is_covered(grant: &Url, url: &Url) -> bool {
    let (Some(granted), Some(host)) = (grant.host_str(), url.host_str()) else { return false };
    let host = match granted.split_once('*') {
        None => granted == host,
        Some((_, "")) => true,
        Some((_, zone)) => host.len() > zone.len() && host.ends_with(zone),
    };
    let (within, path) = (grant.path(), url.path());
    let escaped = ["%2f", "%2F", "%5c", "%5C", "%2e", "%2E"].iter().any(|sign| path.contains(sign));
    let path = within == "/"
        || !escaped
            && (path == within
                || path.starts_with(&format!("{}/", within.trim_end_matches('/'))) && path.starts_with(within));
    let same = (grant.scheme(), grant.port_or_known_default()) == (url.scheme(), url.port_or_known_default());
    same && host && path
}

/// However an address is written, it is the same one, and so is what leads to it.
fn spelled(address: Ipv4Addr, is_public: bool) {
    let bits = address.to_bits();
    let [a, b, c, d] = address.octets();
    let (high, low) = (bits >> 16, bits & 0xffff);
    for host in [
        bits.to_string(),
        format!("{bits:#x}"),
        format!("0{bits:o}"),
        format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
        format!("{a:#x}.0{b:o}.{c}.{d}"),
        format!("{address}."),
        format!("[::ffff:{address}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
    ] {
        let url = Url::parse(&format!("http://{host}/")).expect("an address");
        assert_eq!(Guarded::default().check_url(&url).is_ok(), is_public, "{url} is {address}");
    }
    let mapped = IpAddr::V6(address.to_ipv6_mapped());
    assert_eq!(address::refusal(mapped), address::refusal(address.into()), "{mapped}");
}

/// The registries' tables of what is not public, spelled out once more.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let special = match (a, b) {
                (0 | 10 | 127, _) | (169, 254) | (192, 168) | (172, 16..=31) | (100, 64..=127) | (198, 18..=19) => true,
                (192, 0) => c == 0 || c == 2,
                (192, 88) => c == 99,
                (198, 51) => c == 100,
                (203, 0) => c == 113,
                _ => a >= 224,
            };
            !special && address != Ipv4Addr::new(168, 63, 129, 16)
        }
        IpAddr::V6(address) => match address.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low]
            | [0, 0, 0, 0, 0xffff, 0, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => is_public(IpAddr::V4(joined(high, low))),
            [0, 0, 0, 0, 0, 0, high, low] => !matches!((high, low), (0, 0 | 1)) && is_public(joined(high, low).into()),
            [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
            [0x3fff, second, ..] => second >= 0x1000,
            [first, ..] => (0x2000..0x4000).contains(&first),
        },
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// A segment of a journal as it is found at a start, and one that was written and then harmed. Of the first two bytes, one
/// says how it is harmed and one where.
pub fn journal(data: &[u8]) {
    let Some((&[harm, place], bytes)) = data.split_first_chunk() else { return };
    if bytes.len() > MAX_TEXT {
        return;
    }
    let folder = folder();
    let file = folder.path().join(format!("{:020}.journal", 1));
    fs::write(&file, bytes).expect("the folder can be written");
    reopened(folder.path());

    fs::remove_file(&file).ok();
    let payloads: Vec<_> = bytes.split(|byte| *byte == b'\n').take(64).collect();
    let written = write(folder.path(), &payloads);
    let mut segment = fs::read(&written).expect("the segment is there");
    let at = usize::from(place) * segment.len() / 256;
    match harm % 3 {
        0 => segment.truncate(at),
        1 => segment[at] ^= harm | 1,
        _ => segment.extend_from_slice(bytes),
    }
    fs::write(&written, &segment).expect("the folder can be written");
    let found = reopened(folder.path());
    let mut rest = payloads.iter();
    let in_order = found.iter().all(|payload| rest.any(|written| *written == payload));
    assert!(in_order, "what is found was written, in that order");
    match harm % 3 {
        0 => assert!(found.iter().zip(&payloads).all(|(found, written)| found == written), "the beginning is found"),
        1 => assert!(at < 20 || found.len() + 1 >= payloads.len(), "one record is lost, not more"),
        _ => assert_eq!(found.len(), payloads.len(), "nothing is lost"),
    }
}

const LIMITS: Limits = Limits { bytes: 64 * 1024 * 1024 };

/// In memory, where the system has such a folder: what is written is synced each time.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

/// The payloads that are pending. A second look finds the same, and nothing torn.
fn reopened(folder: &Path) -> Vec<Vec<u8>> {
    let (first, _) = pending(folder);
    let (second, torn) = pending(folder);
    assert_eq!((&first, torn), (&second, 0), "a second start finds the same");
    first
}

fn pending(folder: &Path) -> (Vec<Vec<u8>>, usize) {
    let mut seen = 0;
    let journal = Journal::open(folder, LIMITS, &mut |_, _| seen += 1).expect("the folder can be used");
    let pending = journal.pending(None, usize::MAX, usize::MAX);
    assert!(pending.len() <= seen && pending.is_sorted_by_key(|record| record.sequence));
    (
        pending.into_iter().map(|record| record.payload.expect("the folder can be read")).collect(),
        journal.status().damage.torn,
    )
}

/// The only segment of a journal with these records.
fn write(folder: &Path, payloads: &[&[u8]]) -> std::path::PathBuf {
    let before = segments(folder);
    let journal = Journal::open(folder, LIMITS, &mut |_, _| {}).expect("the folder can be used");
    let waiting: Vec<_> = payloads.iter().map(|payload| journal.append(payload.to_vec())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for waiting in waiting {
        runtime.block_on(waiting).expect("it is accepted");
    }
    drop(journal);
    let new: Vec<_> = segments(folder).into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new.into_iter().next().expect("there is one")
}

fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some()).collect()
}
