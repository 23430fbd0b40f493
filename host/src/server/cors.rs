//! What pages in a browser may do: which of them may call (CORS), and what the browser may make of an answer.
//!
//! As in the original every page may call, unless the operator names those that may. No cookie is ever asked for or
//! looked at, so a page can do no more than any program that reaches the host; a key it must have from its user.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::setting::{Reader, Setting};

pub static CORS_ORIGINS: Setting = Setting::new(
    "WEIR_CORS_ORIGINS",
    "*",
    "which pages may call from a browser: `*` (all), `none`, or origins (`https://chat.example.com`, comma separated)",
);

/// The headers of answers that pages may read, beside those that they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, x-ms-client-request-id, x-trace-id, x-feedback-token, x-feedback-durability, retry-after",
);
/// How long a browser may keep what it was told it may do, in seconds: ten minutes, so that a changed list of origins soon
/// holds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// Longest list of headers that a page may ask to send, in bytes. Pages that call a flow send five or so.
const MAX_ASKED: usize = 1024;

/// Which pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    #[default]
    All,
    /// None of them, if it is empty.
    These(Vec<HeaderValue>),
}

impl Origins {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        reader.value(&CORS_ORIGINS, Self::parse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::These(Vec::new()));
        }
        text.split(',').map(|origin| self::origin(origin.trim())).collect::<Result<_, _>>().map(Self::These)
    }

    /// What an answer says of who may read it: to a request with this `Origin`.
    fn answer(&self, asking: Option<&HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::All => Some(HeaderValue::from_static("*")),
            Self::These(origins) => asking.filter(|asking| origins.contains(asking)).cloned(),
        }
    }
}

/// An origin as browsers send it: scheme, host, and a port unless it is the scheme's own.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || format!("{text:?} is no origin; write https://HOST or https://HOST:PORT, or * or none alone");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(wrong()) };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(wrong()),
    };
    let port = uri.port_u16().filter(|port| *port != default).map(|port| format!(":{port}")).unwrap_or_default();
    let origin = format!("{scheme}://{}{port}", host.to_ascii_lowercase());
    // Nothing may follow, nor stand before the host.
    let exact = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/') && !text.contains('@');
    if exact { HeaderValue::from_str(&origin).map_err(|_| wrong()) } else { Err(wrong()) }
}

/// Answers `OPTIONS`, whoever asks, and tells browsers which pages may read an answer.
///
/// Around the router and not within it: what is allowed on a path, the router says in the `Allow` of its refusal, and
/// nowhere before. Outside of keys, which a browser does not send with the request by which it asks for leave.
pub(super) fn cors<F>(
    origins: &Origins,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> impl Future<Output = Response>
where
    F: Future<Output = Response>,
{
    let origin = request.headers().get(ORIGIN).cloned();
    let asked = (*request.method() == Method::OPTIONS).then(|| request.headers().clone());
    next(request).map(move |response| {
        let mut response = match asked {
            Some(asked) => options(response, &asked),
            None => response,
        };
        allow(origins, origin.as_ref(), response.headers_mut());
        response
    })
}

/// What the router has refused as a method is the answer to a question for methods.
fn options(refusal: Response, asked: &HeaderMap) -> Response {
    let Some(allowed) = refusal.headers().get(ALLOW).filter(|_| refusal.status() == StatusCode::METHOD_NOT_ALLOWED)
    else {
        return refusal;
    };
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let headers = answer.headers_mut();
    headers.insert(ALLOW, allowed.clone());
    if asked.contains_key(ORIGIN) && asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allowed.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        headers.append(VARY, HeaderValue::from(ACCESS_CONTROL_REQUEST_HEADERS));
        if let Some(names) = asked_headers(asked) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    answer
}

/// The headers that a page asks to send: all may be sent, since none is trusted. None, if the list is too long.
fn asked_headers(asked: &HeaderMap) -> Option<HeaderValue> {
    let lists = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let names = lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse::<HeaderName>().ok());
    let names = names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    if names.is_empty() || names.len() > MAX_ASKED { None } else { HeaderValue::from_str(&names).ok() }
}

fn allow(origins: &Origins, asking: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(origin) = origins.answer(asking) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    if matches!(origins, Origins::These(origins) if !origins.is_empty()) {
        headers.append(VARY, HeaderValue::from(ORIGIN));
    }
}

/// For answers that hold what people said: no cache keeps them, and no browser takes them for a page.
pub(super) fn private(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = Origins::parse(text).map(|origins| match origins {
            Origins::All => vec!["*".to_owned()],
            Origins::These(origins) => origins.iter().map(|it| it.to_str().unwrap().to_owned()).collect(),
        });
        let expected = expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        check("*", Ok(&["*"]));
        check("none", Ok(&[]));
        check("https://Chat.example.com", Ok(&["https://chat.example.com"]));
        check("http://localhost:3000, https://a:443", Ok(&["http://localhost:3000", "https://a"]));
        check("http://[::1]:8080", Ok(&["http://[::1]:8080"]));
        for wrong in ["chat.example.com", "https://a/", "https://a/b", "ftp://a", "https://u@a", "https://", "null", ""]
        {
            let expected =
                format!("{wrong:?} is no origin; write https://HOST or https://HOST:PORT, or * or none alone");
            check(wrong, Err(&expected));
        }
        check("https://a, *", Err("\"*\" is no origin; write https://HOST or https://HOST:PORT, or * or none alone"));
    }

    #[test]
    fn only_names_of_headers_are_allowed_and_not_too_many() {
        let asked = |list: &str| {
            let value = HeaderValue::from_str(list).unwrap();
            asked_headers(&HeaderMap::from_iter([(ACCESS_CONTROL_REQUEST_HEADERS, value)]))
        };
        assert_eq!(asked("Content-Type,authorization").unwrap(), "content-type, authorization");
        assert_eq!(asked("a b, <c>, d").unwrap(), "d");
        assert_eq!(asked(""), None);
        assert_eq!(asked(&"x-a, ".repeat(300)), None);
    }
}
