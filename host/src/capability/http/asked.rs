//! What `grants.http` of a node says: addresses and connections, each with what may be done there.

use std::fmt;

use http::Method;
use reqwest::Url;
use serde::Deserialize;

use super::pattern::Pattern;
use crate::boundary::Capability;
use crate::boundary::grants::{Ask, AskError};

/// One entry: where requests may go, and what of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) place: Place,
    pub(super) terms: Terms,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Address(Pattern),
    Connection(String),
}

/// What may be done at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) methods: Methods,
    /// Whether the service is told of the trace: an id of the caller's, so only those get it that are meant to.
    pub(super) trace_context: bool,
}

/// Methods of requests; none: each but CONNECT, which nothing can grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Methods(Option<Vec<Method>>);

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    url: Option<String>,
    connection: Option<String>,
    methods: Option<Vec<String>>,
    #[serde(default)]
    trace_context: bool,
}

/// What an entry may look like, for who wrote something else.
const EXPECTED: &str = "a list of addresses such as https://api.example.com, of {connection: NAME} and of \
                        {url: ADDRESS}, the last two also with `methods: [GET]` and `trace_context: true`";

/// Reads one entry, as a policy has them.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_one(entry: &str) -> Result<Asked, String> {
    let read = serde_json::from_str(entry).ok().map_or(Ok(None), Asked::of)?;
    read.ok_or_else(|| format!("expected entries of {EXPECTED}, found {entry}"))
}

/// Whether the grant of a node, JSON text, lets it send requests to the service at an address, be it only below some path.
pub fn names(grant: &str, address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let asks = read(Ask { grant: Some(grant), ..Ask::default() }).0;
    asks.iter().any(|asked| matches!(&asked.place, Place::Address(pattern) if pattern.covers_host_of(&url)))
}

/// Reads the grant of a node; absent is empty. Beside the entries that can be used, what is wrong with each other: one that
/// is wrong must not hide what is to be said of those beside it.
pub(super) fn read(ask: Ask<'_>) -> (Vec<Asked>, Vec<AskError>) {
    let (capability, expected) = (super::Http::NAME, EXPECTED);
    let entries: Vec<Entry> = match ask.entries(capability, expected) {
        Ok(entries) => entries,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let found = ask.grant.unwrap_or_default();
    let (mut asks, mut errors) = (Vec::new(), Vec::new());
    for entry in entries {
        match Asked::of(entry) {
            Ok(Some(asked)) => asks.push(asked),
            // Both a URL and a connection, or neither.
            Ok(None) => errors.push(AskError::NotUnderstood { capability, expected, found: found.to_owned() }),
            Err(what) => errors.push(super::unusable(what)),
        }
    }
    (asks, errors)
}

impl Asked {
    fn of(entry: Entry) -> Result<Option<Self>, String> {
        let (url, connection, methods, trace_context) = match entry {
            Entry::Text(url) => (Some(url), None, None, false),
            Entry::Whole(Whole { url, connection, methods, trace_context }) => {
                (url, connection, methods, trace_context)
            }
        };
        let place = match (url, connection) {
            (Some(url), None) => Place::Address(Pattern::parse(&url)?),
            (None, Some(connection)) => Place::Connection(connection),
            (Some(_), Some(_)) | (None, None) => return Ok(None),
        };
        Ok(Some(Self { place, terms: Terms { methods: Methods::parse(methods)?, trace_context } }))
    }
}

impl Place {
    /// As messages name it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Address(pattern) => pattern.to_string(),
            Self::Connection(name) => format!("connection {name:?}"),
        }
    }
}

impl Methods {
    fn parse(written: Option<Vec<String>>) -> Result<Self, String> {
        let method = |text: &String| {
            // Names of methods are case-sensitive, and a grant of `get` would grant nothing that a service knows.
            let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| *text == text.to_ascii_uppercase());
            let method = method.filter(|method| method != Method::CONNECT);
            method
                .ok_or_else(|| format!("methods: {text:?}: expected a method such as GET or POST, in capital letters"))
        };
        match written {
            Some(list) if list.is_empty() => Err("methods: the list is empty; leave it out to grant each".to_owned()),
            Some(list) => Ok(Self(Some(list.iter().map(method).collect::<Result<_, _>>()?))),
            None => Ok(Self(None)),
        }
    }

    /// Those of another entry for the same place added to these.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.zip(other.0).map(|(methods, others)| methods.into_iter().chain(others).collect()))
    }

    /// Each of them; none: all that there are.
    pub(super) fn each(&self) -> Option<&[Method]> {
        self.0.as_deref()
    }

    pub(super) fn hold(&self, method: &Method) -> bool {
        self.0.as_ref().is_none_or(|methods| methods.contains(method))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(methods) = &self.0 else { return f.write_str("every method") };
        f.write_str(&methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", "))
    }
}
