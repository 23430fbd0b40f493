//! Every range by its edges, every way to write an exception, and a client that is held to both.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use tokio::net::TcpListener;

use super::resolver::{Lookup, Origin, Place};
use super::*;

#[track_caller]
fn check(address: &str, expected: Option<&str>) {
    assert_eq!(refusal(address.parse().expect("an address")), expected, "{address}");
}

#[test]
fn what_is_not_public_is_refused_to_the_edges_of_its_range() {
    let ranges = [
        ("0.0.0.0", "0.255.255.255", LOOPBACK),
        ("10.0.0.0", "10.255.255.255", PRIVATE),
        ("100.64.0.0", "100.127.255.255", PRIVATE),
        ("127.0.0.0", "127.255.255.255", LOOPBACK),
        ("169.254.0.0", "169.254.255.255", LINK_LOCAL),
        ("172.16.0.0", "172.31.255.255", PRIVATE),
        ("192.0.0.0", "192.0.0.255", RESERVED),
        ("192.0.2.0", "192.0.2.255", DOCUMENTATION),
        ("192.88.99.0", "192.88.99.255", RESERVED),
        ("192.168.0.0", "192.168.255.255", PRIVATE),
        ("198.18.0.0", "198.19.255.255", PRIVATE),
        ("198.51.100.0", "198.51.100.255", DOCUMENTATION),
        ("203.0.113.0", "203.0.113.255", DOCUMENTATION),
        ("224.0.0.0", "239.255.255.255", MULTICAST),
        ("240.0.0.0", "255.255.255.255", RESERVED),
        ("169.254.169.254", "169.254.169.254", METADATA),
        ("168.63.129.16", "168.63.129.16", METADATA),
        ("100.100.100.200", "100.100.100.200", METADATA),
        ("192.0.0.192", "192.0.0.192", METADATA),
        ("::", "::1", LOOPBACK),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", PRIVATE),
        ("100::", "100::ffff", RESERVED),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", DOCUMENTATION),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", DOCUMENTATION),
        ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RESERVED),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", PRIVATE),
        ("fd00:ec2::254", "fd20:ce::254", METADATA),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LINK_LOCAL),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", PRIVATE),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", MULTICAST),
    ];
    for (first, last, what) in ranges {
        check(first, Some(what));
        check(last, Some(what));
    }
}

#[test]
fn public_addresses_are_not() {
    let public = [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2606:4700::1111",
        "3ffe:ffff::",
    ];
    for address in public {
        check(address, None);
    }
}

#[test]
fn an_ipv4_address_within_an_ipv6_address_counts_as_itself() {
    let carriers = ["::ffff:", "::ffff:0:", "::", "64:ff9b::"];
    for carrier in carriers {
        check(&format!("{carrier}127.0.0.1"), Some(LOOPBACK));
        check(&format!("{carrier}169.254.169.254"), Some(METADATA));
        check(&format!("{carrier}10.1.2.3"), Some(PRIVATE));
        check(&format!("{carrier}8.8.8.8"), None);
    }
    check("2002:7f00:1::1", Some(LOOPBACK));
    check("2002:a9fe:a9fe::", Some(METADATA));
    check("2002:808:808::", None);
    // Teredo holds two, one of them inverted; all of it is refused.
    check("2001:0:808:808:0:0:80ff:fffe", Some(RESERVED));
}

#[track_caller]
fn check_allowed(list: &str, host: &str, address: &str, port: u16, expected: bool) {
    let allowed = Allowed::parse(list).expect("a list");
    let address = address.parse().expect("an address");
    assert_eq!(allowed.permits(host, address, port), expected, "{list:?}: {host} at {address}, port {port}");
}

#[test]
fn exceptions_are_names_addresses_and_ranges_with_or_without_a_port() {
    check_allowed("", "example.com", "93.184.215.14", 443, true);
    check_allowed("", "example.com", "10.1.2.3", 443, false);
    check_allowed("registry.internal", "Registry.Internal.", "10.1.2.3", 443, true);
    check_allowed("registry.internal", "other.internal", "10.1.2.3", 443, false);
    check_allowed("internal", "registry.internal", "10.1.2.3", 443, false);
    check_allowed("registry.internal:443", "registry.internal", "10.1.2.3", 443, true);
    check_allowed("registry.internal:443", "registry.internal", "10.1.2.3", 22, false);
    check_allowed("10.1.2.3", "anything", "10.1.2.3", 22, true);
    check_allowed("10.1.2.3", "10.1.2.3", "10.1.2.4", 22, false);
    check_allowed("10.1.2.3:80", "anything", "10.1.2.3", 80, true);
    check_allowed("10.1.2.3:80", "anything", "10.1.2.3", 22, false);
    check_allowed("10.0.0.0/8", "anything", "10.255.1.1", 1, true);
    check_allowed("10.0.0.0/8", "anything", "::ffff:10.255.1.1", 1, true);
    check_allowed("10.0.0.0/8", "anything", "192.168.1.1", 1, false);
    check_allowed("10.0.0.0/8:443", "anything", "10.255.1.1", 443, true);
    check_allowed("10.0.0.0/8:443", "anything", "10.255.1.1", 80, false);
    check_allowed("0.0.0.0/0", "anything", "127.0.0.1", 80, true);
    check_allowed("0.0.0.0/0", "anything", "::1", 80, false);
    check_allowed("::1", "localhost", "::1", 80, true);
    check_allowed("[::1]", "localhost", "::1", 80, true);
    check_allowed("[::1]:80", "[::1]", "::1", 80, true);
    check_allowed("[::1]:80", "[::1]", "::1", 81, false);
    check_allowed("fd00::/8", "db", "fd12::1", 80, true);
    check_allowed("[fd00::/8]:443", "db", "fd12::1", 80, false);
    check_allowed("a.internal, 10.1.2.3\n::1", "x", "::1", 1, true);
}

#[test]
fn an_added_host_is_allowed_at_its_port() {
    let mut allowed = Allowed::default();
    allowed.add("LOCALHOST", 9000);
    allowed.add("[::1]", 9000);
    assert_eq!(allowed, Allowed::parse("localhost:9000 [::1]:9000").expect("a list"));
}

#[test]
fn what_is_no_exception_is_named_with_what_was_expected() {
    let wrong = ["10.0.0.300", "10.0.0.0/33", "::/129", "host:port", "host:70000", "[::1", "[::1]x", "*.example.com"];
    for entry in wrong {
        let message = Allowed::parse(&format!("localhost,{entry}")).expect_err("a wrong entry");
        let expected = format!(
            "{entry:?}: expected a host, an address or a range, with or without a port, such as \
             registry.internal, 10.1.2.3:8080, [::1]:8080 or 10.0.0.0/8"
        );
        assert_eq!(message, expected);
    }
}

#[track_caller]
fn check_url(list: &str, url: &str, expected: Result<(), &str>) {
    let guarded = Guarded::new(Allowed::parse(list).expect("a list"));
    let url = Url::parse(url).expect("a URL");
    let expected = expected.map_err(str::to_owned);
    assert_eq!(guarded.check_url(&url).map_err(|refused| refused.to_string()), expected, "{url}");
}

#[test]
fn an_address_in_a_url_is_checked_however_it_is_written() {
    let here = Err(r#"host "127.0.0.1" may not be reached: it leads to this machine itself"#);
    for host in ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "user@127.0.0.1:80"] {
        check_url("", &format!("http://{host}/"), here);
    }
    check_url("", "http://[::1]/", Err(r#"host "[::1]" may not be reached: it leads to this machine itself"#));
    check_url(
        "",
        "http://[::ffff:169.254.169.254]/",
        Err(r#"host "[::ffff:a9fe:a9fe]" may not be reached: it leads to a cloud's metadata service"#),
    );
    check_url("", "https://8.8.8.8/", Ok(()));
    check_url("127.0.0.1:9000", "http://127.0.0.1:9000/", Ok(()));
    check_url("127.0.0.1:9000", "http://127.0.0.1/", here);
    check_url("", "file:///etc/passwd", Err(r#"expected a URL that begins with http:// or https://, found "file""#));
}

#[test]
fn a_name_listed_with_a_port_is_for_that_port() {
    check_url("", "http://example.com/", Ok(()));
    check_url("localhost:9000", "http://localhost:9000/", Ok(()));
    check_url("localhost:9000", "http://localhost/", Err(r#"host "localhost" may not be reached at port 80"#));
    check_url("localhost:9000,localhost", "http://localhost/", Ok(()));
}

#[test]
fn a_name_gives_only_the_addresses_that_may_be_reached() {
    let found = |addresses: &[&str]| -> Vec<SocketAddr> {
        addresses.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 0)).collect()
    };
    let (both, private) = (found(&["8.8.8.8", "127.0.0.1"]), found(&["10.1.2.3", "::1"]));
    let guarded = Guarded::default();
    assert_eq!(guarded.permitted("both.example", both), Ok(found(&["8.8.8.8"])));
    let refused = Refused::Address { host: "inside.example".into(), what: PRIVATE };
    assert_eq!(guarded.permitted("inside.example", private.clone()), Err(refused));
    assert_eq!(guarded.permitted("nowhere.example", Vec::new()), Ok(Vec::new()));

    let named = Guarded::new(Allowed::parse("inside.example:443").expect("a list"));
    assert_eq!(named.permitted("inside.example", private.clone()), Ok(private.clone()));
    // The resolver is not told the port, so an address that is allowed at one is not allowed by a name.
    let by_port = Guarded::new(Allowed::parse("10.1.2.3:443").expect("a list"));
    let refused = Refused::Address { host: "inside.example".into(), what: PRIVATE };
    assert_eq!(by_port.permitted("inside.example", private.clone()), Err(refused));
    let by_range = Guarded::new(Allowed::parse("10.0.0.0/8").expect("a list"));
    assert_eq!(by_range.permitted("inside.example", private), Ok(found(&["10.1.2.3"])));
}

#[test]
fn a_name_that_is_written_down_is_told_from_one_that_somebody_chooses() {
    let allowed = Allowed::parse("images.internal, Search.internal.:443, 10.0.0.0/8").expect("a list");
    let guarded = Guarded::new(allowed).knowing(vec!["api.example.com".into()]);
    for name in ["images.internal", "search.internal", "api.example.com", "API.example.com"] {
        assert_eq!(guarded.origin(name), Origin::Written, "{name}");
    }
    for name in ["a.images.internal", "example.com", "a.api.example.com", "10.1.2.3"] {
        assert_eq!(guarded.origin(name), Origin::Chosen, "{name}");
    }
}

#[tokio::test]
async fn a_client_says_why_it_did_not_connect() {
    // Certificates are not needed, and building a client must not depend on those of the machine.
    _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .dns_resolver(Guarded::default())
        .build()
        .expect("a client");
    let error = client.get("http://localhost:1/").send().await.expect_err("no connection");
    let refused = Refused::Address { host: "localhost".into(), what: LOOPBACK };
    assert_eq!(Refused::cause_of(&error), Some(&refused));
}

#[test]
fn a_private_name_is_refused_before_anybody_is_asked_for_its_address() {
    check_url("", "http://localhost/", Err(r#"host "localhost" may not be reached: it leads to this machine itself"#));
    check_url(
        "",
        "http://a.localhost./",
        Err(r#"host "a.localhost." may not be reached: it leads to this machine itself"#),
    );
    for host in ["search", "kubernetes.default.svc", "a.svc.cluster.local", "metadata.google.internal", "wiki.corp"] {
        let refused = format!("host {host:?} may not be reached: it leads to a private network");
        check_url("", &format!("http://{host}/"), Err(&refused));
        check_url("other.internal", &format!("http://{host}/"), Err(&refused));
        // In a range that is allowed it may be; then its addresses decide.
        check_url("10.0.0.0/8", &format!("http://{host}/"), Ok(()));
        check_url(host, &format!("http://{host}/"), Ok(()));
    }
    check_url("", "http://notlocal.example/", Ok(()));
}

/// A resolver that gives one answer after the other, as somebody does whose name changes its mind.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Vec<SocketAddr>>>);

impl Lookup for Scripted {
    fn addresses(&self, _: &str, _: Place) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let next = self.0.lock().expect("nobody panics with it").pop_front();
        std::future::ready(next.ok_or_else(|| io::Error::other("no such name"))).boxed()
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_leads_nowhere_new() {
    _ = rustls::crypto::ring::default_provider().install_default();
    // Of the two loopback addresses, one stands for a public one: it is allowed. At the other somebody counts.
    let (public, private) = ("127.0.0.2", "127.0.0.1");
    let good = TcpListener::bind((public, 0)).await.expect("a port");
    let port = good.local_addr().expect("an address").port();
    let canary = TcpListener::bind((private, port)).await.expect("a port that is free at both");
    let at = |address: &str| SocketAddr::new(address.parse().expect("an address"), 0);
    // First both, then the private one alone, in either order and form; then none.
    let answers = [
        vec![at(private), at(public)],
        vec![at(public), at(private)],
        vec![at(private)],
        vec![at("::ffff:127.0.0.1"), at("169.254.169.254")],
    ];
    let scripted = Arc::new(Scripted(Mutex::new(answers.into())));
    let guarded = Guarded::asking(Allowed::parse(public).expect("a list"), scripted.clone());
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .pool_max_idle_per_host(0)
        .dns_resolver(guarded)
        .build()
        .expect("a client");
    let url = format!("http://rebinding.example:{port}/");
    for _ in 0..2 {
        let hang_up = async { drop(good.accept().await.expect("a connection")) };
        let (sent, ()) = tokio::join!(client.get(&url).send(), hang_up);
        // It was connected to whom it may, who hung up.
        assert_eq!(Refused::cause_of(&sent.expect_err("no answer")), None);
    }
    // The last time nobody knows the name, and what was known of it before is no way around.
    for _ in 0..3 {
        let error = client.get(&url).send().await.expect_err("no connection");
        let refused = Refused::Address { host: "rebinding.example".into(), what: LOOPBACK };
        assert_eq!(Refused::cause_of(&error), Some(&refused));
    }
    assert!(canary.accept().now_or_never().is_none(), "somebody knocked at the private address");
    assert!(scripted.0.lock().expect("nobody panics with it").is_empty(), "each request asks once");
}
