//! Who is served, by tables of settings and of headers. Over HTTP: tests/all/access.rs.

use http::HeaderValue;

use super::*;
use crate::setting::{Given as GivenText, Origin, Source as TextSource};

const KEY: &str = "primary-0123456789";
const OTHER: &str = "secondary-0123456789";

struct Texts<'a>(&'a [(&'static str, &'a str)]);

impl TextSource for Texts<'_> {
    fn given(&self, setting: &Setting) -> Option<GivenText> {
        let (variable, text) = self.0.iter().find(|(variable, _)| *variable == setting.variable)?;
        Some(GivenText { text: (*text).to_owned(), origin: Origin::Environment(variable) })
    }
}

/// What settings make of a host that listens there: whether a key is needed, or all that is wrong.
fn opened(settings: &[(&'static str, &str)], listen: &str) -> Result<Auth, Vec<String>> {
    let texts = Texts(settings);
    let mut reader = Reader::new(&texts);
    let config = Config::read(&mut reader);
    let (_, problems) = reader.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    Auth::open(config, listen.parse().expect("an address")).map_err(|problem| vec![problem])
}

#[track_caller]
fn check_start(settings: &[(&'static str, &str)], listen: &str, expected: Result<bool, &str>) {
    let found = opened(settings, listen).map(|auth| auth.is_required()).map_err(|problems| problems.join("\n"));
    assert_eq!(found, expected.map_err(str::to_owned), "{settings:?} on {listen}");
}

#[test]
fn without_keys_only_a_loopback_address_is_served_unless_the_operator_says_so() {
    for loopback in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
        check_start(&[], loopback, Ok(false));
    }
    for other in ["0.0.0.0:80", "[::]:80", "10.1.2.3:80"] {
        let expected = format!(
            "without keys, everyone who reaches {other} could use this flow; set WEIR_PRIMARY_KEY or WEIR_KEYS_FILE, listen \
             on 127.0.0.1, or say WEIR_AUTH=none if others see to who may call"
        );
        check_start(&[], other, Err(&expected));
        check_start(&[("WEIR_AUTH", "none")], other, Ok(false));
        check_start(&[("WEIR_PRIMARY_KEY", KEY)], other, Ok(true));
    }
}

#[test]
fn keys_are_needed_when_there_are_some_or_they_are_asked_for() {
    let listen = "127.0.0.1:80";
    check_start(&[("WEIR_SECONDARY_KEY", KEY)], listen, Ok(true));
    check_start(&[("WEIR_AUTH", "none"), ("WEIR_PRIMARY_KEY", KEY)], listen, Ok(false));
    check_start(&[("WEIR_AUTH", "Keys"), ("WEIR_PRIMARY_KEY", KEY)], listen, Ok(true));
    let none = "WEIR_AUTH: keys are asked for and there are none; set WEIR_PRIMARY_KEY or WEIR_KEYS_FILE";
    check_start(&[("WEIR_AUTH", "keys")], listen, Err(none));
    let unknown = "WEIR_AUTH: \"basic\" is unknown; write one of: auto, keys, none";
    check_start(&[("WEIR_AUTH", "basic")], listen, Err(unknown));
}

#[test]
fn bad_keys_are_told_without_showing_them() {
    let listen = "127.0.0.1:80";
    let both = [("WEIR_PRIMARY_KEY", "short-secret"), ("WEIR_SECONDARY_KEY", "0123456789 secret")];
    let expected = "WEIR_PRIMARY_KEY: a key has 16 to 512 characters, and this has 12\n\
                    WEIR_SECONDARY_KEY: a key is made of visible ASCII characters, without spaces";
    check_start(&both, listen, Err(expected));
    let expected =
        "WEIR_KEYS_FILE: there are keys in WEIR_PRIMARY_KEY or WEIR_SECONDARY_KEY as well; give them in one place";
    check_start(&[("WEIR_PRIMARY_KEY", KEY), ("WEIR_KEYS_FILE", "keys")], listen, Err(expected));
    let expected = "WEIR_KEYS_FILE: /no/such/file: cannot be read: No such file or directory (os error 2)";
    check_start(&[("WEIR_KEYS_FILE", "/no/such/file")], listen, Err(expected));
}

fn auth() -> Auth {
    let settings = [("WEIR_PRIMARY_KEY", KEY), ("WEIR_SECONDARY_KEY", OTHER)];
    opened(&settings, "127.0.0.1:80").expect("good settings")
}

fn source(address: &str) -> Source {
    Source::of(address.parse().expect("an address"))
}

fn headers(authorization: &[&str]) -> HeaderMap {
    let values = authorization.iter().map(|value| HeaderValue::from_str(value).expect("a header value"));
    values.map(|value| (header::AUTHORIZATION, value)).collect()
}

#[test]
fn a_caller_is_known_by_one_bearer_key() {
    let auth = auth();
    let bearer = |key: &str| format!("Bearer {key}");
    let cases: [(&[&str], _); 14] = [
        (&[&bearer(KEY)], Some(KeyName::Primary)),
        (&[&bearer(OTHER)], Some(KeyName::Secondary)),
        (&[&format!("bEARER {KEY}")], Some(KeyName::Primary)),
        (&[], None),
        (&[""], None),
        (&["Bearer"], None),
        (&["Bearer "], None),
        (&[KEY], None),
        (&[&format!("Basic {KEY}")], None),
        (&[&bearer(&format!("{KEY} "))], None),
        (&[&bearer(&KEY.to_uppercase())], None),
        (&[&bearer(&KEY[..KEY.len() - 1])], None),
        (&[&bearer(KEY), &bearer(KEY)], None),
        (&["Basic x", &bearer(KEY)], None),
    ];
    for (index, (authorization, expected)) in cases.into_iter().enumerate() {
        // A source of its own for each, so that none has failed too often.
        let source = source(&format!("10.0.0.{index}"));
        let expected = expected.map(Caller::Key).ok_or(Refused::Unauthenticated);
        assert_eq!(auth.check(&headers(authorization), source, Instant::now()), expected, "{authorization:?}");
    }
}

#[test]
fn a_source_may_fail_ten_times_a_minute_and_is_served_with_the_right_key_all_the_same() {
    let auth = auth();
    let (wrong, right) = (headers(&["Bearer wrong"]), headers(&[&format!("Bearer {KEY}")]));
    let now = Instant::now();
    let fail = |address, now| auth.check(&wrong, source(address), now).expect_err("a wrong key");
    for _ in 0..10 {
        assert_eq!(fail("10.0.0.1", now), Refused::Unauthenticated);
    }
    assert_eq!(fail("10.0.0.1", now), Refused::TooOften(Duration::from_secs(6)));
    assert_eq!(auth.check(&right, source("10.0.0.1"), now), Ok(Caller::Key(KeyName::Primary)));
    assert_eq!(fail("10.0.0.2", now), Refused::Unauthenticated);
    assert_eq!(fail("10.0.0.1", now + Duration::from_secs(6)), Refused::Unauthenticated);
}

#[test]
fn a_thousand_sources_cannot_fail_more_than_a_thousand_times_a_minute() {
    let auth = auth();
    let wrong = headers(&["Bearer wrong"]);
    let now = Instant::now();
    let refused = |n: u16| auth.check(&wrong, Source::of([10, 0, (n >> 8) as u8, n as u8].into()), now);
    assert!((0..1000).all(|n| refused(n) == Err(Refused::Unauthenticated)));
    assert_eq!(refused(1000), Err(Refused::TooOften(Duration::from_millis(60))));
}

#[test]
fn a_network_of_ipv6_is_one_source() {
    assert_eq!(source("2001:db8:1:2::3"), source("2001:db8:1:2:ffff::4"));
    assert_ne!(source("2001:db8:1:2::3"), source("2001:db8:1:3::3"));
    assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
}

#[test]
fn nothing_that_can_be_printed_shows_a_key_or_its_digest() {
    let texts = Texts(&[("WEIR_PRIMARY_KEY", KEY), ("WEIR_SECONDARY_KEY", OTHER)]);
    let mut reader = Reader::new(&texts);
    let config = Config::read(&mut reader);
    assert_eq!(format!("{config:?}"), "Config { mode: Auto, keys: Here(Keys(\"primary, secondary\")) }");
    assert_eq!(format!("{:?}", auth()), "Auth { required: true, file: None, .. }");
}
