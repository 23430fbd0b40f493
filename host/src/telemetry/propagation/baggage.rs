//! `baggage`: what a caller's system wants to be known of a request.

use http::HeaderMap;
use opentelemetry::baggage::{Baggage, KeyValueMetadata};

/// Longest baggage, in bytes, by the standard. What is longer is dropped as a whole.
const MAX_LENGTH: usize = 8192;
/// Most members, by the standard. What comes after them is dropped.
const MAX_MEMBERS: usize = 64;

/// What all headers of the name say together; of what is malformed, nothing.
pub(super) fn read(headers: &HeaderMap) -> Baggage {
    let values: Vec<&str> = headers.get_all("baggage").iter().filter_map(|value| value.to_str().ok()).collect();
    // With the commas that join them.
    let length = values.iter().map(|value| value.len() + 1).sum::<usize>().saturating_sub(1);
    if length > MAX_LENGTH {
        return Baggage::new();
    }
    // Which names may be used, the collection sees to.
    values.into_iter().flat_map(|value| value.split(',')).take(MAX_MEMBERS).filter_map(member).collect()
}

/// `NAME=VALUE;PROPERTY;PROPERTY`, with what is special in it percent-encoded.
fn member(text: &str) -> Option<KeyValueMetadata> {
    let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
    let (name, value) = pair.split_once('=')?;
    let properties = properties.split(';').map(|property| decoded(property.trim())).collect::<Vec<_>>().join(";");
    Some(KeyValueMetadata::new(name.trim().to_owned(), decoded(value.trim()), properties))
}

/// A text without its percent-encoding. A percent sign that encodes nothing stays; bytes that are no UTF-8 become U+FFFD.
pub(in crate::telemetry) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let encoded = after.split_at_checked(2).filter(|_| *first == b'%');
        let byte = encoded.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok().filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = byte.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
