//! How much of inputs and outputs is told, and how long any told text may be. Which texts are content: see spans.rs.

use std::sync::Arc;

use super::images::named;
use super::redaction::Redactor;
use crate::setting::{self, Reader, Setting};

pub(super) static CONTENT: Setting = Setting::new(
    "WEIR_TRACE_CONTENT",
    "truncated",
    "`none`, `truncated` (to 4 KiB) or `full` inputs and outputs on spans",
);
pub(super) static CAPTURE: Setting = Setting::optional(
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "prompt flow's attributes and events",
    "`false` or `NO_CONTENT`: no content, unless `WEIR_TRACE_CONTENT` is set; `true` or `SPAN_AND_EVENT`: also GenAI's \
     attributes; `SPAN_ONLY`: these, but no events; `EVENT_ONLY`: only events",
);

const CONTENTS: [(&str, Content); 3] =
    [("none", Content::None), ("truncated", Content::Truncated), ("full", Content::Full)];

/// What the usual variable of the GenAI conventions may say. None: no content.
const CAPTURES: [(&str, Option<Places>); 6] = [
    ("true", Some(Places::ALL)),
    ("false", None),
    ("NO_CONTENT", None),
    ("SPAN_ONLY", Some(Places { events: false, ..Places::ALL })),
    ("EVENT_ONLY", Some(Places { attributes: false, gen_ai: false, events: true })),
    ("SPAN_AND_EVENT", Some(Places::ALL)),
];

/// How much of the content of requests and replies goes into spans. Keys and headers never do. What tells less is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// Where content is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// As prompt flow's attributes.
    pub(super) attributes: bool,
    /// As prompt flow's events, which say the same again.
    pub(super) events: bool,
    /// As attributes of the GenAI conventions, which say it a third time. Only if somebody asks for them.
    pub(super) gen_ai: bool,
}

/// What an operator says of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Most that any flow may tell; none: nothing was said.
    most: Option<Content>,
    places: Places,
}

/// What is told of the content of one flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) content: Content,
    pub(super) places: Places,
}

impl Places {
    const ALL: Self = Self { attributes: true, events: true, gen_ai: true };
}

impl Default for Places {
    fn default() -> Self {
        Self { attributes: true, events: true, gen_ai: false }
    }
}

impl Policy {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let most = reader.optional(&CONTENT, setting::one_of(&CONTENTS));
        let captured = reader.optional(&CAPTURE, setting::one_of(&CAPTURES));
        match captured {
            // Ours comes before it.
            Some(None) => Self { most: most.or(Some(Content::None)), places: Places::default() },
            Some(Some(places)) => Self { most, places },
            None => Self { most, places: Places::default() },
        }
    }

    /// What is told of a flow whose file says this. Neither the operator nor the flow is overruled by the other: what one
    /// of them forbids is not told.
    pub(super) fn of(self, flow: Option<Content>) -> Recording {
        let content = match (self.most, flow) {
            (Some(most), Some(flow)) => most.min(flow),
            (Some(said), None) | (None, Some(said)) => said,
            (None, None) => Content::default(),
        };
        Recording { content, places: self.places }
    }
}

impl From<Content> for Policy {
    /// An operator who has said no more than this.
    fn from(most: Content) -> Self {
        Self { most: Some(most), places: Places::default() }
    }
}

impl Content {
    /// The text as it may be told, if it may. Shared, since the same text becomes an attribute and an event.
    pub(super) fn told(self, redactor: &Redactor, text: &str) -> Option<Arc<str>> {
        match self {
            Self::None => None,
            Self::Truncated => Some(marked(redactor, text, CONTENT_BYTES)),
            Self::Full => Some(redactor.text(&named(text)).into()),
        }
    }
}

/// How much of a text is searched for secrets if little of it may be told, in bytes: with room for many that are longer than
/// their masks.
const SEARCHED: usize = 64 << 10;

/// Longest secret, in bytes: a private key.
const SECRET: usize = 4 << 10;

/// The text, or as much of it as fits followed by a marker that says how long it was; its images are named, not shown, and
/// its secrets are masked before it is cut.
///
/// Of a text that is far longer only the beginning is searched: searching costs, and in a call of a guest nobody else gets a turn
/// meanwhile. What lies so near to the end of that that it could be a part of a secret is not told.
pub(super) fn marked(redactor: &Redactor, text: &str, bytes: usize) -> Arc<str> {
    let text = &*named(text);
    let searched = cut(text, SEARCHED.max(bytes.saturating_mul(4)));
    let masked = redactor.text(searched);
    let (head, length) = match searched.len() == text.len() {
        true => (cut(&masked, bytes), masked.len()),
        false => (cut(&masked, bytes.min(masked.len().saturating_sub(SECRET))), text.len()),
    };
    if head.len() == length { head.into() } else { format!("{head}… [{length} bytes]").into() }
}

/// A short text from outside, without secrets.
pub(super) fn label(redactor: &Redactor, text: &str) -> String {
    cut(&redactor.text(text), LABEL_BYTES).to_owned()
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
        assert_eq!(&*marked(&Redactor::default(), text, bytes), expected);
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
    fn of_a_text_that_is_far_longer_nothing_is_told_that_could_be_a_part_of_a_secret() {
        let redactor = Redactor::default();
        let secret = "0123456789".repeat(SECRET / 10);
        redactor.learn([secret.as_str()]);
        let (x, long) = ("x".repeat(10), "x".repeat(1 << 20));
        assert_eq!(&*marked(&redactor, &long, 10), "xxxxxxxxxx… [1048576 bytes]");
        // Sixteen secrets, of which the last goes on beyond what is searched.
        let secrets = secret.repeat(17);
        let told = marked(&redactor, &format!("{x}{secrets}{long}"), 1000);
        assert!(told.ends_with(" bytes]") && !told.contains("01"), "{told}");
        let image = format!("data:image/png;base64,{}", "A".repeat(200_000));
        assert!(marked(&redactor, &format!("{image} {long}"), 40).starts_with("data:image/png"));
    }

    #[test]
    fn content_is_told_by_its_switch() {
        let long = "x".repeat(CONTENT_BYTES + 1);
        let nothing = Redactor::default();
        assert_eq!(Content::None.told(&nothing, &long), None);
        assert_eq!(Content::Full.told(&nothing, &long).as_deref(), Some(long.as_str()));
        let told = Content::Truncated.told(&nothing, &long).expect("content is on");
        assert_eq!(*told, *format!("{}… [4097 bytes]", &long[1..]));
    }

    #[test]
    fn a_secret_is_masked_before_it_could_be_cut_in_half() {
        let redactor = Redactor::default();
        redactor.learn(["sk-0123456789"]);
        assert_eq!(&*marked(&redactor, "key sk-0123456789", 9), "key *****… [10 bytes]");
        let long = format!("{}sk-0123456789", "x".repeat(LABEL_BYTES - 5));
        assert_eq!(label(&redactor, &long), format!("{}*****", "x".repeat(LABEL_BYTES - 5)));
    }

    fn policy(env: &[(&str, &str)]) -> Policy {
        setting::read_from(env, Policy::read).expect("they can be understood")
    }

    #[test]
    fn what_the_operator_or_the_flow_forbids_is_not_told() {
        use Content::{Full, None as Nothing, Truncated};
        for (operator, flow, expected) in [
            ("", None, Truncated),
            ("", Some(Full), Full),
            ("", Some(Nothing), Nothing),
            ("truncated", Some(Full), Truncated),
            ("none", Some(Full), Nothing),
            ("full", Some(Truncated), Truncated),
            ("full", None, Full),
        ] {
            let recording = policy(&[(CONTENT.variable, operator)]).of(flow);
            assert_eq!(recording, Recording { content: expected, places: Places::default() }, "{operator:?} {flow:?}");
        }
    }

    #[test]
    fn the_usual_variable_says_where_content_is_told() {
        let places = |attributes, events, gen_ai| Places { attributes, events, gen_ai };
        for (said, expected) in [
            ("true", places(true, true, true)),
            ("span_only", places(true, false, true)),
            ("EVENT_ONLY", places(false, true, false)),
            ("SPAN_AND_EVENT", places(true, true, true)),
            ("", places(true, true, false)),
        ] {
            let recording = policy(&[(CAPTURE.variable, said)]).of(None);
            assert_eq!(recording, Recording { content: Content::Truncated, places: expected }, "{said}");
        }
        for no in ["false", "NO_CONTENT"] {
            assert_eq!(policy(&[(CAPTURE.variable, no)]).of(Some(Content::Full)).content, Content::None);
            assert_eq!(policy(&[(CAPTURE.variable, no), (CONTENT.variable, "full")]).of(None).content, Content::Full);
        }
    }
}
