//! How much of inputs and outputs is told, and how long any told text may be. Which texts are content: see spans.rs.

use std::sync::Arc;

use super::images::named;

/// How much of the content of requests and replies goes into spans. Keys and headers never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    None,
    /// The first [`CONTENT_BYTES`] of each text. The default: prompt flow promises inputs and outputs on spans, and
    /// back ends cut or refuse long values by rules of their own.
    #[default]
    Truncated,
    /// All of it.
    Full,
}

/// Longest content under [`Content::Truncated`], in bytes before the marker. Application Insights cuts at 8 KiB; an
/// export batch of 512 spans, each with inputs and output, stays within gRPC's usual 4 MiB message.
pub const CONTENT_BYTES: usize = 4 * 1024;

/// Longest value of a dimension or short attribute whose text comes from outside, in bytes. Names of models are the
/// longest that are of use.
pub(super) const LABEL_BYTES: usize = 128;

/// Longest error message on a span, in bytes.
pub(super) const MESSAGE_BYTES: usize = 1024;

impl Content {
    /// The text as it may be told, if it may. Shared, since the same text becomes an attribute and an event.
    pub(super) fn told(self, text: &str) -> Option<Arc<str>> {
        match self {
            Self::None => None,
            Self::Truncated => Some(marked(text, CONTENT_BYTES)),
            Self::Full => Some(named(text).into()),
        }
    }
}

/// The text, or as much of it as fits followed by a marker that says how long it was; its images are named, not shown.
pub(super) fn marked(text: &str, bytes: usize) -> Arc<str> {
    let text = &*named(text);
    let head = cut(text, bytes);
    if head.len() == text.len() { text.into() } else { format!("{head}… [{} bytes]", text.len()).into() }
}

/// The longest beginning of the text that has at most so many bytes and ends between two characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: usize, expected: &str) {
        assert_eq!(&*marked(text, bytes), expected);
    }

    #[test]
    fn a_text_that_fits_is_told_as_it_is() {
        check("", 4, "");
        check("four", 4, "four");
        check("grün", 5, "grün");
    }

    #[test]
    fn a_longer_text_is_cut_between_characters_and_marked() {
        check("five!", 4, "five… [5 bytes]");
        check("grün", 3, "gr… [5 bytes]");
        check("🦀🦀", 5, "🦀… [8 bytes]");
        check("🦀", 0, "… [4 bytes]");
    }

    #[test]
    fn content_is_told_by_its_switch() {
        let long = "x".repeat(CONTENT_BYTES + 1);
        assert_eq!(Content::None.told(&long), None);
        assert_eq!(Content::Full.told(&long).as_deref(), Some(long.as_str()));
        let told = Content::Truncated.told(&long).expect("content is on");
        assert_eq!(*told, *format!("{}… [4097 bytes]", &long[1..]));
    }
}
