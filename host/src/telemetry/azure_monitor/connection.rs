//! The connection string of an Application Insights resource: `InstrumentationKey=…;IngestionEndpoint=https://…`.
//!
//! Pure: text in, a connection or all that is wrong with the text out. No problem shows a value, since any of them may
//! be the key under a misspelt name.

use reqwest::Url;

use crate::secret::Secret;

/// Where everything goes that names no endpoint.
const GLOBAL: &str = "https://dc.services.visualstudio.com";

/// Whom tokens are for, unless the string says otherwise.
const AUDIENCE: &str = "https://monitor.azure.com/";

/// How a resource is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// By which the resource is known. Whoever has it can send to it.
    pub(super) key: Secret,
    /// `https://HOST`, or `http://HOST` for tests and proxies: what is written is taken as it is.
    pub(super) endpoint: Url,
    /// Scope of tokens for it.
    pub(super) scope: String,
    /// The resource's application id, which it shows on what it receives.
    pub(super) application: Option<String>,
}

impl Connection {
    /// # Errors
    /// All that is wrong with the text, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (pairs, mut problems) = Pairs::read(text);
        let (authorization, endpoint, key) = (pairs.authorization(), pairs.endpoint(), pairs.key());
        let (Ok(()), Ok(endpoint), Ok(key), true) = (&authorization, &endpoint, &key, problems.is_empty()) else {
            let of_values = [authorization.err(), endpoint.err(), key.err()];
            problems.extend(of_values.into_iter().flatten());
            return Err(problems.join("; "));
        };
        let audience = pairs.get("AADAudience").unwrap_or(AUDIENCE);
        Ok(Self {
            key: Secret::new(*key),
            endpoint: endpoint.clone(),
            scope: format!("{audience}/.default"),
            application: pairs.get("ApplicationId").map(str::to_owned),
        })
    }

    /// What an instrumentation key alone leads to: the endpoint of the connection string beside it, if there is one, else
    /// the global one.
    ///
    /// # Errors
    /// The key is none.
    pub fn of_key(key: &str, beside: Option<&Self>) -> Result<Self, String> {
        let alone = Self::parse(&format!("InstrumentationKey={}", key_of(key)?))?;
        Ok(match beside {
            // It says where, and whom tokens are for; its application is another.
            Some(beside) => Self { key: alone.key, application: None, ..beside.clone() },
            None => alone,
        })
    }

    /// Where it is, for people: never the key.
    pub fn shown(&self) -> String {
        self.endpoint.as_str().trim_end_matches('/').to_owned()
    }
}

/// Keys in lower case and their values.
struct Pairs<'a>(Vec<(String, &'a str)>);

impl<'a> Pairs<'a> {
    fn read(text: &'a str) -> (Self, Vec<String>) {
        let (mut pairs, mut problems) = (Vec::<(String, &str)>::new(), Vec::new());
        // A string that ends in `;` is whole.
        for (at, part) in text.split(';').enumerate().filter(|(_, part)| !part.trim().is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                problems.push(format!("part {} has no `=`; write KEY=VALUE;KEY=VALUE", at + 1));
                continue;
            };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if pairs.iter().any(|(other, _)| *other == key) {
                problems.push(format!("part {} has a key that is there already", at + 1));
            } else if !value.is_empty() {
                // One that is not known here may be of a later time, as `LiveEndpoint` once was.
                pairs.push((key, value));
            }
        }
        (Self(pairs), problems)
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    fn key(&self) -> Result<&'a str, String> {
        let help = "copy the connection string from the resource's overview in Azure's portal";
        let key = self.get("InstrumentationKey").ok_or_else(|| format!("`InstrumentationKey` is missing; {help}"))?;
        key_of(key)
    }

    fn authorization(&self) -> Result<(), String> {
        match self.get("Authorization") {
            None => Ok(()),
            Some(kind) if kind.eq_ignore_ascii_case("ikey") => Ok(()),
            Some(_) => {
                Err("`Authorization` must be `ikey`; for Entra ID see APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
                    .to_owned())
            }
        }
    }

    fn endpoint(&self) -> Result<Url, String> {
        if let Some(endpoint) = self.get("IngestionEndpoint") {
            return address(endpoint);
        }
        let Some(suffix) = self.get("EndpointSuffix") else { return address(GLOBAL) };
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte));
        let location = self.get("Location").map(|location| format!("{location}.")).unwrap_or_default();
        for (key, text) in [("EndpointSuffix", suffix), ("Location", &location)] {
            if !is_name(text) {
                return Err(format!("`{key}` must be part of a host's name: letters, digits, `-` and `.`"));
            }
        }
        address(&format!("https://{location}dc.{}", suffix.trim_start_matches('.')))
    }
}

/// A key is a UUID.
fn key_of(text: &str) -> Result<&str, String> {
    let text = text.trim();
    let is_hex = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<_> = text.split('-').collect();
    let is_uuid = parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, count)| is_hex(part, count));
    let expected = || "the instrumentation key must be a UUID: 00000000-0000-0000-0000-000000000000".to_owned();
    if is_uuid { Ok(text) } else { Err(expected()) }
}

fn address(text: &str) -> Result<Url, String> {
    let help = || {
        "`IngestionEndpoint` must be https://HOST (or http://HOST:PORT), with nothing but a path after it".to_owned()
    };
    let url = Url::parse(text).map_err(|_| help())?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain { Ok(url) } else { Err(help()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00000000-0000-0000-0000-0000000000aa";

    #[track_caller]
    fn leads_to(text: &str, endpoint: &str, scope: &str) {
        let connection = Connection::parse(text).unwrap();
        assert_eq!((connection.shown(), &*connection.scope), (endpoint.to_owned(), scope), "{text}");
        assert_eq!(connection.key.expose().to_ascii_lowercase(), KEY);
    }

    #[test]
    fn an_endpoint_is_named_made_of_parts_or_global() {
        let scope = "https://monitor.azure.com//.default";
        for (rest, endpoint) in [
            ("", "https://dc.services.visualstudio.com"),
            (";", "https://dc.services.visualstudio.com"),
            (";Location=westus", "https://dc.services.visualstudio.com"),
            (";EndpointSuffix=ai.contoso.com", "https://dc.ai.contoso.com"),
            (";EndpointSuffix=ai.contoso.com;Location=westus", "https://westus.dc.ai.contoso.com"),
            (
                ";IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;LiveEndpoint=https://x/",
                "https://westeurope-5.in.applicationinsights.azure.com",
            ),
            (";ingestionendpoint=https://a;EndpointSuffix=b.com", "https://a"),
            (";IngestionEndpoint=http://127.0.0.1:18190/", "http://127.0.0.1:18190"),
            (";IngestionEndpoint=https://proxy.internal/insights/", "https://proxy.internal/insights"),
            (";Authorization=IKEY; NewKey=what=ever", "https://dc.services.visualstudio.com"),
            (";IngestionEndpoint=", "https://dc.services.visualstudio.com"),
        ] {
            leads_to(&format!("InstrumentationKey={KEY}{rest}"), endpoint, scope);
        }
        leads_to(
            &format!("instrumentationkey = {}", KEY.to_uppercase()),
            "https://dc.services.visualstudio.com",
            scope,
        );
        let us = format!("InstrumentationKey={KEY};AADAudience=https://monitor.azure.us/");
        leads_to(&us, "https://dc.services.visualstudio.com", "https://monitor.azure.us//.default");
    }

    #[test]
    fn all_that_is_wrong_is_told_without_a_value() {
        let missing = "`InstrumentationKey` is missing; copy the connection string from the resource's overview in Azure's portal";
        let uuid = "the instrumentation key must be a UUID: 00000000-0000-0000-0000-000000000000";
        let endpoint =
            "`IngestionEndpoint` must be https://HOST (or http://HOST:PORT), with nothing but a path after it";
        for (text, problems) in [
            (KEY.to_owned(), format!("part 1 has no `=`; write KEY=VALUE;KEY=VALUE; {missing}")),
            ("InstrumentationKey=abc".to_owned(), uuid.to_owned()),
            (format!("InstrumentationKey={KEY}0"), uuid.to_owned()),
            (format!("InstrumentationKee={KEY}"), missing.to_owned()),
            (
                format!("InstrumentationKey={KEY};instrumentationkey={KEY}"),
                "part 2 has a key that is there already".to_owned(),
            ),
            (format!("InstrumentationKey={KEY};IngestionEndpoint=ftp://x"), endpoint.to_owned()),
            (format!("InstrumentationKey={KEY};IngestionEndpoint=https://user:pass@x/"), endpoint.to_owned()),
            (format!("InstrumentationKey={KEY};IngestionEndpoint=https://x/?key=secret"), endpoint.to_owned()),
            (
                format!("InstrumentationKey={KEY};EndpointSuffix=x/@evil"),
                "`EndpointSuffix` must be part of a host's name: letters, digits, `-` and `.`".to_owned(),
            ),
            (
                "Authorization=aad;IngestionEndpoint=x".to_owned(),
                format!(
                    "`Authorization` must be `ikey`; for Entra ID see APPLICATIONINSIGHTS_AUTHENTICATION_STRING; {endpoint}; {missing}"
                ),
            ),
        ] {
            let error = Connection::parse(&text).unwrap_err();
            assert_eq!(error, problems, "{text}");
            assert!(!error.contains(KEY) && !error.contains("secret") && !error.contains("pass@"), "{error}");
        }
    }

    #[test]
    fn a_key_alone_goes_where_the_connection_string_beside_it_says() {
        let beside = Connection::parse(&format!(
            "InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:1/;ApplicationId=other"
        ));
        let key = "11111111-1111-1111-1111-111111111111";
        let connection = Connection::of_key(key, Some(&beside.unwrap())).unwrap();
        assert_eq!((connection.key.expose(), connection.shown()), (key, "http://127.0.0.1:1".to_owned()));
        assert_eq!(connection.application, None);
        assert_eq!(Connection::of_key(key, None).unwrap().shown(), "https://dc.services.visualstudio.com");
        assert!(Connection::of_key("a;IngestionEndpoint=http://evil", None).is_err());
    }

    #[test]
    fn a_connection_is_never_shown_with_its_key() {
        let connection = Connection::parse(&format!("InstrumentationKey={KEY}")).unwrap();
        assert!(!format!("{connection:?}").contains(KEY));
    }
}
