//! GET /: a page to try the flow. It knows nothing of the flow but what `swagger.json` says, as any other client.
//!
//! The page is one file: it asks nobody but this host, and works behind any path. Its policy lets the browser run its own
//! script and no other, by hash, and forbids to make HTML of text, so that no answer of a flow becomes part of the page.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header;
use sha2::{Digest as _, Sha256};

const INDEX: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
/// One module of the browser, told in five files.
const SCRIPT: &str = concat!(
    include_str!("page/script/elements.js"),
    include_str!("page/script/ask.js"),
    include_str!("page/script/fields.js"),
    include_str!("page/script/answer.js"),
    include_str!("page/script/page.js"),
);

static PAGE: LazyLock<String> = LazyLock::new(|| INDEX.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT));

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // It changes with the host.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE.as_str()).into_response()
}

/// How a policy names a script or a style.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}
