//! Takes a URL apart as `wasi:http` wants it. What it means, the host says.

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Scheme,
    pub(super) authority: String,
    /// Begins with `/`.
    pub(super) path_with_query: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Url {
    /// The URL with further parameters; a fragment, which is not for the service, is left out.
    pub(super) fn parse(text: &str, query: &[(String, String)]) -> Result<Self, String> {
        let expected = || format!("{text:?}: expected a URL that begins with https:// or http://");
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(expected()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return Err(expected());
        }
        let mut path_with_query = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        for (name, value) in query {
            path_with_query.push(if path_with_query.contains('?') { '&' } else { '?' });
            escape(name, &mut path_with_query);
            path_with_query.push('=');
            escape(value, &mut path_with_query);
        }
        Ok(Self { scheme, authority: authority.to_owned(), path_with_query })
    }
}

/// Escapes as forms do: a blank is `+`.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => into.push(char::from(byte)),
            b' ' => into.push('+'),
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, query: &[(&str, &str)], expected: Result<(Scheme, &str, &str), &str>) {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = Url::parse(text, &query).map(|url| (url.scheme, url.authority, url.path_with_query));
        let expected = expected.map(|(scheme, authority, path)| (scheme, authority.to_owned(), path.to_owned()));
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("https://a.example", &[], Ok((Scheme::Https, "a.example", "/")));
        check("HTTP://a.example:80/b?c=d#e", &[], Ok((Scheme::Http, "a.example:80", "/b?c=d")));
        check("http://[::1]:80?c", &[], Ok((Scheme::Http, "[::1]:80", "/?c")));
    }

    #[test]
    fn parameters_are_escaped_and_added() {
        check("http://a/b", &[("q", "a b&c"), ("é", "1")], Ok((Scheme::Http, "a", "/b?q=a+b%26c&%C3%A9=1")));
        check("http://a/b?c=d", &[("q", "x")], Ok((Scheme::Http, "a", "/b?c=d&q=x")));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["a.example", "ftp://a", "http://", "http:///path"] {
            let message = format!("{text:?}: expected a URL that begins with https:// or http://");
            check(text, &[], Err(&message));
        }
    }
}
