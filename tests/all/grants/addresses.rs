//! Every way to write an address that is not granted: none leads anywhere. A listener that counts who connects is the
//! witness.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Collector, HostBuilder, Status, TestHost};
use serde_json::{Value, json};

use super::{DENIED, host, outcomes};

/// A port on which nobody may knock, at the loopback address of each kind that the machine has; and the same port at a
/// loopback address that is granted.
struct Canary {
    listeners: Vec<TcpListener>,
    granted: TcpListener,
    port: u16,
}

impl Canary {
    fn new() -> Self {
        // The port is free at one of the addresses, and nearly always at the others.
        let bound = (0..100).find_map(|_| {
            let first = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = first.local_addr().expect("an address").port();
            let granted = TcpListener::bind(("127.0.0.2", port)).ok()?;
            let sixth = TcpListener::bind(("::1", port)).ok();
            Some(Self { listeners: [Some(first), sixth].into_iter().flatten().collect(), granted, port })
        });
        bound.expect("a port that is free at two addresses")
    }

    /// Who has connected to where nobody may.
    fn accepted(&self) -> Vec<SocketAddr> {
        let mut accepted = Vec::new();
        for listener in &self.listeners {
            listener.set_nonblocking(true).expect("a listener can be asked");
            accepted.extend(std::iter::from_fn(|| listener.accept().ok()).map(|(_, peer)| peer));
        }
        accepted
    }

    fn host(&self, grants: &str) -> HostBuilder {
        let grants = grants.replace("PORT", &self.port.to_string());
        host("http_raw", &format!("limits: {{timeout: 30s}}\ngrants: {{http: [{grants}]}}"))
    }

    /// Asks for each scheme, authority and path; gives what came of it.
    async fn ask(&self, host: &TestHost, places: &[(&str, &str, &str)]) -> Vec<String> {
        let port = self.port.to_string();
        let part = |text: &str| if text.is_empty() { Value::Null } else { json!(text.replace("PORT", &port)) };
        let requests = places.iter().map(|(scheme, authority, path)| {
            json!({"method": "GET", "scheme": part(scheme), "authority": part(authority), "path": part(path)})
        });
        outcomes(host, requests.collect()).await
    }
}

/// Spellings of this machine, and of others that no guest is to reach, as the authority of a URL.
const HOSTS: [&str; 62] = [
    "127.0.0.1:PORT",
    "127.0.0.1.:PORT",
    "127.1:PORT",
    "127.0.1:PORT",
    "2130706433:PORT",
    "017700000001:PORT",
    "0177.0.0.1:PORT",
    "0177.0.0.01:PORT",
    "0x7f.0.0.1:PORT",
    "0x7F.1:PORT",
    "0x7f000001:PORT",
    "127.0.0.1:0PORT",
    "127.0.0.1:00000PORT",
    "127.127.127.127:PORT",
    "0:PORT",
    "0.0.0.0:PORT",
    "0.1:PORT",
    "localhost:PORT",
    "LocalHost:PORT",
    "localhost.:PORT",
    "a.localhost:PORT",
    "%6c%6f%63alhost:PORT",
    "127%2e0%2e0%2e1:PORT",
    "１２７.0.0.1:PORT",
    "①②⑦.⓪.⓪.①:PORT",
    "127。0。0。1:PORT",
    "ⓛocalhost:PORT",
    "[::1]:PORT",
    "[0:0:0:0:0:0:0:1]:PORT",
    "[0000::0001]:PORT",
    "[::]:PORT",
    "[::ffff:127.0.0.1]:PORT",
    "[::ffff:7f00:1]:PORT",
    "[::ffff:0:127.0.0.1]:PORT",
    "[::127.0.0.1]:PORT",
    "[64:ff9b::127.0.0.1]:PORT",
    "[64:ff9b::7f00:1]:PORT",
    "[64:ff9b:1::7f00:1]:PORT",
    "[2002:7f00:1::]:PORT",
    "[::1%25lo]:PORT",
    "[::1%lo]:PORT",
    "[fe80::1%25eth0]:PORT",
    "[fe80::1]:PORT",
    "[fd00:ec2::254]:PORT",
    "[ff02::1]:PORT",
    "169.254.169.254:PORT",
    "0xa9fea9fe:PORT",
    "[::ffff:a9fe:a9fe]:PORT",
    "168.63.129.16:PORT",
    "100.100.100.200:PORT",
    "192.0.0.192:PORT",
    "10.0.0.1:PORT",
    "172.16.0.1:PORT",
    "192.168.0.1:PORT",
    "100.64.0.1:PORT",
    "198.18.0.1:PORT",
    "224.0.0.1:PORT",
    "255.255.255.255:PORT",
    "kubernetes.default.svc:PORT",
    "search.team.svc.cluster.local:PORT",
    "metadata.google.internal:PORT",
    "user@127.0.0.1:PORT",
];

#[tokio::test]
async fn no_spelling_of_a_private_address_is_reached_by_a_grant_for_every_host() {
    let canary = Canary::new();
    let collector = Collector::start();
    let host = canary.host("'http://*:PORT', 'https://*:PORT'").collector(&collector).start().await;
    let mut denied = 0;
    for scheme in ["http", "https"] {
        let places = HOSTS.map(|authority| (scheme, authority, "/"));
        for (authority, outcome) in HOSTS.iter().zip(canary.ask(&host, &places).await) {
            // What is no authority to begin with is refused where the guest sets it, or as a URL.
            let refused = [DENIED, "ErrorCode::HttpRequestUriInvalid", "authority"].contains(&outcome.as_str());
            assert!(refused, "{scheme}://{authority}: {outcome}");
            denied += usize::from(outcome == DENIED);
        }
    }
    assert_eq!(canary.accepted(), []);
    host.stop().await;
    // All of them are granted by what they are called: it is for where they lead that they are denied.
    let spans = collector.spans();
    let told = spans.iter().filter(|span| span.attributes.get("error.type") == Some(&json!("NotGranted")));
    let told: Vec<_> = told.filter(|span| span.name == "http.request").map(|span| &span.status).collect();
    let leads = |status: &&&Status| matches!(status, Status::Error(why) if why.contains("may not be reached"));
    assert_eq!((told.iter().filter(leads).count(), told.len()), (denied, denied), "{told:?}");
    assert!(denied > HOSTS.len(), "{denied} of twice as many are requests to begin with");
}

/// A granted address beside one that is not, in ways that two parsers could read differently.
const MIXED: [(&str, &str, &str); 40] = [
    ("http", "127.0.0.2:PORT@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT%40127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT\\@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT\\.127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT#@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT?@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT/@127.0.0.1:PORT", "/"),
    ("http", "127.0.0.1:PORT#127.0.0.2:PORT", "/"),
    ("http", "127.0.0.1:PORT?127.0.0.2:PORT", "/"),
    ("http", "127.0.0.1:PORT/127.0.0.2:PORT", "/"),
    ("http", "127.0.0.1:PORT 127.0.0.2:PORT", "/"),
    ("http", "127.0.0.1:PORT\t", "/"),
    ("http", "127.0.\t0.1:PORT", "/"),
    ("http", "127.0.\n0.1:PORT", "/"),
    ("http", "127.0.0.1\r\nHost: 127.0.0.2:PORT", "/"),
    ("http", "127.0.0.1:PORT\0.127.0.0.2", "/"),
    ("http", "127.0.0.1:PORT:PORT", "/"),
    ("http", "127.0.0.1:", "/"),
    ("http", ":PORT", "/"),
    ("http", "", "/"),
    ("http", "", "http://127.0.0.1:PORT/"),
    ("", "127.0.0.1:PORT", "/"),
    ("HTTP", "127.0.0.1:PORT", "/"),
    ("hTtP", "127.0.0.1:PORT", "/"),
    ("file", "127.0.0.1:PORT", "/etc/passwd"),
    ("ftp", "127.0.0.1:PORT", "/"),
    ("gopher", "127.0.0.1:PORT", "/"),
    ("ws", "127.0.0.1:PORT", "/"),
    ("unix", "127.0.0.1:PORT", "/var/run/docker.sock"),
    ("http:", "127.0.0.1:PORT", "/"),
    ("http", "127.0.0.2:PORT", "http://127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "//127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "\\\\127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "/\\127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "@127.0.0.1:PORT/"),
    ("http", "127.0.0.2", ":PORT@127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "/ HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n"),
    ("http", "127.0.0.2:PORT", "?http://127.0.0.1:PORT/"),
    ("http", "127.0.0.2:PORT", "*"),
];

#[tokio::test]
async fn no_mixture_of_a_granted_address_and_another_reaches_the_other() {
    let canary = Canary::new();
    // The granted one hangs up on everybody.
    let (granted, knocked) = (canary.granted.try_clone().expect("a listener can be shared"), Arc::default());
    let counted: Arc<AtomicUsize> = Arc::clone(&knocked);
    std::thread::spawn(move || {
        while granted.accept().is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let host = canary.host("'http://127.0.0.2:PORT'").start().await;
    canary.ask(&host, &[("http", "127.0.0.2:PORT", "/")]).await;
    assert!(knocked.load(Ordering::SeqCst) > 0, "what is granted is reached");
    for (place, outcome) in MIXED.iter().zip(canary.ask(&host, &MIXED).await) {
        // Whether a request is the granted one's or nobody's, nothing of it has reached the other.
        assert!(!outcome.starts_with(|first: char| first.is_ascii_digit()), "{place:?}: {outcome}");
    }
    assert_eq!(canary.accepted(), []);
    host.stop().await;
}

#[tokio::test]
async fn a_refusal_does_not_tell_whether_there_is_such_a_host() {
    let canary = Canary::new();
    let host = canary.host("'https://api.example.com'").start().await;
    // One that listens, one that does not, one that does not exist.
    let places = [
        ("http", "127.0.0.1:PORT", "/"),
        ("http", "127.0.0.1:1", "/"),
        ("http", "no-such-host.invalid", "/"),
        ("https", "api.example.com:444", "/"),
    ];
    assert_eq!(canary.ask(&host, &places).await, [DENIED; 4]);
    assert_eq!(canary.accepted(), []);
    host.stop().await;
}
