//! GET /: what a browser is given, and what the page is kept from. How it looks and works is seen in a browser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use harness::{Reply, TestHost};
use http::{Method, Request};
use sha2::{Digest as _, Sha256};

async fn ask(method: Method) -> Reply {
    let host = TestHost::flow("run_returns").start().await;
    let request = Request::builder().method(method).uri("/").body(bytes::Bytes::new()).expect("a request");
    let reply = host.send(request).await;
    host.stop().await;
    reply
}

/// What stands between two texts of the page.
#[track_caller]
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start} in the page"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in the page")).0
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64.encode(Sha256::digest(text)))
}

#[tokio::test]
async fn the_page_runs_its_own_script_and_no_other() {
    let reply = ask(Method::GET).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let script = between(reply.text(), "<script type=\"module\">", "</script>");
    let style = between(reply.text(), "<style>", "</style>");
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; form-action \
         'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        hash(script),
        hash(style)
    );
    assert_eq!(reply.header("content-security-policy"), Some(policy.as_str()));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    // The browser would refuse them.
    for attribute in [" style=", " onclick=", " onload=", "javascript:"] {
        assert!(!reply.text().contains(attribute), "{attribute}");
    }
}

#[tokio::test]
async fn the_page_asks_nobody_but_this_host() {
    let reply = ask(Method::GET).await;
    // The name of SVG, which no browser looks up, and the start of an address that a flow may answer.
    let known = reply.text().replace("xmlns='http://www.w3.org/2000/svg'", "").replace("/^https?:\\/\\//i", "");
    assert!(!known.contains("://"), "an address of somebody else in the page");
    for (attribute, allowed) in [("src=\"", vec![]), ("href=\"", vec!["#", "data:", "swagger.json\""])] {
        for (at, _) in known.match_indices(attribute) {
            let value = &known[at + attribute.len()..];
            assert!(allowed.iter().any(|start| value.starts_with(start)), "{attribute}{}", &value[..40]);
        }
    }
}

#[tokio::test]
async fn the_page_never_makes_html_of_text() {
    let reply = ask(Method::GET).await;
    let script = between(reply.text(), "<script type=\"module\">", "</script>");
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "eval(",
    ] {
        assert!(!script.contains(way), "{way}");
    }
}

#[tokio::test]
async fn whoever_asks_for_the_head_alone_gets_that() {
    let reply = ask(Method::HEAD).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(reply.body.is_empty());
}
