//! Whether a redirect is followed: what is sent holds what people said, and a token that whoever reads it may use. Pure.

use reqwest::Url;

/// Suffixes of Azure Monitor's own hosts. Within one of them all hosts are Microsoft's.
const SUFFIXES: [&str; 7] = [
    ".monitor.azure.com",
    ".services.visualstudio.com",
    ".applicationinsights.azure.com",
    ".monitor.azure.us",
    ".applicationinsights.azure.us",
    ".monitor.azure.cn",
    ".applicationinsights.azure.cn",
];

/// Where a redirect from here leads to: the same host, or another below the same suffix, and never from https to http.
/// Only the host moves, as in the original: what is asked of it stays the same.
///
/// # Errors
/// Why it is not followed.
pub(super) fn target(from: &Url, location: Option<&str>) -> Result<Url, String> {
    let to = location.and_then(|text| Url::parse(text).ok()).ok_or("a redirect to nowhere")?;
    let hosts = (from.host_str().unwrap_or_default(), to.host_str().unwrap_or_default());
    let (one, other) = (hosts.0.trim_end_matches('.'), hosts.1.trim_end_matches('.'));
    let is_secure = to.scheme() == "https" || (to.scheme() == "http" && from.scheme() == "http");
    let is_plain = to.username().is_empty() && to.password().is_none();
    let is_same =
        !one.is_empty() && (one == other || SUFFIXES.iter().any(|it| one.ends_with(it) && other.ends_with(it)));
    if is_secure && is_plain && is_same {
        let mut moved = to.clone();
        moved.set_path(from.path());
        moved.set_query(None);
        moved.set_fragment(None);
        return Ok(moved);
    }
    Err(format!("a redirect to {}://{other} is not followed", to.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_with_the_host_or_below_its_suffix() {
        let global = "https://dc.services.visualstudio.com/v2.1/track";
        let west = "https://westeurope-5.in.applicationinsights.azure.com/v2.1/track";
        let local = "http://127.0.0.1:1/v2.1/track";
        for (from, to, expected) in [
            (
                west,
                "https://eastus-1.in.applicationinsights.azure.com/v2.1/track",
                Ok("https://eastus-1.in.applicationinsights.azure.com/v2.1/track"),
            ),
            (global, "https://rt.services.visualstudio.com/x", Ok("https://rt.services.visualstudio.com/v2.1/track")),
            (global, "/v2.2/track", Err("a redirect to nowhere")),
            (local, "http://127.0.0.1:2/v2.1/track", Ok("http://127.0.0.1:2/v2.1/track")),
            (local, "https://127.0.0.1:2/", Ok("https://127.0.0.1:2/v2.1/track")),
            (
                west,
                "https://dc.services.visualstudio.com/",
                Err("a redirect to https://dc.services.visualstudio.com is not followed"),
            ),
            (west, "https://evil.example/", Err("a redirect to https://evil.example is not followed")),
            (
                west,
                "https://evilapplicationinsights.azure.com/",
                Err("a redirect to https://evilapplicationinsights.azure.com is not followed"),
            ),
            (
                west,
                "https://in.applicationinsights.azure.com.evil.example/",
                Err("a redirect to https://in.applicationinsights.azure.com.evil.example is not followed"),
            ),
            (
                west,
                "http://eastus-1.in.applicationinsights.azure.com/",
                Err("a redirect to http://eastus-1.in.applicationinsights.azure.com is not followed"),
            ),
            (
                west,
                "https://u:p@eastus-1.in.applicationinsights.azure.com/",
                Err("a redirect to https://eastus-1.in.applicationinsights.azure.com is not followed"),
            ),
            (local, "http://localhost:2/", Err("a redirect to http://localhost is not followed")),
            (local, "file:///etc/passwd", Err("a redirect to file:// is not followed")),
        ] {
            let found = target(&Url::parse(from).unwrap(), Some(to));
            assert_eq!(found.as_ref().map(Url::as_str).map_err(String::as_str), expected, "{from} {to}");
        }
        assert!(target(&Url::parse(local).unwrap(), None).is_err());
    }
}
