//! What a policy lets flows ask for: addresses and connections as grants have them, and what of the operator's own network.

use serde::Deserialize;

use super::Http;
use super::asked::{self, Asked, Methods, Place, Terms};
use super::pattern::Pattern;
use crate::address::{Allowed, literal, refusal};
use crate::boundary::Capability;
use crate::boundary::grants::AskError;
use crate::boundary::policy::Rules;
use crate::capability::Glob;

/// An entry of a policy for `http`.
#[derive(Debug)]
pub enum Rule {
    /// `"*"`: every address and connection, but none inside the operator's network.
    Everything,
    /// What a grant may say; the name of a connection may be a pattern.
    Some(Within),
    /// `{private_addresses: [...]}`: hosts inside the operator's network that grants may name.
    Private(Allowed),
}

/// What grants may say, and no more.
#[derive(Debug)]
pub struct Within(Asked);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Private {
    private_addresses: Vec<String>,
}

impl Rule {
    /// # Errors
    /// Says what was expected.
    pub(super) fn read(entry: &str) -> Result<Self, String> {
        if entry == r#""*""# {
            return Ok(Self::Everything);
        }
        if let Ok(Private { private_addresses }) = serde_json::from_str(entry) {
            return Allowed::parse(&private_addresses.join(",")).map(Self::Private);
        }
        asked::read_one(entry).map(|asked| Self::Some(Within(asked)))
    }

    /// What may be done at a place that it covers.
    fn terms(&self, place: &Place) -> Option<Terms> {
        match (self, place) {
            (Self::Everything, _) => Some(Terms { methods: Methods::default(), trace_context: true }),
            (Self::Some(Within(Asked { place: Place::Address(outer), terms })), Place::Address(inner)) => {
                outer.contains(inner).then(|| terms.clone())
            }
            (Self::Some(Within(Asked { place: Place::Connection(outer), terms })), Place::Connection(inner)) => {
                Glob::new(outer.as_str()).covers(inner).then(|| terms.clone())
            }
            (Self::Some(_) | Self::Private(_), _) => None,
        }
    }

    /// Whether it lets a grant name this host inside the operator's network.
    fn opens(&self, pattern: &Pattern, host: &str, port: u16) -> bool {
        match self {
            Self::Some(Within(Asked { place: Place::Address(outer), .. })) => {
                outer.host().is_some() && outer.contains(pattern)
            }
            Self::Everything | Self::Some(_) => false,
            Self::Private(allowed) => allowed.names(host, port),
        }
    }
}

/// Whether a policy lets flows have all that is asked for.
///
/// # Errors
/// If it does not; says what of it is too much.
pub(super) fn check(asked: &Asked, rules: &Rules<Rule>) -> Result<(), AskError> {
    let exceeded = |what: String| Err(rules.exceeded(Http::NAME, &what));
    let Asked { place, terms } = asked;
    let shown = place.shown();
    let Some(entries) = rules.entries() else { return Ok(()) };
    let granted: Vec<Terms> = entries.filter_map(|entry| entry.terms(place)).collect();
    if granted.is_empty() {
        return exceeded(shown);
    }
    let beyond = match terms.methods.each() {
        None => (!granted.iter().any(|terms| terms.methods.each().is_none())).then(|| "every method".to_owned()),
        Some(methods) => {
            let mut beyond = methods.iter().filter(|method| !granted.iter().any(|terms| terms.methods.hold(method)));
            beyond.next().map(ToString::to_string)
        }
    };
    if let Some(methods) = beyond {
        return exceeded(format!("{methods} to {shown}"));
    }
    if terms.trace_context && !granted.iter().any(|terms| terms.trace_context) {
        return exceeded(format!("`trace_context` for {shown}"));
    }
    match place {
        Place::Address(pattern) => match pattern.private_host() {
            Some((host, port)) if is_inside(host) && !rules.hold(|rule| rule.opens(pattern, host, port)) => {
                exceeded(format!("the private address {shown}"))
            }
            _ => Ok(()),
        },
        Place::Connection(_) => Ok(()),
    }
}

/// What a policy lets a node do at the service of its own connection, by all of its entries together; none: nothing.
pub(super) fn of_own(connection: &str, rules: &Rules<Rule>) -> Option<Terms> {
    let place = Place::Connection(connection.to_owned());
    let Some(entries) = rules.entries() else { return Some(Terms::default()) };
    let methods = entries.filter_map(|entry| entry.terms(&place)).map(|terms| terms.methods).reduce(Methods::and)?;
    // That the service is told of the trace is for a grant to say.
    Some(Terms { methods, trace_context: false })
}

/// Whether a host is inside the operator's network, and not a public address.
fn is_inside(host: &str) -> bool {
    literal(host).is_none_or(|address| refusal(address).is_some())
}
