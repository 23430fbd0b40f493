//! `tracestate`: what tracing systems on the way tell each other. We have nothing to say there, and pass it on as a whole
//! or not at all.

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::trace::TraceState;

/// Most members, by the standard.
const MAX_MEMBERS: usize = 32;
/// Longest state, in bytes: as much as the standard asks everyone to pass on.
const MAX_LENGTH: usize = 512;
/// Longest key and longest value, by the standard.
const MAX_PART: usize = 256;
/// Longest parts of a key that names a tenant of a system: `TENANT@SYSTEM`.
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;

/// A state that keeps to the standard, as it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State(Arc<str>);

impl State {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The state as spans carry it to where they are exported.
    ///
    /// OpenTelemetry does not take names of systems of 14 characters, which the standard allows; such a state goes on to
    /// other services all the same.
    pub(super) fn for_spans(&self) -> TraceState {
        let members = self.0.split(',').filter_map(|member| member.split_once('='));
        TraceState::from_key_value(members).unwrap_or_default()
    }
}

/// What all headers of the name say together; none if anything is wrong with it, or there is nothing.
pub(super) fn read(headers: &HeaderMap) -> Option<State> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for value in headers.get_all("tracestate") {
        for member in value.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            // Members may be empty, and then say nothing.
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').filter(|(key, value)| is_key(key) && is_value(value))?;
            if members.len() == MAX_MEMBERS || members.iter().any(|(known, _)| *known == key) {
                return None;
            }
            members.push((key, value));
        }
    }
    let text = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    (1..=MAX_LENGTH).contains(&text.len()).then(|| State(text.into()))
}

fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        Some((tenant, system)) => is_name(tenant, MAX_TENANT) && is_name(system, MAX_SYSTEM),
        None => is_name(key, MAX_PART),
    }
}

fn is_name(name: &str, longest: usize) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    // The first edition of the standard wants a letter in front, the second takes a digit too.
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    begins && name.len() <= longest && name.bytes().all(allowed)
}

fn is_value(value: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    (1..=MAX_PART).contains(&value.len()) && value.bytes().all(allowed)
}
