//! What a grant covers, how a service is shown our key, and what a flow is told of a wrong ask.

use futures_util::FutureExt;

use super::*;
use crate::capability::connection::{Field, Kind, Secret};
use crate::capability::upstream::Upstreams;
use crate::identity::Identity;

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

#[track_caller]
fn check(pattern: &str, covered: &[&str], other: &[&str]) {
    let parsed = Pattern::parse(pattern).expect("a pattern");
    for text in covered {
        assert!(parsed.covers(&url(text)), "{pattern} should cover {text}");
    }
    for text in other {
        assert!(!parsed.covers(&url(text)), "{pattern} should not cover {text}");
    }
}

#[test]
fn a_pattern_covers_a_scheme_a_host_and_a_port() {
    check(
        "https://api.example.com",
        &["https://api.example.com", "https://API.example.com:443/a?b#c"],
        &[
            "http://api.example.com",
            "https://api.example.com:8443",
            "https://example.com",
            "https://api.example.com.evil.test",
            "https://api.example.com@evil.test",
            "https://evil.test/https://api.example.com",
        ],
    );
    check("http://127.0.0.1:9000", &["http://127.1:9000/a", "http://0x7f000001:9000"], &["http://127.0.0.1"]);
    check("http://[::1]", &["http://[0:0::1]:80/"], &["http://127.0.0.1"]);
    check("https://bücher.example", &["https://xn--bcher-kva.example/"], &["https://bucher.example"]);
}

#[test]
fn an_asterisk_stands_for_whole_names_at_the_front() {
    check(
        "https://*.example.com",
        &["https://a.example.com", "https://a.b.example.com"],
        &["https://example.com", "https://aexample.com", "https://a.example.com.evil.test", "https://.example.com"],
    );
    check("https://*", &["https://a.example", "https://8.8.8.8"], &["http://a.example", "https://a.example:1"]);
}

#[test]
fn a_path_covers_what_is_below_it() {
    check(
        "https://a.test/v1",
        &["https://a.test/v1", "https://a.test/v1?q", "https://a.test/v1/x", "https://a.test/x/../v1"],
        &[
            "https://a.test/",
            "https://a.test/v10",
            "https://a.test/V1",
            "https://a.test/v1/../v2",
            "https://a.test/v1/%2E%2e/v2",
            "https://a.test/v1/..%2Fv2",
            "https://a.test/v1/..%5cv2",
        ],
    );
    check("https://a.test/v1/", &["https://a.test/v1/", "https://a.test/v1/x"], &["https://a.test/v1"]);
}

#[track_caller]
fn check_allows(pattern: &str, expected: &str) {
    let mut allowed = Allowed::default();
    Pattern::parse(pattern).expect("a pattern").allow(&mut allowed);
    assert_eq!(allowed, Allowed::parse(expected).expect("a list"), "{pattern}");
}

#[test]
fn only_a_private_host_that_is_named_in_full_may_be_at_a_private_address() {
    check_allows("http://127.0.0.1:9000", "127.0.0.1:9000");
    check_allows("http://[fd00::1]", "[fd00::1]:80");
    check_allows("https://localhost", "localhost:443");
    check_allows("http://search", "search:80");
    check_allows("http://search.team.svc.cluster.local:8080", "search.team.svc.cluster.local:8080");
    check_allows("https://wiki.corp", "wiki.corp:443");
    check_allows("https://api.example.com", "");
    check_allows("https://notlocal.example", "");
    check_allows("https://*.svc.cluster.local", "");
    check_allows("https://*", "");
}

#[track_caller]
fn check_wrong(pattern: &str, expected: &str) {
    assert_eq!(Pattern::parse(pattern), Err(format!("{pattern:?}: {expected}")));
}

#[test]
fn a_wrong_pattern_is_told_what_was_expected() {
    let shape = "expected a scheme and a host, with or without a port and a path, such as https://api.example.com, \
                 https://*.example.com/v1 or http://127.0.0.1:9000";
    for pattern in ["", "*", "api.example.com", "localhost:9000", "ftp://a.test", "https://", "http://10.0.0.300"] {
        check_wrong(pattern, shape);
    }
    let asterisk = "`*` stands for whole names at the front of a host, such as https://*.example.com";
    for pattern in ["https://a.*.test", "https://*a.test", "https://*.*.test"] {
        check_wrong(pattern, asterisk);
    }
    check_wrong("https://a.test/?q=1", "a query cannot be granted; leave out what follows the path");
    check_wrong(
        "https://me:pw@a.test",
        "holds a user or a password; grant {connection: NAME} for a service with a key",
    );
}

fn connection(name: &str, kind: Kind, fields: &[(&'static str, &str)]) -> Connection {
    let fields = fields.iter().map(|(key, value)| {
        let field = if *key == "api_key" { Field::Secret(Secret::new(*value)) } else { Field::Plain((*value).into()) };
        (*key, field)
    });
    Connection::new(name, "test.yaml", kind, fields)
}

/// What a service of this connection receives for a guest that sends a key of its own everywhere.
#[track_caller]
fn check_key(kind: Kind, base: (&'static str, &str), expected_url: &str, header: Option<(&'static str, &str)>) {
    let connection = connection("c", kind, &[base, ("api_key", "k&1")]);
    let service = Service::of(&connection, &Identity::from_env(&|_| None), &Upstreams::default())
        .expect("a service")
        .expect("an address");
    let mut url = url(expected_url.split('?').next().expect("a URL"));
    assert!(service.covers(&url), "{kind:?}: {url}");
    url.set_query(Some("q=a+b&api_key=mine"));
    let mut headers = HeaderMap::new();
    for name in ["authorization", "api-key", "ocp-apim-subscription-key"] {
        headers.insert(name, "mine".parse().expect("a value"));
    }
    headers.insert("accept", "text/plain".parse().expect("a value"));
    // Nothing of what the guest says of who asks is left.
    let mut expected_headers = HeaderMap::from_iter([(http::header::ACCEPT, "text/plain".parse().expect("a value"))]);
    let shown = service.authenticate(&mut url, &mut headers).now_or_never();
    assert_eq!(shown, Some(Ok(())), "a key is at hand");
    if let Some((name, value)) = header {
        expected_headers.insert(name, value.parse().expect("a value"));
    }
    assert_eq!((url.as_str(), headers), (expected_url, expected_headers), "{kind:?}");
    assert!(!format!("{service:?}").contains("k&1"), "{service:?}");
}

#[test]
fn each_type_of_connection_shows_its_key_as_its_service_wants_it() {
    let untouched = "?q=a+b&api_key=mine";
    let endpoint = ("endpoint", "https://a.test/");
    let base = ("api_base", "https://a.test/x");
    let subscription = Some(("ocp-apim-subscription-key", "k&1"));
    let own = format!("https://a.test/y{untouched}");
    for kind in [Kind::AzureContentSafety, Kind::AzureAiServices, Kind::FormRecognizer] {
        check_key(kind, endpoint, &own, subscription);
    }
    for kind in [Kind::AzureOpenAi, Kind::CognitiveSearch, Kind::Qdrant] {
        check_key(kind, base, &own, Some(("api-key", "k&1")));
    }
    for kind in [Kind::Serverless, Kind::Weaviate] {
        check_key(kind, base, &own, Some(("authorization", "Bearer k&1")));
    }
    let openai = format!("https://api.openai.com/v1{untouched}");
    check_key(Kind::OpenAi, ("organization", "o"), &openai, Some(("authorization", "Bearer k&1")));
    check_key(Kind::Serp, ("x", ""), "https://serpapi.com/search?q=a+b&api_key=k%261", None);
}

#[test]
fn a_service_is_its_own_scheme_host_and_port() {
    let connection = connection("c", Kind::AzureContentSafety, &[("endpoint", "https://a.test"), ("api_key", "k")]);
    let service = Service::of(&connection, &Identity::from_env(&|_| None), &Upstreams::default())
        .expect("a service")
        .expect("an address");
    for other in ["http://a.test", "https://a.test:8443", "https://b.a.test", "https://a.test.evil.test"] {
        assert!(!service.covers(&url(other)), "{other}");
    }
}

const FILES: [(&str, &str); 4] = [
    ("one.yaml", "{name: one, type: azure_content_safety, endpoint: 'http://a.test', api_key: k}"),
    ("two.yaml", "{name: two, type: azure_content_safety, endpoint: 'http://a.test/', api_key: k}"),
    ("own.yaml", "{name: own, type: custom, configs: {a: b}, secrets: {c: d}}"),
    ("bad.yaml", "{name: bad, type: azure_content_safety, endpoint: 'http://b.test', api_key: \"k\\n1\"}"),
];

fn capability() -> Http {
    let files = FILES.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let (connections, _) = Connections::parse(&files, &["one", "two", "own", "bad"], &|_| None).expect("connections");
    Http::build(Config { connections, ..Config::default() })
}

#[track_caller]
fn check_ask(connection: Option<&str>, grant: Option<&str>, expected: Result<(usize, usize), &str>) {
    let granted =
        capability().grant(Ask { connections: connection.as_slice(), grant, ..Ask::default() }, &Rules::default());
    let counts = granted.map(|grant| grant.map_or((0, 0), |grant| (grant.services.len(), grant.patterns.len())));
    let error = counts.map_err(|errors| errors.iter().map(AskError::to_string).collect::<Vec<_>>());
    assert_eq!(error, expected.map_err(|error| vec![error.to_owned()]));
}

#[test]
fn a_node_holds_what_its_flow_names() {
    check_ask(None, None, Ok((0, 0)));
    check_ask(None, Some("[]"), Ok((0, 0)));
    check_ask(None, Some(r#"["http://c.test", {"connection": "one"}]"#), Ok((1, 1)));
    let whole = r#"[{"url": "http://c.test", "methods": ["GET", "PURGE"], "trace_context": true}]"#;
    check_ask(None, Some(whole), Ok((0, 1)));
    check_ask(Some("one"), Some(r#"[{"connection": "one", "methods": ["GET"]}]"#), Ok((1, 0)));
    check_ask(Some("one"), None, Ok((1, 0)));
    check_ask(Some("one"), Some(r#"[{"connection": "one"}]"#), Ok((1, 0)));
    // A node's own connection may be of use for something else.
    check_ask(Some("own"), None, Ok((0, 0)));
    check_ask(Some("offline"), None, Ok((0, 0)));
}

#[test]
fn a_wrong_ask_is_told_what_was_expected() {
    let shape = "grants.http: expected a list of addresses such as https://api.example.com, of {connection: NAME} and of \
                 {url: ADDRESS}, the last two also with `methods: [GET]` and `trace_context: true`";
    for wrong in [
        r#""http://c.test""#,
        "[1]",
        "[{}]",
        r#"[{"conection": "one"}]"#,
        r#"[{"connection": "one", "x": 1}]"#,
        r#"[{"connection": "one", "url": "http://c.test"}]"#,
        r#"[{"methods": ["GET"]}]"#,
        r#"[{"url": "http://c.test", "methods": "GET"}]"#,
        r#"[{"url": "http://c.test", "trace_context": "yes"}]"#,
    ] {
        check_ask(None, Some(wrong), Err(&format!("{shape}, found {wrong}")));
    }
    for (method, shown) in [("get", "get"), ("CONNECT", "CONNECT"), ("", ""), ("G ET", "G ET")] {
        check_ask(
            None,
            Some(&format!(r#"[{{"url": "http://c.test", "methods": ["POST", "{method}"]}}]"#)),
            Err(&format!("grants.http: methods: {shown:?}: expected a method such as GET or POST, in capital letters")),
        );
    }
    check_ask(
        None,
        Some(r#"[{"url": "http://c.test", "methods": []}]"#),
        Err("grants.http: methods: the list is empty; leave it out to grant each"),
    );
    check_ask(
        None,
        Some(r#"[{"connection": "own"}]"#),
        Err(r#"grants.http: connection "own" has no address of its own; name the address"#),
    );
    check_ask(
        None,
        Some(r#"[{"connection": "one"}, {"connection": "two"}]"#),
        Err(r#"grants.http: connections "one" and "two" lead to the same service; grant one of them"#),
    );
    check_ask(
        None,
        Some(r#"[{"connection": "three"}]"#),
        Err(r#"connection "three" is not known; known: bad, offline, one, own, two"#),
    );
    check_ask(Some("bad"), None, Err("bad.yaml: api_key: holds a sign that no HTTP header may have; is it whole?"));
}

#[test]
fn the_connections_of_an_ask_are_loaded() {
    let grant = Some(r#"["http://c.test", {"connection": "one"}]"#);
    assert_eq!(Http::connections(Ask { grant, ..Ask::default() }), ["one"]);
}

/// Whether a policy of these entries for `http` lets a flow have a grant; the refusal, in part.
/// A policy of these entries.
fn rules(entries: &[&str]) -> Rules<Rule> {
    let entry = |(line, said): (usize, &&str)| crate::boundary::policy::Rule {
        what: Rule::read(said).expect("an entry"),
        said: (*said).to_owned(),
        line: line + 2,
    };
    Rules::of("p.yaml", Some(1), entries.iter().enumerate().map(entry).collect())
}

#[track_caller]
fn check_policy(entries: &[&str], grant: &str, expected: Result<(), &str>) {
    let asked = capability().grant(Ask { grant: Some(&format!("[{grant}]")), ..Ask::default() }, &rules(entries));
    let refused = asked.err().map(|errors| errors.iter().map(AskError::to_string).collect::<Vec<_>>());
    match expected {
        Ok(()) => assert_eq!(refused, None, "{entries:?}: {grant}"),
        Err(beyond) => {
            let refused = refused.unwrap_or_else(|| panic!("{entries:?} should not allow {grant}"));
            let begins = format!("grants.http: {beyond} is more than flows may ask for by p.yaml:");
            assert!(refused.len() == 1 && refused[0].starts_with(&begins), "{refused:?}: {beyond}");
        }
    }
}

#[test]
fn a_policy_and_a_grant_are_held_against_each_other_part_by_part() {
    let api = r#""http://api.test/v1""#;
    check_policy(&[r#""http://api.test""#], api, Ok(()));
    check_policy(&[r#""http://api.test/v1""#], api, Ok(()));
    check_policy(&[r#""http://*.test""#], api, Ok(()));
    check_policy(&[r#""http://*""#], api, Ok(()));
    check_policy(&[r#""*""#], api, Ok(()));
    for other in [
        "https://api.test",
        "http://api.test:81",
        "http://api.test/v1/x",
        "http://api.test/v2",
        "http://b.api.test",
        "http://*.api.test",
        "https://*",
    ] {
        check_policy(&[&format!("{other:?}")], api, Err("http://api.test/v1"));
    }
    check_policy(&[], api, Err("http://api.test/v1"));
    check_policy(&[r#""http://*.a.test""#], r#""http://*.b.a.test""#, Ok(()));
    check_policy(&[r#""http://*.b.a.test""#], r#""http://*.a.test""#, Err("http://*.a.test"));
    check_policy(&[r#""http://*.a.test""#], r#""http://*""#, Err("http://*"));
    check_policy(&[r#""http://b.a.test""#], r#""http://*.a.test""#, Err("http://*.a.test"));
}

#[test]
fn a_policy_bounds_methods_and_the_trace() {
    let read = r#"{"url": "http://a.test", "methods": ["GET", "HEAD"]}"#;
    let write = r#"{"url": "http://*.test", "methods": ["POST"], "trace_context": true}"#;
    check_policy(&[read], r#"{"url": "http://a.test", "methods": ["GET"]}"#, Ok(()));
    check_policy(&[read], r#""http://a.test""#, Err("every method to http://a.test"));
    check_policy(&[read], r#"{"url": "http://a.test", "methods": ["GET", "PUT"]}"#, Err("PUT to http://a.test"));
    check_policy(&[read, write], r#"{"url": "http://a.test", "methods": ["GET", "POST"]}"#, Ok(()));
    check_policy(
        &[read],
        r#"{"url": "http://a.test", "methods": ["GET"], "trace_context": true}"#,
        Err("`trace_context` for http://a.test"),
    );
    check_policy(&[write], r#"{"url": "http://a.test", "methods": ["POST"], "trace_context": true}"#, Ok(()));
    check_policy(&[r#""*""#], r#"{"url": "http://a.test", "trace_context": true}"#, Ok(()));
}

#[test]
fn a_policy_bounds_connections_by_name() {
    let one = r#"{"connection": "one"}"#;
    check_policy(&[r#"{"connection": "one"}"#], one, Ok(()));
    check_policy(&[r#"{"connection": "o*"}"#], one, Ok(()));
    check_policy(&[r#"{"connection": "two"}"#], one, Err("connection \"one\""));
    check_policy(&[r#""http://a.test""#], one, Err("connection \"one\""));
    check_policy(&[r#"{"connection": "*", "methods": ["GET"]}"#], one, Err("every method to connection \"one\""));
}

#[test]
fn entries_for_a_nodes_own_connection_add_up() {
    let own = |entries: &[&str]| rule::of_own("one", &rules(entries)).map(|terms| terms.methods);
    let read = r#"{"connection": "one", "methods": ["GET"]}"#;
    let write = r#"{"connection": "o*", "methods": ["POST"]}"#;
    let other = r#"{"connection": "two", "methods": ["DELETE"]}"#;
    let both = own(&[read, other, write]).expect("some of it");
    let held = [Method::GET, Method::POST, Method::DELETE].map(|method| both.hold(&method));
    assert_eq!(held, [true, true, false]);
    assert_eq!(own(&[read, r#""*""#]).expect("all of it").each(), None);
    assert_eq!(own(&[other]), None);
}

#[test]
fn a_private_address_is_for_a_policy_to_name() {
    let inside = r#""http://10.1.2.3:9000/x""#;
    let beyond = Err("the private address http://10.1.2.3:9000/x");
    check_policy(&[r#""http://*:9000""#], inside, beyond);
    check_policy(&[r#""*""#], inside, beyond);
    check_policy(&[r#""http://10.1.2.3:9000""#], inside, Ok(()));
    check_policy(&[r#""*""#, r#"{"private_addresses": ["10.0.0.0/8"]}"#], inside, Ok(()));
    check_policy(&[r#""*""#, r#"{"private_addresses": ["10.1.2.3:80", "192.168.0.0/16"]}"#], inside, beyond);
    // It opens addresses, and grants none.
    check_policy(&[r#"{"private_addresses": ["10.0.0.0/8"]}"#], inside, Err("http://10.1.2.3:9000/x"));
    let named = r#""http://wiki.corp""#;
    check_policy(&[r#""*""#], named, Err("the private address http://wiki.corp"));
    check_policy(&[r#""*""#, r#"{"private_addresses": ["wiki.corp"]}"#], named, Ok(()));
    check_policy(
        &[r#""*""#, r#"{"private_addresses": ["10.0.0.0/8"]}"#],
        named,
        Err("the private address http://wiki.corp"),
    );
    // A public address is none.
    check_policy(&[r#""http://*""#], r#""http://8.8.8.8""#, Ok(()));
}
