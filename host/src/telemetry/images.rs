//! Images in what is told: the name of an image instead of its data. Whoever reads a trace wants to know that it is the
//! same image as before, not its megabytes; prompt flow names them the same way.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;
use sha1::{Digest as _, Sha1};

/// Begins what says that base64 of an image follows, as a data URI or as prompt flow's key of an object.
const MARKER: &str = "data:image";
/// Begins the name of an image. No base64: that comes in fours.
const NAME: &str = "Image";

/// The text with `Image(<first 8 hex digits of the SHA-1 of its bytes>)` for the data of each image.
///
/// The text need not be JSON, nor whole, nor may its JSON be escaped only once; so nothing is parsed: what stands after
/// `data:image/…;base64,` or `"data:image/…;base64": "` is data as long as it looks like it. Only characters within one
/// JSON string are replaced, and escapes are taken whole or left, so that JSON stays JSON.
pub(super) fn named(text: &str) -> Cow<'_, str> {
    let mut told = String::new();
    let mut rest = text;
    // All that is told passes here.
    while let Some(start) = memmem::find(rest.as_bytes(), MARKER.as_bytes()) {
        let (before, after) = rest.split_at(start + MARKER.len());
        told.push_str(before);
        rest = after;
        let Some(lead) = lead(after) else { continue };
        let (lead, data) = after.split_at(lead);
        let (data, after) = data.split_at(data_length(data));
        // A text that is told twice is named once.
        let is_name = data == NAME && after.starts_with('(');
        if !data.is_empty() && !is_name {
            told.push_str(lead);
            told.push_str(&name(data));
            rest = after;
        }
    }
    if told.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(told + rest)
}

/// Length of what stands between [`MARKER`] and data: `/png;base64,` or `/png;base64": "`, with any number of
/// backslashes before what JSON escapes.
fn lead(text: &str) -> Option<usize> {
    let kind = backslashes(text).strip_prefix('/')?;
    let name = kind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-*".contains(c));
    let form = name.strip_prefix(";base64")?;
    let data = match form.strip_prefix(',') {
        Some(data) => data,
        None => {
            let colon = backslashes(form).strip_prefix('"')?.trim_ascii_start().strip_prefix(':')?;
            backslashes(colon.trim_ascii_start()).strip_prefix('"')?
        }
    };
    Some(text.len() - data.len())
}

fn backslashes(text: &str) -> &str {
    text.trim_start_matches('\\')
}

/// How much of the beginning is base64. A slash may be escaped, and its backslashes as well.
fn data_length(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/=".contains(c));
        match backslashes(rest).strip_prefix('/') {
            Some(after) => rest = after,
            None => return text.len() - rest.len(),
        }
    }
}

fn name(data: &str) -> String {
    let data: Cow<'_, str> = if data.contains('\\') { data.replace('\\', "").into() } else { data.into() };
    let Ok(bytes) = BASE64.decode(&*data) else {
        // Somebody has cut it already.
        return format!("{NAME}(incomplete)");
    };
    let mut name = format!("{NAME}(");
    for byte in &Sha1::digest(&bytes)[..4] {
        write!(name, "{byte:02x}").expect("a string takes all text");
    }
    name + ")"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Of the bytes `abc`, whose SHA-1 is known from the standard: a9993e36….
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(named(text), expected);
    }

    #[test]
    fn data_is_named_in_every_form() {
        check(r#"{"p":{"data:image/png;base64":"YWJj"}}"#, r#"{"p":{"data:image/png;base64":"Image(a9993e36)"}}"#);
        check(
            r#"{"data:image/png;base64" : "YWJj", "a": 1}"#,
            r#"{"data:image/png;base64" : "Image(a9993e36)", "a": 1}"#,
        );
        check(
            r#"{"url":"data:image/svg+xml;base64,YWJj"} data:image/*;base64,YWJj."#,
            r#"{"url":"data:image/svg+xml;base64,Image(a9993e36)"} data:image/*;base64,Image(a9993e36)."#,
        );
    }

    #[test]
    fn data_in_escaped_json_is_named_too() {
        check(r#""{\"data:image\/png;base64\": \"YWJj\"}""#, r#""{\"data:image\/png;base64\": \"Image(a9993e36)\"}""#);
        // The bytes 3f f3 ff.
        check(r#""data:image/png;base64,P\/P\/\n""#, r#""data:image/png;base64,Image(c4e68041)\n""#);
        check(r#""data:image/png;base64,P\\/P\\/\\n""#, r#""data:image/png;base64,Image(c4e68041)\\n""#);
    }

    #[test]
    fn data_that_was_cut_is_not_shown_either() {
        check("data:image/png;base64,YWJjZ", "data:image/png;base64,Image(incomplete)");
        check(
            r#"{"data:image/png;base64":"YWJjZ… [70000 bytes]"#,
            r#"{"data:image/png;base64":"Image(incomplete)… [70000 bytes]"#,
        );
    }

    #[test]
    fn a_text_without_data_costs_nothing_and_stays() {
        for text in [
            "",
            "data:image",
            "data:image/png;base64",
            r#"{"data:image/png;path":"YWJj"}"#,
            "data:text/plain;base64,YWJj",
        ] {
            assert_eq!(named(text), text);
        }
        assert!(matches!(named("no image"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_name_is_not_named_again() {
        check("data:image/png;base64,Image(a9993e36)", "data:image/png;base64,Image(a9993e36)");
        check("data:image/png;base64,Image", "data:image/png;base64,Image(incomplete)");
    }

    fn piece() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "data:image",
            "/png",
            ";base64",
            ",",
            "\"",
            ":",
            " ",
            "\\",
            "/",
            "YWJj",
            "=",
            "\n",
            "é",
            "{",
            "\u{d}",
        ]);
        prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,3}"]
    }

    /// The text as JSON, as JSON in JSON, and so on; with slashes escaped, as some write them.
    fn escaped(text: &str, times: usize) -> String {
        (0..times).fold(text.to_owned(), |text, _| Value::from(text).to_string().replace('/', "\\/"))
    }

    proptest! {
        #[test]
        fn json_stays_json(pieces in prop::collection::vec(piece(), 0..24), times in 1_usize..4) {
            let told = named(&escaped(&pieces.concat(), times)).into_owned();
            prop_assert!(serde_json::from_str::<Value>(&told).is_ok(), "{told}");
            prop_assert_eq!(named(&told), told.as_str());
        }

        #[test]
        fn no_data_is_left_however_often_it_was_escaped(bytes in prop::collection::vec(any::<u8>(), 1..64), times in 0_usize..4) {
            let data = BASE64.encode(&bytes);
            let text = format!(r#"see {{"data:image/png;base64": "{data}"}} and data:image/png;base64,{data} there"#);
            let told = named(&escaped(&text, times)).into_owned();
            let name = name(&data);
            prop_assert_eq!(told, escaped(&text.replace(&data, &name), times));
        }
    }
}
